"""Find duplicates with swarmfeed's stages and search alone: clean the text, sketch it, compare. Prints one JSON line.

What is timed runs from the first read to the last write: which post duplicates which, as Parquet.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from filters.clean_text import CleanText
from filters.sketch import Sketch
from filters.stage import configure
from filters.verdict import Verdict
from pipelines import session
from pipelines.duplicates import Search, find_duplicates
from pipelines.exchange import in_this_process, map_rows, read_box
from pipelines.index import open_index
from pipelines.intake import read_splits
from pipelines.sources import plan_splits
from pipelines.step import StepResult, Workshop, lay_out_search, rehearse_search, stage_posts
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.config import Config, SparkConfig

STAGES = (CleanText, Sketch, Verdict)  # the engine takes the verdict off: nothing is decided here


def search(spark: SparkSession, files: Sequence[str], config: Config, folder: Path) -> tuple[int, int]:
    """Read posts, write to `folder`/duplicates which one duplicates which; return how many there are of both.

    All that is known here of the engine: a change of the engine is a change of this function and of `prepare`.
    """
    shop = _shop(spark, config, folder)
    result = StepResult(epoch=0, token_set="")
    splits = [[split] for split in plan_splits(files, config.input)]
    result.staged = stage_posts(read_splits(spark, splits, config.input), shop)
    layout = lay_out_search(result, shop, spark.sparkContext.defaultParallelism)
    found = find_duplicates(shop.run, layout)
    written = shop.run(len(layout.staged.files), lambda part: _write(layout, found.decisions, part, folder), even=True)
    return sum(part.posts + part.quarantined for part in result.staged), sum(written)


def prepare(spark: SparkSession, config: Config, folder: Path) -> None:
    """Start the workers and let them load what the search needs, as a run does before its clock starts."""
    shop = _shop(spark, config, folder)
    stages = shop.stages

    def rehearse(worker: int) -> None:
        place = folder / f"rehearsal-{worker}"
        place.mkdir()
        find_duplicates(in_this_process, rehearse_search(stages, config, str(place))[0])

    shop.run(spark.sparkContext.defaultParallelism, rehearse)


def _shop(spark: SparkSession, config: Config, folder: Path) -> Workshop:
    staging = folder / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    (folder / "duplicates").mkdir(exist_ok=True)
    tokenizer = load_tokenizer(config.tokens.tokenizer)
    out = folder / "empty"
    index = open_index(out, config.duplicates)
    return Workshop(spark, config, configure(STAGES, {}), tokenizer, index, out, staging)


def _write(layout: Search, decisions: Sequence[str], part: int, folder: Path) -> int:
    """Write the duplicates of a part and return how many there are."""
    said = read_box(decisions, part)
    found = said.filter(pc.is_valid(said.column("duplicate_of")))
    ids = map_rows(layout.staged.files[part]).column("id").take(found.column("row"))
    pq.write_table(found.set_column(0, "id", ids), folder / "duplicates" / f"part-{part:06d}.parquet")
    return int(found.num_rows)


def main() -> None:
    """Search the posts of a folder and print the summary."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m bench.ours_duplicates", description=__doc__.partition("\n")[0])
    parser.add_argument("--input", type=Path, required=True, help="folder of Parquet files")
    parser.add_argument("--work", type=Path, required=True, help="folder to write to; emptied first")
    parser.add_argument("--cores", type=int, default=2)
    asked = parser.parse_args()
    shutil.rmtree(asked.work, ignore_errors=True)
    config = Config(spark=SparkConfig(master=f"local[{asked.cores}]"))
    spark = session.start(config.spark, "swarmfeed duplicates")
    prepare(spark, config, asked.work)
    started = time.monotonic()
    posts, duplicates = search(spark, [str(asked.input)], config, asked.work)
    seconds = time.monotonic() - started
    summary = {
        "posts": posts,
        "kept": posts - duplicates,
        "seconds": seconds,
        "startup_seconds": started - began,
        "posts_per_second": posts / seconds,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
