"""The second half of the search, by part: which of the earlier owners a post duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.owners import BY_ID, BY_ROOT, BY_TEXT, SEEN, SUPERSEDED
from filters.sketch import estimate_jaccard
from pipelines.duplicates.owners import LINK
from pipelines.duplicates.records import Longs, ranks, records_of
from pipelines.duplicates.search import Search
from pipelines.exchange import map_rows, new_file, read_box, write_boxes

MEMBER = pa.schema(
    [
        pa.field("ref", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("author", pa.int64()),
        pa.field("micros", pa.int64()),
        pa.field("kind", pa.string()),
        pa.field("original", pa.int64()),
        pa.field("original_id", pa.string()),
        pa.field("original_author", pa.int64()),
        pa.field("original_micros", pa.int64()),
    ]
)
"""A post duplicates another: what the count of its cluster must know of both."""


@dataclass(frozen=True)
class Chosen:
    """What a part leaves: a file of MEMBER boxed by the original's address, and the rows that replace a version.

    Those are the newest version of an id that an earlier epoch had.
    """

    members: str
    edits: tuple[int, ...]


def choose_owners(search: Search, links: Sequence[str], part: int) -> Chosen:
    """Keep for each post of a part the link that counts."""
    found = read_box(links, part)
    row, owner, what = (np.asarray(found.column(name)) for name in LINK.names)
    seen = np.unique(row[what == SEEN])
    row, owner, what = (column[what != SEEN] for column in (row, owner, what))
    rows, own_at = np.unique(row, return_inverse=True)
    refs, owner_at = np.unique(owner, return_inverse=True)
    posts = records_of(map_rows(search.staged.files[part]), rows, search.staged.numbering.refs(part, rows))
    owners = search.records(refs)
    holds = _holds((posts, own_at), (owners, owner_at), what, search.config.threshold)
    first = np.select([what == BY_TEXT, what == BY_ROOT], [2, 1], 0)  # an id before an original before a text
    best = np.lexsort((ranks(owners)[owner_at], first, row, ~holds))[: holds.sum()]
    best = best[np.flatnonzero(np.r_[True, row[best][1:] != row[best][:-1]])] if len(best) else best
    members = _members(posts.take(pa.array(own_at[best])), owners.take(pa.array(owner_at[best])), what[best])
    path = new_file(search.folder, "members")
    write_boxes(path, members, address_of(np.asarray(members.column("original")), search.addresses), search.addresses)
    again = row[best][np.isin(what[best], (BY_ID, SUPERSEDED))]
    return Chosen(str(path), tuple(np.setdiff1d(seen, again).tolist()))


def address_of(originals: Longs, addresses: int) -> Longs:
    """Return where the cluster of each original is counted."""
    mixed = originals.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((mixed >> np.uint64(32)) % np.uint64(addresses)).astype(np.int64)


def _holds(post: tuple[pa.Table, Longs], owner: tuple[pa.Table, Longs], what: Longs, threshold: float) -> Longs:
    """Tell which links stand: one by text needs the estimate, and never joins two versions of one post.

    `post` and `owner` are records and the row of each link there. Equal texts need no estimate.
    """

    def side(records: tuple[pa.Table, Longs], name: str, links: Longs) -> pa.Array:
        return records[0].column(name).take(pa.array(records[1][links])).combine_chunks()

    every, by_text = np.arange(len(what)), what == BY_TEXT
    same_id, same_text = (
        np.asarray(pc.equal(side(post, name, every), side(owner, name, every)).fill_null(False))
        for name in ("id", "fingerprint")
    )
    holds: Longs = ~(by_text & same_id)
    unsure = np.flatnonzero(by_text & ~same_id & ~same_text)
    holds[unsure] = estimate_jaccard(*(side(one, "signature", unsure) for one in (post, owner))) >= threshold
    return holds


def _members(post: pa.Table, owner: pa.Table, what: Longs) -> pa.RecordBatch:
    same_text = np.asarray(pc.equal(post.column("fingerprint"), owner.column("fingerprint")).fill_null(False))
    kinds = np.select(
        [what == BY_ID, what == SUPERSEDED, what == BY_ROOT, same_text],
        ["repeated_id", "superseded", "repost", "exact"],
        "near",
    )
    columns = [post.column(name).combine_chunks() for name in ("ref", "id", "author", "micros")]
    originals = [owner.column(name).combine_chunks() for name in ("ref", "id", "author", "micros")]
    return pa.record_batch([*columns, pa.array(kinds, pa.string()), *originals], schema=MEMBER)
