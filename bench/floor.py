"""Let Spark read posts and write them again, with no stage between: what no pipeline on Spark can beat.

The session is that of a run of swarmfeed. No Python worker starts: rows go from Parquet to Parquet inside the JVM.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq

from pipelines import session
from schemas.config import SparkConfig

WARM_ROWS = 1000  # copied first, untimed: the JVM loads its Parquet classes


def parse() -> argparse.Namespace:
    """Read the call."""
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__.partition("\n")[0])
    parser.add_argument("--input", type=Path, required=True, help="folder of Parquet files")
    parser.add_argument("--work", type=Path, required=True, help="folder to write to; emptied first")
    parser.add_argument("--cores", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    """Copy the posts and print one JSON line."""
    began = time.monotonic()
    asked = parse()
    shutil.rmtree(asked.work, ignore_errors=True)
    spark = session.start(SparkConfig(master=f"local[{asked.cores}]"), "swarmfeed floor")
    spark.read.parquet(str(asked.input)).limit(WARM_ROWS).write.parquet(str(asked.work / "warm"))
    started = time.monotonic()
    spark.read.parquet(str(asked.input)).write.parquet(str(asked.work / "posts"))
    seconds = time.monotonic() - started
    posts = sum(pq.ParquetFile(path).metadata.num_rows for path in (asked.work / "posts").glob("*.parquet"))
    summary = {
        "posts": posts,
        "seconds": seconds,
        "startup_seconds": started - began,
        "posts_per_second": posts / seconds,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
