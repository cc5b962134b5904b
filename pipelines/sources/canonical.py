"""The canonical columns as JSON: one object a line, only `id` and `text` required."""

from __future__ import annotations

from typing import Any

import orjson

from pipelines.sources.rows import (
    BadRecord,
    Post,
    Rows,
    Tombstone,
    check_post,
    dump,
    expect_object,
    identity,
    kind_of,
)
from pipelines.sources.times import micros
from schemas.post import POST, TOMBSTONE_KINDS
from schemas.reasons import Fault

COLUMNS = frozenset(POST.names)


def read_canonical(event: Any, rows: Rows) -> None:
    """Add one post in the canonical columns; other keys are kept in `extra`.

    An object without `text` whose `kind` is one of schemas.post.TOMBSTONE_KINDS is a tombstone.
    """
    event = expect_object(event)
    get = event.get
    if "text" not in event and get("kind") in TOMBSTONE_KINDS:
        rows.bury(_tombstone(event))
        return
    post = Post(
        _id(get("id"), "id"),
        get("text"),
        _id(get("author_id"), "author_id"),
        micros(get("created_at")),
        get("lang_hint"),
        _id(get("reply_to_id"), "reply_to_id"),
        _id(get("conversation_id"), "conversation_id"),
        _id(get("repost_of"), "repost_of"),
        _id(get("quote_of"), "quote_of"),
        get("source"),
        _extra(event),
    )
    check_post(post)
    rows.posts.append(post)


def _id(value: Any, field: str) -> str | None:
    return value if value is None or type(value) is str else identity(value, field)


def _extra(event: dict[str, Any]) -> str | None:
    """Merge the keys that are no columns into `extra`, which comes as a JSON string or as an object."""
    given = event.get("extra")
    unknown = event.keys() - COLUMNS
    if not unknown and (given is None or type(given) is str):
        return given or None
    if type(given) is str:
        given = _parsed(given)
    if given is not None and type(given) is not dict:
        raise BadRecord(Fault.BAD_TYPE, f"expected extra as an object or its JSON, got {kind_of(given)}")
    more = {key: value for key, value in event.items() if key in unknown}
    return dump(more | (given or {}))


def _parsed(extra: str) -> Any:
    try:
        return orjson.loads(extra) if extra else None
    except orjson.JSONDecodeError:
        return {"extra": extra}  # a string that is no JSON is kept under its own name


def _tombstone(event: dict[str, Any]) -> Tombstone:
    return Tombstone(
        event["kind"],
        source=_string(event.get("source"), "source"),
        post_id=_id(event.get("post_id"), "post_id"),
        author_id=_id(event.get("author_id"), "author_id"),
        event_at=micros(event.get("event_at"), "event_at"),
    )


def _string(value: Any, field: str) -> str | None:
    if value is None or type(value) is str:
        return value
    raise BadRecord(Fault.BAD_TYPE, f"expected {field} as a string, got {kind_of(value)}")
