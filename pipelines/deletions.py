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
WHOSE = ("id", "author_id", "repost_of")  # a repost carries the text
REFERENCES = ("repost_of", "reply_to_id", "conversation_id", "quote_of")
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
    """Rows of posts that must go, of those the ones that events of earlier epochs alone speak of, and other posts that
    had to go in earlier epochs and that rows name."""

    rows: Flags
    long_ago: Flags
    named: pa.Array


def find_gone(posts: pa.Table, history: History, own: Sequence[RunFile]) -> Gone:
    """Tell which posts the newest event on them, on their author or on what they repost takes away.

    `own` are the epoch's own events.
    """
    columns = {"id": POST, "author_id": AUTHOR, **dict.fromkeys(REFERENCES, POST)}
    keys = {name: name_keys(posts.column(name), what) for name, what in columns.items()}
    known = {name: np.asarray(posts.column(name).is_valid()) for name in columns}
    names = np.unique(np.concatenate([keys[name][known[name]] for name in columns]))
    ours = [rows_of(map_rows(file.path), "name", names) for file in own]
    events = newest(pa.concat_tables([EVENTS.empty_table(), history.events(names), *ours]).combine_chunks())
    doomed = np.asarray(events.column("name"))[np.asarray(events.column("gone"))]
    spoken = np.unique(np.concatenate([np.zeros(0, np.int64), *(np.asarray(one.column("name")) for one in ours)]))

    def among(name: str, wanted: Longs) -> Flags:
        found: Flags = known[name] & np.isin(keys[name], wanted)
        return found

    rows = np.logical_or.reduce([among(name, doomed) for name in WHOSE])
    now = np.logical_or.reduce([among(name, spoken) for name in WHOSE])
    earlier = np.setdiff1d(doomed, spoken)
    named = [posts.column(name).filter(pa.array(among(name, earlier))) for name in REFERENCES]
    return Gone(
        rows, rows & ~now, pc.unique(pa.chunked_array([one for some in named for one in some.chunks], pa.string()))
    )
