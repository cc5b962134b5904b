"""Who owned a key first: one pass over the rows of many keys, sorted, without a table of keys."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.int8]

BY_ID, BY_ROOT, BY_TEXT = 0, 1, 2
"""What a key stands for: the post's id, the id of its original, a band or fingerprint of its text."""

SUPERSEDED = 3
"""Beside the above, what a link may say: an older version of the id it points at."""


def link_rows(keys: Longs, orders: Longs, values: Longs, asks: Flags, reach: int) -> Longs:
    """Return (row, row of the owner, what) for each asking row and each earlier owner of its key, as an (n, 3) array.

    A row of the input says: the post of rank `orders[i]` has the key `keys[i]` on the day `values[i]`; `asks[i]` is
    what the key stands for, or that less 3 for a post that owns but does not ask. The owner of a key on a day is the
    earliest post that had it that day; days at most `reach` apart are in reach. For BY_ID the value is a version, and
    the link is to the newest version, the earliest of that.
    """
    by_key = _shared(keys)
    by_key = by_key[np.lexsort((orders[by_key], keys[by_key]))]
    key, value, ask = keys[by_key], values[by_key], asks[by_key]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, np.int64)
    bounds = np.r_[starts, len(key)].astype(np.int64)
    count = _link(bounds, value, ask, reach, np.empty((0, 3), np.int64))
    links = np.empty((count, 3), np.int64)
    _link(bounds, value, ask, reach, links)
    links[:, :2] = by_key[links[:, :2]]
    return links


def _shared(keys: Longs) -> Longs:
    """Return the rows whose key stands in more than one row: most keys are a post's own and link nothing."""
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.flatnonzero(_contains(np.unique(twice), keys))


def _contains(ordered: Longs, values: Longs) -> npt.NDArray[np.bool_]:
    if len(ordered) == 0:
        return np.zeros(len(values), np.bool_)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[place] == values, np.bool_)


@njit(cache=True, nogil=True)
def _link(bounds: Longs, value: Longs, ask: Flags, reach: int, links: Longs) -> int:
    """Count the links of every key; write them where `links` has room."""
    count = 0
    widest = 0
    for group in range(len(bounds) - 1):
        widest = max(widest, bounds[group + 1] - bounds[group])
    days = np.empty(widest, np.int64)
    owners = np.empty(widest, np.int64)
    for group in range(len(bounds) - 1):
        first, last = bounds[group], bounds[group + 1]
        if last - first == 1:
            continue
        if ask[first] % 3 == BY_ID:
            count = _link_versions(first, last, value, ask, links, count)
        else:
            count = _link_days(first, last, value, ask, reach, links, count, days, owners)
    return count


@njit(cache=True, nogil=True)
def _link_versions(first: int, last: int, value: Longs, ask: Flags, links: Longs, count: int) -> int:
    newest = first
    for row in range(first + 1, last):
        if value[row] > value[newest]:
            newest = row
    for row in range(first, last):
        if row == newest or ask[row] < 0:
            continue
        if count < len(links):
            links[count, 0] = row
            links[count, 1] = newest
            links[count, 2] = SUPERSEDED if value[row] < value[newest] else BY_ID
        count += 1
    return count


@njit(cache=True, nogil=True)
def _link_days(
    first: int, last: int, day: Longs, ask: Flags, reach: int, links: Longs, count: int,
    days: Longs, owners: Longs,
) -> int:  # fmt: skip
    """Walk one key's posts in rank order, keeping the owner of each day seen so far, by day."""
    held = 0
    for row in range(first, last):
        place = held  # where this post's day stands, or would
        while place > 0 and days[place - 1] > day[row]:
            place -= 1
        owned = place > 0 and days[place - 1] == day[row]
        newest = held
        while newest > 0 and days[newest - 1] > day[row] + reach:
            newest -= 1
        for near in range(newest - 1, -1, -1):
            if days[near] < day[row] - reach:
                break
            if ask[row] >= 0:
                if count < len(links):
                    links[count, 0] = row
                    links[count, 1] = owners[near]
                    links[count, 2] = ask[row]
                count += 1
        if not owned:
            for later in range(held, place, -1):
                days[later] = days[later - 1]
                owners[later] = owners[later - 1]
            days[place] = day[row]
            owners[place] = row
            held += 1
    return count
