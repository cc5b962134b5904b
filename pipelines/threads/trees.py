"""Trees of turns: which post a post answers, where a conversation begins, and in what order it is read.

one post under another   the post it replies to; else, without a reply, the post its conversation began with
a repost                 is no turn where what it reposts is here: what answers it answers what stands above it
a missing parent         the turn begins a tree of its own, in the middle of something
a cycle                  is cut above its earliest post
one id twice             the newest version counts; a kept one before a rejected one
order                    a turn, then its answers by time (ties by id), each with all below it
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.conversations import NOBODY, UNKNOWN, Flags, Longs, cut_cycles, depths, part_starts, reading_order
from pipelines.duplicates.records import micros_of

REPOST_HOPS = 8  # how far up a chain of reposts a turn above is looked for
PATH_TURNS = 1024  # of the longest path; of a longer one the last ones are kept
REACH = PATH_TURNS + 1  # how far above its first turn a stretch of a conversation knows what it answers
PREFERENCE = (
    ("own", "ascending"),
    ("context", "ascending"),
    ("version", "descending"),
    ("keep", "descending"),
    ("deleted", "ascending"),
    ("created_at", "ascending"),
    ("text", "ascending"),
    ("reply_to_id", "ascending"),
)


@dataclass(frozen=True)
class Links:
    """The ids of posts as numbers that are equal where the ids are, -1 for none; shapes (rows,)."""

    own: Longs
    reply_to: Longs
    conversation: Longs
    repost: Longs
    quote: Longs

    @classmethod
    def of(cls, turns: pa.Table) -> Links:
        """Number the ids in a table with the columns of TURN. What names the post itself names nothing."""
        names = ("id", "reply_to_id", "conversation_id", "repost_of", "quote_of")
        chunks = [chunk for name in names for chunk in turns.column(name).chunks]
        ids = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
        codes = np.asarray(pc.fill_null(ids.indices, -1)).astype(np.int64).reshape(len(names), turns.num_rows)
        codes[1:][codes[1:] == codes[0]] = -1
        return cls(*codes)

    def row_of(self, rows: Longs) -> Longs:
        """Return the one of some rows, of distinct ids, that has each number; -1 for none and for number -1."""
        found = np.full(1 + max(int(column.max(initial=-1)) for column in vars(self).values()) + 1, -1, np.int64)
        found[self.own[rows]] = rows
        return found


@dataclass(frozen=True)
class Forest:
    """Turns in reading order, part after part; a part is a conversation, or a stretch of one that is over the cap.

    Shapes: bounds (parts + 1,), all others (turns,). `parent` is a place in this order, -1 above a beginning; one
    before the turn's part stands in an earlier stretch of it.
    """

    rows: Longs  # of the given table
    parent: Longs
    bounds: Longs
    root: Longs  # equal for the turns of a conversation
    middle: Flags  # answers something that is not here
    speaker: Longs  # by first turn in its conversation, from 0
    severed: Flags  # what stands above it in another part takes it along
    far: Flags  # what it answers is in another part, more than REACH above the first turn of its own
    lead: Flags  # there only because turns of the next part stand under it

    @property
    def first(self) -> Longs:
        """Return where the part of each turn begins."""
        return np.repeat(self.bounds[:-1], np.diff(self.bounds))


def plant(turns: pa.Table, links: Links, most: int, repost: Flags | None = None) -> Forest:
    """Build the trees of whole conversations; cut those of more than `most` turns into stretches of the reading order.

    `turns` has the columns of TURN, in any order. `repost` says of each row whether what it reposts is known anywhere;
    when left out, whether it is among the rows.
    """
    posts = newest_rows(turns, links, np.flatnonzero(~flags(turns.column("context"))))
    row_of = links.row_of(posts)
    if repost is None:
        repost = row_of[links.repost] >= 0
    rows = in_order(turns, posts[~repost[posts]])
    parent, middle = find_parents(links, rows, row_of, repost)
    cut_cycles(parent)
    order, root = reading_order(parent)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    above = parent[order]
    parent = np.where(above >= 0, place[above], -1) if len(above) else above
    bounds = part_starts(root, most)
    none = np.zeros(len(order), np.bool_)
    return Forest(
        rows=rows[order],
        parent=parent,
        bounds=bounds,
        root=root,
        middle=middle[order],
        speaker=_speakers(turns, rows, order, root),
        severed=none,
        far=_far(parent, bounds),
        lead=none,
    )


def _far(parent: Longs, bounds: Longs) -> Flags:
    """Tell which turns answer one too far above the first turn of their part."""
    first = np.repeat(bounds[:-1], np.diff(bounds))
    elsewhere = (parent >= 0) & (parent < first)
    if not elsewhere.any():
        return elsewhere
    depth = depths(parent)
    return elsewhere & (depth[first] - depth[parent] > REACH)


def newest_rows(turns: pa.Table, links: Links, rows: Longs) -> Longs:
    """Return one of some rows for each id, see PREFERENCE."""
    count = np.bincount(links.own[rows], minlength=1)
    again = count[links.own[rows]] > 1
    if not again.any():
        return rows
    picked = pa.array(rows[again])
    flat = {name: turns.column(name).take(picked).cast(pa.int8()) for name in ("context", "keep", "deleted")}
    kept = {name: turns.column(name).take(picked) for name in ("version", "text", "reply_to_id")}
    kept["created_at"] = pc.fill_null(turns.column("created_at").cast(pa.int64()).take(picked), 0)
    own = links.own[rows[again]]
    order = np.asarray(pc.sort_indices(pa.table({"own": own, **flat, **kept}), sort_keys=list(PREFERENCE)))
    best = order[np.r_[True, own[order][1:] != own[order][:-1]]]
    return np.sort(np.r_[rows[~again], rows[again][best]])


def in_order(turns: pa.Table, rows: Longs) -> Longs:
    """Sort rows by time and id."""
    micros = micros_of(turns)[rows]
    order = np.argsort(micros, kind="stable")
    rows, micros = rows[order], micros[order]
    same = micros[1:] == micros[:-1]
    ties = np.flatnonzero(np.r_[False, same] | np.r_[same, False])[: len(rows)]
    if len(ties):
        tied = pa.table({"time": micros[ties], "id": turns.column("id").take(pa.array(rows[ties]))})
        keys = [("time", "ascending"), ("id", "ascending")]
        rows[ties] = rows[ties][np.asarray(pc.sort_indices(tied, sort_keys=keys))]
    return rows


def find_parents(links: Links, rows: Longs, row_of: Longs, repost: Flags) -> tuple[Longs, Flags]:
    """Return the place in `rows` of what each of them answers, -1 for none, and which answer what is not here.

    Follows what stands above until it is a turn: a repost stands under what it answers, else under what it reposts.
    """
    named = np.where(links.reply_to >= 0, links.reply_to, links.conversation)
    higher = row_of[named]
    above = higher[rows]
    if repost.any():
        higher = np.where(repost & (higher < 0), row_of[links.repost], higher)
        for _ in range(REPOST_HOPS):
            above = np.where((above >= 0) & repost[above], higher[above], above)
    place = np.full(len(links.own) + 1, -1, np.int64)  # its last stands for -1
    place[rows] = np.arange(len(rows))
    parent = place[above]
    parent[parent == np.arange(len(rows))] = -1
    return parent, (named[rows] >= 0) & (parent < 0)


def _speakers(turns: pa.Table, rows: Longs, order: Longs, root: Longs) -> Longs:
    """Return the number of each turn's author in its conversation, by the time of the first turn; in reading order."""
    authors = turns.column("author_id").take(pa.array(rows)).combine_chunks().dictionary_encode()
    code = np.asarray(pc.fill_null(authors.indices, NOBODY)).astype(np.int64)
    root_of = np.empty(len(order), np.int64)
    root_of[order] = root
    voice = root_of * (len(authors.dictionary) + 1) + code + 1
    _, first, inverse = np.unique(voice, return_index=True, return_inverse=True)  # rows are in order of time
    known = code[first] >= 0
    by_root = np.lexsort((first, ~known, root_of[first]))
    tree = root_of[first][by_root]
    number = np.arange(len(tree)) - np.searchsorted(tree, tree)
    rank = np.empty(len(first), np.int64)
    rank[by_root] = np.where(known[by_root], number, UNKNOWN)
    return rank[inverse][order]


def flags(column: pa.Array | pa.ChunkedArray) -> Flags:
    """Return a column of yes and no without nulls as an array."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(whole.to_numpy(zero_copy_only=False), np.bool_)


def join_forests(one: Forest, other: Forest) -> Forest:
    """Put two forests over rows of one table together; they share no conversation."""
    turns, bounds = len(one.rows), one.bounds[-1]
    apart = int(one.root.max(initial=-1)) + 1
    _, root = np.unique(other.root, return_inverse=True)
    return Forest(
        rows=np.r_[one.rows, other.rows],
        parent=np.r_[one.parent, np.where(other.parent >= 0, other.parent + turns, -1)],
        bounds=np.r_[one.bounds, other.bounds[1:] + bounds],
        root=np.r_[one.root, root + apart],
        middle=np.r_[one.middle, other.middle],
        speaker=np.r_[one.speaker, other.speaker],
        severed=np.r_[one.severed, other.severed],
        far=np.r_[one.far, other.far],
        lead=np.r_[one.lead, other.lead],
    )
