"""The order of an epoch: a pure function of the seed, the epoch and how many sequences each row group holds.

Row groups are shuffled and dealt to lanes; a lane reads one row group after the other, each in an order of its own, and
sequences are taken from the lanes in turn. So neighbours come from as many row groups as there are lanes, one row group
a lane is in memory, and a rank that takes every n-th sequence reads only every n-th lane where n divides their number.
Shuffles sort by a hash that is written out here: those of NumPy may change with its version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Longs = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

LANES = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Order:
    """Where each sequence of an epoch is: its row group, its row there, and the lane that reads it."""

    def __init__(self, group_rows: npt.ArrayLike, seed: int, epoch: int) -> None:
        """Lay out an epoch; `group_rows` has the sequences of each row group, shape (groups,)."""
        rows = np.asarray(group_rows, np.int64)
        self.total = int(rows.sum())
        self._rows = rows
        start = _mix(np.uint64((seed + int(_GOLDEN) * (epoch + 1)) % 2**64))
        self._keys = _mix(start + np.arange(len(rows), dtype=np.uint64))
        shuffled = np.argsort(self._keys, kind="stable")
        lanes = min(LANES, len(rows))
        self._groups = [shuffled[lane::lanes] for lane in range(lanes)]
        self._groups.sort(key=lambda groups: -int(rows[groups].sum()))  # stable: the longest lanes first
        self._ends = [np.cumsum(rows[groups]) for groups in self._groups]
        lengths = np.array([ends[-1] for ends in self._ends[::-1]], np.int64)  # the shortest first
        left = np.arange(lanes, 0, -1)  # lanes that are not at their end before the shortest, the next, ... is
        self._rounds = np.concatenate([[0], lengths])
        self._starts = np.concatenate([[0], np.cumsum(np.diff(self._rounds) * left)])
        self._left = left

    def locate(self, positions: npt.ArrayLike) -> tuple[Longs, Longs, Longs]:
        """Return (row group, row in it, lane) of the sequences at some positions, each shape (positions,)."""
        at = np.asarray(positions, np.int64)
        stretch = np.searchsorted(self._starts, at, side="right") - 1
        inside = at - self._starts[stretch]
        lane = inside % self._left[stretch]
        turn = self._rounds[stretch] + inside // self._left[stretch]
        group, row = np.empty(len(at), np.int64), np.empty(len(at), np.int64)
        for one in np.unique(lane):
            where = np.flatnonzero(lane == one)
            place = np.searchsorted(self._ends[one], turn[where], side="right")
            group[where] = self._groups[one][place]
            row[where] = turn[where] - (self._ends[one][place] - self._rows[group[where]])
        for one in np.unique(group):
            where = np.flatnonzero(group == one)
            row[where] = self._shuffled(int(one))[row[where]]
        return group, row, lane

    def _shuffled(self, group: int) -> Longs:
        """Return the order in which the rows of a row group are read."""
        return np.argsort(_mix(self._keys[group] + np.arange(self._rows[group], dtype=np.uint64)), kind="stable")


def _mix(words: Words | np.uint64) -> Words:
    """Return a hash of each word: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).

    >>> [hex(int(word)) for word in _mix(np.array([0, 1], np.uint64))]
    ['0xe220a8397b1dcdaf', '0x910a2dec89025cc1']
    """
    with np.errstate(over="ignore"):
        mixed = np.atleast_1d(words) + _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
