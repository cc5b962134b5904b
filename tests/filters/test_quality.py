"""Quality: golden lines, each measure against a plain computation, templates, nasty sizes."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels.characters import CLASS, EMOJI, KIND
from filters.kernels.lookups import ending_table, topic_table, wording_table
from filters.kernels.surface import HASHTAG, LINK, MENTION, PLAIN, span_at
from filters.kernels.utf8 import utf8_buffers
from filters.quality import MIN_CASED_LETTERS, Quality
from filters.wordlist import ENDING, LISTS, USES, rows, wordlists
from schemas.columns import CLEAN_TEXT, LANGUAGE, QUALITY
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
    (row,) = rows_of([line["text"]], line.get("lang", "en"))
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


def filled(wording: str) -> str:
    """A post's words for what stands in a list."""
    return re.sub(r"\b0\b", "41", wording).replace("@x", "@YouTube").replace("*", "whatever")


def test_every_template_is_found_in_a_post_that_has_it() -> None:
    openings = [text for _, use, text in rows("templates") if use.startswith("opening")]
    phrases = [text for _, use, text in rows("templates") if use.startswith("phrase")]
    posts = [
        *(filled(text) + " and more https://t.co/x1" for text in openings),
        *("Someone said " + filled(text) + " https://t.co/x1" for text in phrases),
    ]
    missed = [post for post, row in zip(posts, rows_of([*posts]), strict=True) if not (row and row["template"])]
    assert len(posts) > 80
    assert missed == []


def test_every_bait_is_found_inside_a_post_and_none_in_its_words_turned_round() -> None:
    wordings = [text for _, _, text in rows("bait")]
    found = rows_of(["Well, " + filled(text) + " today" for text in wordings])
    assert [text for text, row in zip(wordings, found, strict=True) if not (row and row["bait_share"] > 0)] == []
    turned = [" ".join(reversed(filled(text).split())) for text in wordings if len(text.split()) > 3]
    assert sum(row["bait_share"] > 0 for row in rows_of([*turned]) if row) < len(turned) / 10


@pytest.mark.parametrize("row", list(rows("questions")), ids="-".join)
def test_every_question_is_found_in_its_language(row: tuple[str, ...]) -> None:
    lang, use, text = row
    post = "1 2 3" + text.replace("_", " ") if use == ENDING else filled(text) + " 1 2 3"
    (told,) = rows_of([post], lang)
    assert told is not None
    assert told["is_question"]


def test_every_listed_word_tells_its_topic() -> None:
    for lang, topic, points, words in rows("topics"):
        some = [word.replace("_", " ").removesuffix("*") for word in words.split(" ")]
        post = some if points == "2" else [f"{one} {other}" for one, other in pairwise(some)]
        told = [row and row["topic"] for row in rows_of([*post], lang)]
        others = [text for text, found in zip(post, told, strict=True) if found not in (topic, None)]
        assert others == []
        assert told.count(topic) >= 0.8 * len(told), (lang, topic)  # a pair may hold a stem of two


def test_lists_say_nothing_else() -> None:
    for name in LISTS:
        uses = {use for _, use, _ in rows(name)}
        assert uses <= {use for file, use in USES if file == name} | {ENDING}
        texts = list(rows(name))
        assert len(texts) == len(set(texts))
    told = {topic for _, topic, _, _ in rows("topics")}
    documented = (QUALITY.field("topic").metadata or {})[b"doc"].decode()
    assert ", ".join(sorted(told)) in documented
    assert len(wordlists().topics) == len(told) <= 16


def test_what_is_no_wording_is_refused() -> None:
    with pytest.raises(ValueError, match="has no words"):
        wording_table([(1, 2, "...")])
    for word in ("foot*", "one_two_three", "", "two words*"):
        with pytest.raises(ValueError, match="expected a word, a stem of 6 letters"):
            topic_table([(1, 0, 2, word)])
    with pytest.raises(ValueError, match="listed twice"):
        topic_table([(1, 0, 2, "goal"), (1, 1, 1, "Goal")])
    topic_table([(1, 0, 2, "goal"), (2, 1, 1, "goal")])
    assert ending_table([[], ["_mi"]])[2].tolist() == [0, 0, 1]


def test_what_stands_in_another_post_is_not_taken_over() -> None:
    posts = ["Heavy snow", "rain tonight", "does anyone", "know", "Like and", "share", "x == 3;", "y := 4"]
    alone = [row for post in posts for row in rows_of([post])]
    assert rows_of([*posts]) == alone
    assert not any(row["topic"] or row["is_question"] or row["bait_share"] for row in alone if row)


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
