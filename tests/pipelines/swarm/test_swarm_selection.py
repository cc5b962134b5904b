"""What a member reads of a day: a function of the day's documents, within every cap and quota, in any order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipelines.swarm.selection import FACTS, asked_shares, choose, share_out
from schemas.swarm import Member, Swarm

LANGUAGES = ("en", "fi", None)
DOMAINS = ("x", "reddit")


def member(**given_keys: Any) -> Member:
    """A member of a window of one day."""
    return Swarm.parse({"members": {"m": {"window": {"days": 1}, **given_keys}}}).members["m"]


@some.composite
def days(draw: some.DrawFn) -> list[dict[str, Any]]:
    """The documents of a day, some of them in two versions."""
    count = draw(some.integers(0, 60))
    rows = [
        {
            "document_id": f"d{number}",
            "size": draw(some.integers(1, 50)),
            "author": draw(some.sampled_from([1, 2, 3, None])),
            "campaign": draw(some.sampled_from([number + 100, 7])),
            "language": draw(some.sampled_from(LANGUAGES)),
            "domain": draw(some.sampled_from(DOMAINS)),
            "topic": None,
            "quality": draw(some.sampled_from([0.1, 0.5, 0.9, None])),
            "version": 0,
        }
        for number in range(count)
    ]
    again = [{**row, "version": 1, "size": row["size"] + 1} for row in rows if draw(some.booleans()) and count < 9]
    return [*rows, *again]


@some.composite
def members(draw: some.DrawFn) -> Member:
    """A member with caps, a budget and a mix, or without."""
    budget = draw(some.sampled_from([None, 1, 200, 600, 100_000]))
    cap = some.sampled_from([None, 1, 3, 0.1, 0.5, 1.0])
    shares = draw(some.sampled_from([{}, {"en": 0.5}, {"en": 0.9, "fi": 0.1}]))
    mix = {"by": "language", "temperature": draw(some.sampled_from([1, 5])), "shares": shares}
    day = draw(some.sampled_from([None, 5, 0.5]))
    caps = {name: draw(cap) for name in ("author", "campaign", "domain")}
    return member(
        budget_tokens=budget,
        mix=mix if budget and draw(some.booleans()) else None,
        caps={**caps, "day": None if budget is None and isinstance(day, float) else day},
        languages=draw(some.sampled_from([(), ("en",), ("en", "und")])),
        quality=draw(some.sampled_from([None, {"least": 0.4}])),
        seed=draw(some.integers(0, 3)),
    )


def facts(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=FACTS)


@settings(max_examples=200, deadline=None)
@given(days(), members(), some.randoms())
def test_caps_and_quotas_hold_and_the_order_of_the_input_does_not_matter(
    rows: list[dict[str, Any]], reader: Member, random: Any
) -> None:
    chosen = choose(facts(rows), reader)
    taken = [rows[row] for row in chosen.rows]
    figures = chosen.figures
    assert figures.taken == sum(row["size"] for row in taken)
    assert figures.documents == len(taken) == len({row["document_id"] for row in taken})
    newest = {row["document_id"]: row["version"] for row in sorted(rows, key=lambda row: row["version"])}
    assert all(row["version"] == newest[row["document_id"]] for row in taken)
    for row in taken:
        assert not reader.languages or (row["language"] or "und") in reader.languages
        assert reader.quality is None or (row["quality"] is not None and row["quality"] >= 0.4)
    if reader.day_tokens is not None:
        assert figures.taken <= reader.day_tokens
    if isinstance(reader.caps.day, int):
        assert len(taken) <= reader.caps.day
    whole = figures.available if reader.day_tokens is None else min(figures.available, reader.day_tokens)
    for name in ("author", "campaign", "domain"):
        hold_cap(taken, name, getattr(reader.caps, name), whole)
    mixed = list(rows)
    random.shuffle(mixed)
    again = choose(facts(mixed), reader)
    assert [mixed[row] for row in again.rows] == taken
    assert again.figures == figures


def hold_cap(taken: list[dict[str, Any]], name: str, cap: int | float | None, whole: int) -> None:
    documents, tokens = Counter[Any](), Counter[Any]()
    for row in taken:
        if row[name] is not None:
            documents[row[name]] += 1
            tokens[row[name]] += row["size"]
    if isinstance(cap, float):
        assert all(count <= cap * whole for count in tokens.values())
    elif cap is not None:
        assert all(count <= cap for count in documents.values())


@settings(max_examples=60, deadline=None)
@given(days(), members())
def test_chunks_make_no_difference(rows: list[dict[str, Any]], reader: Member) -> None:
    whole = choose(facts(rows), reader)
    parts = pa.concat_tables([facts(rows[start : start + 7]) for start in range(0, len(rows), 7)] or [facts([])])
    cut = choose(parts, reader)
    assert cut.rows.tolist() == whole.rows.tolist()
    assert cut.figures == whole.figures


def big_day(count: int, **more: Any) -> list[dict[str, Any]]:
    base = {"author": None, "campaign": None, "topic": None, "quality": None, "version": 0, "domain": "x"}
    languages = ["en"] * 7 + ["fi"] * 2 + ["sv"]
    return [
        {**base, "document_id": f"d{row}", "size": 10, "language": languages[row % 10], **more} for row in range(count)
    ]


def test_another_seed_is_another_sample_and_the_sample_is_even() -> None:
    rows = big_day(4000)
    one, other = (choose(facts(rows), member(budget_tokens=10_000, seed=seed)) for seed in (1, 2))
    assert one.figures.taken == other.figures.taken == 10_000
    assert 150 < len(set(one.rows) & set(other.rows)) < 350  # a quarter of a quarter, about
    assert 600 < one.figures.languages["en"] / 10 < 800


def test_a_mix_is_met_where_there_is_enough() -> None:
    shares = {"en": 0.2, "fi": 0.5, "sv": 0.3}
    chosen = choose(facts(big_day(4000)), member(budget_tokens=4000, mix={"by": "language", "shares": shares}))
    assert chosen.figures.languages == {"en": 800, "fi": 2000, "sv": 1200}
    assert chosen.figures.asked == shares


def test_what_a_group_lacks_the_others_give() -> None:
    shares = {"en": 0.2, "fi": 0.5, "sv": 0.3}
    chosen = choose(facts(big_day(100)), member(budget_tokens=900, mix={"by": "language", "shares": shares}))
    assert chosen.figures.languages == {"en": 600, "fi": 200, "sv": 100}
    assert chosen.figures.taken == 900


def test_a_high_temperature_makes_groups_alike() -> None:
    mix = {"by": "language", "temperature": 1000}
    chosen = choose(facts(big_day(4000)), member(budget_tokens=9000, mix=mix))
    assert all(abs(tokens - 3000) <= 20 for tokens in chosen.figures.languages.values())
    assert all(share == pytest.approx(1 / 3, abs=0.01) for share in chosen.figures.asked.values())


def test_the_largest_voice_is_told() -> None:
    rows = [*big_day(90, author=1), *[{**row, "document_id": f"e{row['document_id']}"} for row in big_day(10)]]
    capped = choose(facts(rows), member(caps={"author": 0.25})).figures
    assert capped.most["author"] == pytest.approx(250 / 350, abs=1e-6)
    assert choose(facts(rows), member()).figures.most["author"] == 0.9


@settings(deadline=None)
@given(
    some.lists(some.tuples(some.integers(0, 10**12), some.floats(0, 1)), min_size=1, max_size=8),
    some.integers(0, 10**12),
)
def test_parts_never_exceed_what_is_there_or_the_quota(groups: list[tuple[int, float]], quota: int) -> None:
    there = np.array([size for size, _ in groups], np.int64)
    parts = share_out(there, np.array([share for _, share in groups]), quota)
    assert (parts <= there).all()
    assert (parts >= 0).all()
    assert parts.sum() <= quota + len(groups)
    reachable = sum(size for size, share in groups if share > 0)
    assert parts.sum() >= min(quota, reachable) - len(groups)


@settings(deadline=None)
@given(some.dictionaries(some.sampled_from("abcdef"), some.integers(0, 10**9), min_size=1), some.floats(0.2, 50))
def test_asked_shares_add_up(there: dict[str, int], temperature: float) -> None:
    shares = asked_shares(there, temperature, {})
    assert sum(shares.values()) == pytest.approx(1 if any(there.values()) else 0)
