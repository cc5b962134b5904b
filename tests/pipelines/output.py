"""Run the batch job in tests and read what it wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines import run as batch
from pipelines.tables import open_table
from schemas.config import Config


def curate(inputs: Sequence[Path], out: Path, **sections: Any) -> dict[str, Any]:
    """Curate files into a folder and return the report."""
    return batch.run(batch.Order(tuple(map(str, inputs)), out, Config.parse(sections)))


def posts(out: Path) -> list[dict[str, Any]]:
    """Every post of the table."""
    delta = open_table(out, "posts")
    assert delta is not None
    rows: list[dict[str, Any]] = delta.to_pyarrow_table().to_pylist()
    return rows


def answers(out: Path) -> list[tuple[Any, ...]]:
    """What must not depend on how the input was cut: per post the verdict, what it duplicates, and its cluster."""
    return sorted(
        (row["id"], row["text"], row["duplicate_of"] or "", json.dumps(row["duplicates"]), json.dumps(row["verdict"]))
        for row in posts(out)
    )


def tokens(out: Path, report: dict[str, Any]) -> dict[str, list[int]]:
    """Token ids by post."""
    shards = sorted((out / report["token_set"]).glob("shard-*.parquet"))
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    assert all(row["post_ids"] == [row["document_id"]] for row in rows)
    return {row["document_id"]: row["tokens"] for row in rows}
