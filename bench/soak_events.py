"""Make a wild stream of Jetstream events out of simulated posts, and read back what such a stream says.

The simulator's edits become updates and its deletions deletes; accounts go and come back, events are delivered twice,
and among them is what no parser can read. What tells one delivery from another is its `time_us`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from pipelines.simulate import Shares, Simulation, generate

COLLECTION = "app.bsky.feed.post"
SHARES = Shares(clock=0.005, edit=0.02, delete=0.02, repeat=0.0)  # wilder than usual; repeats are made here
GONE, BACK, NOTICE, GARBAGE, AGAIN = 0.0005, 0.0002, 0.001, 0.002, 0.01  # shares of what is put in between
REMEMBERED = 512  # events and authors that can come again
GARBAGE_BYTES = (8, 200)
EVENT_KINDS = ("commit", "account", "identity")


@dataclass(frozen=True)
class Told:
    """What an event says: of a post its id and `time_us`, of a deletion what goes, or comes back, and when."""

    kind: str  # post, deleted, gone, back, notice
    subject: str  # the id of a post, or the DID of an author
    author: str
    at: int  # microseconds


def events(count: int, seed: int, start: datetime, rate: float) -> Iterator[bytes]:
    """Yield so many events, none with a line feed in it; the same arguments give the same bytes."""
    chance = random.Random(seed)
    recent: deque[bytes] = deque(maxlen=REMEMBERED)
    authors: deque[str] = deque(maxlen=REMEMBERED)
    gone: deque[str] = deque(maxlen=REMEMBERED)
    micros = round(start.astimezone(UTC).timestamp() * 1e6)
    simulation = Simulation(count, seed=seed, rate=rate, start=start, shares=SHARES)
    for number, line in enumerate(generate(simulation)):
        at, luck = micros + number, chance.random()
        if luck < AGAIN and recent:
            yield chance.choice(recent)
            continue
        luck -= AGAIN
        if luck < GARBAGE:
            yield chance.randbytes(chance.randint(*GARBAGE_BYTES)).replace(b"\n", b" ")
        elif luck < GARBAGE + GONE and authors:
            gone.append(chance.choice(authors))
            yield _account(gone[-1], at, active=False)
        elif luck < GARBAGE + GONE + BACK and gone:
            yield _account(chance.choice(gone), at, active=True)
        elif luck < GARBAGE + GONE + BACK + NOTICE and authors:
            yield orjson.dumps({"did": chance.choice(authors), "time_us": at, "kind": "identity"})
        else:
            event = converted(line, at)
            if event is not line:
                recent.append(event)
                authors.append(orjson.loads(event)["did"])
            yield event


def converted(line: bytes, at: int) -> bytes:
    """Return a line of the simulator as an event that the server saw `at` that microsecond; a broken line as it is."""
    try:
        post = orjson.loads(line)
        if post.get("kind") == "post_deleted":
            commit: dict[str, Any] = {"operation": "delete", "rkey": post["post_id"]}
        else:
            update = "edited_at" in orjson.loads(post["extra"])
            commit = {"operation": "update" if update else "create", "rkey": post["id"], "record": _record(post)}
        did = f"did:plc:{post['author_id']}"
        fit = all(type(post[name]) is str for name in ("text", "created_at") if name in post and post[name] is not None)
    except (ValueError, LookupError, TypeError, AttributeError):
        return line
    if not fit or type(commit["rkey"]) is not str or not commit["rkey"]:
        return line
    commit |= {"collection": COLLECTION, "rev": str(at)}
    return orjson.dumps({"did": did, "time_us": at, "kind": "commit", "commit": commit})


def _record(post: Mapping[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {"$type": COLLECTION, "text": post["text"], "createdAt": post["created_at"]}
    if post["lang_hint"]:
        record["langs"] = [post["lang_hint"]]
    if post["reply_to_id"]:
        parent, root = (
            {"uri": f"at://did:plc:0/{COLLECTION}/{post[name]}"} for name in ("reply_to_id", "conversation_id")
        )
        record["reply"] = {"parent": parent, "root": root}
    return record


def _account(did: str, at: int, *, active: bool) -> bytes:
    account = {"did": did, "active": active, "seq": at}
    if not active:
        account["status"] = "deleted"
    return orjson.dumps({"did": did, "time_us": at, "kind": "account", "account": account})


def told(event: bytes) -> Told | None:
    """Read an event without the help of what is being tested; None when no parser could.

    >>> told(b'{"did": "did:plc:1", "time_us": 5, "kind": "commit", "commit": {"operation": "delete", "rkey": "9"}}')
    Told(kind='deleted', subject='at://did:plc:1/app.bsky.feed.post/9', author='did:plc:1', at=5)
    """
    try:
        said = orjson.loads(event)
        did, at, kind = said["did"], said["time_us"], said["kind"]
    except (ValueError, LookupError, TypeError):
        return None
    if kind not in EVENT_KINDS:
        return None
    if kind == "identity":
        return Told("notice", did, did, at)
    if kind == "account":
        return Told("back" if said["account"]["active"] else "gone", did, did, at)
    what = "deleted" if said["commit"]["operation"] == "delete" else "post"
    return Told(what, f"at://{did}/{COLLECTION}/{said['commit']['rkey']}", did, at)
