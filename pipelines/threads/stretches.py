"""Conversations over the cap: where each post stands in the reading order, without any address holding the tree.

    sizes    of the subtree under each post, summed over answers 1, 2, 4, ... steps below it
    offsets  of each post from what it answers: one, and the subtrees of the answers before it
    places   the offsets summed on the way to the root (labels.jump)
    voices   who speaks first, second, ... in the conversation

A stretch is a run of the reading order, of at most the cap: the same cut as `trees.plant` makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.conversations import UNKNOWN
from pipelines.exchange import Run
from pipelines.threads.labels import Kept, jump
from pipelines.threads.links import NONE, Addresses, Columns, Longs, answers, find, load, pick, received

WEIGHED = ("key", "id", "micros", "parent", "root", "cuts", "author", "subtree")
PLACES = ("part", "place", "subtree", "speaker")
NO_STARTS: Columns = {"stretch": np.zeros(0, np.int64), "depth": np.zeros(0, np.int64)}


def stretch(run: Run, at: Addresses, nodes: Kept, most: int) -> tuple[Kept, Columns]:
    """Return the nodes with `part`, `place` in the reading order, `subtree` and `speaker`, 0 in smaller conversations.

    `nodes` come from labels.measure. The second answer says how deep the first turn of each stretch stands.
    """
    large = run(at.count, partial(_large, at, nodes, most), even=True)
    if not sum(count for _, count in large):
        return run(at.count, partial(_unplaced, at, nodes), even=True), NO_STARTS
    sized = _sizes(run, at, [path for path, _ in large])
    sent = run(at.count, partial(_siblings, at, sized), even=True)
    said = run(at.count, partial(_offsets, at, sent), even=True)
    placed = jump(run, at, run(at.count, partial(_offset, at, sized, said), even=True))
    heard = run(at.count, partial(_voices, at, placed), even=True)
    named = run(at.count, partial(_names, at, heard), even=True)
    done = run(at.count, partial(_placed, at, nodes, (placed, named), most), even=True)
    starts = {name: np.concatenate([some[name] for _, some in done]) for name in NO_STARTS}
    return [path for path, _ in done], pick(starts, np.argsort(starts["stretch"]))


def _large(at: Addresses, nodes: Kept, most: int, address: int) -> tuple[str, int]:
    mine = load(nodes[address])
    mine["subtree"] = np.ones(len(mine["key"]), np.int64)
    picked = pick({name: mine[name] for name in WEIGHED}, mine["turn"] & (mine["size"] > most))
    return at.keep({**picked, "ahead": picked["parent"]}), len(picked["key"])


def _unplaced(at: Addresses, nodes: Kept, address: int) -> str:
    mine = load(nodes[address])
    none = np.zeros(len(mine["key"]), np.int64)
    return at.keep({**mine, **dict.fromkeys(PLACES, none)})


def _sizes(run: Run, at: Addresses, large: Kept) -> Kept:
    """Sum `subtree` up. After round k it counts what is less than 2^k steps below, and `ahead` is 2^k steps above."""
    while True:
        sent = run(at.count, partial(_tell_ahead, at, large), even=True)
        said = run(at.count, partial(_hear, at, large, sent), even=True)
        done = run(at.count, partial(_advance, at, large, said), even=True)
        large = [path for path, _ in done]
        if not sum(count for _, count in done):
            return large


def _tell_ahead(at: Addresses, large: Kept, address: int) -> str:
    mine = load(large[address])
    known = mine["ahead"] != NONE
    keys, inverse = np.unique(mine["ahead"][known], return_inverse=True)
    total = np.zeros(len(keys), np.int64)
    np.add.at(total, inverse, mine["subtree"][known])
    return at.send({"key": keys, "subtree": total, "by": np.full(len(keys), address, np.int32)}, at.of(keys))


def _hear(at: Addresses, large: Kept, sent: Sequence[str], address: int) -> tuple[str, str]:
    """Answer where each node points, and keep the sizes with what came in."""
    mine, told = load(large[address]), received(sent, address)
    rows = find(mine["key"], told["key"])
    subtree = mine["subtree"].copy()
    np.add.at(subtree, rows, told["subtree"])
    said = at.send({"key": told["key"], "ahead": mine["ahead"][rows]}, told["by"].astype(np.int64))
    return said, at.keep({"subtree": subtree})


def _advance(at: Addresses, large: Kept, said: Sequence[tuple[str, str]], address: int) -> tuple[str, int]:
    mine, found = load(large[address]), answers([path for path, _ in said], address)
    place = find(found["key"], mine["ahead"])
    ahead = np.full(len(place), NONE, np.int64)
    ahead[place >= 0] = found["ahead"][place[place >= 0]]
    return at.keep({**mine, "ahead": ahead, **load(said[address][1])}), int((ahead != NONE).sum())


def _siblings(at: Addresses, sized: Kept, address: int) -> str:
    mine = load(sized[address])
    rows = {name: mine[name] for name in ("key", "id", "micros", "parent", "subtree")}
    rows = pick(rows, mine["parent"] != NONE)
    by = np.full(len(rows["key"]), address, np.int32)
    return at.send({**rows, "by": by}, at.of(rows["parent"]))


def _sorted(rows: Columns, group: str) -> Columns:
    """Return rows by group, time and id."""
    table = pa.table({name: rows[name] for name in (group, "micros", "id")})
    keys = [(name, "ascending") for name in table.schema.names]
    return pick(rows, np.asarray(pc.sort_indices(table, sort_keys=keys)))


def _offsets(at: Addresses, sent: Sequence[str], address: int) -> str:
    """Tell each answer how far behind what it answers it is read."""
    rows = _sorted(received(sent, address), "parent")
    before = np.cumsum(rows["subtree"]) - rows["subtree"]
    first = np.searchsorted(rows["parent"], rows["parent"])
    offset = 1 + before - before[first]
    return at.send({"key": rows["key"], "weight": offset}, rows["by"].astype(np.int64))


def _offset(at: Addresses, sized: Kept, said: Sequence[str], address: int) -> str:
    mine, found = load(sized[address]), answers(said, address)
    place = find(found["key"], mine["key"])
    weight = np.zeros(len(place), np.int64)
    weight[place >= 0] = found["weight"][place[place >= 0]]
    return at.keep({**{name: mine[name] for name in WEIGHED}, "weight": weight})


def _first_voices(rows: Columns) -> Columns:
    """Return the first row of each author in each conversation."""
    rows = _sorted(rows, "root")
    order = np.lexsort((np.arange(len(rows["root"])), rows["author"], rows["root"]))
    root, author = rows["root"][order], rows["author"][order]
    new = np.r_[True, (root[1:] != root[:-1]) | (author[1:] != author[:-1])][: len(root)]
    return pick(rows, np.sort(order[new]))


def _voices(at: Addresses, placed: Kept, address: int) -> str:
    mine = load(placed[address])
    rows = {name: mine[name] for name in ("root", "author", "micros", "id")}
    rows = _first_voices(pick(rows, mine["author"] != NONE))
    by = np.full(len(rows["root"]), address, np.int32)
    return at.send({**rows, "by": by}, at.of(rows["root"]))


def _names(at: Addresses, heard: Sequence[str], address: int) -> str:
    rows = received(heard, address)
    first = _first_voices(rows)
    number = np.arange(len(first["root"])) - np.searchsorted(first["root"], first["root"])
    keys = pair_keys(first["root"], first["author"])
    by_key = np.argsort(keys)
    asked = pair_keys(rows["root"], rows["author"])
    speaker = number[by_key][find(keys[by_key], asked)] if len(asked) else asked
    return at.send({"key": asked, "speaker": speaker}, rows["by"].astype(np.int64))


def pair_keys(root: Longs, other: Longs) -> Longs:
    """Return one key for an author, or a stretch, of a conversation."""
    mixed = root.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ other.view(np.uint64)
    return (mixed * np.uint64(0xC2B2AE3D27D4EB4F)).view(np.int64)


def _placed(at: Addresses, nodes: Kept, told: tuple[Kept, Kept], most: int, address: int) -> tuple[str, Columns]:
    mine, large, names = load(nodes[address]), load(told[0][address]), answers(told[1], address)
    speaker = np.full(len(large["key"]), UNKNOWN, np.int64)
    known = large["author"] != NONE
    voice = find(names["key"], pair_keys(large["root"], large["author"]))
    speaker[known] = names["speaker"][voice[known]]
    row = find(mine["key"], large["key"])
    columns = {name: np.zeros(len(mine["key"]), np.int64) for name in PLACES}
    columns["subtree"][row] = large["subtree"]
    columns["part"][row], columns["place"][row], columns["speaker"][row] = (
        large["weight"] // most,
        large["weight"],
        speaker,
    )
    first = row[large["weight"] % most == 0]
    stretches = pair_keys(mine["root"][first], columns["part"][first])
    return at.keep({**mine, **columns}), {"stretch": stretches, "depth": mine["weight"][first]}
