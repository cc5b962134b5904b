"""Credibility: golden posts, phrases and hosts against plain references, a model of one's own, lists that hold."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import filters.credibility
import filters.hosts
from filters.credibility import _PHRASES, Credibility
from filters.hosts import KINDS, endings
from filters.kernels.claims import HEDGE, NO_NAME, OPINION, PHRASE_WORDS, REPORT, SOURCE
from schemas.columns import CLEAN_TEXT, LANGUAGE
from schemas.errors import SetupError

GOLDEN = Path(__file__).parents[1] / "golden" / "credibility.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
STAGE = Credibility()


def shown(texts: list[str | None], lang: str | None = "en") -> list[dict[str, Any] | None]:
    clean = [None if text is None else {"text": text, "changed": False} for text in texts]
    language = [None if lang is None else {"lang": lang, "confidence": 0.9}] * len(texts)
    answer = STAGE(
        pa.record_batch({"clean_text": pa.array(clean, CLEAN_TEXT), "language": pa.array(language, LANGUAGE)})
    )
    answer.validate(full=True)
    return answer.to_pylist()


def one(text: str, lang: str = "en") -> dict[str, Any]:
    (row,) = shown([text], lang)
    assert row is not None
    return row


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    (row,) = shown([line["text"]], line["lang"])
    if line["expect"] is None:
        assert row is None
        return
    assert row is not None
    assert row["score"] is None, "nothing is scored without a model"
    told = row | {"links": [f"{link['host']} {link['kind']}" for link in row["links"]]}
    for name, value in line["expect"].items():
        assert told[name] == (pytest.approx(value) if name == "hedging" and value is not None else value), name


def test_there_are_enough_golden_lines() -> None:
    assert len(LINES) >= 40
    kinds = {link.split()[-1] for line in LINES if line["expect"] for link in line["expect"].get("links", [])}
    assert kinds == set(KINDS)
    assert {line["expect"].get("kind") for line in LINES if line["expect"]} == {
        "claim",
        "opinion",
        "mixed",
        "question",
        None,
    }


def test_the_docstrings_are_right() -> None:
    for module in (filters.credibility, filters.hosts):
        assert doctest.testmod(module).failed == 0


def test_every_phrase_is_found_between_other_words() -> None:
    texts = [f"zzq {phrase} zzq" for phrase in _PHRASES[HEDGE]]
    for phrase, row in zip(_PHRASES[HEDGE], shown(list(texts)), strict=True):
        assert row is not None
        assert row["hedging"] > 0, phrase
    for sign, kind in ((OPINION, "opinion"), (REPORT, "claim"), (SOURCE, "claim")):
        for phrase, row in zip(_PHRASES[sign], shown([f"zzq {phrase} zzq" for phrase in _PHRASES[sign]]), strict=True):
            assert row is not None
            assert row["kind"] == kind, phrase


def test_the_lists_hold() -> None:
    for group in _PHRASES.values():
        assert len(set(group)) == len(group)
        assert all(phrase == phrase.lower().strip() and len(phrase.split()) <= PHRASE_WORDS for phrase in group)
    assert not set(_PHRASES[REPORT]) & set(_PHRASES[NO_NAME])
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in endings())
    named = [name for names in filters.hosts._BY_KIND.values() for name in names.split()]
    assert len(named) == len(set(named)), "a host of two kinds"


WORDS = (
    "maybe",
    "Perhaps",
    "might",
    "rain",
    "not",
    "sure",
    "kind",
    "of",
    "Oslo",
    "5",
    "I'm",
    "it's",
    "possible",
    "zzq",
)
GAPS = (" ", " ", " ", " - ", ", ", ". ", " #tag ", " @name ")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), min_size=1, max_size=20))
def test_hedges_are_those_of_a_plain_search(parts: list[tuple[str, str]]) -> None:
    text = "".join(word + gap for word, gap in parts)
    runs = re.split(r"[,.]|#tag|@name", text.lower())
    hedges = 0
    for run in runs:
        words = run.replace("-", " ").split()
        for end in range(1, len(words) + 1):  # a word ends at most one hedge, however many phrases end with it
            tails = {" ".join(words[max(0, end - size) : end]) for size in range(1, PHRASE_WORDS + 1)}
            hedges += bool(tails & set(_PHRASES[HEDGE]))
    assert one(text)["hedging"] == pytest.approx(hedges / len(parts))


LABEL = st.text(st.sampled_from("abcxyz0-"), min_size=1, max_size=6).filter(lambda label: label.strip("-") == label)
HOSTS = st.lists(LABEL, max_size=2).flatmap(
    lambda front: st.sampled_from([*sorted(endings())[::7], "example.zz"]).map(lambda end: ".".join([*front, end]))
)


@settings(max_examples=200, deadline=None)
@given(
    HOSTS,
    st.sampled_from(["", "www.", "user:pass@", "a@"]),
    st.sampled_from(["", ":8080", "/p.q/r", "?a=b.com", "#x.y"]),
)
def test_hosts_are_those_of_the_standard_library(host: str, front: str, behind: str) -> None:
    link = f"https://{front}{host}{behind}"
    expected = (urlsplit(link).hostname or "").removeprefix("www.")
    labels = expected.split(".")
    suffixes = [".".join(labels[start:]) for start in range(len(labels))]
    kind = next((endings()[suffix] for suffix in suffixes if suffix in endings()), "unknown")
    assert one(f"see {link} there", "ru")["links"] == [{"host": expected, "kind": kind}]


def test_a_model_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no model for stage 'credibility'"):
        Credibility(model=str(tmp_path / "gone"))
    assert STAGE.sha256 is None
