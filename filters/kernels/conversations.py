"""Conversations as arrays: cycles cut, reading order, what is shown, paths, quotes. Loops alone, no recursion.

Turns stand in order of time (ties by id), so the earliest of several is the one with the least number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Longs = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

SHOWN, DELETED, REMOVED, EMPTY, OUT = 0, 1, 2, 3, 4
"""What becomes of a turn: its text, one of three marks in place of it, or nothing."""

UNKNOWN = -2
"""The speaker of a turn without an author; NOBODY says none."""
NOBODY = -1


@njit(cache=True, nogil=True)
def cut_cycles(parent: Longs) -> int:
    """Take the parent of the earliest turn of each cycle away, in place; return how many cycles there were."""
    cycles = 0
    visit = np.zeros(len(parent), np.int64)  # the walk that came by, from 1
    for start in range(len(parent)):
        at = start
        while at >= 0 and visit[at] == 0:
            visit[at] = start + 1
            at = parent[at]
        if at >= 0 and visit[at] == start + 1:
            first, turn = at, parent[at]
            while turn != at:
                first = min(first, turn)
                turn = parent[turn]
            parent[first] = -1
            cycles += 1
    return cycles


@njit(cache=True, nogil=True)
def reading_order(parent: Longs) -> tuple[Longs, Longs]:
    """Return the turns tree by tree, each before its answers and answers in order of time, and the root of each.

    Shapes (turns,), both in reading order. Trees come in the order of their roots; `parent` has no cycles.
    """
    turns = len(parent)
    child = np.full(turns, -1, np.int64)
    sibling = np.full(turns, -1, np.int64)
    for turn in range(turns - 1, -1, -1):
        above = parent[turn]
        if above >= 0:
            sibling[turn] = child[above]
            child[above] = turn
    order = np.empty(turns, np.int64)
    roots = np.empty(turns, np.int64)
    count = 0
    for root in range(turns):
        if parent[root] >= 0:
            continue
        turn = root
        while turn >= 0:
            order[count] = turn
            roots[count] = root
            count += 1
            if child[turn] >= 0:
                turn = child[turn]
                continue
            while turn != root and sibling[turn] < 0:
                turn = parent[turn]
            turn = sibling[turn] if turn != root else -1
    return order, roots


@njit(cache=True, nogil=True)
def part_starts(root: Longs, most: int) -> Longs:
    """Return where the parts of conversations begin: a run of one root, cut after every `most` turns; and the end."""
    starts = np.empty(len(root) + 1, np.int64)
    count = 0
    for at in range(len(root)):
        if at == 0 or root[at] != root[at - 1] or at - starts[count - 1] >= most:
            starts[count] = at
            count += 1
    starts[count] = len(root)
    return starts[: count + 1]


@njit(cache=True, nogil=True)
def depths(parent: Longs) -> Longs:
    """Return how many turns stand above each, in reading order."""
    found = np.zeros(len(parent), np.int64)
    for turn in range(len(parent)):
        if parent[turn] >= 0:
            found[turn] = found[parent[turn]] + 1
    return found


@njit(cache=True, nogil=True)
def decide_fates(
    parent: Longs, bounds: Longs, own: Kinds, cuts: Flags, severed: Flags, lead: Flags
) -> tuple[Kinds, Kinds]:
    """Return what becomes of each turn where it stands, and on the way to turns of other parts; in reading order.

    `own[i]` is what turn i is by itself, `cuts[kind]` whether such a turn takes its answers with it, `severed[i]`
    whether something above it, in another part, did, `lead[i]` whether it is there only as a way to others. A mark
    under which its part shows nothing is out.
    """
    turns = len(parent)
    fate = own.copy()
    for turn in range(turns):
        above = parent[turn]
        if severed[turn] or cuts[own[turn]] or (above >= 0 and fate[above] == OUT):
            fate[turn] = OUT
    leads = np.zeros(turns, np.bool_)
    silent = np.zeros(turns, np.bool_)
    for part in range(len(bounds) - 2, -1, -1):
        for turn in range(bounds[part + 1] - 1, bounds[part] - 1, -1):
            says = not lead[turn] and (fate[turn] == SHOWN or (fate[turn] != OUT and leads[turn]))
            silent[turn] = not says
            if says and parent[turn] >= bounds[part]:
                leads[parent[turn]] = True
    way = fate.copy()
    for turn in range(turns):
        if silent[turn]:
            fate[turn] = OUT
    return fate, way


@njit(cache=True, nogil=True)
def path_entries(parent: Longs, first: Longs, fate: Kinds, most: int, reach: int) -> tuple[Longs, Longs, Flags]:
    """Return the turns of every path from its beginning to a leaf, where each path starts, and which ones were cut.

    `first[i]` is where the part of turn i begins: a leaf is what no turn of its part answers. A path longer than `most`
    turns keeps its last ones, and so does one that goes back to more than `reach` above the first turn of its part.
    """
    turns = len(parent)
    leaf = fate != OUT
    depth = depths(parent)
    for turn in range(turns):
        if fate[turn] != OUT and parent[turn] >= first[turn]:
            leaf[parent[turn]] = False
    leaves = np.flatnonzero(leaf)
    bounds = np.zeros(len(leaves) + 1, np.int64)
    cut = np.empty(len(leaves), np.bool_)
    for path in range(len(leaves)):
        turn = leaves[path]
        opening, length = first[turn], 1
        least = depth[opening] - reach
        while parent[turn] >= 0 and length < most and (parent[turn] >= opening or depth[parent[turn]] >= least):
            turn = parent[turn]
            length += 1
        bounds[path + 1] = bounds[path] + length
        cut[path] = parent[turn] >= 0
    entries = np.empty(bounds[-1], np.int64)
    for path in range(len(leaves)):
        turn = leaves[path]
        for at in range(bounds[path + 1] - 1, bounds[path] - 1, -1):
            entries[at] = turn
            turn = parent[turn]
    return entries, bounds, cut


@njit(cache=True, nogil=True)
def place_quotes(bounds: Longs, turns: Longs, quotes: Longs, rows: int) -> Longs:
    """Return the row that each entry of a document quotes, -1 where that is shown or quoted in it elsewhere.

    `turns[i]` is the row of entry i where its text is shown, `quotes[i]` the one it quotes; else -1.
    """
    placed = np.full(len(turns), -1, np.int64)
    seen = np.full(rows, -1, np.int64)
    for document in range(len(bounds) - 1):
        for at in range(bounds[document], bounds[document + 1]):
            if turns[at] >= 0:
                seen[turns[at]] = document
        for at in range(bounds[document], bounds[document + 1]):
            if quotes[at] >= 0 and seen[quotes[at]] != document:
                seen[quotes[at]] = document
                placed[at] = quotes[at]
    return placed


@njit(cache=True, nogil=True)
def heaviest(bounds: Longs, codes: Longs, weights: Longs, count: int) -> Longs:
    """Return of each document the code, of `count`, whose entries weigh most; the first of equals; -1 for none."""
    total = np.zeros(count, np.int64)
    best = np.full(len(bounds) - 1, -1, np.int64)
    for document in range(len(bounds) - 1):
        first, last = bounds[document], bounds[document + 1]
        for at in range(first, last):
            if codes[at] >= 0:
                total[codes[at]] += weights[at]
        for at in range(first, last):
            if codes[at] >= 0 and (best[document] < 0 or total[codes[at]] > total[best[document]]):
                best[document] = codes[at]
        for at in range(first, last):
            if codes[at] >= 0:
                total[codes[at]] = 0
    return best


@njit(cache=True, nogil=True)
def count_distinct(bounds: Longs, codes: Longs, count: int) -> Longs:
    """Return how many distinct codes, of `count`, the entries of each document have; -1 is none."""
    seen = np.full(count, -1, np.int64)
    distinct = np.zeros(len(bounds) - 1, np.int64)
    for document in range(len(bounds) - 1):
        for at in range(bounds[document], bounds[document + 1]):
            if codes[at] >= 0 and seen[codes[at]] != document:
                seen[codes[at]] = document
                distinct[document] += 1
    return distinct
