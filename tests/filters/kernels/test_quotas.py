"""Rows are taken in order while their owners have room: no owner ever gives more, and nothing that fits is left."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some

from filters.kernels.quotas import NOBODY, take_within

KINDS, OWNERS = 2, 4


@some.composite
def rows(draw: some.DrawFn) -> tuple[np.ndarray, ...]:
    """Some rows in some order, each with an owner of each kind or none."""
    count = draw(some.integers(0, 30))
    order = np.array(draw(some.permutations(range(count))), np.int64)
    weights = draw(some.lists(some.integers(0, 9), min_size=count * KINDS, max_size=count * KINDS))
    owners = draw(some.lists(some.integers(NOBODY, OWNERS - 1), min_size=count * KINDS, max_size=count * KINDS))
    room = draw(some.lists(some.integers(0, 25), min_size=OWNERS * KINDS, max_size=OWNERS * KINDS))
    owned = np.array(owners, np.int64).reshape(KINDS, count)
    owned[1] = np.where(owned[1] >= 0, owned[1] + OWNERS, NOBODY)
    return order, np.array(weights, np.int64).reshape(KINDS, count), owned, np.array(room, np.int64)


@settings(deadline=None)
@given(rows())
def test_no_owner_gives_more_than_its_room_and_what_fits_is_taken(given_rows: tuple[np.ndarray, ...]) -> None:
    order, weights, owners, room = given_rows
    before = room.copy()
    taken = take_within(order, weights, owners, room)
    assert (room == before).all()
    left = room.copy()
    for row in order:
        owned = [(owners[kind, row], weights[kind, row]) for kind in range(KINDS) if owners[kind, row] != NOBODY]
        fits = all(weight <= left[owner] for owner, weight in owned)
        assert bool(taken[row]) == fits
        if fits:
            for owner, weight in owned:
                left[owner] -= weight
    assert (left >= 0).all()


def test_rows_that_are_not_in_the_order_are_not_taken() -> None:
    owners = np.zeros((1, 3), np.int64)
    assert take_within(np.array([2]), np.ones((1, 3), np.int64), owners, np.array([9])).tolist() == [False, False, True]
