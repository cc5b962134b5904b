"""What the sketch finds and calls alike, against exact Jaccard: on invented posts, and on real ones where given."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from bench.recall import (
    EDITS,
    PRECISION,
    RECALL,
    campaigns,
    close_pairs,
    distinct_texts,
    edited,
    enumerated,
    found_pairs,
    texts_of,
)
from pipelines.simulate import Simulation, generate, truth

UNCHANGED = ("link appended", "RT before it", "punctuation translated")  # what these do, normalising undoes


@pytest.fixture(scope="module")
def invented() -> list[str]:
    """Texts of simulated posts: organic ones, and members of campaigns."""
    lines = list(generate(Simulation(posts=6000, seed=11)))
    kinds = {"organic", "thread", "quote", "campaign"}
    return [orjson.loads(line)["text"] for line in lines if (known := truth(line)) and known["kind"] in kinds]


def check_all_pairs(found: dict[str, Any], at_least: int) -> None:
    assert found["recall"]["pairs"] >= at_least
    assert found["recall"]["share"] >= RECALL
    assert found["precision"]["pairs"] >= at_least
    assert found["precision"]["share"] >= PRECISION


def check_edits(found: dict[str, Any]) -> None:
    assert set(found) == set(EDITS)
    for name, one in found.items():
        assert one["recall"]["pairs"] > 50, name
        assert one["recall"]["share"] >= RECALL, name
    for name in UNCHANGED:
        assert found[name]["found_exactly"] >= 0.98, name  # a translated dot can undo a bare domain
    assert found["capitals"]["found_exactly"] > 0.9  # the capital of a German sharp s is two letters


def test_all_pairs_of_invented_posts(invented: list[str]) -> None:
    check_all_pairs(enumerated(texts_of(distinct_texts(invented, 2000))), at_least=300)


def test_edits_of_invented_posts(invented: list[str]) -> None:
    organic = distinct_texts(invented, 10_000)
    check_edits(edited(random.Random(1).sample(organic, 300), seed=1))


def test_campaigns_are_found_and_kept_apart() -> None:
    found = campaigns(posts=5000, seed=12)
    assert found["campaigns"] > 3
    assert found["recall"]["pairs"] > 200
    assert found["recall"]["share"] >= RECALL
    assert found["precision"]["share"] >= PRECISION


def test_all_pairs_are_those_of_a_plain_loop(invented: list[str]) -> None:
    texts = texts_of(distinct_texts(invented, 400))
    sets = [{text[at : at + 4] for at in range(max(1, len(text) - 3))} for text in texts.normalised]
    plain = {
        (one, other): len(sets[one] & sets[other]) / len(sets[one] | sets[other])
        for one in range(len(sets))
        for other in range(one + 1, len(sets))
    }
    pairs, jaccard = close_pairs(texts)
    found = dict(zip(map(tuple, pairs.tolist()), jaccard.tolist(), strict=True))
    assert found == {pair: value for pair, value in plain.items() if value >= 0.5}
    assert len(found) > 20


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        ("gm", "GM!", True),
        ("gm", "gn", False),
        ("gm", "gm gm", False),
        ("lol same", "Lol, same...", True),
        ("lol same", "lol sane", False),
        ("\N{FACE WITH TEARS OF JOY}", "\N{FACE WITH TEARS OF JOY} @friend https://t.co/x1", True),
        ("\N{FACE WITH TEARS OF JOY}", "\N{FIRE}", False),
        ("\N{FIRE}\N{FIRE}", "\N{FIRE}", False),
        ("yes", "yes", True),
        ("yes", "yet", False),
        ("good morning to all of you", "good morning to all of us", True),  # 20 of 26
        ("@a https://t.co/x", "@b https://t.co/y", False),  # nothing is left to compare
    ],
)
def test_short_posts_are_handled_exactly(left: str, right: str, alike: bool) -> None:
    found, _ = found_pairs(texts_of([left, right]), np.array([[0, 1]]))
    assert found.tolist() == [alike]


def test_all_pairs_and_edits_of_real_posts(real_data: Path) -> None:
    real = pq.ParquetFile(real_data / "posts" / "ira-tweets.parquet").read(["text"])["text"].drop_null()
    texts = distinct_texts(real.slice(0, 16_000).to_pylist(), 8000)
    check_all_pairs(enumerated(texts_of(texts)), at_least=100)
    check_edits(edited(random.Random(1).sample(texts, 300), seed=1))
