"""The batch job for spark-submit: `spark-submit --py-files swarmfeed.zip curate_batch.py INPUT... --out DIR`.

Takes the same arguments as `swarmfeed run`; the master and all resources come from spark-submit.
"""

from __future__ import annotations

import sys

from jobs.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
