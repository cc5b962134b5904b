"""What must go: which open tombstones still hold, whose posts they speak of, and which of those are in the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.deletions import OF_AUTHORS, SILENT
from pipelines.duplicates.history import newest
from pipelines.exchange import map_rows
from pipelines.tables import DataFile, FileSpan, data_files, open_files
from pipelines.upkeep import Upkeep
from pipelines.upkeep.names import write_names

COLUMNS = ["kind", "post_id", "author_id", "name", "done_at"]


@dataclass
class Doomed:
    """Posts and authors that must go, and since when; `blanked` are posts that have no text and nobody speaks of."""

    posts: dict[str, datetime] = field(default_factory=dict)
    authors: dict[str, datetime] = field(default_factory=dict)
    edited: set[str] = field(default_factory=set)  # posts of which a newer version came in a later epoch
    blanked: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Tell whether anything must go."""
        return bool(self.posts or self.authors)


@dataclass(frozen=True)
class OpenTombstones:
    """How many tombstones are open, and since when the oldest of them is."""

    count: int
    oldest: datetime | None


def count_open(root: Path) -> OpenTombstones:
    """Say how many tombstones of a folder are open, from what the log says of its files alone."""
    files = open_files(root)
    return OpenTombstones(sum(file.open for file in files), min(map(_time, files), default=None))


def _time(file: FileSpan) -> datetime:
    """Return when a file was committed."""
    return datetime.fromtimestamp(file.added / 1000, UTC)


def oldest_open(root: Path) -> datetime | None:
    """Return when the oldest open tombstone was committed; None where none is open."""
    return count_open(root).oldest


def read_open(upkeep: Upkeep) -> Doomed:
    """Read the open tombstones that still hold: the newest event on a name decides, wherever it came."""
    files = open_files(upkeep.root)
    parts = [pq.ParquetFile(upkeep.root / "tombstones" / file.file.path).read(COLUMNS) for file in files]
    if not parts:
        return Doomed()
    since = np.repeat([file.added for file in files], [part.num_rows for part in parts])
    rows = pa.concat_tables(parts).append_column("since", pa.array(since, pa.timestamp("ms", "UTC")))
    rows = rows.filter(rows.column("done_at").is_null())
    edits = rows.filter(pc.equal(rows.column("kind"), "post_edited"))
    notes = rows.filter(pc.is_in(rows.column("kind"), pa.array(["post_blanked", "post_named"])))
    said = rows.filter(pc.and_not(rows.column("name").is_valid(), pc.is_in(rows.column("kind"), pa.array(SILENT))))
    gone, restored = _newest_said(upkeep, pa.concat_tables([notes, said]))
    said = said.filter(pc.is_in(said.column("name"), value_set=gone))
    notes = notes.filter(pc.invert(pc.is_in(notes.column("name"), value_set=restored)))
    of_author = pc.is_in(said.column("kind"), pa.array(OF_AUTHORS))
    return Doomed(
        posts=_since(pa.concat_tables([notes, said.filter(pc.invert(of_author))]), "post_id"),
        authors=_since(said.filter(of_author), "author_id"),
        edited=set(edits.column("post_id").to_pylist()),
    )


def _newest_said(upkeep: Upkeep, rows: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Return which names of some tombstones are gone by the newest event on them, and which are restored."""
    names = np.unique(np.asarray(rows.column("name").drop_null()))
    events = newest(upkeep.index.history().events(names).combine_chunks())
    gone = events.column("gone")
    takes, gives = events.filter(gone).column("name"), events.filter(pc.invert(gone)).column("name")
    return takes.combine_chunks(), gives.combine_chunks()


def _since(rows: pa.Table, column: str) -> dict[str, datetime]:
    """Return since when each name must go."""
    rows = rows.filter(rows.column(column).is_valid()).sort_by([("since", "descending")])  # the last, the oldest, stays
    return dict(zip(rows.column(column).to_pylist(), rows.column("since").to_pylist(), strict=True))


def find_posts(upkeep: Upkeep, doomed: Doomed) -> None:
    """Add the posts of the authors, and every repost of a post: it carries the text. A round of tasks for each step."""
    files = data_files(upkeep.root, "posts")
    posts: Iterable[str] = list(doomed.posts)
    authors = list(doomed.authors)
    while posts or authors:
        names = write_names(upkeep.staging, dict.fromkeys(posts, ""), authors)
        found = upkeep.each([file.bytes for file in files], partial(_find, upkeep.root, files, names))
        new: dict[str, datetime] = {}
        for post, author, original in (one for some in found for one in some):
            since = [doomed.authors.get(author), doomed.posts.get(original)] if author or original else []
            known = [time for time in since if time is not None]
            if not known:
                doomed.blanked.add(post)
            elif post not in doomed.posts:
                new[post] = min([*known, new.get(post, known[0])])
        doomed.posts |= new
        posts, authors = list(new), []
    doomed.blanked -= doomed.posts.keys()


def _find(root: Path, files: Sequence[DataFile], names: str, task: int) -> list[tuple[str, str | None, str | None]]:
    """Return the posts of a file that must go, each with the author and the original it must go for, if for those."""
    known = map_rows(names)
    of_author = known.column("author")
    authors = known.filter(of_author).column("id").combine_chunks()
    posts = known.filter(pc.invert(of_author)).column("id").combine_chunks()
    found: list[tuple[str, str | None, str | None]] = []
    with pq.ParquetFile(root / "posts" / files[task].path) as parquet:
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group, ["id", "author_id", "repost_of", "duplicates.deleted"])
            rows = rows.filter(pc.invert(pc.is_in(rows.column("id"), value_set=posts)))
            by_author = pc.is_in(rows.column("author_id"), value_set=authors)
            by_post = pc.is_in(rows.column("repost_of"), value_set=posts)
            blanked = pc.fill_null(pc.struct_field(rows.column("duplicates"), "deleted"), False)
            none = pa.scalar(None, pa.string())
            told = pa.table(
                [
                    rows.column("id"),
                    pc.if_else(by_author, rows.column("author_id"), none),
                    pc.if_else(by_post, rows.column("repost_of"), none),
                ],
                ["id", "author", "original"],
            ).filter(pc.or_(pc.or_(by_author, by_post), blanked))
            found += zip(*(column.to_pylist() for column in told.columns), strict=True)
    return found
