"""A target says whether a figure keeps to its bound."""

from __future__ import annotations

import pytest

from bench.record import Target


@pytest.mark.parametrize(
    ("value", "bound", "most", "reached"),
    [
        (20.0, 20.0, False, True),
        (19.999, 20.0, False, False),
        (1.15, 1.15, True, True),
        (1.151, 1.15, True, False),
        (float("nan"), 20.0, False, False),
        (float("nan"), 1.3, True, False),
        (None, 20.0, False, False),
        (None, 1.3, True, False),
    ],
)
def test_a_target_is_reached_at_its_bound_and_not_beyond(
    value: float | None, bound: float, most: bool, reached: bool
) -> None:
    target = Target("ratio", value, bound, most)
    assert target.reached is reached
    assert str(target).endswith(": reached" if reached else ": MISSED")
    assert target.entry()["reached"] is reached


def test_a_target_says_which_way_it_is_bound() -> None:
    assert str(Target("ratio", 24.2, 20)) == "ratio: 24.20, at least 20: reached"
    assert str(Target("memory", 1.4, 1.3, most=True)) == "memory: 1.40, at most 1.3: MISSED"
