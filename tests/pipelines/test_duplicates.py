"""Duplicates in Spark against a reference written straight from the definition, post by post."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from filters.sketch import Sketch, estimate_jaccard
from pipelines.deletions import find_deleted
from pipelines.duplicates import Corpus, PartFile, find_duplicates, stretches
from pipelines.exchange import delivered, routed
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


def corpus_of(posts: list[dict[str, Any]], folder: Path, parts: int, config: DuplicatesConfig | None = None) -> Corpus:
    """Write the posts as `parts` staged files, as stage_part would."""
    sketch = Sketch()
    files = []
    for part in range(parts):
        rows = [{**row, "extra": json.dumps({"edited_at": row["version"]})} for row in posts[part::parts]]
        clean = pa.array([{"text": row["text"], "changed": False} for row in rows], columns.CLEAN_TEXT)
        batch = pa.RecordBatch.from_arrays([clean], names=["clean_text"])
        table = pa.Table.from_pylist(rows, POST).append_column(pa.field("sketch", columns.SKETCH), sketch(batch))
        path = folder / f"part-{part}.parquet"
        pq.write_table(table, path)
        files.append(PartFile(str(path), 0, len(rows), True))
    times = [[int(post["created_at"].timestamp() * 1e6) for post in posts if post["created_at"]]]
    return Corpus(tuple(files), stretches(times, 3), config or DuplicatesConfig())


def opened(mail: DataFrame, parts: int) -> dict[tuple[int, int], dict[str, Any]]:
    """What the mail says of each (part, row); a row with a kind counts before one without."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part, said in delivered(batches):
            rows = [json.dumps({**row, "part": part}) for row in said.to_pylist()]
            yield pa.RecordBatch.from_pydict({"row": rows})

    rows = [json.loads(row.row) for row in routed(mail, parts).mapInArrow(work, "row string").collect()]
    rows.sort(key=lambda row: row["kind"] is not None)
    linked = [row for row in rows if row["kind"]]
    assert len({(row["part"], row["row"]) for row in linked}) == len(linked)
    return {(row["part"], row["row"]): row for row in rows}


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
    found = opened(find_duplicates(spark, corpus_of(posts, tmp_path, parts, config)), parts)
    answer = [found.get((at % parts, at // parts)) for at in range(len(posts))]
    expected = reference(posts, config)
    assert [(row["duplicate_of"], row["kind"]) if row else (None, None) for row in answer] == expected
    assert {kind for _, kind in expected} >= {"exact", "near", "repost", "repeated_id", "superseded", None}


def test_counts_cluster_and_authors(spark: SparkSession, tmp_path: Path) -> None:
    text = "the tram was late again and nobody knew why it stopped"
    at = datetime(2026, 1, 1, tzinfo=UTC)
    posts = [
        {"id": f"c{number}", "author_id": author, "created_at": at + timedelta(minutes=number), "text": text}
        for number, author in enumerate(["x", "y", "x", None])
    ]
    posts.append({"id": "other", "author_id": "z", "created_at": at, "text": "something else entirely here"})
    found = opened(find_duplicates(spark, corpus_of([{**row, "version": 0} for row in posts], tmp_path, 1)), 1)
    said = {row: (one["duplicate_of"], one["cluster_size"], one["cluster_authors"]) for (_, row), one in found.items()}
    assert said == {0: (None, 4, 2), 1: ("c0", 4, 2), 2: ("c0", 4, 2), 3: ("c0", 4, 2)}


def test_tombstones_find_posts_by_id_and_author(spark: SparkSession, tmp_path: Path) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    posts = [
        {"id": name, "author_id": author, "created_at": at, "text": f"text {name}", "version": 0}
        for name, author in [("a", "x"), ("b", "y"), ("c", "z"), ("d", None), ("e", "w"), ("x", "a")]
    ]
    events = [
        {"kind": "post_deleted", "post_id": "a", "event_at": at},
        {"kind": "author_gone", "author_id": "y", "event_at": None},
        {"kind": "post_deleted", "post_id": "c", "event_at": at},
        {"kind": "post_restored", "post_id": "c", "event_at": at + DAY},
        {"kind": "author_gone", "author_id": "w", "event_at": at},
        {"kind": "author_restored", "author_id": "w", "event_at": at + DAY},
        {"kind": "geo_scrubbed", "author_id": "z", "event_at": at},
    ]
    file = tmp_path / "tombstones.parquet"
    pq.write_table(pa.Table.from_pylist(events, TOMBSTONE), file)
    gone = opened(find_deleted(spark, corpus_of(posts, tmp_path, 2), [str(file)]), 2)
    assert set(gone) == {(0, 0), (1, 0)}
    assert all(row["cluster_size"] is None for row in gone.values())
