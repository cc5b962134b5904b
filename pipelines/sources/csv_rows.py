"""Canonical posts in CSV (RFC 4180): quoted fields may hold newlines, the first record names the columns."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from pipelines.sources.canonical import read_canonical
from pipelines.sources.lines import Stretch
from pipelines.sources.rows import BadRecord, Rows
from pipelines.sources.splits import Split
from schemas.config import InputConfig
from schemas.post import POST
from schemas.reasons import Fault

BLOCK_RECORDS = 1024
"""Records are dealt to the parts of a file in blocks of this size."""

BOM = "\ufeff"


class _Record(NamedTuple):
    line: int  # where it begins
    raw: bytes
    raw_bytes: int | None = None  # its length, when `raw` is only its head
    fault: BadRecord | None = None  # when it is no record at all


def read_csv(lines: Iterator[Stretch], rows: Rows, split: Split, config: InputConfig) -> Iterator[None]:
    """Read the split's share of the records into `rows`; yield when about `config.batch_rows` posts are there."""
    csv.field_size_limit(max(csv.field_size_limit(), config.max_record_bytes))
    records = _records(lines, config.max_record_bytes)
    first = next(records, None)
    header = header_of(first) or []
    if first is not None and first.fault and split.part == 0:
        rows.line = first.line
        rows.refuse(first.fault, first.raw or None)
    for number, record in enumerate(records):
        if number // BLOCK_RECORDS % split.parts != split.part or not (record.raw.strip() or record.fault):
            continue
        rows.line = record.line
        try:
            _read_one(record, header, rows, config)
        except BadRecord as bad:
            rows.refuse(bad, record.raw or None, record.raw_bytes)
        if len(rows.posts) >= config.batch_rows:
            yield


def read_header(lines: Iterator[Stretch], limit: int) -> list[str] | None:
    """Return the column names of a file; null when it ends before its first record does."""
    return header_of(next(_records(lines, limit), None))


def header_of(record: _Record | None) -> list[str] | None:
    """Return the names in a first record; null when it is none."""
    if record is None or record.fault:
        return None
    text = record.raw.removesuffix(b"\r").decode(errors="replace").removeprefix(BOM)
    return [name.strip() for name in next(csv.reader([text]), [])]


def _read_one(record: _Record, header: list[str], rows: Rows, config: InputConfig) -> None:
    if record.fault:
        raise record.fault
    length = record.raw_bytes or len(record.raw)
    if length > config.max_record_bytes:
        error = f"expected at most {config.max_record_bytes} bytes (input.max_record_bytes), got {length}"
        raise BadRecord(Fault.TOO_LONG, error)
    if b"\0" in record.raw:
        raise BadRecord(Fault.NUL, "expected no NUL character, got one")
    try:
        values = next(csv.reader([record.raw.removesuffix(b"\r").decode()], strict=True))
    except UnicodeDecodeError as invalid:
        raise BadRecord(Fault.BAD_ENCODING, f"expected UTF-8, got an invalid byte at {invalid.start}") from None
    except csv.Error:
        raise BadRecord(Fault.BAD_TYPE, "expected quoted fields as in RFC 4180, got stray quotes") from None
    if len(values) != len(header):
        raise BadRecord(Fault.BAD_TYPE, f"expected {len(header)} fields, got {len(values)}")
    row = dict(zip(header, values, strict=True))
    read_canonical({name: row[name] or None for name in POST.names if name in row} | {"text": row["text"]}, rows)


def _records(stretches: Iterator[Stretch], limit: int) -> Iterator[_Record]:
    """Join lines to records: a record ends where its quotes are paired.

    A quote that is not paired within `limit` bytes is no field: its line is refused and reading goes on below it.
    """
    waiting: deque[_Record] = deque()
    lines = _lines(stretches)
    open_lines: list[_Record] = []
    quotes = held = 0
    while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
        if line.fault or line.raw_bytes is not None:
            waiting.appendleft(line)
            if open_lines:
                yield _unpaired(open_lines, waiting)
            else:
                yield waiting.popleft()
            open_lines, quotes, held = [], 0, 0
            continue
        quotes += line.raw.count(b'"')
        if not open_lines and quotes % 2 == 0:
            quotes = 0
            yield line
            continue
        open_lines.append(line)
        held += len(line.raw) + 1
        if quotes % 2 == 0:
            yield _Record(open_lines[0].line, b"\n".join(part.raw for part in open_lines))
        elif held > limit:
            yield _unpaired(open_lines, waiting)
        else:
            continue
        open_lines, quotes, held = [], 0, 0
    if open_lines:
        raw = b"\n".join(part.raw for part in open_lines)
        error = "expected the end of a quoted field, got the end of the file"
        yield _Record(open_lines[0].line, raw, None, BadRecord(Fault.TRUNCATED, error))


def _unpaired(open_lines: list[_Record], waiting: deque[_Record]) -> _Record:
    waiting.extendleft(reversed(open_lines[1:]))
    return open_lines[0]._replace(fault=BadRecord(Fault.BAD_TYPE, "expected a quoted field to end, got none that does"))


def _lines(stretches: Iterator[Stretch]) -> Iterator[_Record]:
    for stretch in stretches:
        if stretch.raw_bytes is not None:
            yield _Record(stretch.line, stretch.data, stretch.raw_bytes)
            if stretch.broken:
                yield _Record(stretch.line, b"", None, BadRecord(Fault.TRUNCATED, stretch.broken))
            continue
        lines = stretch.data.split(b"\n")
        last = lines.pop()
        for number, raw in enumerate(lines, stretch.line):
            yield _Record(number, raw)
        number = stretch.line + len(lines)
        if stretch.broken:
            yield _Record(number, last, None, BadRecord(Fault.TRUNCATED, stretch.broken))
        elif last:
            yield _Record(number, last)
