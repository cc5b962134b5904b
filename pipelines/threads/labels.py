"""Which conversation each post belongs to, found by pointer jumping: no address ever holds a whole tree.

resolve   whether what a post answers is here; a reply to a repost answers what stands above the repost
jump      every node points at what it answers, then at what that points at, ... : a chain of 1,000 takes ten rounds
cycles    when a round brings nobody nearer to a root, all that are left lead into cycles, which are then cut
measure   how large each conversation is, from when until when, and whether a post of it was rejected
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.conversations import cut_cycles
from pipelines.exchange import Run
from pipelines.threads.links import (
    NONE,
    Addresses,
    Columns,
    Longs,
    answers,
    exchange,
    find,
    load,
    pick,
    received,
)
from pipelines.threads.trees import REPOST_HOPS

Kept = list[str]  # a file of each address


def label(run: Run, at: Addresses, nodes: Kept) -> Kept:
    """Return the nodes with `parent` (NONE above a root), `turn`, `middle`, `root` and `severed`."""
    return jump(run, at, resolve(run, at, nodes))


def resolve(run: Run, at: Addresses, nodes: Kept) -> Kept:
    """Find out what each node answers: `parent`, `turn` (it is no repost of a post that is here), `middle`."""
    said = exchange(run, at, nodes, _named, _is_here)
    nodes, reposts = _kept(run(at.count, partial(_found, at, nodes, said), even=True))
    for _ in range(REPOST_HOPS if reposts else 0):
        said = exchange(run, at, nodes, _parents, _past)
        nodes, passing = _kept(run(at.count, partial(_pass, at, nodes, said), even=True))
        if not passing:
            break
    else:
        if reposts:
            said = exchange(run, at, nodes, _parents, _past)
            nodes, _ = _kept(run(at.count, partial(_stop, at, nodes, said), even=True))
    return nodes


def _kept(done: Sequence[tuple[str, int]]) -> tuple[Kept, int]:
    return [path for path, _ in done], sum(count for _, count in done)


def _named(nodes: Columns) -> Longs:
    return np.concatenate([nodes["above"], nodes["repost"]])


def _is_here(nodes: Columns, rows: Longs) -> Columns:
    return {}


def _found(at: Addresses, nodes: Kept, said: Sequence[str], address: int) -> tuple[str, int]:
    mine = load(nodes[address])
    here = answers(said, address)["key"]
    above = np.where(find(here, mine["above"]) >= 0, mine["above"], NONE)
    turn = find(here, mine["repost"]) < 0
    parent = np.where(~turn & (above == NONE), mine["repost"], above)
    middle = (mine["above"] != NONE) & (above == NONE)
    return at.keep({**mine, "parent": parent, "turn": turn, "middle": middle}), int((~turn).sum())


def _parents(nodes: Columns) -> Longs:
    return np.where(nodes["turn"], nodes["parent"], NONE)


def _past(nodes: Columns, rows: Longs) -> Columns:
    return {"turn": nodes["turn"][rows], "parent": nodes["parent"][rows]}


def _pass(at: Addresses, nodes: Kept, said: Sequence[str], address: int) -> tuple[str, int]:
    """Let turns that answer a repost answer what stands above it."""
    mine, found = load(nodes[address]), answers(said, address)
    place = find(found["key"], _parents(mine))
    passing = place >= 0
    passing[passing] = ~found["turn"][place[passing]]
    parent = mine["parent"].copy()
    parent[passing] = found["parent"][place[passing]]
    parent[parent == mine["key"]] = NONE
    middle = mine["middle"] | (passing & (parent == NONE))
    return at.keep({**mine, "parent": parent, "middle": middle}), int(passing.sum())


def _stop(at: Addresses, nodes: Kept, said: Sequence[str], address: int) -> tuple[str, int]:
    """Let turns that still answer a repost begin a conversation in the middle."""
    mine, found = load(nodes[address]), answers(said, address)
    place = find(found["key"], _parents(mine))
    passing = place >= 0
    passing[passing] = ~found["turn"][place[passing]]
    parent = np.where(passing, NONE, mine["parent"])
    return at.keep({**mine, "parent": parent, "middle": mine["middle"] | passing}), 0


def jump(run: Run, at: Addresses, nodes: Kept) -> Kept:
    """Let each node point at its root: `root`, `weight` summed and `cuts` joined (`severed`) on the way to it.

    Without a weight every step counts one: it sums up to the depth.
    """
    state, left = _kept(run(at.count, partial(_begin, at, nodes), even=True))
    while left:
        said = exchange(run, at, state, _pointers, _pointed)
        state, now = _kept(run(at.count, partial(_leap, at, state, said), even=True))
        if now == left:
            nodes = _cut(run, at, nodes, state)
            state, now = _kept(run(at.count, partial(_begin, at, nodes), even=True))
        left = now
    return run(at.count, partial(_labelled, at, nodes, state), even=True)


def _begin(at: Addresses, nodes: Kept, address: int) -> tuple[str, int]:
    mine = load(nodes[address])
    top = mine["parent"] == NONE
    weight = mine.get("weight", (~top).astype(np.int64))
    root = np.where(top, mine["key"], mine["parent"])
    state = {"key": mine["key"], "root": root, "done": top, "weight": weight, "severed": mine["cuts"]}
    return at.keep(state), int((~top).sum())


def _pointers(state: Columns) -> Longs:
    return state["root"][~state["done"]]


def _pointed(state: Columns, rows: Longs) -> Columns:
    return {name: state[name][rows] for name in ("root", "done", "weight", "severed")}


def _leap(at: Addresses, state: Kept, said: Sequence[str], address: int) -> tuple[str, int]:
    mine, found = load(state[address]), answers(said, address)
    moving = np.flatnonzero(~mine["done"])
    there = find(found["key"], mine["root"][moving])
    columns = {name: mine[name].copy() for name in ("root", "done", "weight", "severed")}
    for name in ("root", "done"):
        columns[name][moving] = found[name][there]
    columns["weight"][moving] += found["weight"][there]
    columns["severed"][moving] |= found["severed"][there]
    return at.keep({**mine, **columns}), int((~columns["done"]).sum())


def _cut(run: Run, at: Addresses, nodes: Kept, state: Kept) -> Kept:
    """Cut every cycle above its earliest post. One task sees the links, not the posts, of all that lead into cycles."""
    sent = run(at.count, partial(_adrift, at, nodes, state), even=True)
    (cut,) = run(1, partial(_cut_all, sent))
    return run(at.count, partial(_without, at, nodes, cut), even=True)


def _adrift(at: Addresses, nodes: Kept, state: Kept, address: int) -> str:
    mine = pick(load(nodes[address]), ~load(state[address])["done"])
    rows = {name: mine[name] for name in ("key", "parent", "micros", "id")}
    return at.send(rows, np.zeros(len(rows["key"]), np.int64))


def _cut_all(sent: Sequence[str], task: int) -> Longs:
    """Return the keys of the posts that lose what they answer."""
    rows = received(sent, task)
    table = pa.table({"micros": rows["micros"], "id": rows["id"]})
    rows = pick(rows, np.asarray(pc.sort_indices(table, sort_keys=[("micros", "ascending"), ("id", "ascending")])))
    by_key = np.argsort(rows["key"])
    place = find(rows["key"][by_key], rows["parent"])
    parent = np.where(place >= 0, by_key[place], -1)
    before = parent.copy()
    cut_cycles(parent)
    return np.asarray(rows["key"][parent != before])


def _without(at: Addresses, nodes: Kept, cut: Longs, address: int) -> str:
    mine = load(nodes[address])
    return at.keep({**mine, "parent": np.where(np.isin(mine["key"], cut), NONE, mine["parent"])})


def _labelled(at: Addresses, nodes: Kept, state: Kept, address: int) -> str:
    mine, found = load(nodes[address]), load(state[address])
    return at.keep({**mine, **{name: found[name] for name in ("root", "weight", "severed")}})


def measure(run: Run, at: Addresses, nodes: Kept) -> Kept:
    """Tell each turn of its conversation: `size`, `first` and `last` (microseconds), `rejected` (some turn is)."""
    sent = run(at.count, partial(_shares, at, nodes), even=True)
    said = run(at.count, partial(_totals, at, sent), even=True)
    return run(at.count, partial(_measured, at, nodes, said), even=True)


MEASURES = {"size": np.add, "first": np.minimum, "last": np.maximum, "rejected": np.logical_or}


def _grouped(rows: Columns) -> Columns:
    """Return one row for each root, with the measures of all its rows."""
    order = np.argsort(rows["root"], kind="stable")
    root = rows["root"][order]
    starts = np.flatnonzero(np.r_[True, root[1:] != root[:-1]]) if len(root) else np.zeros(0, np.int64)
    joined = {
        name: by.reduceat(rows[name][order], starts) if len(root) else rows[name] for name, by in MEASURES.items()
    }
    return {"root": root[starts], **joined}


def _shares(at: Addresses, nodes: Kept, address: int) -> str:
    mine = load(nodes[address])
    turn = mine["turn"]
    limits = np.iinfo(np.int64)
    grouped = _grouped(
        {  # a repost counts nothing, and asks all the same
            "root": mine["root"],
            "size": turn.astype(np.int64),
            "first": np.where(turn, mine["micros"], limits.max),
            "last": np.where(turn, mine["micros"], limits.min),
            "rejected": turn & ~mine["keep"] & ~mine["deleted"],
        }
    )
    by = np.full(len(grouped["root"]), address, np.int32)
    return at.send({**grouped, "by": by}, at.of(grouped["root"]))


def _totals(at: Addresses, sent: Sequence[str], address: int) -> str:
    shares = received(sent, address)
    totals = _grouped(shares)
    place = find(totals["root"], shares["root"])
    said = {"key": shares["root"], **{name: totals[name][place] for name in MEASURES}}
    return at.send(said, shares["by"].astype(np.int64))


def _measured(at: Addresses, nodes: Kept, said: Sequence[str], address: int) -> str:
    mine, found = load(nodes[address]), answers(said, address)
    place = find(found["key"], mine["root"])
    return at.keep({**mine, **{name: found[name][place] for name in MEASURES}})
