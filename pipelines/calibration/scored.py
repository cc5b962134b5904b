"""Scored posts as the verdict reads them: the posts table of an output folder, or a file that `swarmfeed score` wrote.

Only the columns of the verdict are read, a batch at a time: no text, so that a million posts take little room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.verdict import Verdict
from pipelines.tables import open_table, posts_files
from schemas import columns
from schemas.errors import ConfigError

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Scored:
    """Where scored posts lie: Parquet files, and the folder whose table they are."""

    files: tuple[Path, ...]
    folder: Path | None

    def batches(self, more: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield what the verdict reads, and `more` columns, of every post that was not deleted."""
        for path in self.files:
            with pq.ParquetFile(path) as parquet:
                names = [name for name in (*Verdict.reads, *more) if name in parquet.schema_arrow.names]
                for batch in parquet.iter_batches(BATCH_ROWS, columns=names):
                    yield _as_read(batch, more, path)


def open_scored(where: Path) -> Scored:
    """Return the posts of an output folder or of a Parquet file; raise ConfigError when there are none to judge."""
    if not where.exists():
        raise ConfigError(f"{where}: no such file or folder")
    if where.is_dir():
        if open_table(where, "posts") is None:
            raise ConfigError(f"{where}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
        files = tuple(sorted(Path(file.path) for file in posts_files(where)))
        return Scored(files, where)
    try:
        names = pq.read_schema(where).names
    except (pa.ArrowInvalid, OSError):
        raise ConfigError(f"{where}: expected Parquet, as `swarmfeed score --out` writes it") from None
    if not set(names) & set(Verdict.reads):
        wanted = ", ".join(Verdict.reads)
        raise ConfigError(f"{where}: no scores there; expected some of the columns {wanted}: see `swarmfeed score`")
    return Scored((where,), None)


def _as_read(batch: pa.RecordBatch, more: Sequence[str], path: Path) -> pa.RecordBatch:
    """Give the verdict's columns their types, nulls where one or a field of it is missing; leave deleted posts out."""
    kinds = {name: getattr(columns, name.upper()) for name in Verdict.reads}
    there = {name: batch.column(name) for name in batch.schema.names}
    made = {name: _fitted(there.get(name), kind, batch.num_rows, f"{path}: {name}") for name, kind in kinds.items()}
    whole = pa.record_batch(made | {name: there[name] for name in more if name in there})
    gone = pc.fill_null(pc.struct_field(made["duplicates"], "deleted"), False)
    return whole.filter(pc.invert(gone)) if gone.true_count else whole


def _fitted(column: pa.Array | None, kind: pa.StructType, rows: int, what: str) -> pa.Array:
    if column is None or column.type == kind:
        return pa.nulls(rows, kind) if column is None else column
    if not pa.types.is_struct(column.type):
        raise ConfigError(f"{what}: expected the column of a stage, got {column.type}")
    known = {field.name for field in column.type}
    cells = [
        pc.struct_field(column, field.name) if field.name in known else pa.nulls(rows, field.type) for field in kind
    ]
    try:
        cells = [pc.cast(cell, field.type) for cell, field in zip(cells, kind, strict=True)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ConfigError(f"{what}: expected {kind}, got {column.type}") from None
    return pa.StructArray.from_arrays(cells, fields=list(kind), mask=pc.is_null(column))
