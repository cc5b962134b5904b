"""Real posts: however they are cut and packed the answer is the same, and copies are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from output import answers, curate, posts, tokens
from pyspark.sql import SparkSession

ROWS = 6000


@pytest.fixture(scope="module")
def real_posts(real_data: Path) -> list[dict[str, Any]]:
    """Some thousand real posts of each set, as plain rows."""
    files = sorted((real_data / "posts").glob("*.parquet"))
    batches = [next(pq.ParquetFile(file).iter_batches(ROWS)) for file in files]
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.fixture(scope="module")
def curated(
    spark: SparkSession, real_posts: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The posts in one Parquet file, curated."""
    folder = tmp_path_factory.mktemp("real")
    pq.write_table(pa.Table.from_pylist(real_posts), folder / "posts.parquet")
    return folder / "out", curate([folder / "posts.parquet"], folder / "out")


def test_other_files_other_formats_same_answer(
    curated: tuple[Path, dict[str, Any]], real_posts: list[dict[str, Any]], tmp_path: Path
) -> None:
    out, report = curated
    pieces = tmp_path / "in"
    pieces.mkdir()
    lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in real_posts]
    (pieces / "b.jsonl").write_bytes(b"".join(lines[::3]))
    (pieces / "a.jsonl.zst").write_bytes(zstandard.compress(b"".join(lines[1::3])))
    pq.write_table(pa.Table.from_pylist(real_posts[2::3]), pieces / "c.parquet", row_group_size=500)
    again = curate([pieces], tmp_path / "out", input={"split_bytes": 300_000, "split_rows": 900, "batch_rows": 700})
    assert answers(tmp_path / "out") == answers(out)
    assert tokens(tmp_path / "out", again) == tokens(out, report)


def test_nothing_is_lost_and_real_copies_are_found(curated: tuple[Path, dict[str, Any]], real_posts: list[Any]) -> None:
    out, report = curated
    assert report["posts"]["read"] == len(real_posts) == len(posts(out))
    assert report["posts"]["quarantined"] == 0
    first_of: dict[str, str] = {}
    for row in sorted(real_posts, key=lambda row: (row["created_at"], row["id"])):
        first_of.setdefault(row["text"], row["id"])
    copies = {row["id"] for row in real_posts if first_of[row["text"]] != row["id"] and row["text"].strip()}
    kept = {row["id"] for row in posts(out) if row["route"] == "kept"}
    times = {row["id"]: row["created_at"] for row in real_posts}
    texts = {row["id"]: row["text"] for row in real_posts}
    for copy in copies & kept:  # only a copy from outside the horizon may stay
        assert (times[copy] - times[first_of[texts[copy]]]).days >= 6
    assert copies
