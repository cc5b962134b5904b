"""Conversations out of the posts table: their posts are brought together, box by box, and written down.

    posts files -> nodes -> labels (root, size, time) -> places in conversations over the cap
    posts files -> boxes: whole conversations, or stretches of large ones, and the posts they quote -> documents

A box holds some hundred thousand turns; the texts go from their file to their box once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.kernels.conversations import Flags, Longs
from pipelines.duplicates.records import hash_ids
from pipelines.exchange import Run, in_groups, in_this_process, map_rows, new_file, read_box, write_boxes, write_rows
from pipelines.threads.labels import Kept, label, measure
from pipelines.threads.links import (
    FILE_BYTES,
    NONE,
    ROW_BITS,
    Addresses,
    Columns,
    choose_nodes,
    find,
    load,
    pick,
    read_nodes,
    received,
)
from pipelines.threads.policy import OnRejected, Policy
from pipelines.threads.stretches import pair_keys, stretch
from pipelines.threads.templates import MAX_POSTS, Template, write_forest
from pipelines.threads.trees import REACH, Forest, Links, join_forests, plant
from pipelines.threads.turns import READS, turns_of
from schemas.tokens import DOCUMENT

QUIET_HOURS = 48.0
NODES_PER_ADDRESS = 1_000_000  # 150 bytes each, of which a task holds some copies
TURNS_PER_BOX = 100_000

WANTED = {
    "row": np.int64,
    "box": np.int32,
    "root": np.int64,
    "parent": np.int64,
    "part": np.int64,
    "place": np.int64,
    "speaker": np.int64,
    "turn": np.bool_,
    "lead": np.bool_,
    "large": np.bool_,
    "middle": np.bool_,
    "severed": np.bool_,
    "context": np.bool_,
}
"""What a posts file is told of each post that it has to bring."""
TOLD = tuple(name for name in WANTED if name not in ("row", "box", "context"))  # and its box besides


@dataclass(frozen=True)
class ThreadsOrder:
    """What is asked for. A conversation is closed `quiet_hours` after its last turn; all are where `as_of` is None.

    With `since` and `until` only documents whose newest post is of that time are written (until is not included).
    """

    template: Template = Template.TREE
    policy: Policy = field(default_factory=Policy)
    max_posts: int = MAX_POSTS
    quiet_hours: float = QUIET_HOURS
    as_of: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    addresses: int | None = None  # that share the links; by their number where None


@dataclass(frozen=True)
class Threads:
    """What was written: Arrow files of DOCUMENT, each sorted by time and id; `turns` are of closed conversations."""

    files: tuple[str, ...]
    turns: int
    documents: int
    open_turns: int


def build_conversations(run: Run, files: Sequence[str], order: ThreadsOrder, folder: str) -> Threads:
    """Write the documents of the closed conversations in posts files into `folder`, where tasks leave files as well."""
    posts = sum(pq.read_metadata(file).num_rows for file in files)
    if not posts:
        return Threads((), 0, 0, 0)
    at = Addresses(folder, order.addresses or -(-posts // NODES_PER_ADDRESS), order.policy)
    plan = _Plan(at, tuple(files), order, -(-posts // TURNS_PER_BOX))
    lay_out = partial(_lay_out, plan, read_nodes(run, at, files))
    layout = lay_out(run) if at.count > 1 else run(1, lambda _: lay_out(in_this_process))[0]
    sizes = [Path(file).stat().st_size for file in files]
    brought = [path for path in in_groups(run, sizes, FILE_BYTES, partial(_bring, plan, layout.wanted)) if path]
    written = run(plan.boxes if brought else 0, partial(_write, plan, brought))
    files_written = tuple(path for some, _ in written for path in some)
    return Threads(files_written, layout.turns, sum(count for _, count in written), layout.open_turns)


@dataclass(frozen=True)
class _Layout:
    """What posts files are told, and how many turns are in closed conversations and in open ones."""

    wanted: tuple[str, ...]
    turns: int
    open_turns: int


def _lay_out(plan: _Plan, sent: Sequence[str], run: Run) -> _Layout:
    """Find the conversations, and where in which box each post goes. Where there is one address, one task does it."""
    at = plan.at
    nodes = measure(run, at, label(run, at, choose_nodes(run, at, sent)))
    nodes, starts = stretch(run, at, nodes, plan.order.max_posts)
    routed = run(at.count, partial(_route, plan, nodes, starts), even=True)
    quoted = run(at.count, partial(_route_quoted, plan, nodes, [one.quotes for one in routed]), even=True)
    wanted = (*(one.turns for one in routed), *quoted)
    return _Layout(wanted, sum(one.count for one in routed), sum(one.open for one in routed))


@dataclass(frozen=True)
class _Plan:
    at: Addresses
    files: tuple[str, ...]
    order: ThreadsOrder
    boxes: int


@dataclass(frozen=True)
class _Routed:
    turns: str
    quotes: str
    count: int
    open: int


def _route(plan: _Plan, nodes: Kept, starts: Columns, address: int) -> _Routed:
    """Tell the posts files which posts to bring into which box, and ask for what those quote."""
    mine = load(nodes[address])
    closed = _closed(mine, plan.order)
    wanted = closed & (mine["size"] > 0) & _of_interest(mine, plan.order)
    if plan.order.policy.rejected is OnRejected.DROP_THREAD:
        wanted &= ~mine["rejected"]
    mine = pick(mine, wanted)
    box = _box_of(mine["root"], mine["part"], plan.boxes)
    large = mine["size"] > plan.order.max_posts
    rows = {name: mine.get(name, np.zeros(len(box), kind)) for name, kind in WANTED.items()}
    rows |= {"box": box, "large": large, "row": mine["ref"] & ((1 << ROW_BITS) - 1)}
    brought = np.flatnonzero(mine["turn"] | ~large)  # in a large one the tree is known, reposts tell nothing
    led, part = _leads(mine, large & mine["turn"], starts, plan.order.max_posts)
    more = {**pick(rows, led), "part": part, "box": _box_of(mine["root"][led], part, plan.boxes)}
    more["lead"] = np.ones(len(led), np.bool_)
    rows = {name: np.concatenate([rows[name][brought], more[name]]) for name in WANTED}
    turns = _send(plan, rows, (mine["ref"] >> ROW_BITS)[np.r_[brought, led]])
    pairs = np.unique(
        np.stack([mine["quote"], box.astype(np.int64)], axis=1)[mine["turn"] & (mine["quote"] != NONE)], axis=0
    )
    quotes = plan.at.send({"key": pairs[:, 0], "box": pairs[:, 1]}, plan.at.of(np.ascontiguousarray(pairs[:, 0])))
    count = int(mine["turn"].sum())
    still_open = int((load(nodes[address])["turn"] & ~closed).sum())
    return _Routed(turns, quotes, count, still_open)


def _leads(mine: Columns, large: Flags, starts: Columns, most: int) -> tuple[Longs, Longs]:
    """Return which nodes stand above the first turn of which later stretches, not too far.

    A post stands above all that is read between it and the end of its subtree.
    """
    own = mine["place"] // most
    count = np.where(large, (mine["place"] + mine["subtree"] - 1) // most - own, 0)
    led = np.repeat(np.arange(len(count)), count)
    part = own[led] + 1 + np.arange(len(led)) - np.repeat(np.cumsum(count) - count, count)
    start = find(starts["stretch"], pair_keys(mine["root"][led], part))
    near = starts["depth"][start] - mine["weight"][led] <= REACH if len(led) else np.zeros(0, np.bool_)
    return led[near], part[near]


def _closed(mine: Columns, order: ThreadsOrder) -> Flags:
    if order.as_of is None:
        return np.ones(len(mine["key"]), np.bool_)
    return np.asarray(mine["last"] <= _micros(order.as_of - timedelta(hours=order.quiet_hours)))


def _of_interest(mine: Columns, order: ThreadsOrder) -> Flags:
    """Tell which conversations can have documents of the time asked for."""
    wanted = np.ones(len(mine["key"]), np.bool_)
    if order.since is not None:
        wanted &= mine["last"] >= _micros(order.since)
    if order.until is not None:
        wanted &= mine["first"] < _micros(order.until)
    return wanted


def _micros(moment: datetime) -> int:
    return int(pa.scalar(moment, pa.timestamp("us", tz="UTC")).value)


def _box_of(root: Longs, part: Longs, boxes: int) -> Longs:
    mixed = (root.view(np.uint64) + part.view(np.uint64)) * np.uint64(0xC2B2AE3D27D4EB4F)
    return ((mixed >> np.uint64(33)) % np.uint64(boxes)).astype(np.int32)


def _send(plan: _Plan, rows: Columns, file: Longs) -> str:
    path = new_file(plan.at.folder, "wanted")
    batch = pa.RecordBatch.from_pydict({name: pa.array(rows[name]) for name in WANTED})
    write_boxes(path, batch, file, len(plan.files))
    return str(path)


def _route_quoted(plan: _Plan, nodes: Kept, quotes: Sequence[str], address: int) -> str:
    """Tell the posts files which posts to bring along because a conversation quotes them."""
    mine, asked = load(nodes[address]), received(quotes, address)
    place = find(mine["key"], asked["key"])
    here = place >= 0
    here[here] = mine["keep"][place[here]]
    place, box = place[here], asked["box"][here]
    rows = {name: np.zeros(len(place), kind) for name, kind in WANTED.items()}
    ref = mine["ref"][place]
    rows |= {"row": ref & ((1 << ROW_BITS) - 1), "box": box.astype(np.int32), "context": np.ones(len(place), np.bool_)}
    return _send(plan, rows, ref >> ROW_BITS)


def _bring(plan: _Plan, wanted: Sequence[str], number: int) -> str | None:
    """Bring posts of a file into their boxes."""
    told = read_box(wanted, number)
    if not told.num_rows:
        return None
    with pq.ParquetFile(plan.files[number]) as parquet:
        turns = turns_of(parquet.read(columns=list(READS)))
    turns = turns.take(told.column("row"))
    box = told.column("box").combine_chunks().to_numpy().astype(np.int64)
    for name in TOLD:
        turns = turns.append_column(name, told.column(name))
    turns = turns.set_column(turns.schema.get_field_index("context"), "context", told.column("context"))
    path = new_file(plan.at.folder, "turns")
    rows = turns.combine_chunks().to_batches()[0]
    write_boxes(path, rows, box, plan.boxes)
    return str(path)


def _write(plan: _Plan, brought: Sequence[str], box: int) -> tuple[tuple[str, ...], int]:
    """Write the documents of a box."""
    turns = read_box(brought, box)
    paths, count = [], 0
    for batch in write_box(turns, plan.order):
        if batch.num_rows:
            path = new_file(plan.at.folder, "documents")
            write_rows(path, batch)
            paths.append(str(path))
            count += batch.num_rows
    return tuple(paths), count


def write_box(turns: pa.Table, order: ThreadsOrder) -> Iterator[pa.RecordBatch]:
    """Write the conversations, and stretches of large ones, that a box holds."""
    if not turns.num_rows:
        return
    links = Links.of(turns)
    large = turns.column("large").combine_chunks().to_numpy(zero_copy_only=False)
    small = turns.set_column(
        turns.schema.get_field_index("context"), "context", pc.or_(turns["context"], turns["large"])
    )
    repost = ~turns.column("turn").combine_chunks().to_numpy(zero_copy_only=False)  # of what may be in another box
    forest = join_forests(plant(small, links, order.max_posts, repost), _stretches(turns, np.flatnonzero(large)))
    for batch in write_forest(turns, links, forest, order.template, order.policy):
        yield _in_time(batch, order)


def _stretches(turns: pa.Table, rows: Longs) -> Forest:
    """Return the forest of the large conversations' turns, as they were told to the posts files."""
    told = turns.take(pa.array(rows))
    known = {name: told.column(name).combine_chunks().to_numpy(zero_copy_only=False) for name in TOLD}
    order = np.lexsort((known["place"], ~known["lead"], known["part"], known["root"]))
    known = {name: column[order] for name, column in known.items()}
    key = pair_keys(hash_ids(told.column("id"))[order], known["part"])
    by_key = np.argsort(key)
    place = find(key[by_key], pair_keys(known["parent"], known["part"]))
    parent = np.where(place >= 0, by_key[place], -1) if len(key) else place
    stands = np.stack([known["root"], known["part"], known["lead"]])
    new = np.r_[True, (stands[:, 1:] != stands[:, :-1]).any(axis=0)][: len(rows)]
    bounds = np.r_[np.flatnonzero(new), len(rows)]
    return Forest(
        rows=rows[order],
        parent=parent,
        bounds=bounds,
        root=known["root"],
        middle=known["middle"] | ((known["parent"] != NONE) & (parent < 0)),
        speaker=known["speaker"],
        severed=known["severed"],
        far=np.zeros(len(rows), np.bool_),
        lead=known["lead"],
    )


def _in_time(batch: pa.RecordBatch, order: ThreadsOrder) -> pa.RecordBatch:
    """Leave out documents of another time than was asked for."""
    made = batch.column("created_at")
    wanted = pa.repeat(pa.scalar(True), batch.num_rows)
    if order.since is not None:
        wanted = pc.and_(wanted, pc.greater_equal(made, pa.scalar(order.since, made.type)))
    if order.until is not None:
        wanted = pc.and_(wanted, pc.less(made, pa.scalar(order.until, made.type)))
    return batch.filter(pc.fill_null(wanted, False))


def read_documents(threads: Threads) -> pa.Table:
    """Return the documents that were written, sorted by time and id."""
    found = [map_rows(path) for path in threads.files]
    table = pa.concat_tables([DOCUMENT.empty_table(), *found])
    return table.sort_by([("created_at", "ascending"), ("document_id", "ascending")])
