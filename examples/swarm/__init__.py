"""A swarm of small models, trained one after the other on what `swarmfeed publish` writes."""
