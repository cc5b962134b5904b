"""What earlier epochs left for later ones: how it is written, and how the search asks for it.

Who keeps it and how it is looked up is an index's own affair: see pipelines.index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from pipelines.duplicates.keys import Keys
from pipelines.duplicates.records import DAY_MICROS, NO_DAY, RECORD, Longs
from pipelines.exchange import new_file, write_rows

ENTRY = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("ref", pa.int64(), nullable=False),
        pa.field("day", pa.int32(), nullable=False),
    ]
)
"""A post owned a key on a day."""

COPIES = pa.schema(
    [
        pa.field("original", pa.int64(), nullable=False),  # ref of the post that is copied
        pa.field("author", pa.int64(), nullable=False),  # hash of the author of some copies of it
        pa.field("copies", pa.int64(), nullable=False),
        pa.field("micros", pa.int64(), nullable=False),  # of the original
    ]
)
"""How often each author copied a post: what makes up a cluster."""

EVENTS = pa.schema(
    [
        pa.field("name", pa.int64(), nullable=False),  # see deletions.name_keys
        pa.field("micros", pa.int64(), nullable=False),  # of the event
        pa.field("gone", pa.bool_(), nullable=False),
    ]
)
"""An event said of a post or an author that it must go, or that it may stay after all."""

KINDS: Mapping[str, tuple[pa.Schema, str]] = {
    "entries": (ENTRY, "key"),
    "records": (RECORD, "ref"),
    "copies": (COPIES, "original"),
    "events": (EVENTS, "name"),
}
"""What an index keeps: the columns, and the one they are sorted by. Events never expire."""


@dataclass(frozen=True)
class RunFile:
    """A sorted Arrow file of one of `KINDS`, its least and its greatest key, and the last day it has rows of.

    A file with posts of no day (see `NO_DAY`) has no last one.
    """

    kind: str
    path: str  # where it was written; once in an index, its name there
    rows: int
    first: int
    last: int
    last_day: int | None


def write_run(folder: str, kind: str, rows: pa.Table) -> RunFile:
    """Write rows of a kind, sorted, as a new file in a folder."""
    path = new_file(folder, kind)
    write_rows(path, rows)
    keys = np.asarray(rows.column(KINDS[kind][1]))
    days = days_of(rows)
    first, last = (int(keys[0]), int(keys[-1])) if len(keys) else (0, 0)
    lasting = len(days) == 0 or bool((days == NO_DAY).any())
    return RunFile(kind, str(path), len(keys), first, last, None if lasting else int(days.max()))


def days_of(rows: pa.Table) -> Longs:
    """Return the day, since 1970, of each row of one of `KINDS`."""
    if rows.schema.equals(EVENTS):
        return np.full(rows.num_rows, NO_DAY, np.int64)
    if "day" in rows.column_names:
        return np.asarray(rows.column("day")).astype(np.int64)
    return np.asarray(rows.column("micros")) // DAY_MICROS


def add_up(copies: pa.Table) -> pa.Table:
    """Add up the copies by each author of each original, in that order."""
    keys = ["original", "author", "micros"]
    grouped = copies.group_by(keys, use_threads=False).aggregate([("copies", "sum")])
    grouped = grouped.sort_by([("original", "ascending"), ("author", "ascending")])
    return pa.table([grouped.column(name) for name in ("original", "author", "copies_sum", "micros")], schema=COPIES)


def newest(events: pa.Table) -> pa.Table:
    """Keep the newest event on each name, in the order of names; of two at one time the one that takes away counts."""
    name, micros, gone = (np.asarray(events.column(column)) for column in EVENTS.names)
    order = np.lexsort((gone, micros, name))
    last = np.r_[name[order][1:] != name[order][:-1], True] if len(order) else np.zeros(0, np.bool_)
    return events.take(pa.array(order[last]))


def rows_of(rows: pa.Table, column: str, wanted: Longs) -> pa.Table:
    """Return the rows whose sorted column holds one of the sorted, distinct numbers wanted."""
    held = np.asarray(rows.column(column))
    start, end = (np.searchsorted(held, wanted, side=side) for side in ("left", "right"))
    counts = end - start
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows.take(pa.array(np.repeat(start, counts) + within))


class Owners(NamedTuple):
    """Who owned some of the keys asked for before this epoch: position among those asked for, ref and day of each."""

    position: Longs
    ref: Longs
    day: Longs


class History(Protocol):
    """Looks things up in what earlier epochs left. Pickled to executors, opened there when it is asked."""

    def owners(self, keys: Keys) -> Owners:
        """Return every owner of some keys, sorted and distinct."""
        ...

    def records(self, refs: Longs) -> pa.Table:
        """Return the record of each ref, sorted and distinct: columns of `RECORD`, in the order of the refs."""
        ...

    def copies(self, originals: Longs) -> pa.Table:
        """Return what is known of the clusters of some originals, sorted and distinct: columns of `COPIES`."""
        ...

    def events(self, names: Longs) -> pa.Table:
        """Return what events said of some names, sorted and distinct: columns of `EVENTS`; old ones may be left out."""
        ...


@dataclass(frozen=True)
class NoHistory:
    """What a first epoch finds."""

    def owners(self, keys: Keys) -> Owners:
        """Return none."""
        nothing = np.zeros(0, np.int64)
        return Owners(nothing, nothing, nothing)

    def records(self, refs: Longs) -> pa.Table:
        """Return none."""
        return RECORD.empty_table()

    def copies(self, originals: Longs) -> pa.Table:
        """Return none."""
        return COPIES.empty_table()

    def events(self, names: Longs) -> pa.Table:
        """Return none."""
        return EVENTS.empty_table()
