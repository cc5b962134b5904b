"""The streaming job for spark-submit: `spark-submit --py-files swarmfeed.zip curate_stream.py SOURCE --out DIR`.

Takes the same arguments as `swarmfeed stream`; the master and all resources come from spark-submit.
"""

from __future__ import annotations

import sys

from jobs.cli import main

if __name__ == "__main__":
    main(["stream", *sys.argv[1:]])
