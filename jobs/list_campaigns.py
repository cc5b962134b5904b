"""The campaigns of a folder for spark-submit: `spark-submit --py-files swarmfeed.zip list_campaigns.py DIR`.

Takes the same arguments as `swarmfeed campaigns`; the master and all resources come from spark-submit.
"""

from __future__ import annotations

import sys

from jobs.cli import main

if __name__ == "__main__":
    main(["campaigns", *sys.argv[1:]])
