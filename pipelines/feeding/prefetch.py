"""Make batches ahead of the trainer: row groups are decoded by two threads, batches are put together by a third."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.feeding.groups import Group, Groups
from pipelines.feeding.order import Order

Batch = dict[str, Any]
Longs = npt.NDArray[np.int64]
Item = TypeVar("Item")

DECODERS = 2
AHEAD = 32  # row groups that are read before their turn
PLANNED = 4096  # sequences that are located at once


class Share(NamedTuple):
    """What a rank takes of an epoch: every `world`-th position from `start + rank` on, so many at a time."""

    start: int
    rank: int
    world: int
    batch: int


class Places(NamedTuple):
    """Where the sequences of a batch are, those after the end of the epoch left out; each shape (sequences,)."""

    position: Longs
    group: Longs
    row: Longs
    lane: Longs


def batches(groups: Groups, order: Order, share: Share) -> Iterator[Batch]:
    """Yield the rest of an epoch. The last batch is filled up with rows that hold nothing, on every rank alike."""
    with ThreadPoolExecutor(DECODERS, thread_name_prefix="swarmfeed-decode") as pool:
        reader = _Reader(groups, pool)
        try:
            for places in reader.ahead(_plan(order, share)):
                yield _batch(groups, places, reader.take(places), share.batch)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _plan(order: Order, share: Share) -> Iterator[Places]:
    """Yield where the sequences of each batch are."""
    step = share.batch * share.world
    steps = -(-(order.total - share.start) // step)
    at_once = max(1, PLANNED // share.batch)
    for first in range(0, steps, at_once):
        count = min(at_once, steps - first) * share.batch
        position = share.start + first * step + share.rank + share.world * np.arange(count)
        position = position[position < order.total]
        found = Places(position, *order.locate(position))
        for start in range(0, count, share.batch):
            yield Places(*(column[start : start + share.batch] for column in found))


class _Reader:
    """Holds the row group that each lane is at, and the next ones."""

    def __init__(self, groups: Groups, pool: ThreadPoolExecutor) -> None:
        self._groups = groups
        self._pool = pool
        self._held: dict[int, Future[Group]] = {}
        self._at: dict[int, int] = {}  # by lane: the row group it takes from
        self._waiting: set[int] = set()  # row groups that were asked for and not used yet

    def ahead(self, plan: Iterator[Places]) -> Iterator[Places]:
        """Yield what is planned, and ask for the row groups of what comes later."""
        planned: deque[Places] = deque()
        more = True
        while more or planned:
            while more and (len(self._waiting) < AHEAD or not planned):
                places = next(plan, None)
                more = places is not None
                if places is not None:
                    planned.append(places)
                    self._ask(places.group)
            if planned:
                yield planned.popleft()

    def _ask(self, groups: Longs) -> None:
        for group in dict.fromkeys(groups.tolist()):
            if group not in self._held:
                self._held[group] = self._pool.submit(self._groups.read, group)
                self._waiting.add(group)

    def take(self, places: Places) -> dict[int, Group]:
        """Return the row groups of a batch, by number, and let go of those that no later batch needs."""
        found = {}
        for lane, group in dict.fromkeys(zip(places.lane.tolist(), places.group.tolist(), strict=True)):
            found[group] = self._held[group].result()
            self._waiting.discard(group)
            before = self._at.get(lane, group)
            self._at[lane] = group
            if before != group:
                del self._held[before]
        return found


def _batch(groups: Groups, places: Places, held: dict[int, Group], size: int) -> Batch:
    """Put a batch together; see `TokenFeed` for what is in it."""
    context = groups.version.context_tokens
    tokens = np.empty((size, context), np.int32)
    tokens[len(places.position) :] = 0
    filled = np.zeros(size, np.int32)
    position, sequence = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
    position[: len(places.position)] = places.position
    sequence[: len(places.position)] = groups.first_rows[places.group] + places.row
    boundaries = [np.zeros(1, np.int32) for _ in range(size)]
    for at, (number, row) in enumerate(zip(places.group.tolist(), places.row.tolist(), strict=True)):
        group = held[number]
        tokens[at] = group.tokens[row]
        boundaries[at] = group.boundaries(row).copy()
        filled[at] = boundaries[at][-1]
    return {
        "tokens": tokens,
        "position_ids": position_ids(boundaries, context),
        "cu_seqlens": boundaries,
        "filled": filled,
        "position": position,
        "sequence": sequence,
    }


def position_ids(boundaries: list[npt.NDArray[np.int32]], context_tokens: int) -> npt.NDArray[np.int32]:
    """Return the place of each token in its document; padding counts from 0 too. Shape (rows, context).

    >>> position_ids([np.array([0, 2, 3], np.int32), np.array([0], np.int32)], 4).tolist()
    [[0, 1, 0, 0], [0, 1, 2, 3]]
    """
    starts = np.concatenate(boundaries)
    last = np.cumsum(np.fromiter(map(len, boundaries), np.int64, len(boundaries))) - 1
    lengths = np.diff(starts, append=np.int32(0))
    lengths[last] = context_tokens - starts[last]  # the padding: 0 in a full row
    places = np.repeat(starts, lengths).reshape(len(boundaries), context_tokens)
    return np.subtract(np.arange(context_tokens, dtype=np.int32), places, out=places)


class _Background(Generic[Item]):
    """Runs an iterator in a thread of its own and hands its items over some at a time: handing over is what costs."""

    def __init__(self, make: Callable[[], Iterator[Item]], at_once: int) -> None:
        self._make = make
        self._at_once = max(1, at_once)
        self._box: queue.Queue[tuple[list[Item], BaseException | None]] = queue.Queue(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="swarmfeed-prefetch", daemon=True)
        self._thread.start()

    def items(self) -> Iterator[Item]:
        """Yield what comes out, and raise what was raised; the thread ends with this."""
        try:
            while True:
                some, error = self._box.get()
                yield from some
                if error is not None:
                    raise error
                if not some:
                    return
        finally:
            self._stop.set()
            self._thread.join()

    def _work(self) -> None:
        made = self._make()
        some: list[Item] = []
        full = 1  # then 2, 4, ...: whoever begins does not wait for many
        try:
            for item in made:
                some.append(item)
                if len(some) >= full:
                    self._put(some)
                    some, full = [], min(2 * full, self._at_once)
                if self._stop.is_set():
                    return
            self._put(some)
            if some:
                self._put([])
        except BaseException as error:
            self._put(some, error)
        finally:
            getattr(made, "close", lambda: None)()

    def _put(self, some: list[Item], error: BaseException | None = None) -> None:
        while not self._stop.is_set():
            try:
                return self._box.put((some, error), timeout=0.1)
            except queue.Full:
                continue


def in_background(make: Callable[[], Iterator[Item]], at_once: int) -> Iterator[Item]:
    """Yield what an iterator gives that runs in a thread of its own; raise what it raises, behind what it gave.

    At most three times `at_once` items are in memory.
    """
    return _Background(make, at_once).items()
