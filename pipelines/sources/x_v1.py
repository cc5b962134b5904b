"""Twitter API v1.1 and its enterprise streams: statuses, deletions, notices."""

from __future__ import annotations

from typing import Any

from pipelines.sources.rows import (
    BadRecord,
    Post,
    Rows,
    Tombstone,
    as_object,
    dump,
    exact_id,
    expect_object,
    identity,
    unknown_event,
)
from pipelines.sources.times import micros
from pipelines.sources.x import COMPLIANCE_KINDS
from pipelines.sources.x_text import SOURCE, bury_older, language, plain_text
from schemas.reasons import Fault

STATUS_KINDS = {
    "delete": "post_deleted",
    "drop": "post_deleted",
    "undrop": "post_restored",
    "status_withheld": "post_withheld",
}
USER_KINDS = {kind: asks for kind, asks in COMPLIANCE_KINDS.items() if kind.startswith(("user_", "scrub_"))}
NOTICES = frozenset(
    [
        "limit",
        "disconnect",
        "warning",
        "friends",
        "friends_str",
        "event",
        "direct_message",
        "user_update",
        "control",
        "for_user",
    ]
)


def read_x_v1(event: Any, rows: Rows) -> None:
    """Add one status, or what a control message of the stream asks for."""
    event = expect_object(event)
    if "id_str" in event or "text" in event or "full_text" in event:
        _read_status(event, rows)
        return
    for kind, value in event.items():
        if kind in STATUS_KINDS or kind in USER_KINDS:
            _read_compliance(kind, expect_object(value), rows)
            return
        if kind == "tweet_edit":
            _read_edit(expect_object(value), rows)
            return
        if kind in NOTICES:
            rows.notices += 1
            return
    raise unknown_event("a v1.1 status or stream message")


def _read_status(status: dict[str, Any], rows: Rows) -> None:
    post_id, author_id = exact_id(status, "id"), exact_id(as_object(status.get("user")), "id")
    created_at = micros(status.get("timestamp_ms") or status.get("created_at"))
    original = status.get("retweeted_status")
    reposted, quoted = as_object(original), as_object(status.get("quoted_status"))
    withheld = {key: status[key] for key in ("withheld_in_countries", "withheld_copyright") if status.get(key)}
    rows.add(
        Post(
            post_id,
            _text(reposted if reposted else status),
            author_id,
            created_at,
            lang_hint=language(status.get("lang")),
            reply_to_id=exact_id(status, "in_reply_to_status_id"),
            repost_of=exact_id(reposted, "id"),
            quote_of=None if reposted else exact_id(status, "quoted_status_id") or exact_id(quoted, "id"),
            source=SOURCE,
            extra=dump({"withheld": withheld} if withheld else {}),
        )
    )
    bury_older(as_object(status.get("edit_history")).get("edit_tweet_ids"), post_id, author_id, created_at, rows)


def _text(status: dict[str, Any]) -> Any:
    """Return the whole text of a status, wherever this flavour of the API puts it."""
    extended = as_object(status.get("extended_tweet"))
    if type(extended.get("full_text")) is str:
        return plain_text(extended["full_text"], extended.get("entities") or status.get("entities"))
    text = status["text"] if status.get("full_text") is None and "text" in status else status.get("full_text")
    return plain_text(text, status.get("entities"))


def _read_compliance(kind: str, detail: dict[str, Any], rows: Rows) -> None:
    """Read a deletion or an account event; ids stand in `status` or `user`, or flat beside the time."""
    event_at = micros(detail.get("timestamp_ms") or detail.get("timestampMs"), "timestamp_ms")
    if kind in STATUS_KINDS:
        status = as_object(detail.get("status")) or detail
        post_id, author_id = exact_id(status, "id"), exact_id(status, "user_id")
        if not post_id:
            raise BadRecord(Fault.MISSING_ID, f"expected the id of a status in a {kind} event, got none")
        rows.bury(Tombstone(STATUS_KINDS[kind], SOURCE, post_id, author_id, event_at))
        return
    user = as_object(detail.get("user")) or detail
    author_id = exact_id(user, "id") or exact_id(user, "user_id")
    rows.bury(Tombstone(USER_KINDS[kind], SOURCE, None, author_id, event_at))


def _read_edit(detail: dict[str, Any], rows: Rows) -> None:
    before = len(rows.tombstones)
    event_at = micros(detail.get("timestamp_ms"), "timestamp_ms")
    bury_older(detail.get("edit_tweet_ids"), identity(detail.get("id"), "id"), None, event_at, rows)
    if len(rows.tombstones) == before:
        raise BadRecord(Fault.MISSING_ID, "expected the ids of earlier versions in an edit event, got none")
