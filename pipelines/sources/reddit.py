"""Reddit: listings, submissions (t3) and comments (t1) as the API and the archives write them."""

from __future__ import annotations

from typing import Any

import orjson

from pipelines.sources.rows import (
    BadRecord,
    Post,
    Rows,
    Tombstone,
    as_list,
    as_object,
    dump,
    expect_object,
    identity,
    unknown_event,
)
from pipelines.sources.times import micros
from pipelines.sources.x_text import unescape
from schemas.reasons import Fault

SOURCE = "reddit"
GONE = ("[deleted]", "[removed]")
NOTICES = ("more", "t2", "t4", "t5", "t6")  # "load more", accounts, messages, subreddits, awards


def read_reddit(event: Any, rows: Rows) -> None:
    """Add every submission and comment a line holds, replies inside comments too; one that fails goes alone."""
    things = event[::-1] if type(event) is list else [expect_object(event)]
    if not things:
        rows.notices += 1
    single = len(things) == 1
    while things:  # a stack, not recursion: threads are deep
        thing = things.pop()
        mark = rows.mark()
        try:
            inside = _read_thing(expect_object(thing), rows)
        except BadRecord as bad:
            if single:
                raise
            rows.undo(mark)
            rows.refuse(bad, orjson.dumps(thing))
            inside = []
        single = single and not inside
        things += reversed(inside)


def _read_thing(thing: dict[str, Any], rows: Rows) -> list[Any]:
    """Add one thing and return the things inside it."""
    kind, data = thing.get("kind"), thing.get("data")
    if kind == "Listing" and type(data) is dict:
        children = as_list(data.get("children"))
        rows.notices += not children
        return children
    if kind in NOTICES and type(data) is dict:
        rows.notices += 1
        return []
    if kind in ("t1", "t3") and type(data) is dict:
        _read_post(kind, data, rows)
        return _replies(data)
    kind = _bare_kind(thing)
    if kind is None:
        raise unknown_event("a listing, a submission (t3) or a comment (t1)")
    _read_post(kind, thing, rows)
    return _replies(thing)


def _bare_kind(data: dict[str, Any]) -> str | None:
    """Tell what an object of an archive is, which comes without its kind."""
    name = data.get("name")
    if type(name) is str and name.startswith(("t1_", "t3_")):
        return name[:2]
    return "t1" if "body" in data and "link_id" in data else "t3" if "title" in data and "subreddit" in data else None


def _replies(data: dict[str, Any]) -> list[Any]:
    """Return the replies below a comment; the API writes "" for none."""
    replies = as_object(data.get("replies"))
    return as_list(as_object(replies.get("data")).get("children"))


def _read_post(kind: str, data: dict[str, Any], rows: Rows) -> None:
    name = data.get("name") or (f"{kind}_{data['id']}" if data.get("id") else None)
    words = data.get("body") if kind == "t1" else data.get("selftext")
    if words in GONE:
        rows.bury(Tombstone("post_deleted", SOURCE, identity(name, "name")))
        return
    author = data.get("author_fullname") or data.get("author")
    edited = data.get("edited")
    extra = {
        "subreddit": data.get("subreddit"),
        "url": data.get("url") if kind == "t3" and not data.get("is_self") else None,
        "over_18": data.get("over_18"),
        "edited_at": micros(edited, "edited") if edited and edited is not True else None,
    }
    rows.add(
        Post(
            name,
            _text(kind, data, words),
            None if author in GONE else author,
            micros(data.get("created_utc"), "created_utc"),
            reply_to_id=data.get("parent_id") if kind == "t1" else None,
            conversation_id=data.get("link_id") if kind == "t1" else name,
            quote_of=data.get("crosspost_parent"),
            source=SOURCE,
            extra=dump({key: value for key, value in extra.items() if value}),
        )
    )


def _text(kind: str, data: dict[str, Any], words: Any) -> Any:
    """Return the words of a comment, or title, blank line and text of a submission."""
    if kind == "t1":
        return unescape(words) if type(words) is str else words
    title = data.get("title")
    if type(title) is not str:
        return title
    if words is not None and type(words) is not str:
        raise BadRecord(Fault.BAD_TYPE, "expected selftext as a string")
    return unescape(f"{title}\n\n{words}" if words and words.strip() else title)
