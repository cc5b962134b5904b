"""Take rows in a given order while whoever owns them has room: what bounds an author, a campaign, a domain, a group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NOBODY = -1  # an owner without a bound


def take_within(order: Longs, weights: Longs, owners: Longs, room: Longs) -> Flags:
    """Tell of each row whether it is taken; no owner's rows weigh more than its room.

    A row is taken where all of its owners have room for it, and passed over where one has not: a lighter one may
    follow. Shapes: order (rows to look at,), weights and owners (kinds of owners, rows), room (owners,).

    >>> owners = np.array([[0, 0, 0, NOBODY], [1, 2, 1, 2]])
    >>> weights = np.array([[5, 4, 1, 9], [1, 1, 1, 1]])
    >>> take_within(np.arange(4), weights, owners, np.array([6, 5, 1])).tolist()
    [True, False, True, True]
    """
    taken = np.zeros(weights.shape[1], np.bool_)
    _take_within(order, weights, owners, room.copy(), taken)
    return taken


@njit(cache=True, nogil=True)
def _take_within(order: Longs, weights: Longs, owners: Longs, room: Longs, taken: Flags) -> None:
    kinds = len(owners)
    for row in order:
        fits = True
        for kind in range(kinds):
            owner = owners[kind, row]
            if owner >= 0 and weights[kind, row] > room[owner]:
                fits = False
                break
        if fits:
            taken[row] = True
            for kind in range(kinds):
                owner = owners[kind, row]
                if owner >= 0:
                    room[owner] -= weights[kind, row]
