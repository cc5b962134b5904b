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
