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
from pipelines.deletions import learn_events
from pipelines.duplicates import DECISION
from pipelines.exchange import in_this_process
from pipelines.index import STAGED, open_index
from pipelines.ledger import Change, claim, publish
from pipelines.sources import Records
from pipelines.staging import Workplan, stage_part
from pipelines.step import StepResult, Workshop, lay_out_search
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.config import Config
from schemas.post import POST, QUARANTINE, TOMBSTONE


def curate(
    out: Path, posts: Sequence[dict[str, Any]], bad: Sequence[dict[str, Any]] = (), config: Config | None = None
) -> dict[str, Any]:
    """Take posts and quarantined records through one epoch and return its totals, as `run` hands them to the report.

    Posts with the same `text` are exact duplicates of the first; a text `DELETED` is one a tombstone names.
    """
    config = config or Config()
    stages = configure(filters.STAGES, config.stages)
    schemas = tables.table_schemas(stages)
    index = open_index(out, config.duplicates)
    with claim(out, schemas, index) as staging:
        newest = tables.newest_epoch(out)
        epoch = 0 if newest is None else newest + 1
        shop = Workshop(None, config, stages, load_tokenizer("default"), index, out, staging)  # type: ignore[arg-type]
        result = StepResult(epoch, sets.next_version(out, "default"), seconds={"annotate": 1.25, "decide": 0.5})
        (staging / result.token_set).mkdir(parents=True)
        batch = pa.RecordBatch.from_pylist(list(posts), schema=POST)
        quarantine = pa.RecordBatch.from_pylist(list(bad), schema=QUARANTINE)
        gone = [{"kind": "post_deleted", "post_id": post["id"]} for post in posts if post["text"] == "DELETED"]
        records = Records(batch, pa.RecordBatch.from_pylist(gone, schema=TOMBSTONE), quarantine)
        result.staged = [stage_part(0, "invented.jsonl", [records], Workplan(stages[:-1], str(staging), epoch))]
        if posts:
            search = lay_out_search(result, shop, cores=1)
            tombstones = [str(staging / part.tombstones) for part in result.staged if part.tombstones]
            events = learn_events(in_this_process, tombstones, str(staging / STAGED))
            folder = str(staging / result.token_set)
            plan = DecisionPlan(stages, shop.tokenizer, str(staging), folder, 10_000, search, events)
            result.decided = [decide_part(0, 0, decisions(posts), plan)]
        totals = summary.summarise(result, shop)
        files = tuple(file for part in (*result.staged, *result.decided) for file in part.files)
        metadata = {"swarmfeed.epoch": str(epoch), "swarmfeed.config": totals["config_hash"]}
        folders = (result.token_set,) if totals["tokens"]["kept"] else ()
        at = datetime(2026, 5, 4, 12, tzinfo=UTC)
        publish(out, Change({tables.EPOCHS: epoch}, at, metadata, files, folders=folders), schemas)
    return totals | {"seconds": 2.5, "startup_seconds": 1.0, "posts_per_second": len(posts) / 2.5}


def decisions(posts: Sequence[dict[str, Any]]) -> pa.Table:
    """Say which posts repeat a text: what the duplicates step would, for exact copies."""
    sizes = Counter(post["text"] for post in posts)
    authors = {text: len({post.get("author_id") for post in posts if post["text"] == text}) for text in sizes}
    first: dict[str, str] = {}
    copies: Counter[str] = Counter()
    said = []
    for row, post in enumerate(posts):
        text = post["text"]
        original = first.setdefault(text, post["id"])
        if text != "DELETED" and sizes[text] > 1:
            copies[text] += 1
            about = {"duplicate_of": original, "kind": "exact"} if original != post["id"] else {}
            counts = {"copy": copies[text], "cluster_size": sizes[text], "cluster_authors": authors[text]}
            said.append({"row": row, **counts, **about})
    return pa.Table.from_pylist(said, schema=DECISION)
