"""Sorting and finding keys against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from filters.kernels.sorted_keys import find_sorted, sort_keys

KEYS = arrays.arrays(np.uint64, st.integers(0, 400), elements=st.integers(0, (1 << 64) - 1) | st.integers(0, 9))


@settings(deadline=None)  # the first call compiles
@given(KEYS)
def test_keys_ascend_and_equal_ones_keep_their_order(keys: np.ndarray) -> None:
    assert sort_keys(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("shape", ["even", "crowded", "one key", "narrow"])
def test_many_keys(shape: str) -> None:
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 1 << 64, 50_000, np.uint64)
    if shape == "crowded":
        many = rng.random(len(keys)) < 0.5
        keys[many] = rng.choice(keys[:3], many.sum())
    elif shape == "one key":
        keys[:] = 7
    elif shape == "narrow":
        keys >>= np.uint64(58)
    assert np.array_equal(sort_keys(keys), np.argsort(keys, kind="stable"))


@settings(deadline=None)
@given(KEYS, KEYS)
def test_every_match_is_found(wanted: np.ndarray, held: np.ndarray) -> None:
    wanted, held = np.unique(wanted), np.sort(np.r_[held, wanted[::3], wanted[::5]])
    places, found = find_sorted(wanted, held)
    expected = [(int(place), at) for at, key in enumerate(held) for place in np.flatnonzero(wanted == key)]
    assert sorted(zip(places.tolist(), found.tolist(), strict=True)) == sorted(expected)
