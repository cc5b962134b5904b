"""Words drawn from n-gram counts begin, end and are as frequent as the words that were counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bench.language_texts import LONGEST, draw_words

WORDS = {"a": 300, "of": 200, "the": 250, "that": 100, "other": 100, "others": 50}


def chances(words: dict[str, int]) -> list[dict[str, float]]:
    """Count n-grams of one to five letters inside words, each beside those of the letters before its last."""
    counts: list[Counter[str]] = [Counter() for _ in range(5)]
    for word, times in words.items():
        for size, counter in enumerate(counts, 1):
            for start in range(len(word) - size + 1):
                counter[word[start : start + size]] += times
    letters = sum(counts[0].values())
    before = [{"": letters}, *counts]
    return [
        {gram: times / before[size][gram[:-1]] for gram, times in counter.items()}
        for size, counter in enumerate(counts)
    ]


def test_drawn_words_are_those_that_were_counted() -> None:
    drawn = Counter(draw_words(chances(WORDS), 20_000, np.random.default_rng(1)))
    assert set(drawn) == set(WORDS)
    for word, times in WORDS.items():
        assert drawn[word] / 20_000 == pytest.approx(times / 1000, abs=0.02), word


def test_the_same_seed_draws_the_same_words() -> None:
    first, second = (draw_words(chances(WORDS), 50, np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_a_chain_without_an_end_is_cut() -> None:
    (word,) = draw_words(chances({"ab" * 500: 1}), 1, np.random.default_rng(0))
    assert len(word) == LONGEST
