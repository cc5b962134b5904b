"""What events say must go: of posts by their id, and of all posts of an author.

Names are numbers, so that a tombstone still says what it is about when its ids are gone. What was said of a name is
kept in the index (history.EVENTS), so an epoch asks only for the names of its own posts, however many tombstones there
have ever been; its own events it finds in one small file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.duplicates.history import EVENTS, History, RunFile, newest, rows_of, write_run
from pipelines.duplicates.records import Longs, hash_ids
from pipelines.exchange import Run, map_rows
from schemas.post import NOTES, TOMBSTONES

POST, AUTHOR = 0, 1
OF_AUTHORS = ("author_gone", "author_withheld", "author_restored", "geo_scrubbed")
RESTORED = ("post_restored", "author_restored")
SILENT = ("geo_scrubbed", *NOTES)  # no location is kept in the canonical columns
COLUMNS = ["kind", "event_at", "name"]

Flags = npt.NDArray[np.bool_]


def name_keys(ids: pa.Array | pa.ChunkedArray, what: int) -> Longs:
    """Return the number that each id of a POST or an AUTHOR goes by."""
    return (hash_ids(ids).view(np.uint64) * np.uint64(2 * what + 3)).view(np.int64)


def named(tombstones: pa.Table | pa.RecordBatch, epoch: int | None) -> pa.Table:
    """Turn tombstones as they are read (TOMBSTONE) into rows of their table; `epoch` is the one that reads them."""
    table = tombstones if isinstance(tombstones, pa.Table) else pa.Table.from_batches([tombstones])
    of_author = pc.is_in(table.column("kind"), pa.array(OF_AUTHORS))
    names = np.where(of_author, name_keys(table.column("author_id"), AUTHOR), name_keys(table.column("post_id"), POST))
    asked = pc.if_else(of_author, table.column("author_id").is_valid(), table.column("post_id").is_valid())
    epochs = pa.repeat(pa.scalar(epoch, pa.int64()), table.num_rows)
    known = pa.array(names, mask=~np.asarray(asked))
    return pa.table([*table.columns, epochs, known], schema=TOMBSTONES)


def learn_events(run: Run, files: Sequence[str], folder: str) -> tuple[RunFile, ...]:
    """Write what the events of some tombstone files say into a file of the index in `folder`; none without files."""
    return tuple(run(1, lambda _: write_run(folder, "events", events_of(files)))) if files else ()


def events_of(files: Sequence[str]) -> pa.Table:
    """Return the newest event on each name in some tombstone files, columns of EVENTS."""
    table = pa.concat_tables([pq.read_table(file, columns=COLUMNS) for file in files])
    return newest(events_in(table))


def events_in(tombstones: pa.Table) -> pa.Table:
    """Return what each tombstone says, columns of EVENTS: nothing where it names nobody or is only a note."""
    said = pc.and_(
        pc.invert(pc.is_in(tombstones.column("kind"), pa.array(SILENT))), tombstones.column("name").is_valid()
    )
    table = tombstones.filter(said)
    gone = pc.invert(pc.is_in(table.column("kind"), pa.array(RESTORED)))
    micros = table.column("event_at").cast(pa.int64()).fill_null(0)
    return pa.table([table.column("name"), micros, gone], schema=EVENTS)


@dataclass(frozen=True)
class Gone:
    """Rows of posts that must go, and of those the ones that events of earlier epochs alone speak of."""

    rows: Flags
    long_ago: Flags


def find_gone(posts: pa.Table, history: History, own: Sequence[RunFile]) -> Gone:
    """Tell which posts the newest event on them or on their author takes away; `own` are the epoch's own events."""
    keys = name_keys(posts.column("id"), POST), name_keys(posts.column("author_id"), AUTHOR)
    known = np.asarray(posts.column("author_id").is_valid())
    names = np.unique(np.concatenate([keys[0], keys[1][known]]))
    ours = [rows_of(map_rows(file.path), "name", names) for file in own]
    events = newest(pa.concat_tables([EVENTS.empty_table(), history.events(names), *ours]).combine_chunks())
    doomed = np.asarray(events.column("name"))[np.asarray(events.column("gone"))]
    rows = np.isin(keys[0], doomed) | (known & np.isin(keys[1], doomed))
    spoken = np.unique(np.concatenate([np.zeros(0, np.int64), *(np.asarray(one.column("name")) for one in ours)]))
    return Gone(rows, rows & ~np.isin(keys[0], spoken) & ~(known & np.isin(keys[1], spoken)))
