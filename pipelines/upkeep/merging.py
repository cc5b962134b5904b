"""Merge files of a table into one, in the table's order, holding a bounded part of them in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.tables import DataFile, DataFileWriter
from schemas.errors import RunError

ORDER: Mapping[str, tuple[str, str]] = {  # a time and an id, as an epoch leaves them; other tables keep theirs
    "posts": ("created_at", "id"),
    "documents": ("created_at", "document_id"),
}
HELD_BYTES = 16 << 20  # of all files together, as Arrow
BATCH_ROWS = (64, 8192)  # of one file
GROUP_ROWS, GROUP_BYTES = 8192, 8 << 20  # of a row group that is written
_LAST = np.iinfo(np.int64).max  # a post without a time comes last


@dataclass(frozen=True)
class Merge:
    """Which files become one, in their order: of one table and partition."""

    root: str
    staging: str
    table: str
    partition: dict[str, str]
    files: tuple[str, ...]  # below the table


@dataclass
class Cursor:
    """A file that is read a batch at a time: the rows of it that have not been taken."""

    batches: Iterator[pa.RecordBatch]
    rows: pa.Table
    more: bool = True
    keys: tuple[np.ndarray, pa.Array] = field(init=False)  # type: ignore[type-arg]

    def fill(self, order: tuple[str, str]) -> None:
        """Read on when nothing is left of the last batch."""
        while self.more and not self.rows.num_rows:
            batch = next(self.batches, None)
            self.more = batch is not None
            if batch is not None:
                self.rows = pa.Table.from_batches([batch])
                times = pc.fill_null(batch.column(order[0]).cast(pa.int64()), int(_LAST))
                self.keys = (np.asarray(times), batch.column(order[1]))

    @property
    def last(self) -> tuple[int, str]:
        """Return the key of the last row held."""
        return int(self.keys[0][-1]), self.keys[1][-1].as_py()

    def take(self, bound: tuple[int, str] | None) -> pa.Table:
        """Hand out the rows up to, and with, a key; all of them without one."""
        end = self.rows.num_rows
        if bound is not None and self.last != bound:
            times, ids = self.keys
            start, end = (int(np.searchsorted(times, bound[0], side=side)) for side in ("left", "right"))
            end = start + pc.sum(pc.less_equal(ids.slice(start, end - start), bound[1])).as_py() if end > start else end
        taken, self.rows = self.rows.slice(0, end), self.rows.slice(end)
        self.keys = (self.keys[0][end:], self.keys[1].slice(end))
        return taken


def merge(order: Merge, schema: pa.Schema) -> DataFile:
    """Write the rows of some files of a table into one in the staging folder."""
    folder = Path(order.root) / order.table
    with ExitStack() as held:
        # mapped: a reader of unmapped files holds the bytes of every column of a row group, of each of them
        files = [held.enter_context(pq.ParquetFile(folder / file, memory_map=True)) for file in order.files]
        writer = held.enter_context(DataFileWriter(Path(order.staging), order.table, schema, order.partition))
        sizes = zip(files, _batch_rows(files), strict=True)
        # without threads: each has a heap of its own, which keeps what it once took
        streams = [file.iter_batches(rows, use_threads=False) for file, rows in sizes]
        keys = ORDER.get(order.table)
        pieces = in_order(streams, keys) if keys else _one_after_the_other(streams)
        for piece in _grouped(pieces):
            writer.write(piece)
        merged = writer.finish()
    if merged is None:
        raise RunError(f"{order.table}: {len(order.files)} files to merge hold no row: expected a row in each")
    return merged


def _batch_rows(files: Sequence[pq.ParquetFile]) -> list[int]:
    """Return how many rows of each file to hold, so that all of them together take HELD_BYTES."""
    found = []
    for file in files:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        row_bytes = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
        found.append(int(np.clip(HELD_BYTES / len(files) / max(1, row_bytes), *BATCH_ROWS)))
    return found


def in_order(streams: Sequence[Iterator[pa.RecordBatch]], order: tuple[str, str]) -> Iterator[pa.Table]:
    """Merge streams, each in the order of a time and an id, into one."""
    keys = [(name, "ascending") for name in order]
    cursors = [Cursor(stream, pa.table({})) for stream in streams]
    while True:
        for cursor in cursors:
            cursor.fill(order)
        cursors = [cursor for cursor in cursors if cursor.rows.num_rows]
        if not cursors:
            return
        bound = min((cursor.last for cursor in cursors if cursor.more), default=None)
        taken = [rows for cursor in cursors if (rows := cursor.take(bound)).num_rows]
        yield taken[0] if len(taken) == 1 else pa.concat_tables(taken).sort_by(keys)


def _one_after_the_other(streams: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.Table]:
    for stream in streams:
        for batch in stream:
            yield pa.Table.from_batches([batch])


def _grouped(pieces: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Put pieces together into what makes a row group."""
    held: list[pa.Table] = []
    rows = size = 0
    for piece in pieces:
        held.append(piece)
        rows, size = rows + piece.num_rows, size + piece.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.concat_tables(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.concat_tables(held)
