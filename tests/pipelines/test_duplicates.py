"""Duplicates against a reference written straight from the definition, post by post; epochs against one epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from searches import Curation, staged

from filters.sketch import Sketch, estimate_jaccard
from pipelines.duplicates import Expiry, find_duplicates
from pipelines.exchange import in_this_process, on_executors
from schemas import columns
from schemas.config import DuplicatesConfig

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = "rain sun tram coffee late again home garden match goal bread river stone lamp green slow".split()  # noqa: SIM905

Post = dict[str, Any]


def random_posts(seed: int, count: int) -> list[Post]:
    """Posts over a month from a handful of texts with small edits, some reposts, repeats, edits and missing times."""
    rng = np.random.default_rng(seed)
    bases = [" ".join(rng.choice(WORDS, 12)) for _ in range(12)]
    posts: list[Post] = []
    for number in range(count):
        text = str(rng.choice(bases))
        if rng.random() < 0.5:
            words = text.split()
            words[int(rng.integers(len(words)))] = str(rng.choice(WORDS))
            text = " ".join(words)
        text = str(
            rng.choice([text, text.upper(), text + " https://x.example/1", "", "gm"], p=[0.5, 0.2, 0.2, 0.05, 0.05])
        )
        again = posts[int(rng.integers(number))]["id"] if number and rng.random() < 0.1 else None
        posts.append(
            {
                "id": again or f"p{number:04d}",
                "author_id": str(rng.choice(["a", "b", "c", None])) if rng.random() < 0.9 else None,
                "created_at": None if rng.random() < 0.05 else START + DAY * float(rng.integers(0, 30 * 24)) / 24,
                "text": text,
                "repost_of": f"p{int(rng.integers(count)):04d}" if rng.random() < 0.2 else None,
                "version": int(rng.integers(3)) if again else 0,
            }
        )
    return posts


@cache
def sketched(text: str) -> dict[str, Any]:
    """The sketch of a text."""
    clean = pa.array([{"text": text, "changed": False}], columns.CLEAN_TEXT)
    sketch: dict[str, Any] = Sketch()(pa.RecordBatch.from_arrays([clean], names=["clean_text"])).to_pylist()[0]
    return sketch


@dataclass(frozen=True)
class Reference:
    """The definition, one post after the other: (duplicate_of, kind, copy) of each."""

    posts: list[Post]
    config: DuplicatesConfig

    def answers(self) -> list[tuple[str | None, str | None, int | None]]:
        """Say of every post what it duplicates and which copy it is."""
        order = sorted(range(len(self.posts)), key=self._key)
        place = {at: rank for rank, at in enumerate(order)}
        links = [self._link(at, order, place) for at in range(len(self.posts))]
        copies: dict[int, int] = {}
        answers: list[tuple[str | None, str | None, int | None]] = [(None, None, 1)] * len(self.posts)
        for at in order:
            owner, kind = links[at]
            if owner is None:
                continue
            if kind in ("exact", "near", "repost"):
                copies[owner] = copies.get(owner, 1) + 1
            answers[at] = (
                self.posts[owner]["id"],
                kind,
                copies[owner] if kind in ("exact", "near", "repost") else None,
            )
        return answers

    def _key(self, at: int) -> tuple[Any, ...]:
        post = self.posts[at]
        printed = sketched(post["text"])["fingerprint"]
        return self._when(at), post["id"], post["version"], -(1 << 63) if printed is None else printed

    def _when(self, at: int) -> datetime:
        return self.posts[at]["created_at"] or datetime(1970, 1, 1, tzinfo=UTC)

    def _day(self, at: int) -> int:
        return (self._when(at) - datetime(1970, 1, 1, tzinfo=UTC)).days

    def _in_reach(self, one: int, other: int) -> bool:
        return abs(self._day(one) - self._day(other)) < self.config.horizon_days

    def _link(self, at: int, order: Sequence[int], place: dict[int, int]) -> tuple[int | None, str | None]:
        post = self.posts[at]
        same_id = [other for other in order if self.posts[other]["id"] == post["id"] and self._in_reach(at, other)]
        newest = max(same_id, key=lambda other: (self.posts[other]["version"], -place[other]))
        if newest != at:
            return newest, "superseded" if post["version"] < self.posts[newest]["version"] else "repeated_id"
        before = [other for other in order if place[other] < place[at] and self._in_reach(at, other)]
        if post["repost_of"]:
            roots = [other for other in before if root(self.posts[other]) == post["repost_of"]]
            if roots:
                return roots[0], "repost"
        owners = {self._owner(key, day, order) for key in keys(post) for day in {self._day(other) for other in before}}
        for other in before:
            known = other in owners and self.posts[other]["id"] != post["id"]
            if known and jaccard(post["text"], self.posts[other]["text"]) >= self.config.threshold:
                same = sketched(post["text"])["fingerprint"] == sketched(self.posts[other]["text"])["fingerprint"]
                return other, "exact" if same else "near"
        return None, None

    @cache  # noqa: B019
    def _owners(self) -> dict[tuple[int, int], int]:
        owners: dict[tuple[int, int], int] = {}
        for at in sorted(range(len(self.posts)), key=self._key):
            for key in keys(self.posts[at]):
                owners.setdefault((key, self._day(at)), at)
        return owners

    def _owner(self, key: int, day: int, _: Sequence[int]) -> int | None:
        return self._owners().get((key, day))

    __hash__ = object.__hash__


def root(post: Post) -> str:
    """The id a post's reposts point at."""
    return str(post["repost_of"] or post["id"])


def keys(post: Post) -> list[int]:
    """What a post's text can be found by."""
    sketch = sketched(post["text"])
    return [sketch["fingerprint"], *sketch["bands"]] if sketch["bands"] else []


@cache
def jaccard(left: str, right: str) -> float:
    """Estimate from two signatures."""
    pair = (pa.array([sketched(text)["signature"]], pa.binary()) for text in (left, right))
    return float(estimate_jaccard(*pair)[0])


@pytest.mark.parametrize(("seed", "parts", "horizon"), [(1, 1, 7), (2, 3, 7), (3, 2, 1), (4, 4, 40)])
def test_equals_the_definition(tmp_path: Path, seed: int, parts: int, horizon: int) -> None:
    posts = random_posts(seed, 300)
    config = DuplicatesConfig(horizon_days=horizon)
    found = Curation(tmp_path, config).epoch([posts[part::parts] for part in range(parts)])
    expected = Reference(posts, config).answers()
    assert [found[at % parts][at // parts].link for at in range(len(posts))] == expected
    rare = {"repost", "repeated_id", "superseded"} if horizon > 1 else set()  # seldom within a day
    assert {kind for _, kind, _ in expected} >= {"exact", "near", None} | rare


def in_order(posts: list[Post]) -> list[Post]:
    """Posts without edits and with distinct ids, in the order of the definition, so that a stream could bring them."""
    fresh = [{**post, "id": f"{post['id']}-{number:05d}", "version": 0} for number, post in enumerate(posts)]
    return sorted(fresh, key=lambda post: (post["created_at"] or datetime(1970, 1, 1, tzinfo=UTC), post["id"]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 90), cuts=st.lists(st.integers(0, 90), max_size=8))
def test_one_epoch_equals_many(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, cuts: list[int]
) -> None:
    posts = in_order(random_posts(seed, count))
    config = DuplicatesConfig(horizon_days=1 + seed % 9)
    bounds = sorted({0, len(posts), *(cut for cut in cuts if cut < len(posts))})
    curation = Curation(tmp_path_factory.mktemp("many"), config)
    many = []
    for start, end in pairwise(bounds):
        halves = [posts[start:end][part::2] for part in range(2)]
        many += curation.epoch([half for half in halves if half], 2)
    answers = {said.id: said.link for part in many for said in part}
    expected = Reference(posts, config).answers()
    assert [answers[post["id"]] for post in posts] == expected
    once = Curation(tmp_path_factory.mktemp("once"), config).epoch([posts])[0]
    assert [said.link for said in once] == expected


def test_many_small_epochs_are_merged_and_still_the_same(tmp_path: Path) -> None:
    """Every epoch adds a run of files; eight of a size become one, again and again."""
    posts = in_order(random_posts(7, 400))
    curation = Curation(tmp_path, DuplicatesConfig())
    answers = [curation.epoch([posts[at : at + 5]])[0] for at in range(0, len(posts), 5)]
    assert [said.link for part in answers for said in part] == Reference(posts, DuplicatesConfig()).answers()
    assert len(list((tmp_path / ".swarmfeed" / "index").glob("*.arrow"))) < 3 * 2 * 8 * 2


def test_counts_cluster_and_authors_over_epochs(tmp_path: Path) -> None:
    text = "the tram was late again and nobody knew why it stopped"

    def copies(names: str, minutes: int) -> list[Post]:
        return [
            {
                "id": f"c{minutes + number}",
                "author_id": None if name == "-" else name,
                "created_at": START + timedelta(minutes=minutes + number),
                "text": text,
                "version": 0,
            }
            for number, name in enumerate(names)
        ]

    other = {"id": "other", "author_id": "z", "created_at": START, "text": "something else entirely here", "version": 0}
    curation = Curation(tmp_path, DuplicatesConfig())
    (first,) = curation.epoch([[*copies("xyx-", 0), other]])
    assert [said.cluster for said in first] == [(4, 2), (4, 2), (4, 2), (4, 2), (1, 1)]
    assert [said.link for said in first[:3]] == [(None, None, 1), ("c0", "exact", 2), ("c0", "exact", 3)]
    (second,) = curation.epoch([copies("yw", 10)])
    assert [said.link for said in second] == [("c0", "exact", 5), ("c0", "exact", 6)]
    assert [said.cluster for said in second] == [(6, 3), (6, 3)]


def test_a_clock_in_the_future_expires_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    posts = [
        {
            "id": f"p{at:03d}",
            "created_at": START + timedelta(hours=at),
            "text": " ".join(rng.choice(WORDS, 9)),
            "version": 0,
        }
        for at in range(200)
    ]
    curation = Curation(tmp_path, DuplicatesConfig())
    curation.epoch([posts])
    curation.epoch(
        [[{"id": "ahead", "created_at": datetime(2099, 1, 1, tzinfo=UTC), "text": "time flies", "version": 0}]]
    )
    (late,) = curation.epoch([[{**posts[-1], "id": "copy"}, {**posts[0], "id": "too late"}]])
    assert [said.link[:2] for said in late] == [("p199", "exact"), (None, None)]


def test_a_backfill_of_thousands_of_days_keeps_the_horizon() -> None:
    days = dict.fromkeys(range(10_000, 14_000), 20)
    kept = Expiry.of(days, horizon_days=7).first_day
    assert 13_999 - 7 - 4_000 * 0.01 - 1 <= kept <= 13_999 - 6
    assert Expiry.of({}, 7).holds(np.array([0, 5])).tolist() == [True, True]
    assert Expiry.of({0: 1000, 20_000: 10}, 7).holds(np.array([0, 19_993, 19_994])).tolist() == [True, False, True]


def test_spark_says_the_same_as_this_process(spark: SparkSession, tmp_path: Path) -> None:
    posts = random_posts(11, 200)
    parts = [posts[part::3] for part in range(3)]
    one = staged(parts, tmp_path / "one", DuplicatesConfig())
    two = staged(parts, tmp_path / "two", DuplicatesConfig())
    here, there = find_duplicates(in_this_process, one), find_duplicates(on_executors(spark), two)
    assert Curation.opened(one, here.decisions) == Curation.opened(two, there.decisions)
