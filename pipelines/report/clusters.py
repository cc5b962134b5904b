"""Say of some clusters of copies when they were posted, in which languages and how fast, read by column, no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

COPIES = ("exact", "near", "repost")
"""The kinds of duplicates that are posts of their own; the others are one post delivered or edited again."""

UNDETERMINED = "und"  # also of a post whose language went with its text
TOP_LANGUAGES = 3
HOUR_SECONDS = 3600
BATCH_ROWS = 65_536
MEMBER = ["cluster", "at", "language"]
COLUMNS = ("id", "created_at", "language.lang", "duplicate_of", "duplicates.kind", "epoch")


@dataclass
class Cluster:
    """Posts that share an original: how many, by how many authors, of which kinds, and where one of them stands."""

    original: str
    size: int
    authors: int
    kind: str
    member: tuple[int, int]  # file, row in it


@dataclass
class Course:
    """How a cluster went: the posts of it that say their time, the first and last of those, its posts by language."""

    timed: int = 0
    first: datetime | None = None
    last: datetime | None = None
    languages: Counter[str] = field(default_factory=Counter)

    @property
    def span_seconds(self) -> float | None:
        """Return the time from the first post to the last; None where no post says its time."""
        return (self.last - self.first).total_seconds() if self.first and self.last else None

    @property
    def rate(self) -> float | None:
        """Return the posts an hour (see `posts_per_hour`)."""
        return posts_per_hour(self.timed, self.span_seconds)


def posts_per_hour(posts: int, span_seconds: float | None) -> float | None:
    """Return the rate of posts that lie that far apart; a span under an hour counts as an hour, so a burst has a rate.

    >>> posts_per_hour(48, 86_400), posts_per_hour(30, 0), posts_per_hour(0, None)
    (2.0, 30.0, None)
    """
    return None if span_seconds is None else posts / max(span_seconds / HOUR_SECONDS, 1)


def top_shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Return the most frequent languages with their shares of all, most frequent first.

    >>> top_shares({"de": 1, "en": 6, "fr": 2, "ja": 1})
    {'en': 0.6, 'fr': 0.2, 'de': 0.1}
    """
    total = max(sum(counts.values()), 1)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {tag: round(count / total, 4) for tag, count in order[:TOP_LANGUAGES]}


def rate_words(rate: float) -> str:
    """Return a rate in three digits or so.

    >>> rate_words(0.0041), rate_words(0.187), rate_words(24.0), rate_words(12345.6)
    ('<0.01', '0.19', '24', '12,346')
    """
    if rate < 0.01:
        return "<0.01"
    return f"{rate:.2g}" if rate < 10 else f"{rate:,.0f}"


def span_words(seconds: float) -> str:
    """Return a span of time in its two largest units.

    >>> [span_words(value) for value in (0, 40, 3_700, 556_260, 9_000_000)]
    ['0 s', '40 s', '1 h 1 min', '6 d 10 h', '104 d']
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    if hours < 24:
        return f"{hours} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{days} d" + (f" {hours % 24} h" if hours % 24 and days < 100 else "")


def follow(paths: Sequence[Path], originals: Iterable[str], epoch: int) -> dict[str, Course]:
    """Return the course of the clusters with these originals over one epoch's posts; the original is one of them."""
    wanted = pa.array(sorted(originals), pa.string())
    courses: dict[str, Course] = {name: Course() for name in wanted.to_pylist()}
    found = [part for path in paths for part in _members(path, wanted, epoch)] if courses else []
    if found:
        members = pa.concat_tables(found)
        spans = members.group_by("cluster").aggregate([("at", "count"), ("at", "min"), ("at", "max")])
        for row in spans.to_pylist():
            course = courses[row["cluster"]]
            course.timed, course.first, course.last = row["at_count"], row["at_min"], row["at_max"]
        for row in members.group_by(["cluster", "language"]).aggregate([([], "count_all")]).to_pylist():
            courses[row["cluster"]].languages[row["language"]] = row["count_all"]
    return courses


def _members(path: Path, wanted: pa.Array, epoch: int) -> Iterable[pa.Table]:
    """Yield `cluster`, `at` and `language` of the copies, and of the originals, that stand in a file."""
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=list(COLUMNS)):
            kind = pc.struct_field(batch.column("duplicates"), "kind")
            now = pc.equal(batch.column("epoch"), epoch)
            copies = pc.is_in(kind, value_set=pa.array(COPIES))
            post = pc.or_(copies, kind.is_null())  # not the same post again
            for column, of_it in (("duplicate_of", copies), ("id", post)):
                chosen = pc.and_(pc.and_(now, of_it), pc.is_in(batch.column(column), value_set=wanted))
                rows = batch.filter(chosen)
                if rows.num_rows:
                    language = pc.fill_null(pc.struct_field(rows.column("language"), "lang"), UNDETERMINED)
                    yield pa.table([rows.column(column), rows.column("created_at"), language], MEMBER)


def describe(cluster: Cluster, course: Course, *, whole: bool) -> dict[str, Any]:
    """Return a cluster and its course as report.json holds them; a rate only where the whole epoch was read."""
    rate = course.rate if whole else None
    return {
        "original": cluster.original,
        "posts": cluster.size,
        "authors": cluster.authors,
        "kind": cluster.kind,
        "first": course.first.isoformat() if course.first else None,
        "last": course.last.isoformat() if course.last else None,
        "span_seconds": course.span_seconds,
        "posts_per_hour": None if rate is None else round(rate, 4),
        "languages": top_shares(course.languages),
    }
