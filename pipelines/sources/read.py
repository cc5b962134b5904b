"""One split to records: the only place that knows which reader a container needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from pipelines.sources.compressed import plain_chunks
from pipelines.sources.csv_rows import read_csv
from pipelines.sources.lines import Stretch, byte_range, lines_before, stretches
from pipelines.sources.parquet import read_parquet
from pipelines.sources.records import read_stretches
from pipelines.sources.rows import Records, Rows
from pipelines.sources.splits import Split
from schemas.config import InputConfig
from schemas.post import QUARANTINE_RAW_BYTES


def read_split(split: Split, config: InputConfig) -> Iterator[Records]:
    """Yield what a split holds, about `config.batch_rows` posts at a time, in the order of the file."""
    if split.container == "parquet":
        yield from read_parquet(split, config)
        return
    rows = Rows(split.path)
    before: int | None = None  # lines in front of the split, counted only once a line number is needed
    with open(split.path, "rb") as file:  # noqa: PTH123
        for _ in _batches(file, split, rows, config):
            if before is None and rows.bad:
                before = lines_before(split.path, split.start) if split.start else 0
            yield rows.pour(before or 0)


def _batches(file: BinaryIO, split: Split, rows: Rows, config: InputConfig) -> Iterator[None]:
    """Fill `rows` and yield each time a batch is there, the last one included unless it is empty."""
    lines = open_lines(file, split, max(config.max_record_bytes, QUARANTINE_RAW_BYTES))
    if split.container == "csv":
        yield from read_csv(lines, rows, split, config)
    else:
        yield from read_stretches(lines, split.format, rows, config)
    if rows.posts or rows.tombstones or rows.bad or rows.notices:
        yield


def open_lines(file: BinaryIO, split: Split, limit: int) -> Iterator[Stretch]:
    """Return the lines a split has to look at: its own for JSONL, all of them for CSV."""
    if split.container == "csv":
        return stretches(plain_chunks(file, split.compression), limit)
    if split.compression:
        return stretches(plain_chunks(file, split.compression), limit, split.part, split.parts)
    return stretches(byte_range(file, split.start, split.end), limit)
