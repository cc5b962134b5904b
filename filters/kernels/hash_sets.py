"""Sets of shingle hashes, packed to be kept beside a post, and the Jaccard similarity of two of them.

A packed set is one byte, its level, and three bytes a hash: the upper 24 bits, low byte first. At level k only hashes
below 2^(32 - k) are kept: one in 2^k, the same ones in every text. The level is the least at which at most `CAPACITY`
are left (adaptive sampling, Flajolet 1990), so the set of a text of up to `CAPACITY` shingles is whole.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint32, uint64

from filters.kernels.shingles import Words
from filters.kernels.utf8 import Bytes, Offsets

CAPACITY = 280  # hashes in a set: all of a post of 280 characters
HASH_BYTES = 3
_SLOTS = 2048  # of the table two sets are put into: over three times what they can hold


def hash_sets(hashes: Words, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """Pack every row of distinct hashes: return the bytes of all sets and the n + 1 offsets of the rows.

    >>> data, ends = hash_sets(np.array([0x01020304, 0xFFFFFFFF], np.uint32), np.array([0, 2, 2]))
    >>> data.tolist(), ends.tolist()
    ([0, 3, 2, 1, 255, 255, 255, 0], [0, 7, 8])
    """
    counts = np.diff(offsets)
    out = np.empty(int((1 + HASH_BYTES * np.minimum(counts, CAPACITY)).sum()), np.uint8)
    ends = np.zeros(len(offsets), np.int64)
    _pack_rows(hashes, offsets, out, ends)
    return out[: ends[-1]], ends


@njit(cache=True, nogil=True)
def _pack_rows(hashes: Words, offsets: Offsets, out: Bytes, ends: Offsets) -> None:
    for row in range(len(offsets) - 1):
        level = _level(hashes, offsets[row], offsets[row + 1])
        limit = uint64(1) << uint64(32 - level)
        at = ends[row]
        out[at] = level
        at += 1
        for k in range(offsets[row], offsets[row + 1]):
            h = hashes[k]
            if uint64(h) < limit:
                out[at] = (h >> uint32(8)) & uint32(0xFF)
                out[at + 1] = (h >> uint32(16)) & uint32(0xFF)
                out[at + 2] = h >> uint32(24)
                at += HASH_BYTES
        ends[row + 1] = at


@njit(cache=True, nogil=True)
def _level(hashes, start, end):  # type: ignore[no-untyped-def]
    level = 0
    left = end - start
    while left > CAPACITY:
        level += 1
        left = 0
        for k in range(start, end):
            left += hashes[k] >> uint32(32 - level) == 0
    return level


def set_jaccard(left: tuple[Bytes, Offsets], right: tuple[Bytes, Offsets]) -> npt.NDArray[np.float64]:
    """Return the Jaccard similarity of pairs of packed sets, shape (rows,): exact where both are whole.

    Where one is not, both are thinned to the higher level of the two, and the similarity is that of what is left. Its
    standard error is under .04.
    """
    out = np.empty(len(left[1]) - 1, np.float64)
    _compare_rows(left, right, np.zeros(_SLOTS, np.uint64), out)
    return out


@njit(cache=True, nogil=True)
def _compare_rows(
    left: tuple[Bytes, Offsets],
    right: tuple[Bytes, Offsets],
    table: npt.NDArray[np.uint64],
    out: npt.NDArray[np.float64],
) -> None:
    for row in range(len(out)):
        level = max(left[0][left[1][row]], right[0][right[1][row]])
        stamp = uint64(2 * row + 2)  # the next number up marks what the right set has counted already
        first, _ = _put(left[0], (left[1][row], left[1][row + 1]), level, stamp, table)
        other, common = _put(right[0], (right[1][row], right[1][row + 1]), level, stamp + uint64(1), table)
        out[row] = common / max(1, first + other)


@njit(cache=True, nogil=True)
def _put(data: Bytes, span: tuple[int, int], level: int, stamp, table):  # type: ignore[no-untyped-def]
    """Put a set into the table; return how many were new to it and how many it held from the set before."""
    fresh = common = 0
    for at in range(span[0] + 1, span[1], HASH_BYTES):
        h = uint64(data[at]) | uint64(data[at + 1]) << uint64(8) | uint64(data[at + 2]) << uint64(16)
        if h >> uint64(24 - level):
            continue
        slot = h & uint64(_SLOTS - 1)
        while table[slot] >> uint64(25) == stamp >> uint64(1) and table[slot] >> uint64(1) & uint64(0xFFFFFF) != h:
            slot = (slot + uint64(1)) & uint64(_SLOTS - 1)
        entry = stamp >> uint64(1) << uint64(25) | h << uint64(1) | stamp & uint64(1)
        held = table[slot]
        if held >> uint64(1) != entry >> uint64(1):
            fresh += 1
        elif held != entry and stamp & uint64(1):
            common += 1
        else:
            continue
        table[slot] = entry
    return fresh, common
