"""Babble is made of what it has read, and nothing else."""

from __future__ import annotations

from filters.babble import babble

READ = ["the cat sat on the mat today", "the dog sat on the log yesterday", "a cat and a dog ran on the road"]


def test_word_chains_follow_pairs_that_were_read() -> None:
    made = babble(READ, 40, seed=3)
    assert len(made) == 40
    pairs = {pair for text in READ for pair in zip(text.split(), text.split()[1:], strict=False)}
    for text in made[:20]:  # the word chains come first
        assert set(zip(text.split(), text.split()[1:], strict=False)) <= pairs
    assert all(len(text.split()) > 2 for text in made)


def test_another_seed_makes_another_text() -> None:
    assert babble(READ, 20, seed=1) == babble(READ, 20, seed=1) != babble(READ, 20, seed=2)


def test_texts_too_short_to_babble_end_the_search() -> None:
    assert babble(["yes", "no"], 8, seed=0) == []
