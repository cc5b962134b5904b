"""Find many sorted keys in a longer sorted list of keys: a merge that leaps where the list is much longer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Keys = npt.NDArray[np.uint64]
Longs = npt.NDArray[np.int64]


def find_sorted(wanted: Keys, held: Keys) -> tuple[Longs, Longs]:
    """Return (position in `wanted`, position in `held`) of every match, in the order of `held`.

    Both are sorted; keys in `wanted` are distinct, a key in `held` may stand there several times. The cost is that of
    `wanted` times the logarithm of how much longer `held` is.

    >>> wanted, held = np.array([2, 5, 9], np.uint64), np.array([1, 2, 2, 3, 9], np.uint64)
    >>> [found.tolist() for found in find_sorted(wanted, held)]
    [[0, 0, 2], [1, 2, 4]]
    """
    found = np.empty((len(wanted) // 8 + 64, 2), np.int64)  # most keys are new
    count = _find(wanted, held, found)
    if count > len(found):
        found = np.empty((count, 2), np.int64)
        _find(wanted, held, found)
    return found[:count, 0], found[:count, 1]


@njit(cache=True, nogil=True)
def _find(wanted: Keys, held: Keys, found: Longs) -> int:
    count = 0
    at = 0
    for number in range(len(wanted)):
        at = _leap(held, at, wanted[number])
        same = at
        while same < len(held) and held[same] == wanted[number]:
            if count < len(found):
                found[count, 0] = number
                found[count, 1] = same
            count += 1
            same += 1
        if at == len(held):
            break
    return count


@njit(cache=True, nogil=True)
def _leap(held: Keys, at: int, key: np.uint64) -> int:
    """Return the first position from `at` on whose key is not under `key`: steps that double, then halving."""
    step = 1
    low = at
    high = at
    while high < len(held) and held[high] < key:
        low = high + 1
        high += step
        step *= 2
    high = min(high, len(held))
    while low < high:
        middle = (low + high) // 2
        if held[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


def sort_keys(keys: Keys) -> Longs:
    """Return the order in which keys, spread evenly as hashes are, ascend; equal keys stay in their order.

    Dealt out by their leading bits into stretches of a few dozen, each sorted where it lies: twice as fast as a sort
    that knows nothing of its keys.

    >>> sort_keys(np.array([9, 2, 5, 2], np.uint64)).tolist()
    [1, 3, 2, 0]
    """
    order = np.empty(len(keys), np.int64)
    if len(keys):
        _sort(keys, keys.min(), keys.max(), order)
    return order


@njit(cache=True, nogil=True)
def _sort(keys: Keys, low: np.uint64, high: np.uint64, order: Longs) -> None:
    stretches = max(2, len(keys) // 32)  # of one a key would have to be shifted by all its bits
    shift = np.uint64(0)  # so that the distance from the lowest key, shifted, is below the number of stretches
    while ((high - low) >> shift) >= np.uint64(stretches):
        shift += np.uint64(1)
    starts = np.zeros(stretches + 1, np.int64)
    for key in keys:
        starts[np.int64((key - low) >> shift) + 1] += 1
    starts = np.cumsum(starts)
    free = starts[:-1].copy()
    for row in range(len(keys)):
        where = np.int64((keys[row] - low) >> shift)
        order[free[where]] = row
        free[where] += 1
    for stretch in range(stretches):
        _sort_stretch(keys, order, starts[stretch], starts[stretch + 1])


@njit(cache=True, nogil=True)
def _sort_stretch(keys: Keys, order: Longs, first: int, last: int) -> None:
    """Insert each into its place; a stretch crowded by keys that many posts share is merged instead."""
    if last - first > 256:
        rows = order[first:last].copy()
        order[first:last] = rows[np.argsort(keys[rows], kind="mergesort")]
        return
    for place in range(first + 1, last):
        moving = order[place]
        at = place
        while at > first and keys[order[at - 1]] > keys[moving]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = moving
