"""Thin entry points: the `swarmfeed` command and the files that spark-submit takes."""
