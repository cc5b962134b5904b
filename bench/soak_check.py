"""Compare what a topic delivered with what a stream made of it: nothing lost, nothing doubled, nothing deleted kept."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow.parquet as pq

from bench.soak_events import Told, told
from pipelines.tables import open_table
from pipelines.tokens.sets import current, folder_name, members

Digests = npt.NDArray[np.uint64]
Place = tuple[int, int]  # partition and offset
NO_POST = 0  # the digest of what is no post
KEPT = "kept"


@dataclass
class Delivered:
    """What a topic holds. Of a post: digests of its delivery (id and time), of its id and of its author."""

    keys: dict[int, array[int]] = field(default_factory=dict)  # of each offset of a partition
    ids: array[int] = field(default_factory=lambda: array("Q"))  # of the posts, in the order in which they were added
    authors: array[int] = field(default_factory=lambda: array("Q"))
    posts: array[int] = field(default_factory=lambda: array("Q"))
    unreadable: set[Place] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    deleted: set[int] = field(default_factory=set)
    accounts: dict[int, tuple[int, bool]] = field(default_factory=dict)  # when each was last heard of, and is it gone
    ever_gone: set[int] = field(default_factory=set)

    def add(self, partition: int, offset: int, value: bytes) -> None:
        """Take a message; those of a partition come in order."""
        event = told(value)
        key = NO_POST
        if event is None:
            self.unreadable.add((partition, offset))
        elif event.kind == "post":
            key = digest(event.subject, str(event.at))
            self.posts.append(key)
            self.ids.append(digest(event.subject))
            self.authors.append(digest(event.author))
        else:
            self._note(event)
        self.kinds["unreadable" if event is None else event.kind] += 1
        self.keys.setdefault(partition, array("Q")).append(key)

    def _note(self, event: Told) -> None:
        if event.kind == "deleted":
            self.deleted.add(digest(event.subject))
        elif event.kind in ("gone", "back"):
            author, gone = digest(event.subject), event.kind == "gone"
            self.accounts[author] = max(self.accounts.get(author, (0, False)), (event.at, gone))
            self.ever_gone |= {author} if gone else set()

    def must_go(self) -> Digests:
        """Return the ids of posts that were deleted, or whose author has gone for good."""
        gone = [author for author, (_, is_gone) in self.accounts.items() if is_gone]
        return np.unique(_array(self.ids)[self._named(gone)])

    def may_go(self) -> Digests:
        """Return the deliveries that need not be there: whoever came back may have been forgotten meanwhile."""
        return np.unique(_array(self.posts)[self._named(self.ever_gone)])

    def _named(self, authors: Iterable[int]) -> npt.NDArray[np.bool_]:
        by_id = np.isin(_array(self.ids), _array(self.deleted))
        return by_id | np.isin(_array(self.authors), _array(authors))


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a stream's tables: rows that are not there, there too often, or there and deleted."""

    posts: int  # rows of the posts table
    quarantined: int
    lost: int
    doubled: int
    deleted_kept: int

    @property
    def clean(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (self.lost or self.doubled or self.deleted_kept)


def digest(*words: str) -> int:
    """Return 64 bits that stand for some words."""
    return int.from_bytes(hashlib.blake2b("\0".join(words).encode(), digest_size=8).digest()) or 1


@dataclass
class Posts:
    """The rows of a posts table, as digests: ids of all, ids of the kept, deliveries of those with anything left in."""

    ids: array[int] = field(default_factory=lambda: array("Q"))
    kept: array[int] = field(default_factory=lambda: array("Q"))  # in the table, in a document or in a token set
    keys: array[int] = field(default_factory=lambda: array("Q"))

    @classmethod
    def read(cls, out: Path) -> Posts:
        """Read the table of an output folder."""
        found, delta = cls(kept=_read_by_trainers(out)), open_table(out, "posts")
        batches = delta.to_pyarrow_dataset().to_batches(columns=["id", "extra", "route"]) if delta else iter(())
        for batch in batches:
            for post_id, extra, route in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                found.ids.append(digest(post_id))
                if route == KEPT:
                    found.kept.append(found.ids[-1])
                if extra is not None:  # or it was deleted as it came
                    found.keys.append(digest(post_id, str(orjson.loads(extra)["time_us"])))
        return found


def judge(delivered: Delivered, out: Path) -> Verdict:
    """Compare the tables of an output folder with what was delivered."""
    posts = Posts.read(out)
    places = _quarantined(out)
    refused = [delivered.keys[partition][offset] for (partition, offset) in places.elements()]
    found = _array([*posts.keys, *(key for key in refused if key != NO_POST)])
    lost, doubled = difference(_array(delivered.posts), found, delivered.may_go())
    ids = _array(delivered.ids)
    _, more = difference(ids, _array(posts.ids), ids)
    unread = Counter(delivered.unreadable)
    seen = Counter({place: count for place, count in places.items() if place in unread})
    return Verdict(
        posts=len(posts.ids),
        quarantined=places.total(),
        lost=lost + (unread - seen).total(),
        doubled=max(doubled, more) + (seen - unread).total(),
        deleted_kept=int(np.isin(_array(posts.kept), delivered.must_go()).sum()),
    )


def difference(wanted: Digests, found: Digests, optional: Digests) -> tuple[int, int]:
    """Return how many of `wanted` are not `found`, but for the `optional`, and how many are found beyond those wanted.

    >>> some = lambda *numbers: np.array(numbers, np.uint64)
    >>> difference(some(1, 1, 2, 3), some(1, 3, 3, 9), some(2))
    (1, 2)
    """
    keys, where = np.unique(np.concatenate([wanted, found]), return_inverse=True)
    size = len(keys)
    more = np.bincount(where[len(wanted) :], minlength=size) - np.bincount(where[: len(wanted)], minlength=size)
    needed = ~np.isin(keys, optional)
    return int(-more[(more < 0) & needed].sum()), int(more[more > 0].sum())


def _read_by_trainers(out: Path) -> array[int]:
    """Return the ids of the posts that documents and the current token sets were made of."""
    ids, documents = array("Q"), open_table(out, "documents")
    tables = [documents.to_pyarrow_dataset().to_table(columns=["post_ids"])] if documents else []
    for manifest in (one for member in members(out) for one in current(out, member)):
        folder = out / folder_name(manifest)
        tables += [pq.read_table(folder / shard.file, columns=["post_ids"]) for shard in manifest.shards]
    for table in tables:
        ids.extend(digest(post_id) for post_ids in table.column("post_ids").to_pylist() for post_id in post_ids)
    return ids


def _quarantined(out: Path) -> Counter[Place]:
    """Return the places of the records in quarantine: `file` ends in the partition, `line` is the offset."""
    delta = open_table(out, "quarantine")
    if delta is None:
        return Counter()
    rows = delta.to_pyarrow_dataset().to_table(columns=["file", "line"]).to_pylist()
    return Counter((int(row["file"].rpartition("/")[2]), row["line"]) for row in rows)


def _array(numbers: Iterable[int]) -> Digests:
    return np.array(numbers if isinstance(numbers, array) else list(numbers), np.uint64)
