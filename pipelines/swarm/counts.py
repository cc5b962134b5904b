"""How many tokens documents have, as the default token set tells: for plans, which tokenize nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.duplicates.records import DAY_MICROS, Longs, hash_ids
from pipelines.exchange import Run, in_groups, new_file, read_box, write_boxes
from pipelines.swarm.selection import Flags
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import Tokenizer

MEMBER = "default"
TASK_BYTES = 16 << 20
COUNT = pa.schema([pa.field("key", pa.int64()), pa.field("tokens", pa.int64())])
"""A document, by the hash of its id, and its tokens."""


@dataclass(frozen=True)
class Counts:
    """Files of COUNT, each with a box for each of some days."""

    days: tuple[int, ...] = ()
    files: tuple[str, ...] = ()

    def of(self, ids: pa.ChunkedArray, day: int) -> tuple[Longs, Flags]:
        """Return how many tokens documents of a day have, and of which that is known."""
        if not self.files:
            return np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
        rows = read_box(self.files, self.days.index(day))
        held, tokens = (np.asarray(rows.column(name)) for name in COUNT.names)
        order = np.argsort(held, kind="stable")
        wanted = hash_ids(ids)
        place = np.searchsorted(held[order], wanted)
        found = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(len(wanted), np.int64)
        known = held[found] == wanted if len(order) else np.zeros(len(wanted), np.bool_)
        return (tokens[found] if len(order) else np.zeros(len(wanted), np.int64)), known


def gather_counts(root: Path, run: Run, folder: str, tokenizer: Tokenizer, days: Sequence[int]) -> Counts:
    """Read the counts of some days off the default token set; none where that is of another tokenizer."""
    shards = [
        (root / sets.folder_name(manifest) / shard.file, shard.bytes)
        for manifest in sets.current(root, MEMBER)
        if manifest.tokenizer.sha256 == tokenizer.sha256
        for shard in manifest.shards
    ]
    if not shards or not days:
        return Counts()
    wanted = tuple(days)
    files = in_groups(
        run, [size for _, size in shards], TASK_BYTES, lambda task: _count(shards[task][0], folder, wanted)
    )
    return Counts(wanted, tuple(files))


def _count(path: Path, folder: str, days: tuple[int, ...]) -> str:
    found = []
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=["document_id", "tokens", "created_at"])
            columns = {
                "key": hash_ids(rows.column("document_id")),
                "tokens": pc.list_value_length(rows.column("tokens")).cast(pa.int64()),
                "day": pc.fill_null(rows.column("created_at").cast(pa.int64()), -1),
            }
            found.append(pa.table(columns))
    rows = pa.concat_tables(found)
    day = np.asarray(rows.column("day")) // DAY_MICROS
    there = np.isin(day, np.array(days))
    boxes = np.searchsorted(np.array(days), day[there])
    kept = pa.Table.from_arrays([rows.column(name).filter(pa.array(there)) for name in COUNT.names], schema=COUNT)
    path_of = new_file(folder, "counts")
    write_boxes(path_of, _batch(kept), boxes, len(days))
    return str(path_of)


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
