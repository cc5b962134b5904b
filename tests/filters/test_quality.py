"""Quality: golden lines, each measure against a plain computation, templates, nasty sizes."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import quality
from filters.kernels.characters import CLASS, EMOJI, KIND
from filters.kernels.measures import ALWAYS, PHRASE_WORDS, compile_known
from filters.kernels.surface import HASHTAG, LINK, MENTION, PLAIN, span_at
from filters.kernels.utf8 import utf8_buffers
from filters.quality import MIN_CASED_LETTERS, Quality
from schemas.columns import CLEAN_TEXT, LANGUAGE
from schemas.errors import SetupError

GOLDEN = Path(__file__).parents[1] / "golden" / "quality.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
STAGE = Quality()


def rows_of(texts: list[str | None], lang: str | None = "en") -> list[dict[str, Any] | None]:
    clean = [None if text is None else {"text": text, "changed": False} for text in texts]
    language = [None if lang is None else {"lang": lang, "confidence": 0.9}] * len(texts)
    columns = {"clean_text": pa.array(clean, CLEAN_TEXT), "language": pa.array(language, LANGUAGE)}
    answer = STAGE(pa.record_batch(columns))
    answer.validate(full=True)
    return answer.to_pylist()


def row_of(text: str) -> dict[str, Any]:
    (row,) = rows_of([text])
    assert row is not None
    return row


def test_there_are_enough_golden_lines() -> None:
    assert len(LINES) >= 40
    assert all(line["why"] for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    (row,) = rows_of([line["text"]])
    if line["expect"] is None:
        assert row is None
        return
    assert row is not None
    found = {name: row[name] for name in line["expect"]}
    assert found == pytest.approx(line["expect"], abs=1e-6)


def test_golden_lines_together_are_what_they_are_alone() -> None:
    texts = [line["text"] for line in LINES]
    assert rows_of(texts * 2) == [row for text in texts for row in rows_of([text])] * 2


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("abcXYZ éßΩжअ中の한ก12 .,!'\n#@😂❤️\u200d\ufffd/:"), max_size=80))
def test_measures_stay_in_their_bounds(text: str) -> None:
    row = row_of(text)
    shares = [row[name] for name in ("hashtag_share", "mention_share", "link_share", "emoji_share", "repetition")]
    assert all(0 <= share <= 1 for share in shares)
    assert sum(shares[:4]) <= 1 + 1e-6
    assert 0 <= row["entropy"] <= math.log2(max(row["readable_chars"], 1)) + 1e-5
    assert row["words"] <= row["readable_chars"] or row["readable_chars"] == 0 or row["words"] <= len(text)
    assert row["upper_share"] is None or 0 <= row["upper_share"] <= 1


@settings(max_examples=150, deadline=None)
@given(st.text("abcdeABCDE 12;", max_size=120))
def test_counts_and_entropy_are_those_of_a_plain_computation(text: str) -> None:
    row = row_of(text)
    readable = [character for character in text.lower() if character.isalnum()]
    cased = [character for character in text if character.isalpha()]
    assert row["readable_chars"] == len(readable)
    assert row["words"] == len(text.replace(";", " ").split())
    counts = Counter(readable).values()
    entropy = -sum(count / len(readable) * math.log2(count / len(readable)) for count in counts)
    assert row["entropy"] == pytest.approx(entropy, abs=1e-5)
    if len(cased) < MIN_CASED_LETTERS:
        assert row["upper_share"] is None
    else:
        assert row["upper_share"] == pytest.approx(sum(map(str.isupper, cased)) / len(cased))


@pytest.mark.parametrize(
    ("text", "kind", "span"),
    [
        ("https://t.co/abc. x", LINK, "https://t.co/abc"),
        ("HTTP://X.COM/a", LINK, "HTTP://X.COM/a"),
        ("www.x.org)", LINK, "www.x.org"),
        ("pic.example.com/ab… x", LINK, "pic.example.com/ab…"),
        ("https://ru.example.org/Россия x", LINK, "https://ru.example.org/Россия"),
        ("end.Then", PLAIN, ""),
        ("@bob: hi", MENTION, "@bob"),
        ("@tom小明", MENTION, "@tom"),
        ("＠bob", MENTION, "＠bob"),
        ("@", PLAIN, ""),
        ("@@@@", PLAIN, ""),
        ("#tag!", HASHTAG, "#tag"),
        ("#___", PLAIN, ""),
        ("#", PLAIN, ""),
    ],
)
def test_spans(text: str, kind: int, span: str) -> None:
    data, offsets = utf8_buffers(pa.array([text]))
    found, end = span_at(data, 0, int(offsets[-1]), CLASS)
    assert (found, bytes(data[:end]).decode() if found else "") == (kind, span)


def test_every_template_is_found_in_a_post_that_has_it() -> None:
    openings = [text for texts in quality._OPENINGS.values() for text in texts]
    phrases = [text for texts in quality._PHRASES.values() for text in texts]
    posts = [
        *(text.replace("0", "41").replace("@x", "@YouTube") + " and more https://t.co/x1" for text in openings),
        *("Someone said " + text.replace("@x", "@YouTube") + " https://t.co/x1" for text in phrases),
    ]
    missed = [post for post, row in zip(posts, rows_of([*posts]), strict=True) if not (row and row["template"])]
    assert missed == []


def test_templates_of_the_wrong_length_are_refused() -> None:
    for openings, phrases in (
        ({}, {ALWAYS: ("two words",)}),
        ({ALWAYS: ("a b c d e f g h i",)}, {}),
        ({ALWAYS: ("",)}, {}),
    ):
        with pytest.raises(ValueError, match="words, expected"):
            compile_known(openings, phrases, ())
    assert PHRASE_WORDS == 3


def test_a_long_copied_paragraph_repeats_though_its_words_are_far_apart() -> None:
    words = [f"{first}{second}" for first in "abcdefghij" for second in "klmnop"]
    paragraph = " ".join(words) + " "
    assert row_of(paragraph)["repetition"] == 0
    assert row_of(paragraph * 5)["repetition"] == pytest.approx(0.8, abs=0.01)


def test_the_score_is_null_where_the_model_cannot_say() -> None:
    text = "The council voted last night to close the old swimming pool near the river."
    assert row_of(text)["score"] is not None
    (row,) = rows_of([text], lang="sw")
    assert row is not None
    assert row["score"] is None
    assert row["words"] == 14


def test_a_missing_model_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="quality"):
        Quality(model=str(tmp_path))


def test_emoji_are_told_from_letters_and_punctuation() -> None:
    assert all(CLASS[ord(character)] & KIND == EMOJI for character in "😂❤☀🇩🏽⚽♫")
    assert not any(CLASS[ord(character)] & KIND == EMOJI for character in "aé中1#*©™→—“❨")
