"""X API v2: posts, compliance and activity events, each `{data, includes, ...}`."""

from __future__ import annotations

from typing import Any

from pipelines.sources.rows import (
    BadRecord,
    Post,
    Rows,
    Tombstone,
    as_list,
    as_object,
    dump,
    each,
    exact_id,
    expect_object,
    unknown_event,
)
from pipelines.sources.times import micros
from pipelines.sources.x_text import SOURCE, bury_older, language, plain_text
from schemas.reasons import Fault

COMPLIANCE_KINDS = {
    "delete": "post_deleted",
    "drop": "post_deleted",
    "undrop": "post_restored",
    "withheld": "post_withheld",
    "user_delete": "author_gone",
    "user_undelete": "author_restored",
    "user_protect": "author_gone",
    "user_unprotect": "author_restored",
    "user_suspend": "author_gone",
    "user_unsuspend": "author_restored",
    "user_withheld": "author_withheld",
    "scrub_geo": "geo_scrubbed",
}
"""What each compliance event asks for, in the words of schemas.post.TOMBSTONE_KINDS."""

EDIT_KINDS = ("tweet_edit", "post_edit")
_NO_POSTS = ("like.", "follow.", "profile.", "chat.", "dm.", "news.", "spaces.", "broadcast.", "oauth.")


def read_x(event: Any, rows: Rows) -> None:
    """Add what one line of a v2 stream, a lookup, a compliance stream or a compliance job's result holds."""
    event = expect_object(event)
    data = event.get("data")
    if type(data) is dict:
        _read_data(data, as_object(event.get("includes")), rows)
    elif type(data) is list and data:
        includes = as_object(event.get("includes"))
        each(data, lambda item, rows: _read_data(expect_object(item), includes, rows), rows)
    elif "redacted_at" in event and "action" in event:
        _read_batch_result(event, rows)
    elif "data" in event or "errors" in event or "meta" in event or _is_problem(event):
        rows.notices += 1
    elif "id" in event and "text" in event and "id_str" not in event:
        _read_data(event, {}, rows)  # a post without its wrapper
    else:
        raise unknown_event("a v2 post, compliance event or stream message")


def _is_problem(event: dict[str, Any]) -> bool:
    return event.get("type") == "connection_metadata" or ("title" in event and "detail" in event)


def _read_data(data: dict[str, Any], includes: dict[str, Any], rows: Rows) -> None:
    if "event_type" in data and "payload" in data:
        _read_activity(data, rows)
    elif "dm_conversation_id" in data:
        rows.notices += 1  # a direct message is no post
    elif "id" in data or "text" in data:
        _read_post(data, includes, rows)
    else:
        _read_compliance(data, rows)


def _read_activity(data: dict[str, Any], rows: Rows) -> None:
    kind, payload = data["event_type"], as_object(data["payload"])
    if type(kind) is str and kind.startswith(_NO_POSTS):
        rows.notices += 1
    elif kind == "post.delete":
        rows.bury(Tombstone("post_deleted", SOURCE, exact_id(payload, "id"), _author(payload)))
    elif type(kind) is str and kind.startswith("post."):
        _read_post(payload, as_object(data.get("includes")), rows)
    else:
        raise unknown_event("an activity of posts, likes, follows or profiles")


def _read_post(data: dict[str, Any], includes: dict[str, Any], rows: Rows) -> None:
    post_id, author_id = exact_id(data, "id"), _author(data)
    created_at = micros(data.get("created_at"))
    refers = _references(data)
    repost_of, text = refers.get("retweeted"), _text(data)
    if repost_of is not None:
        original = _included(includes, repost_of)
        text = text if original is None else _text(original)
    rows.add(
        Post(
            post_id,
            text,
            author_id,
            created_at,
            lang_hint=language(data.get("lang")),
            reply_to_id=refers.get("replied_to"),
            conversation_id=exact_id(data, "conversation_id"),
            repost_of=repost_of,
            quote_of=None if repost_of else refers.get("quoted"),
            source=SOURCE,
            extra=dump({"withheld": data["withheld"]} if data.get("withheld") else {}),
        )
    )
    versions = data.get("edit_history_post_ids") or data.get("edit_history_tweet_ids")
    bury_older(versions, post_id, author_id, created_at, rows)


def _author(data: dict[str, Any]) -> str | None:
    return exact_id(data, "author_id")


def _text(data: dict[str, Any]) -> Any:
    """Return the whole text of a post: that of its note where it is a long one."""
    note = as_object(data.get("note_post") or data.get("note_tweet"))
    if type(note.get("text")) is str:
        return plain_text(note["text"], note.get("entities") or data.get("entities"))
    return plain_text(data.get("text"), data.get("entities"))


def _references(data: dict[str, Any]) -> dict[str, str | None]:
    found = {}
    for item in as_list(data.get("referenced_posts") or data.get("referenced_tweets")):
        kind = as_object(item).get("type")
        if type(kind) is str:
            found[{"reposted": "retweeted"}.get(kind, kind)] = exact_id(item, "id")
    return found


def _included(includes: dict[str, Any], post_id: str) -> dict[str, Any] | None:
    for item in map(as_object, as_list(includes.get("posts")) + as_list(includes.get("tweets"))):
        if item.get("id") == post_id and "text" in item:
            return item
    return None


def _read_compliance(data: dict[str, Any], rows: Rows) -> None:
    for kind, value in data.items():
        detail = as_object(value)
        if kind in COMPLIANCE_KINDS:
            post = as_object(detail.get("post") or detail.get("tweet"))
            post_id = exact_id(post, "id")
            author_id = exact_id(as_object(detail.get("user")), "id") or _author(post)
            if not post_id and not kind.startswith(("user_", "scrub_")):
                raise BadRecord(Fault.MISSING_ID, f"expected the id of a post in a {kind} event, got none")
            rows.bury(Tombstone(COMPLIANCE_KINDS[kind], SOURCE, post_id, author_id, _event_at(detail)))
            return
        if kind in EDIT_KINDS:
            _read_edit(detail, rows)
            return
        if kind == "user_profile_modification":
            rows.notices += 1
            return
    raise unknown_event("a v2 post or compliance event")


def _read_edit(detail: dict[str, Any], rows: Rows) -> None:
    newest = as_object(detail.get("post") or detail.get("tweet")).get("id")
    chain = as_list(detail.get("edit_post_ids") or detail.get("edit_tweet_ids"))
    before = len(rows.tombstones)
    bury_older(chain, newest, None, _event_at(detail), rows)
    if len(rows.tombstones) == before:
        raise BadRecord(Fault.MISSING_ID, "expected the ids of earlier versions in an edit event, got none")


def _event_at(detail: dict[str, Any]) -> int | None:
    return micros(detail.get("event_at"), "event_at")


def _read_batch_result(event: dict[str, Any], rows: Rows) -> None:
    """Read one line of a compliance job's result; its ids are taken for posts, a line does not say."""
    kinds = {"delete": "post_deleted", "scrub_geo": "geo_scrubbed", "withhold": "post_withheld"}
    kind = kinds.get(str(event["action"]))
    if kind is None:
        raise unknown_event("a compliance result whose action is delete, scrub_geo or withhold")
    event_at = micros(event.get("redacted_at"), "redacted_at")
    rows.bury(Tombstone(kind, SOURCE, exact_id(event, "id"), None, event_at))
