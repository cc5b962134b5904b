"""Who owned a key first: one pass over the rows of many keys, each key's rows in the order of their posts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Longs = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

BY_ID, BY_ROOT, BY_TEXT = 0, 1, 2
"""What a key stands for: the post's id, the id of its original, a band or fingerprint of its text."""

SUPERSEDED = 3
SEEN = 4
"""Beside the above, what a link may say: an older version of the id it points at; an id that an earlier epoch had."""


@dataclass(frozen=True)
class KeyRows:
    """Rows that each say: a post has a key. Rows of one key stand together, in the order of their posts.

    Row i has the key of group g when bounds[g] <= i < bounds[g + 1]. `kinds[i]` is what the key stands for, or that
    less 3 for a post that owns but does not ask; `days` counts from 1970; `versions` count for BY_ID alone.
    """

    bounds: Longs
    days: Longs
    versions: Longs
    kinds: Kinds


def link_rows(rows: KeyRows, reach: int) -> tuple[Longs, Flags]:
    """Return (row, row of the owner, what) for each asking row and each earlier owner of its key, and who owns.

    Shapes (links, 3) and (rows,). The owner of a key on a day is the first row that had it that day; days at most
    `reach` apart are in reach. Of an id it is the newest version of the day, the first row of that, and an asking row
    is linked to the newest version in reach alone, when it is not that itself, even to a later row.
    """
    owns = np.zeros(len(rows.days), np.bool_)
    count = _link(rows.bounds, rows.days, rows.versions, rows.kinds, reach, np.empty((0, 3), np.int64), owns)
    links = np.empty((count, 3), np.int64)
    _link(rows.bounds, rows.days, rows.versions, rows.kinds, reach, links, owns)
    return links, owns


def sort_groups(bounds: Longs, epochs: Longs, times: Longs) -> tuple[Longs, bool]:
    """Return the order of rows in which each group is sorted by epoch, then time, and whether any two rows tie.

    Group g is the rows bounds[g] to bounds[g + 1]; rows keep their groups. Shape (rows,).
    """
    order = np.arange(bounds[-1])
    return order, bool(_sort_groups(bounds, epochs, times, order))


@njit(cache=True, nogil=True)
def _sort_groups(bounds: Longs, epochs: Longs, times: Longs, order: Longs) -> bool:
    tied = False
    for group in range(len(bounds) - 1):
        first, last = bounds[group], bounds[group + 1]
        if last - first > 32:  # campaigns: insertion would take the square of their size
            by_time = np.argsort(times[first:last], kind="mergesort")
            order[first:last] = first + by_time[np.argsort(epochs[first:last][by_time], kind="mergesort")]
        for place in range(first + 1, last):
            row = order[place]
            at = place
            while at > first and (
                epochs[order[at - 1]] > epochs[row]
                or (epochs[order[at - 1]] == epochs[row] and times[order[at - 1]] > times[row])
            ):
                order[at] = order[at - 1]
                at -= 1
            order[at] = row
        for place in range(first + 1, last):
            before, row = order[place - 1], order[place]
            tied = tied or (epochs[before] == epochs[row] and times[before] == times[row])
    return tied


@njit(cache=True, nogil=True)
def _link(
    bounds: Longs, days: Longs, versions: Longs, kinds: Kinds, reach: int, links: Longs, owns: Flags
) -> int:  # fmt: skip
    """Count the links of every key; write them where `links` has room."""
    count = 0
    widest = 0
    for group in range(len(bounds) - 1):
        widest = max(widest, bounds[group + 1] - bounds[group])
    held_days = np.empty(widest, np.int64)
    held_rows = np.empty(widest, np.int64)
    for group in range(len(bounds) - 1):
        first, last = bounds[group], bounds[group + 1]
        if kinds[first] % 3 == BY_ID:
            count = _link_versions(
                first, last, days, versions, kinds, reach, links, count, held_days, held_rows, owns
            )  # fmt: skip
        else:
            count = _link_days(first, last, days, kinds, reach, links, count, held_days, held_rows, owns)
    return count


@njit(cache=True, nogil=True, inline="always")
def _place(held_days: Longs, held: int, day: int) -> int:
    """Return how many of the held days, in order, are not after `day`."""
    place = held
    while place > 0 and held_days[place - 1] > day:
        place -= 1
    return place


@njit(cache=True, nogil=True, inline="always")
def _hold(held_days: Longs, held_rows: Longs, held: int, place: int, day: int, row: int) -> None:
    for later in range(held, place, -1):
        held_days[later] = held_days[later - 1]
        held_rows[later] = held_rows[later - 1]
    held_days[place] = day
    held_rows[place] = row


@njit(cache=True, nogil=True, inline="always")
def _write(links: Longs, count: int, row: int, owner: int, what: int) -> int:
    if count < len(links):
        links[count, 0] = row
        links[count, 1] = owner
        links[count, 2] = what
    return count + 1


@njit(cache=True, nogil=True)
def _link_versions(
    first: int, last: int, days: Longs, versions: Longs, kinds: Kinds, reach: int, links: Longs, count: int,
    held_days: Longs, held_rows: Longs, owns: Flags,
) -> int:  # fmt: skip
    """Find the newest version of each day, then the newest in reach of each row."""
    held = 0
    for row in range(first, last):
        place = _place(held_days, held, days[row])
        if place > 0 and held_days[place - 1] == days[row]:
            if versions[row] > versions[held_rows[place - 1]]:
                held_rows[place - 1] = row
        else:
            _hold(held_days, held_rows, held, place, days[row], row)
            held += 1
    for near in range(held):
        owns[held_rows[near]] = True
    for row in range(first, last):
        if kinds[row] < 0:
            continue
        best = row
        for near in range(_place(held_days, held, days[row] + reach) - 1, -1, -1):
            if held_days[near] < days[row] - reach:
                break
            other = held_rows[near]
            if versions[other] > versions[best] or (versions[other] == versions[best] and other < best):
                best = other
        if best != row:
            count = _write(links, count, row, best, SUPERSEDED if versions[row] < versions[best] else BY_ID)
    return count


@njit(cache=True, nogil=True)
def _link_days(
    first: int, last: int, days: Longs, kinds: Kinds, reach: int, links: Longs, count: int,
    held_days: Longs, held_rows: Longs, owns: Flags,
) -> int:  # fmt: skip
    """Walk one key's posts in order, keeping the owner of each day seen so far, by day."""
    held = 0
    for row in range(first, last):
        if kinds[row] >= 0:
            for near in range(_place(held_days, held, days[row] + reach) - 1, -1, -1):
                if held_days[near] < days[row] - reach:
                    break
                count = _write(links, count, row, held_rows[near], kinds[row])
        place = _place(held_days, held, days[row])
        if place == 0 or held_days[place - 1] != days[row]:
            _hold(held_days, held_rows, held, place, days[row], row)
            owns[row] = True
            held += 1
    return count
