"""The version of swarmfeed, written into manifests and reports."""

VERSION = "0.1.0"
