"""Which format a file is in, told from the shape of its first records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from pipelines.sources.records import BOM
from pipelines.sources.x_v1 import NOTICES, STATUS_KINDS, USER_KINDS
from schemas.errors import ConfigError, nearest
from schemas.post import TOMBSTONE_KINDS

LINES = 400
"""How many records are looked at."""

FORMATS = ("x-v2", "x-v1", "jetstream", "mastodon", "reddit")
_V2_MARKS = frozenset(
    [
        "edit_history_tweet_ids",
        "edit_history_post_ids",
        "referenced_tweets",
        "referenced_posts",
        "public_metrics",
        "edit_controls",
        "note_tweet",
        "note_post",
    ]
)
_V1_CONTROL = frozenset({*STATUS_KINDS, *USER_KINDS, *NOTICES, "tweet_edit"})


def guess_format(lines: Iterator[bytes], path: str) -> str:
    """Return the format most records of a file have; canonical for a file of none.

    Raises ConfigError when records are there and no format fits, or two fit equally well.
    """
    votes: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    seen = 0
    for line in islice((line for line in lines if line.strip()), LINES):
        seen += 1
        try:
            event = orjson.loads(line.removeprefix(BOM))
        except orjson.JSONDecodeError:
            continue
        votes.update([shape_of(event)])
        keys.update(list(event) if type(event) is dict else ())
    votes.pop("", None)
    best = votes.most_common(2)
    if not seen:
        return "canonical"
    if not best or (len(best) == 2 and best[0][1] == best[1][1]):
        missing = [name for name in ("id", "text") if name not in keys]
        hint = f"; no key '{missing[0]}': {nearest(missing[0], keys)}" if missing and keys and not best else ""
        raise ConfigError(f"{path}: cannot tell its format: name it with --format canonical|{'|'.join(FORMATS)}{hint}")
    return best[0][0]


def shape_of(event: Any) -> str:
    """Tell the format of one record, "" when it has the shape of none.

    >>> shape_of({"id": "1", "text": "hi"}), shape_of({"did": "did:plc:x", "kind": "identity"}), shape_of([])
    ('canonical', 'jetstream', '')
    """
    if type(event) is list:
        return shape_of(event[0]) if event and type(event[0]) is dict else ""
    if type(event) is not dict:
        return ""
    if _is_jetstream(event):
        return "jetstream"
    if _is_mastodon(event):
        return "mastodon"
    if _is_reddit(event):
        return "reddit"
    if "id_str" in event or (len(event) == 1 and not _V1_CONTROL.isdisjoint(event)):
        return "x-v1"
    if type(event.get("data")) in (dict, list) or not _V2_MARKS.isdisjoint(event):
        return "x-v2"
    if "redacted_at" in event or (type(event.get("errors")) is list and "text" not in event):
        return "x-v2"
    return "canonical" if {"id", "text"} <= event.keys() or event.get("kind") in TOMBSTONE_KINDS else ""


def _is_jetstream(event: dict[str, Any]) -> bool:
    if event.get("$type") == "message" and type(event.get("payload")) is dict:
        return True
    did = event.get("did")
    return type(did) is str and did.startswith("did:") and "text" not in event


def _is_mastodon(event: dict[str, Any]) -> bool:
    if type(event.get("event")) is str and ("payload" in event or "data" in event or "stream" in event):
        return True
    return "content" in event and type(event.get("account")) is dict


def _is_reddit(event: dict[str, Any]) -> bool:
    kind = event.get("kind")
    if type(event.get("data")) is dict and type(kind) is str and (kind in ("Listing", "more") or kind[:1] == "t"):
        return True
    return "subreddit" in event and ("body" in event or "selftext" in event)
