"""An output folder made from invented posts by the real stages and the real writers, without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import filters
from filters.stage import configure
from pipelines import summary, tables
from pipelines.deciding import DecisionPlan, decide_part
from pipelines.ledger import EpochRecord, claim, publish
from pipelines.sources import Records
from pipelines.staging import Workplan, stage_part
from pipelines.step import StepResult, Workshop
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.config import Config
from schemas.post import POST, QUARANTINE, TOMBSTONE

DECISION = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int32()),
        ("duplicate_of", pa.string()),
        ("kind", pa.string()),
        ("cluster_size", pa.int64()),
        ("cluster_authors", pa.int64()),
    ]
)


def curate(
    out: Path, posts: Sequence[dict[str, Any]], bad: Sequence[dict[str, Any]] = (), config: Config | None = None
) -> dict[str, Any]:
    """Take posts and quarantined records through one epoch and return its totals, as `run` hands them to the report.

    Posts with the same `text` are exact duplicates of the first; a text `DELETED` is one a tombstone names.
    """
    config = config or Config()
    stages = configure(filters.STAGES, config.stages)
    schemas = tables.table_schemas(stages)
    with claim(out, schemas) as staging:
        epoch = len(tables.epochs(out))
        shop = Workshop(None, config, stages, load_tokenizer("default"), out, staging)  # type: ignore[arg-type]
        result = StepResult(epoch, f"sets/default/v{epoch:06d}", seconds={"stage": 1.25, "decide": 0.5})
        (staging / result.token_set).mkdir(parents=True)
        batch = pa.RecordBatch.from_pylist(list(posts), schema=POST)
        quarantine = pa.RecordBatch.from_pylist(list(bad), schema=QUARANTINE)
        records = Records(batch, pa.RecordBatch.from_pylist([], schema=TOMBSTONE), quarantine)
        result.staged = [stage_part(0, "invented.jsonl", [records], Workplan(stages[:-1], str(staging)))]
        if posts:
            plan = DecisionPlan(stages, shop.tokenizer, str(staging), str(staging / result.token_set), 10_000, epoch)
            result.decided = [decide_part(0, result.staged[0].file, decisions(posts), plan)]
        totals = summary.summarise(result, shop)
        files = tuple(file for part in (*result.staged, *result.decided) for file in part.files)
        metadata = {"swarmfeed.epoch": str(epoch), "swarmfeed.config": totals["config_hash"]}
        folders = (result.token_set,) if totals["tokens"]["kept"] else ()
        publish(out, EpochRecord(epoch, datetime(2026, 5, 4, 12, tzinfo=UTC), metadata, files, folders), schemas)
    return totals | {"seconds": 2.5, "startup_seconds": 1.0, "posts_per_second": len(posts) / 2.5}


def decisions(posts: Sequence[dict[str, Any]]) -> pa.Table:
    """Say which posts repeat a text: what the duplicates step would, for exact copies."""
    sizes = Counter(post["text"] for post in posts)
    authors = {text: len({post.get("author_id") for post in posts if post["text"] == text}) for text in sizes}
    first: dict[str, str] = {}
    said = []
    for row, post in enumerate(posts):
        text = post["text"]
        original = first.setdefault(text, post["id"])
        if text == "DELETED":
            said.append({"part": 0, "row": row})
        elif sizes[text] > 1:
            copy = original != post["id"]
            about = {"duplicate_of": original, "kind": "exact"} if copy else {}
            said.append({"part": 0, "row": row, "cluster_size": sizes[text], "cluster_authors": authors[text], **about})
    return pa.Table.from_pylist(said, schema=DECISION)
