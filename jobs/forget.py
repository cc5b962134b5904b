"""Forgetting for spark-submit: `spark-submit --py-files swarmfeed.zip forget.py DIR --ids FILE`.

Takes the same arguments as `swarmfeed forget`; the master and all resources come from spark-submit.
"""

from __future__ import annotations

import sys

from jobs.cli import main

if __name__ == "__main__":
    main(["forget", *sys.argv[1:]])
