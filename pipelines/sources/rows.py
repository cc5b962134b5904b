"""What reading yields, collected row by row and handed on as Arrow batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from schemas.post import POST, QUARANTINE, QUARANTINE_RAW_BYTES, TOMBSTONE
from schemas.reasons import Fault

EXACT_INTEGERS = 1 << 53
"""A reader that keeps numbers as doubles has rounded an id at or above this."""


class BadRecord(Exception):  # noqa: N818  (a value on its way to quarantine, not an error of the run)
    """A record that cannot become a post: which fault, and what was expected and came. Never holds the text."""

    def __init__(self, fault: Fault, error: str) -> None:
        super().__init__(error)
        self.fault = fault
        self.error = error


@dataclass(frozen=True)
class Records:
    """What a stretch of input yields; `notices` counts lines that are neither post nor tombstone, nor lost."""

    posts: pa.RecordBatch
    tombstones: pa.RecordBatch
    quarantine: pa.RecordBatch
    notices: int = 0


class Post(NamedTuple):
    """One canonical post on its way into a batch; the fields are those of schemas.post.POST, in order."""

    id: Any
    text: Any
    author_id: Any = None
    created_at: int | None = None  # microseconds since 1970
    lang_hint: Any = None
    reply_to_id: Any = None
    conversation_id: Any = None
    repost_of: Any = None
    quote_of: Any = None
    source: Any = None
    extra: str | None = None  # JSON object


class Tombstone(NamedTuple):
    """One tombstone on its way into a batch; the fields are those of schemas.post.TOMBSTONE, in order."""

    kind: str
    source: str | None = None
    post_id: str | None = None
    author_id: str | None = None
    event_at: int | None = None  # microseconds since 1970
    done_at: int | None = None


class _Bad(NamedTuple):
    raw: bytes | None
    raw_bytes: int | None
    line: int | None
    fault: str
    error: str


def kind_of(value: Any) -> str:
    """Name the JSON type of a value, for messages.

    >>> kind_of([1]), kind_of(None), kind_of(True)
    ('array', 'null', 'boolean')
    """
    names = {str: "string", bool: "boolean", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "number")


def identity(value: Any, field: str) -> str | None:
    """Return an id as a string: a string as it is, an integer in decimal, null as null; raise BadRecord otherwise."""
    if value is None or type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    raise BadRecord(Fault.BAD_TYPE, f"expected {field} as a string, got {kind_of(value)}")


def exact_id(record: dict[str, Any], field: str) -> str | None:
    """Return `<field>_str`, else `<field>` while no reader can have rounded it; raise BadRecord when one may have."""
    value = record.get(f"{field}_str")
    if value is None:
        value = record.get(field)
        if type(value) is float or (type(value) is int and value >= EXACT_INTEGERS):
            raise BadRecord(Fault.MISSING_ID, f"expected {field}_str, got a number that may have been rounded")
    return identity(value, field)


def as_object(value: Any) -> dict[str, Any]:
    """Return a value that should be an object, or an empty one: platforms send null, "" or nothing in its place."""
    return value if type(value) is dict else {}


def as_list(value: Any) -> list[Any]:
    """Return a value that should be an array, or an empty one."""
    return value if type(value) is list else []


def dump(extra: dict[str, Any]) -> str | None:
    """Write the `extra` column: a JSON object, or null when there is nothing to keep."""
    return orjson.dumps(extra).decode() if extra else None


def check_post(post: Post) -> None:
    """Raise BadRecord unless a post fits its columns: id and text there, strings everywhere, no NUL in ids or text."""
    if post.id is None or post.id == "":
        raise BadRecord(Fault.MISSING_ID, "expected a non-empty id, got none")
    if post.text is None:
        raise BadRecord(Fault.MISSING_TEXT, "expected text, got none")
    for value, field in zip(post, Post._fields, strict=True):
        if value is None or type(value) is str:
            continue
        if field != "created_at":
            raise BadRecord(Fault.BAD_TYPE, f"expected {field} as a string, got {kind_of(value)}")
    if "\0" in post.id or "\0" in post.text:
        raise BadRecord(Fault.NUL, "expected no NUL character in id and text, got one")
    for value in (post.author_id, post.reply_to_id, post.conversation_id, post.repost_of, post.quote_of):
        if value is not None and "\0" in value:
            raise BadRecord(Fault.NUL, "expected no NUL character in an id, got one")


class Rows:
    """Posts, tombstones and quarantined records of one stretch of one file, in the order they were read."""

    def __init__(self, file: str | None = None) -> None:
        self.file = file
        self.line: int | None = None  # of the record at hand, from 1
        self._clear()

    def _clear(self) -> None:
        self.notices = 0
        self.posts: list[Post] = []
        self.tombstones: list[Tombstone] = []
        self.bad: list[_Bad] = []

    def add(self, post: Post) -> None:
        """Keep a post; raise BadRecord when it does not fit its columns."""
        check_post(post)
        self.posts.append(post)

    def bury(self, tombstone: Tombstone) -> None:
        """Keep a tombstone; raise BadRecord when it names neither a post nor an author."""
        post_id, author_id = tombstone.post_id, tombstone.author_id
        if not post_id and not author_id:
            raise BadRecord(Fault.MISSING_ID, f"expected the id of a post or an author in a {tombstone.kind} event")
        if "\0" in (post_id or "") or "\0" in (author_id or ""):
            raise BadRecord(Fault.NUL, "expected no NUL character in an id, got one")
        self.tombstones.append(tombstone)

    def refuse(self, bad: BadRecord, raw: bytes | None, raw_bytes: int | None = None) -> None:
        """Quarantine a record with the line at hand; `raw_bytes` when it was longer than `raw`."""
        length = raw_bytes if raw_bytes is not None or raw is None else len(raw)
        kept = None if raw is None else raw[:QUARANTINE_RAW_BYTES]
        self.bad.append(_Bad(kept, length, self.line, str(bad.fault), bad.error))

    def mark(self) -> tuple[int, int, int, int]:
        """Remember where a record begins, for `undo`."""
        return len(self.posts), len(self.tombstones), len(self.bad), self.notices

    def undo(self, mark: tuple[int, int, int, int]) -> None:
        """Forget everything since `mark`."""
        del self.posts[mark[0] :], self.tombstones[mark[1] :], self.bad[mark[2] :]
        self.notices = mark[3]

    def pour(self, lines_before: int = 0) -> Records:
        """Hand over what was collected and start anew; `lines_before` is added to every line number."""
        records = Records(
            _batch(_columns(self.posts, Post._fields), POST),
            _batch(_columns(self.tombstones, Tombstone._fields), TOMBSTONE),
            _batch(self._quarantine(lines_before), QUARANTINE),
            self.notices,
        )
        self._clear()
        return records

    def _quarantine(self, lines_before: int) -> dict[str, Sequence[Any]]:
        columns = _columns(self.bad, _Bad._fields)
        columns["line"] = [None if line is None else line + lines_before for line in columns["line"]]
        columns["file"] = [self.file] * len(self.bad)
        columns["stage"] = ["read"] * len(self.bad)
        return columns


def _columns(rows: Sequence[tuple[Any, ...]], fields: tuple[str, ...]) -> dict[str, Sequence[Any]]:
    if not rows:
        return {field: () for field in fields}
    return dict(zip(fields, zip(*rows, strict=True), strict=True))


def _batch(columns: dict[str, Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def empty_records() -> Records:
    """Return records of nothing, with the right schemas."""
    return Rows().pour()


def expect_object(event: Any) -> dict[str, Any]:
    """Return the event as an object; raise BadRecord when it is another JSON value."""
    if type(event) is not dict:
        raise BadRecord(Fault.BAD_JSON, f"expected a JSON object, got {kind_of(event)}")
    return event


def unknown_event(what: str) -> BadRecord:
    """Build the fault for a well-formed record of no kind the format knows."""
    return BadRecord(Fault.UNKNOWN_EVENT, f"expected {what}, got an object of another kind")


def each(items: list[Any], read: Any, rows: Rows) -> None:
    """Read every item of a record that holds several; one that fails goes to quarantine alone."""
    for item in items:
        mark = rows.mark()
        try:
            read(item, rows)
        except BadRecord as bad:
            rows.undo(mark)
            rows.refuse(bad, orjson.dumps(item))
