"""What gathers is put together, and nothing more often than its size has levels."""

from __future__ import annotations

import random

import pytest

from pipelines.upkeep.tiers import FAN_OUT, Candidate, due


def settle(pieces: list[tuple[int, int]], full: int) -> list[tuple[int, int]]:
    """Merge until nothing is due; a piece is its size and how often its oldest part was written."""
    while groups := due([Candidate(piece, piece[0], piece[0]) for piece in pieces], full):
        for group in groups:
            assert len(group) > 1, "a piece alone is not rewritten"
            for piece in group:
                pieces.remove(piece)
            pieces.append((sum(size for size, _ in group), 1 + max(times for _, times in group)))
    return pieces


@pytest.mark.parametrize("seed", range(5))
def test_pieces_stay_few_and_are_rarely_rewritten(seed: int) -> None:
    chance = random.Random(seed)
    pieces: list[tuple[int, int]] = []
    rows = most = 0
    for _ in range(3000):
        size = chance.choice([1, 1, 2, 9, 70, 600])
        rows += size
        pieces = settle([*pieces, (size, 0)], full=20_000)
        small = [size for size, _ in pieces if size < 20_000]
        most = max(most, len(small))
    assert sum(size for size, _ in pieces) == rows
    assert most <= 5 * (FAN_OUT - 1), "20,000 rows have five levels"
    assert len(pieces) < most + rows / 20_000
    assert max(times for _, times in pieces) <= 6


def test_a_backlog_is_merged_in_few_rounds() -> None:
    pieces = settle([(1, 0)] * 5000, full=1000)
    assert len(pieces) < 30
    assert max(times for _, times in pieces) <= 4


def test_what_is_full_is_left_alone() -> None:
    assert due([Candidate(number, 10, 10) for number in range(100)], full=10) == []


def test_too_little_is_left_alone() -> None:
    assert due([Candidate(number, 1, 1) for number in range(FAN_OUT - 1)], full=100) == []


def test_groups_keep_the_order_they_were_given_in() -> None:
    [group] = due([Candidate(number, 1 + number % 3, 1) for number in range(20)], full=100)
    assert group == sorted(group)


def test_pieces_without_size_go_with_the_others() -> None:
    [group] = due([Candidate(number, 0 if number < 5 else 1, 1) for number in range(5 + FAN_OUT)], full=100)
    assert len(group) == 5 + FAN_OUT
