"""Canonical posts in Parquet, column by column: no Python object per row unless a row is bad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.sources.rows import BadRecord, Records, Rows
from pipelines.sources.splits import Split
from pipelines.sources.times import END, MICROSECONDS_BELOW, MILLISECONDS_BELOW, SECONDS_BELOW, micros
from schemas.config import InputConfig
from schemas.errors import ConfigError, nearest
from schemas.post import POST, TIME
from schemas.reasons import Fault

Mask = npt.NDArray[np.bool_]
IDS = ("id", "author_id", "reply_to_id", "conversation_id", "repost_of", "quote_of")
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a file so that a row group larger than memory is read a buffer at a time."""
    return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)


def check_columns(schema: pa.Schema, path: str) -> None:
    """Raise ConfigError unless `id` and `text` are there and every canonical column has a type it can be cast from."""
    require_columns(schema.names, path)
    for name in POST.names:
        if name not in schema.names:
            continue
        given = schema.field(name).type
        if not _castable(name, given):
            expected = "timestamp, date, string or epoch" if name == "created_at" else "string"
            raise ConfigError(f"{path}: column '{name}': expected {expected}, got {given}")


def require_columns(names: list[str], path: str) -> None:
    """Raise ConfigError, naming the nearest column, unless `id` and `text` are among the names and none comes twice."""
    twice = [name for name in POST.names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"{path}: column '{twice[0]}' stands there more than once")
    for name in ("id", "text"):
        if name not in names:
            column = next((given for given in names if given.casefold() == name), None)
            hint = f"did you mean {column!r}?" if column else nearest(name, names) if names else "it has no columns"
            raise ConfigError(f"{path}: no column '{name}': {hint}")


def _castable(name: str, given: pa.DataType) -> bool:
    if pa.types.is_dictionary(given):
        given = given.value_type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    bytes_ = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    times = (pa.types.is_timestamp, pa.types.is_date, pa.types.is_integer, pa.types.is_floating)
    allowed = texts + (times if name == "created_at" else bytes_)
    if name in IDS:
        allowed = (*allowed, pa.types.is_integer)
    return any(test(given) for test in allowed)


def read_parquet(split: Split, config: InputConfig) -> Iterator[Records]:
    """Yield the rows [start, end) of a file; a stretch that cannot be read becomes one quarantined record."""
    rows = Rows(split.path)
    try:
        file = open_parquet(split.path)
    except (pa.ArrowException, OSError):
        rows.refuse(BadRecord(Fault.TRUNCATED, "expected a Parquet file, got one without a readable footer"), None)
        yield rows.pour()
        return
    begin = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if begin < split.end and begin + count > split.start:
            yield from _read_group(file, (group, begin, count), split, config)
        begin += count


def _read_group(
    file: pq.ParquetFile, group: tuple[int, int, int], split: Split, config: InputConfig
) -> Iterator[Records]:
    """Yield the rows of one row group, given as (number, first row, rows), that belong to the split."""
    number, at, count = group
    last = min(at + count, split.end)
    names = [name for name in POST.names if name in file.schema_arrow.names]
    try:
        for batch in file.iter_batches(config.batch_rows, [number], names, use_threads=False):
            low, high = max(split.start - at, 0), min(last - at, batch.num_rows)
            if low < high:
                yield canonical_batch(batch.slice(low, high - low), at + low, split.path, config)
            at += batch.num_rows
            if at >= last:
                return
    except (pa.ArrowException, OSError):
        rows = Rows(split.path)
        rows.line = max(at, split.start) + 1
        rows.refuse(BadRecord(Fault.TRUNCATED, f"rows {rows.line} to {last} of the file could not be read"), None)
        yield rows.pour()


class _Faults:
    """Which rows of a batch are bad; the first fault found counts."""

    def __init__(self) -> None:
        self.found: dict[int, BadRecord] = {}

    def note(self, mask: Mask | pa.Array, fault: Fault, error: str) -> None:
        if isinstance(mask, pa.Array):
            mask = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(mask):
            self.found.setdefault(int(row), BadRecord(fault, error))


def canonical_batch(batch: pa.RecordBatch, first_row: int, path: str, config: InputConfig) -> Records:
    """Cast a batch to the canonical columns; rows that do not fit are quarantined with their number in the file."""
    faults = _Faults()
    columns: dict[str, pa.Array] = {}
    for field in POST:
        given = batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        columns[field.name] = _times(given, faults) if field.name == "created_at" else _texts(field.name, given, faults)
    _check(columns, faults, config)
    posts = pa.RecordBatch.from_arrays(list(columns.values()), schema=POST)
    rows = Rows(path)
    if not faults.found:
        poured = rows.pour()
        return Records(posts, poured.tombstones, poured.quarantine)
    for row, bad in sorted(faults.found.items()):
        rows.line = first_row + row + 1
        rows.refuse(bad, _raw(batch, row))
    good = np.ones(batch.num_rows, np.bool_)
    good[list(faults.found)] = False
    poured = rows.pour()
    return Records(posts.filter(pa.array(good)), poured.tombstones, poured.quarantine)


def _check(columns: dict[str, pa.Array], faults: _Faults, config: InputConfig) -> None:
    post_id, text = columns["id"], columns["text"]
    faults.note(pc.or_kleene(pc.is_null(post_id), pc.equal(pc.binary_length(post_id), 0)), Fault.MISSING_ID, _NO_ID)
    faults.note(pc.is_null(text), Fault.MISSING_TEXT, "expected text, got null")
    for name in (*IDS, "text"):
        if _has_nul(columns[name]):
            faults.note(pc.match_substring(columns[name], "\0"), Fault.NUL, f"expected no NUL character in {name}")
    limit = config.max_record_bytes
    if text.nbytes + columns["extra"].nbytes > limit:
        length = pc.add(_length(text), _length(columns["extra"]))
        error = f"expected at most {limit} bytes of text and extra (input.max_record_bytes), got more"
        faults.note(pc.greater(length, limit), Fault.TOO_LONG, error)


_NO_ID = "expected a non-empty id, got none"


def _length(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.cast(pc.binary_length(column), pa.int64()), 0)


def _has_nul(column: pa.Array) -> bool:
    data = column.buffers()[2]
    return data is not None and bool((np.frombuffer(data, np.uint8) == 0).any())


def _texts(name: str, column: pa.Array, faults: _Faults) -> pa.Array:
    """Return a column as strings; bytes that are no UTF-8 become null and a fault."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_integer(kind):
        return column.cast(pa.string())
    if kind != pa.string():
        column = pc.cast(column, pa.binary()).view(pa.string())
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        raw = column.view(pa.binary())
        bad = np.array([value.is_valid and not _is_utf8(value.as_buffer()) for value in raw], np.bool_)
        faults.note(bad, Fault.BAD_ENCODING, f"expected UTF-8 in {name}, got invalid bytes")
        return pc.if_else(pa.array(bad), pa.scalar(None, pa.binary()), raw).view(pa.string())


def _is_utf8(data: pa.Buffer) -> bool:
    try:
        data.to_pybytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def _times(column: pa.Array, faults: _Faults) -> pa.Array:
    """Return a column of times as microseconds, UTC; times outside [1970, 2262) become null and a fault."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(TIME)
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_primitive(kind)):
        return _text_times(_texts("created_at", column, faults), faults)
    null = pc.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        per_second, seconds = (_PER_SECOND[kind.unit], 1) if pa.types.is_timestamp(kind) else (1, 86_400)
        if kind == pa.date64():
            per_second, seconds = 1000, 1
        ticks = column.view(pa.int32() if kind == pa.date32() else pa.int64())
        value = pc.fill_null(ticks, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        good = (value >= 0) & (value < END // 10**6 * per_second // seconds)
        value = np.where(good, value, 0)
        value = value * seconds * (10**6 // per_second) if per_second <= 10**6 else value // (per_second // 10**6)
    else:
        number = column.cast(pa.float64()) if pa.types.is_floating(kind) else column
        value, good = _epochs(pc.fill_null(number, 0).to_numpy(zero_copy_only=False))
    faults.note(~good & ~null, Fault.BAD_TIME, "expected created_at in [1970, 2262), got a time outside it")
    return pa.array(value, mask=null | ~good).view(TIME)


def _epochs(number: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], Mask]:
    """Read epoch seconds, milliseconds or microseconds, told apart by their size, as pipelines.sources.times does."""
    good = (number >= 0) & (number < MICROSECONDS_BELOW)
    safe = np.where(good, number, 0)
    scale = np.where(safe < SECONDS_BELOW, 10**6, np.where(safe < MILLISECONDS_BELOW, 1000, 1))
    value = np.rint(safe * scale).astype(np.int64)
    good &= value < END
    return np.where(good, value, 0), good


def _text_times(column: pa.Array, faults: _Faults) -> pa.Array:
    moments: list[int | None] = []
    for row, value in enumerate(column.to_pylist()):
        try:
            moments.append(micros(value))
        except BadRecord as bad:
            faults.found.setdefault(row, bad)
            moments.append(None)
    return pa.array(moments, pa.int64()).view(TIME)


def _raw(batch: pa.RecordBatch, row: int) -> bytes:
    """Write a bad row as JSON, whatever its values are."""
    return orjson.dumps({name: _shown(batch.column(name)[row]) for name in batch.schema.names})


def _shown(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if isinstance(value, pa.DictionaryScalar):
        return _shown(value.value)
    if isinstance(value, (pa.TimestampScalar, pa.Date32Scalar, pa.Date64Scalar)):
        return value.value
    if hasattr(value, "as_buffer"):
        return value.as_buffer().to_pybytes().decode(errors="backslashreplace")
    return str(value.as_py())
