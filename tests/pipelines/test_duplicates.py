"""Duplicates in Spark against a reference written straight from the definition, post by post."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from filters.sketch import Sketch, estimate_jaccard
from pipelines.duplicates import Corpus, find_deleted, find_duplicates, rank_posts
from pipelines.staging import ROW
from schemas import columns
from schemas.config import DuplicatesConfig
from schemas.post import POST, TOMBSTONE

DAY = timedelta(days=1)
WORDS = "rain sun tram coffee late again home garden match goal bread river stone lamp green slow".split()  # noqa: SIM905


def random_posts(seed: int, count: int) -> list[dict[str, Any]]:
    """Posts over a month from a handful of texts with small edits, some reposts, repeats, edits and missing times."""
    rng = np.random.default_rng(seed)
    bases = [" ".join(rng.choice(WORDS, 12)) for _ in range(12)]
    posts: list[dict[str, Any]] = []
    for number in range(count):
        text = str(rng.choice(bases))
        if rng.random() < 0.5:
            words = text.split()
            words[int(rng.integers(len(words)))] = str(rng.choice(WORDS))
            text = " ".join(words)
        text = str(
            rng.choice([text, text.upper(), text + " https://x.example/1", "", "gm"], p=[0.5, 0.2, 0.2, 0.05, 0.05])
        )
        at = datetime(2026, 1, 1, tzinfo=UTC) + DAY * float(rng.integers(0, 30 * 24)) / 24
        again = posts[int(rng.integers(number))]["id"] if number and rng.random() < 0.1 else None
        posts.append(
            {
                "id": again or f"p{number:04d}",
                "author_id": str(rng.choice(["a", "b", "c", None])) if rng.random() < 0.9 else None,
                "created_at": None if rng.random() < 0.05 else at,
                "text": text,
                "repost_of": f"p{int(rng.integers(count)):04d}" if rng.random() < 0.2 else None,
                "version": int(rng.integers(3)) if again else 0,
            }
        )
    return posts


def staged(posts: list[dict[str, Any]], folder: Path, parts: int) -> list[str]:
    """Write the posts as `parts` staged files, as stage_part would."""
    sketch = Sketch()
    files = []
    for part in range(parts):
        rows = posts[part::parts]
        clean = pa.array([{"text": row["text"], "changed": False} for row in rows], columns.CLEAN_TEXT)
        table = pa.Table.from_pylist(
            [{**row, "part": part, "row": position} for position, row in enumerate(rows)], pa.schema([*ROW, *POST])
        )
        batch = pa.RecordBatch.from_arrays([clean], names=["clean_text"])
        table = table.append_column(pa.field("sketch", columns.SKETCH), sketch(batch))
        files.append(str(folder / f"part-{part}.parquet"))
        pq.write_table(table, files[-1])
    return files


def reference(posts: list[dict[str, Any]], config: DuplicatesConfig) -> list[tuple[str | None, str | None]]:
    """Return (duplicate_of, kind) per post by the definition, one post after the other."""
    clean = pa.array([{"text": post["text"], "changed": False} for post in posts], columns.CLEAN_TEXT)
    sketches = Sketch()(pa.RecordBatch.from_arrays([clean], names=["clean_text"])).to_pylist()
    epoch_start = datetime(1970, 1, 1, tzinfo=UTC)
    when = [post["created_at"] or epoch_start for post in posts]
    day = [(at - epoch_start).days for at in when]
    order = sorted(
        range(len(posts)),
        key=lambda at: (when[at], posts[at]["id"], posts[at]["version"], sketches[at]["fingerprint"] or -(1 << 63)),
    )
    place = {post: rank for rank, post in enumerate(order)}
    answer: list[tuple[str | None, str | None]] = [(None, None)] * len(posts)
    counts: dict[str, int] = {}
    for at in order:
        best = counts.get(posts[at]["id"])
        if best is None or posts[at]["version"] > posts[best]["version"]:
            counts[posts[at]["id"]] = at
    owners: dict[tuple[Any, int], int] = {}
    for at in order:
        for key in keys(posts[at], sketches[at]):
            owners.setdefault((key, day[at]), at)
    for at in order:
        newest = counts[posts[at]["id"]]
        if newest != at:
            older = posts[at]["version"] < posts[newest]["version"]
            answer[at] = (posts[at]["id"], "superseded" if older else "repeated_id")
            continue
        days = range(day[at] - config.horizon_days + 1, day[at] + config.horizon_days)
        owns = [(key[0], owners[key, d]) for key in keys(posts[at], sketches[at]) for d in days if (key, d) in owners]
        before = [(what, owner) for what, owner in owns if place[owner] < place[at]]
        originals = [owner for what, owner in before if what == "root"]
        similar = [
            owner
            for what, owner in before
            if what == "band" and posts[owner]["id"] != posts[at]["id"]
            and jaccard(sketches[at], sketches[owner]) >= config.threshold
        ]  # fmt: skip
        if posts[at]["repost_of"] and originals:
            answer[at] = (posts[min(originals, key=place.__getitem__)]["id"], "repost")
        elif similar:
            first = min(similar, key=place.__getitem__)
            same = sketches[first]["fingerprint"] == sketches[at]["fingerprint"]
            answer[at] = (posts[first]["id"], "exact" if same else "near")
    return answer


def keys(post: dict[str, Any], sketch: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a post can be found by: its root id, its fingerprint, its bands."""
    bands = [("band", sketch["fingerprint"]), *(("band", band) for band in sketch["bands"])] if sketch["bands"] else []
    return [("root", post["repost_of"] or post["id"]), *bands]


def jaccard(left: dict[str, Any], right: dict[str, Any]) -> float:
    """Estimate from two signatures."""
    return float(estimate_jaccard(pa.array([left["signature"]]), pa.array([right["signature"]]))[0])


@pytest.mark.parametrize(("seed", "parts", "horizon"), [(1, 1, 7), (2, 3, 7), (3, 2, 1), (4, 4, 40)])
def test_equals_the_definition(spark: SparkSession, tmp_path: Path, seed: int, parts: int, horizon: int) -> None:
    posts = random_posts(seed, 400)
    config = DuplicatesConfig(horizon_days=horizon)
    files = staged(posts, tmp_path, parts)
    rows = find_duplicates(rank_posts(spark, Corpus(0, files), tmp_path), config).collect()
    found = {(row.part, row.row): row for row in rows if row.kind}
    assert len(found) == sum(row.kind is not None for row in rows)
    answer = [found.get((at % parts, at // parts)) for at in range(len(posts))]
    expected = reference(posts, config)
    assert [(row.duplicate_of, row.kind) if row else (None, None) for row in answer] == expected
    kinds = {kind for _, kind in expected}
    assert kinds >= {"exact", "near", "repost", "repeated_id", "superseded", None}


def test_counts_cluster_and_authors(spark: SparkSession, tmp_path: Path) -> None:
    text = "the tram was late again and nobody knew why it stopped"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    posts = [
        {
            "id": f"c{number}",
            "author_id": author,
            "created_at": at + timedelta(minutes=number),
            "text": text,
            "version": 0,
        }
        for number, author in enumerate(["x", "y", "x", None])
    ]
    posts.append(
        {"id": "other", "author_id": "z", "created_at": at, "text": "something else entirely here", "version": 0}
    )
    rows = find_duplicates(
        rank_posts(spark, Corpus(0, staged(posts, tmp_path, 1)), tmp_path), DuplicatesConfig()
    ).collect()
    assert {(row.row, row.duplicate_of, row.cluster_size, row.cluster_authors) for row in rows} == {
        (0, None, 4, 2), (1, "c0", 4, 2), (2, "c0", 4, 2), (3, "c0", 4, 2),
    }  # fmt: skip


def test_tombstones_find_posts_by_id_and_author(spark: SparkSession, tmp_path: Path) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    posts = [
        {"id": name, "author_id": author, "created_at": at, "text": f"text {name}", "version": 0}
        for name, author in [("a", "x"), ("b", "y"), ("c", "z"), ("d", None), ("e", "w")]
    ]
    events = [
        {"kind": "post_deleted", "post_id": "a", "event_at": at},
        {"kind": "author_gone", "author_id": "y", "event_at": None},
        {"kind": "post_deleted", "post_id": "c", "event_at": at},
        {"kind": "post_restored", "post_id": "c", "event_at": at + DAY},
        {"kind": "author_gone", "author_id": "w", "event_at": at},
        {"kind": "author_restored", "author_id": "w", "event_at": at + DAY},
    ]
    pq.write_table(pa.Table.from_pylist(events, TOMBSTONE), tmp_path / "tombstones.parquet")
    ranked = rank_posts(spark, Corpus(0, staged(posts, tmp_path, 1)), tmp_path)
    gone = find_deleted(spark, ranked, [str(tmp_path / "tombstones.parquet")]).collect()
    assert {row.row for row in gone} == {0, 1}
