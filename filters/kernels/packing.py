"""Put pieces of known lengths into sequences of one length: best fit, the longest first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def best_fit(lengths: Longs, context_tokens: int) -> Longs:
    """Return the sequence of each piece, numbered in the order of their first pieces.

    The longest piece comes first, of equal ones the first; each goes where the least room is left that holds it.
    Lengths are from 1 to `context_tokens`. Costs the logarithm of the context for a piece (Johnson 1973).

    >>> best_fit(np.array([3, 7, 2, 5, 3]), 10).tolist()
    [0, 0, 1, 1, 1]
    """
    found = np.empty(len(lengths), np.int64)
    if not len(lengths):
        return found
    order = np.argsort(-lengths, kind="stable")
    count = _best_fit(lengths, order, context_tokens, found)
    firsts = np.full(count, len(lengths), np.int64)
    np.minimum.at(firsts, found, np.arange(len(lengths)))
    number = np.empty(count, np.int64)
    number[np.argsort(firsts, kind="stable")] = np.arange(count)
    return number[found]


@njit(cache=True, nogil=True)
def _best_fit(lengths: Longs, order: Longs, context: int, found: Longs) -> int:
    """Write the sequence of each piece and return how many there are.

    `held` is a tree over the amounts of room: a node tells whether any sequence has an amount below it.
    """
    leaves = 1
    while leaves <= context:
        leaves *= 2
    held = np.zeros(2 * leaves, np.bool_)
    first = np.full(context + 1, -1, np.int64)  # by room: a sequence that has it, the last to get it
    following = np.empty(len(lengths), np.int64)  # by sequence: the next one that has as much
    count = 0
    for piece in order:
        size = lengths[piece]
        room = _least(held, leaves, size)
        if room < 0:
            number = count
            count += 1
            room = context
        else:
            number = first[room]
            first[room] = following[number]
            if first[room] < 0:
                _clear(held, leaves + room)
        found[piece] = number
        room -= size
        if room > 0:
            following[number] = first[room]
            first[room] = number
            node = leaves + room
            while node > 0 and not held[node]:
                held[node] = True
                node //= 2
    return count


@njit(cache=True, nogil=True)
def _least(held: Flags, leaves: int, size: int) -> int:
    """Return the least room that is held and holds `size`, -1 where there is none."""
    node = leaves + size
    if held[node]:
        return size
    while node > 1 and (node % 2 == 1 or not held[node + 1]):
        node //= 2
    if node <= 1:
        return -1
    node += 1
    while node < leaves:
        node *= 2
        if not held[node]:
            node += 1
    return node - leaves


@njit(cache=True, nogil=True)
def _clear(held: Flags, node: int) -> None:
    held[node] = False
    while node > 1 and not held[node ^ 1]:
        node //= 2
        held[node] = False
