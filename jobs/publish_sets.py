"""Publishing for spark-submit: `spark-submit --py-files swarmfeed.zip publish_sets.py DIR --swarm FILE`.

Takes the same arguments as `swarmfeed publish`; the master and all resources come from spark-submit.
"""

from __future__ import annotations

import sys

from jobs.cli import main

if __name__ == "__main__":
    main(["publish", *sys.argv[1:]])
