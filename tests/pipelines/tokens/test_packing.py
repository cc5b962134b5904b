"""Any lengths are packed whole, once, in the order of a pure function, with little left empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from pipelines.tokens.packing import pack
from schemas.errors import ConfigError

contexts = some.one_of(some.integers(512, 1024), some.sampled_from([8192, 131_072]))


@given(lengths=some.lists(some.integers(0, 3000), max_size=60), context=contexts)
@example(lengths=[], context=512)
@example(lengths=[0, 0], context=512)
@example(lengths=[512] * 5, context=512)
@example(lengths=[513, 511, 1], context=512)
@settings(max_examples=300, deadline=None)
def test_every_token_of_every_document_is_in_one_place(lengths: list[int], context: int) -> None:
    packing = pack(lengths, context)
    assert (packing.length > 0).all()
    filled = np.bincount(packing.sequence, weights=packing.length)
    assert len(filled) == packing.sequences
    assert (filled <= context).all()
    assert (filled > 0).all(), "no number is skipped"
    for document, size in enumerate(lengths):
        rows = np.flatnonzero(packing.document == document)
        by_start = rows[np.argsort(packing.start[rows])]
        ends = packing.start[by_start] + packing.length[by_start]
        assert [0, *ends[:-1]] == packing.start[by_start].tolist() or not size
        assert (ends[-1] if len(ends) else 0) == size
        assert len(rows) == -(-size // context), "cut only where it is longer than a sequence"
    again = pack(np.array(lengths, np.int64), context)
    assert all((left == right).all() for left, right in zip(packing, again, strict=True))


@given(lengths=some.lists(some.integers(1, 512), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_it_is_best_fit_with_the_longest_first(lengths: list[int]) -> None:
    """The kernel packs like the definition, read out loud."""
    rooms: list[int] = []
    inside: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        fits = [room for room in rooms if room >= lengths[row]]
        number = max((n for n, room in enumerate(rooms) if fits and room == min(fits)), default=len(rooms))
        if number == len(rooms):
            rooms.append(512)
            inside.append([])
        rooms[number] -= lengths[row]
        inside[number].append(row)
    packing = pack(lengths, 512)
    found = np.bincount(packing.sequence, weights=packing.length).astype(int)
    assert sorted(512 - found) == sorted(rooms)


def test_sequences_stand_in_the_order_of_their_first_documents() -> None:
    lengths = np.random.default_rng(3).integers(1, 600, 5000)
    packing = pack(lengths, 2048)
    firsts = [packing.document[packing.sequence == number].min() for number in range(packing.sequences)]
    assert firsts == sorted(firsts)
    assert all((np.diff(packing.document[packing.sequence == number]) > 0).all() for number in range(50))
    assert lengths.sum() / (packing.sequences * 2048) > 0.99


@pytest.mark.parametrize("context", [0, -1, 511, 131_073])
def test_a_context_that_is_not_supported_is_refused(context: int) -> None:
    with pytest.raises(ConfigError, match=r"512 to 131,072"):
        pack([1], context)
