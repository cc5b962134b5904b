"""Programs that use what swarmfeed writes; no part of the package imports them."""
