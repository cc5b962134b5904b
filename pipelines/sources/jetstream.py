"""Bluesky's Jetstream, in the nested events of its first version and the flat ones of its second."""

from __future__ import annotations

from typing import Any

from pipelines.sources.rows import BadRecord, Post, Rows, Tombstone, as_list, as_object, dump, expect_object
from pipelines.sources.times import micros
from schemas.reasons import Fault

SOURCE = "bluesky"
POSTS = "app.bsky.feed.post"
_LINK = "app.bsky.richtext.facet#link"
_STILL_THERE = ("desynchronized", "throttled")  # trouble between servers, not an account that left


def read_jetstream(event: Any, rows: Rows) -> None:
    """Add what one event holds: a post, a deletion, an account that left or came back; the rest are notices."""
    event = expect_object(event)
    if event.get("$type") == "message":
        event = expect_object(event.get("payload"))
    kind = _kind(event)
    if kind in ("identity", "info", "error"):
        rows.notices += 1
        return
    did = event.get("did")
    if type(did) is not str or not did:
        raise BadRecord(Fault.MISSING_ID, "expected a did, got none")
    if kind == "commit":
        commit = event["commit"] if type(event.get("commit")) is dict else event
        _read_commit(did, commit, event, rows)
    elif kind == "account":
        _read_account(did, event, rows)
    elif kind == "sync":  # the repository was replaced as a whole: what was read before no longer holds
        rows.bury(Tombstone("author_gone", SOURCE, None, did, _witnessed(event)))
    else:
        raise BadRecord(Fault.UNKNOWN_EVENT, "expected a commit, account, identity or sync event, got another kind")


def _kind(event: dict[str, Any]) -> Any:
    """Tell the kind of an event from `kind` (version 1), from `$type`, or from what it carries (version 2)."""
    if type(event.get("kind")) is str:
        return event["kind"]
    if type(event.get("$type")) is str:
        return event["$type"].rpartition("#")[2]
    if "collection" in event and "operation" in event:
        return "commit"
    return next((kind for kind in ("commit", "account", "identity", "sync") if kind in event), event.get("operation"))


def _witnessed(event: dict[str, Any]) -> int | None:
    """Return when the server saw the event, in microseconds."""
    return micros(event["time_us"] if event.get("time_us") is not None else event.get("time"), "time")


def _read_account(did: str, event: dict[str, Any], rows: Rows) -> None:
    account = event["account"] if type(event.get("account")) is dict else event
    active, status = account.get("active"), account.get("status")
    if type(active) is not bool:
        raise BadRecord(Fault.BAD_TYPE, "expected account.active as true or false")
    if status in _STILL_THERE:
        rows.notices += 1
        return
    kind = "author_restored" if active else "author_gone"
    rows.bury(Tombstone(kind, SOURCE, None, did, micros(account.get("time"), "time") or _witnessed(event)))


def _read_commit(did: str, commit: dict[str, Any], event: dict[str, Any], rows: Rows) -> None:
    if commit.get("collection") != POSTS:
        rows.notices += 1
        return
    rkey, operation = commit.get("rkey"), commit.get("operation")
    if type(rkey) is not str or not rkey:
        raise BadRecord(Fault.MISSING_ID, "expected the record key of a post, got none")
    post_id = f"at://{did}/{POSTS}/{rkey}"
    if operation == "delete":
        rows.bury(Tombstone("post_deleted", SOURCE, post_id, did, _witnessed(event)))
    elif operation in ("create", "update"):
        rows.add(_post(post_id, did, expect_object(commit.get("record")), (operation, _witnessed(event))))
    else:
        raise BadRecord(Fault.UNKNOWN_EVENT, "expected the operation create, update or delete, got another")


def _post(post_id: str, did: str, record: dict[str, Any], seen: tuple[str, int | None]) -> Post:
    operation, witnessed = seen
    reply = as_object(record.get("reply"))
    langs = as_list(record.get("langs"))
    extra = {
        "time_us": witnessed,
        "edited_at": witnessed if operation == "update" else None,
        "langs": langs if len(langs) > 1 else None,
        "tags": as_list(record.get("tags")),
        "labels": [val for label in as_list(as_object(record.get("labels")).get("values")) if (val := _label(label))],
    }
    return Post(
        post_id,
        _text(record.get("text"), record.get("facets")),
        did,
        micros(record.get("createdAt"), "createdAt"),
        lang_hint=langs[0] if langs else None,
        reply_to_id=as_object(reply.get("parent")).get("uri"),
        conversation_id=as_object(reply.get("root")).get("uri") or post_id,
        quote_of=_quoted(record.get("embed")),
        source=SOURCE,
        extra=dump({key: value for key, value in extra.items() if value}),
    )


def _label(label: Any) -> Any:
    return as_object(label).get("val")


def _quoted(embed: Any) -> str | None:
    """Return the post an embed quotes; `recordWithMedia` wraps it once more. Lists and feeds are no posts."""
    record = as_object(as_object(embed).get("record"))
    uri = record.get("uri") or as_object(record.get("record")).get("uri")
    return uri if type(uri) is str and f"/{POSTS}/" in uri else None


def _text(text: Any, facets: Any) -> Any:
    """Put the whole address where the text shows a shortened link; facets count UTF-8 bytes.

    >>> _text("é a.org/lo...", [{"index": {"byteStart": 3, "byteEnd": 14},
    ...     "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://a.org/long"}]}])
    'é https://a.org/long'
    """
    links = [link for facet in as_list(facets) if (link := _link(as_object(facet)))]
    if not links or type(text) is not str:
        return text
    data = text.encode()
    pieces, at = [], 0
    for start, end, uri in sorted(links):
        if at <= start < end <= len(data) and _shows(data[start:end], uri):
            pieces += [data[at:start], uri.encode()]
            at = end
    pieces.append(data[at:])
    try:
        return b"".join(pieces).decode()
    except UnicodeDecodeError:  # an offset inside a character: the client counted something else than bytes
        return text


def _link(facet: dict[str, Any]) -> tuple[int, int, str] | None:
    index = as_object(facet.get("index"))
    start, end = index.get("byteStart"), index.get("byteEnd")
    for feature in as_list(facet.get("features")):
        uri = as_object(feature).get("uri")
        if as_object(feature).get("$type") == _LINK and type(uri) is str and type(start) is type(end) is int:
            return start, end, uri
    return None


def _shows(shown: bytes, uri: str) -> bool:
    """Tell whether a stretch of text is an address, shortened or whole, and not words that carry a link."""
    bare = shown.decode(errors="replace").removesuffix("...").removesuffix("…").rstrip("/").casefold()
    return "." in bare and " " not in bare and bare.split("://")[-1].removeprefix("www.") in uri.casefold()
