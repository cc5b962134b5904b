"""Decide what to put together, so that little is left in pieces and nothing is written again and again.

Sizes fall into levels, each FAN_OUT times the one before. What lies at or below a level is due once together it makes
one of the next level: so every merge lifts all that it touches, a row is rewritten once a level at most, and fewer than
FAN_OUT pieces stay behind at each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

FAN_OUT = 8
MOST_PIECES = 32  # that one merge opens at once: 250 took 500 MB and nine times the time a row

T = TypeVar("T")


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """Something to be put together with others: `size` decides its level, `weight` how much fills one result."""

    item: T
    size: int
    weight: int

    @property
    def level(self) -> int:
        """Return how often the size can be divided by FAN_OUT.

        >>> [Candidate("", size, 0).level for size in (0, 7, 8, 63, 64)]
        [0, 0, 1, 1, 2]
        """
        return max(0, self.size.bit_length() - 1) // (FAN_OUT.bit_length() - 1)


def due(candidates: Sequence[Candidate[T]], full: int) -> list[list[T]]:
    """Return groups to put together, each into one piece, in the given order.

    A group that weighs `full` is closed; what weighs as much by itself is left alone.
    """
    rest = [candidate for candidate in candidates if candidate.weight < full]
    groups = []
    while crowd := _crowd(rest):
        group: list[Candidate[T]] = []
        while crowd and sum(candidate.weight for candidate in group) < full:
            group.append(crowd.pop(0))
        taken = {id(candidate) for candidate in group}
        rest = [candidate for candidate in rest if id(candidate) not in taken]
        groups.append([candidate.item for candidate in group])
    return groups


def _crowd(rest: Sequence[Candidate[T]]) -> list[Candidate[T]]:
    """Return all that lies at or below the highest level at which enough has gathered to make one of the next."""
    smallest = {id(candidate) for candidate in sorted(rest, key=lambda one: one.size)[:MOST_PIECES]}
    some = [candidate for candidate in rest if id(candidate) in smallest]
    for level in sorted({candidate.level for candidate in some}, reverse=True):
        below = [candidate for candidate in some if candidate.level <= level]
        if sum(candidate.size for candidate in below) >= FAN_OUT ** (level + 1):
            return below
    return []
