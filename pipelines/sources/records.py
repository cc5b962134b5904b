"""One JSON record to rows: parse it, hand it to its format, and quarantine whatever does not work out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

import orjson

from pipelines.sources import jetstream, mastodon, reddit, x, x_v1
from pipelines.sources.canonical import read_canonical
from pipelines.sources.lines import Stretch
from pipelines.sources.rows import BadRecord, Records, Rows
from schemas.config import InputConfig
from schemas.reasons import Fault

Reader = Callable[[Any, Rows], None]

READERS: dict[str, Reader] = {
    "canonical": read_canonical,
    "x-v2": x.read_x,
    "x-v1": x_v1.read_x_v1,
    "jetstream": jetstream.read_jetstream,
    "mastodon": mastodon.read_mastodon,
    "reddit": reddit.read_reddit,
}
"""How each format turns one JSON value into posts, tombstones and notices."""

MAX_DEPTH = 200  # the deepest real record, a Reddit thread with all its replies, stays below
BATCH_BYTES = 64 << 20  # raw bytes after which a batch is handed on even when it has few rows
BOM = b"\xef\xbb\xbf"
RECORD_BYTES: int = InputConfig.model_fields["max_record_bytes"].default


def parse_values(
    values: Iterable[bytes | None],
    format: str,
    where: str | None = None,
    numbers: Iterable[int] | None = None,
    limit: int = RECORD_BYTES,
) -> Records:
    """Read messages of a platform as they come from a stream; a message of nothing (None) is a notice.

    One of more than `limit` bytes goes to quarantine. `where` and `numbers` say there which messages they were, as file
    and line do for files.
    """
    rows = Rows(where)
    reader = READERS[format]
    for raw, rows.line in zip(values, repeat(None) if numbers is None else numbers, strict=False):
        if raw is None:
            rows.notices += 1
        else:
            read_record(raw, reader, rows, limit)
    return rows.pour()


def read_stretches(parts: Iterable[Stretch], format: str, rows: Rows, config: InputConfig) -> Iterator[None]:
    """Read whole lines into `rows`; yield each time about `config.batch_rows` posts are there to be poured."""
    reader, limit, held = READERS[format], config.max_record_bytes, 0
    for stretch in parts:
        if stretch.raw_bytes is not None:
            rows.line = stretch.line
            rows.refuse(_too_long(stretch.raw_bytes, limit), stretch.data, stretch.raw_bytes)
            _note_break(stretch, rows)
            continue
        lines = stretch.data.split(b"\n")
        last = lines.pop()  # empty, unless the file ends without a newline
        for number, raw in enumerate(lines, stretch.line):
            rows.line = number
            read_record(raw, reader, rows, limit)
            if len(rows.posts) >= config.batch_rows:
                yield
        rows.line = stretch.line + len(lines)
        if last or stretch.broken:
            _read_last(last, stretch, reader, rows, limit)
        held += len(stretch.data)
        if held >= BATCH_BYTES:
            held = 0
            yield


def read_record(raw: bytes, reader: Reader, rows: Rows, limit: int) -> None:
    """Add what one JSON record holds to `rows`, or quarantine it; a blank record is nothing at all. Never raises."""
    if not raw:
        return
    if raw.startswith(BOM):
        raw = raw[len(BOM) :]
    mark = rows.mark()
    try:
        if len(raw) > limit:
            raise _too_long(len(raw), limit)
        event = orjson.loads(raw)
        if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _deeper_than(event, MAX_DEPTH):
            raise BadRecord(Fault.TOO_DEEP, f"expected at most {MAX_DEPTH} levels of nesting, got more")
        reader(event, rows)
    except BadRecord as bad:
        rows.undo(mark)
        rows.refuse(bad, raw)
    except orjson.JSONDecodeError as error:
        if raw.strip():
            rows.refuse(_json_fault(raw, error), raw)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # the readers check what they use; should a shape slip through, it costs this record and not the run
        rows.undo(mark)
        rows.refuse(BadRecord(Fault.BAD_TYPE, f"unexpected shape: {type(error).__name__}"), raw)


def _read_last(raw: bytes, stretch: Stretch, reader: Reader, rows: Rows, limit: int) -> None:
    """Read the line at the end of a file that has no newline; when it cannot be read, the file was cut."""
    before = len(rows.bad)
    read_record(raw, reader, rows, limit)
    cut = len(rows.bad) > before and rows.bad[-1].fault in (Fault.BAD_JSON, Fault.BAD_ENCODING)
    if cut and (stretch.broken or _begins_object(raw)):
        error = stretch.broken or "expected the end of the record, got the end of the file"
        rows.bad[-1] = rows.bad[-1]._replace(fault=str(Fault.TRUNCATED), error=error)
    else:
        _note_break(stretch, rows)


def _note_break(stretch: Stretch, rows: Rows) -> None:
    if stretch.broken:
        rows.refuse(BadRecord(Fault.TRUNCATED, stretch.broken), None)


def _begins_object(raw: bytes) -> bool:
    return raw.removeprefix(BOM).lstrip().startswith((b"{", b"["))


def _too_long(length: int, limit: int) -> BadRecord:
    return BadRecord(Fault.TOO_LONG, f"expected at most {limit} bytes (input.max_record_bytes), got {length}")


def _json_fault(raw: bytes, error: orjson.JSONDecodeError) -> BadRecord:
    reason = str(error).split(": line ")[0]
    try:
        raw.decode()
    except UnicodeDecodeError as invalid:
        return BadRecord(Fault.BAD_ENCODING, f"expected UTF-8, got an invalid byte at {invalid.start}")
    if "surrogate" in reason:
        return BadRecord(Fault.BAD_ENCODING, f"expected pairs of surrogates, got a lone one at byte {error.pos}")
    if "depth" in reason:
        return BadRecord(Fault.TOO_DEEP, f"expected at most {MAX_DEPTH} levels of nesting, got more")
    if b"\0" in raw:
        return BadRecord(Fault.NUL, f"expected JSON, got a NUL character at byte {raw.index(0)}")
    return BadRecord(Fault.BAD_JSON, f"expected JSON: {reason} at byte {error.pos}")


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for item in level if type(item) in (dict, list) for child in _children(item)]
        if not level:
            return False
    return any(type(item) in (dict, list) for item in level)


def _children(item: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return item.values() if type(item) is dict else item
