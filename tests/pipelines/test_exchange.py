"""Small tasks share one of Spark's, large ones have it to themselves, and the answers keep their order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from pipelines.exchange import in_groups

T = TypeVar("T")
FULL = 100


@given(st.lists(st.integers(0, 3 * FULL)))
def test_small_tasks_go_together(sizes: list[int]) -> None:
    groups: list[list[int]] = []

    def run(count: int, work: Callable[[int], T], even: bool = False) -> list[T]:
        done: list[T] = []
        for number in range(count):
            groups.append([])
            done.append(work(number))
        return done

    def work(task: int) -> str:
        groups[-1].append(sizes[task])
        return f"task {task}"

    assert in_groups(run, sizes, FULL, work) == [f"task {task}" for task in range(len(sizes))]
    assert [size for group in groups for size in group] == sizes
    assert all(len(group) == 1 or sum(group) <= FULL for group in groups)
    assert all(sum(left) + right[0] > FULL for left, right in pairwise(groups))
