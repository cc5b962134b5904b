"""Mastodon: streamed events with their payload, or statuses as the API returns them."""

from __future__ import annotations

from typing import Any

import orjson

from pipelines.sources.html_text import html_to_text
from pipelines.sources.rows import BadRecord, Post, Rows, Tombstone, as_list, as_object, dump, expect_object, identity
from pipelines.sources.rows import unknown_event as unknown
from pipelines.sources.times import micros
from schemas.reasons import Fault

SOURCE = "mastodon"
NOTICES = frozenset(
    [
        "notification",
        "filters_changed",
        "conversation",
        "announcement",
        "announcement.reaction",
        "announcement.delete",
        "encrypted_message",
        "notifications_merged",
    ]
)
_NOT_PUBLIC = ("private", "direct")


def read_mastodon(event: Any, rows: Rows) -> None:
    """Add the status or the deletion an event carries; its payload is JSON inside a string, or an object."""
    event = expect_object(event)
    kind = event.get("event")
    if kind is None:
        _read_status(event, rows)
        return
    payload = event["payload"] if "payload" in event else event.get("data")
    if kind in ("update", "status.update"):
        _read_status(expect_object(_unpacked(payload)), rows)
    elif kind == "delete":
        rows.bury(Tombstone("post_deleted", SOURCE, _bare_id(payload)))
    elif type(kind) is str and kind in NOTICES:
        rows.notices += 1
    else:
        raise unknown("the event update, status.update, delete or a notification")


def _unpacked(payload: Any) -> Any:
    if type(payload) is not str:
        return payload
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise BadRecord(Fault.BAD_JSON, "expected JSON inside payload, got something else") from None


def _bare_id(payload: Any) -> str | None:
    if type(payload) is dict:
        payload = payload.get("id")
    post_id = identity(payload, "payload")
    return post_id.strip().strip('"') if post_id else None


def _read_status(status: dict[str, Any], rows: Rows) -> None:
    if "content" not in status and "account" not in status:
        raise unknown("a status or a streamed event")
    if status.get("visibility") in _NOT_PUBLIC:
        rows.notices += 1  # seen only because the reader's own account may see it: no public post
        return
    reblog = as_object(status.get("reblog"))
    edited_at = micros(status.get("edited_at"), "edited_at")
    tags = [tag["name"] for tag in as_list(status.get("tags")) if as_object(tag).get("name")]
    extra = {"uri": status.get("uri"), "tags": tags, "sensitive": status.get("sensitive"), "edited_at": edited_at}
    rows.add(
        Post(
            identity(status.get("id"), "id"),
            _text(reblog or status),
            identity(as_object(status.get("account")).get("id"), "account.id"),
            micros(status.get("created_at")),
            lang_hint=status.get("language") or (reblog.get("language") if reblog else None),
            reply_to_id=identity(status.get("in_reply_to_id"), "in_reply_to_id"),
            repost_of=identity(reblog.get("id"), "reblog.id"),
            quote_of=None if reblog else _quoted(status.get("quote")),
            source=SOURCE,
            extra=dump({key: value for key, value in extra.items() if value}),
        )
    )


def _text(status: dict[str, Any]) -> Any:
    """Return the words of a status; its content warning is the first line."""
    content, warning = status.get("content"), status.get("spoiler_text")
    if type(content) is not str:
        return content
    text = html_to_text(content)
    return f"{warning}\n{text}" if warning and type(warning) is str else text


def _quoted(quote: Any) -> str | None:
    quote = as_object(quote)
    return identity(as_object(quote.get("quoted_status")).get("id") or quote.get("quoted_status_id"), "quote.id")
