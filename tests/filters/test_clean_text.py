"""Cleaning: golden lines, idempotence, and that the pre-screen lets nothing through that needs work."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import ftfy
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.clean_text import CleanText, clean_strings
from filters.kernels.tidy import COMPOSE, MOJIBAKE, screen_rows, tidy_rows
from filters.kernels.utf8 import string_array, utf8_buffers

GOLDEN = Path(__file__).parents[1] / "golden" / "clean_text.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
PIECES = (
    *("a", "B", " ", "  ", "\n", "\r\n", "\t", "&", "&amp;", "&#39;", "&lt", "amp;", ";", "#", "1", "\u20e3", "é"),
    *("e\u0301", "\u0327", "\u0301", "Ã©", "â€™", "Ð¿", "Рџ", "\x85", "\x00", "\ufffd", "\u200b", "\u200c", "\u200d"),
    *(
        "\u202e",
        "\ufe0f",
        "\u00ad",
        "👩",
        "👍🏽",
        "🏴",
        "\U000e0067",
        "می",
        "क्",
        "ন",
        "中",
        "\U000e0100",
        "한",
        "\u1100\u1161",
    ),
    *("\u00a0", "\u3000", "\u2028", "Ã", "√©", "\u09c7\u09be", "\u212b", "\U0002f800"),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=12).map("".join)


def clean(texts: list[str | None]) -> list[str | None]:
    answer = CleanText()(pa.record_batch({"text": pa.array(texts, pa.string())}))
    answer.validate(full=True)
    return [row and row["text"] for row in answer.to_pylist()]


def test_there_are_enough_golden_lines() -> None:
    assert len(LINES) >= 40
    assert all(line["why"] for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    batch = pa.record_batch({"text": pa.array([line["text"]], pa.string())})
    expected = line["expect"] and {"text": line["expect"], "changed": line["expect"] != line["text"]}
    if line["expect"] == "":
        expected = {"text": "", "changed": line["text"] != ""}
    assert CleanText()(batch).to_pylist() == [expected]


def test_golden_lines_together_are_what_they_are_alone() -> None:
    assert clean([line["text"] for line in LINES] * 3) == [line["expect"] for line in LINES] * 3


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_cleaning_clean_text_changes_nothing(texts: list[str]) -> None:
    once = clean(list(texts))
    assert clean(once) == once
    assert clean(once[::-1]) == once[::-1]


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_what_is_clean(text: str) -> None:
    (result,) = clean([text])
    assert result is not None
    assert result == unicodedata.normalize("NFC", result)
    assert not any(unicodedata.category(character) == "Cc" and character != "\n" for character in result)
    assert "  " not in result
    assert "\n\n\n" not in result
    assert result == result.strip(" \n")


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_the_screen_sees_all_that_the_slow_way_would_change(text: str) -> None:
    (flags,) = screen_rows(*utf8_buffers(pa.array([text])))
    if not flags & COMPOSE:
        assert unicodedata.normalize("NFC", text) == text
    if not flags:
        assert string_array(*tidy_rows(*utf8_buffers(pa.array([text])))).to_pylist() == [text]


def test_composition_is_screened_for_every_character() -> None:
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    flags = screen_rows(*utf8_buffers(pa.array([chr(code) for code in codes])))
    unseen = [code for code, flag in zip(codes, flags.tolist(), strict=True) if not flag & COMPOSE]
    missed = [hex(code) for code in unseen if unicodedata.normalize("NFC", chr(code)) != chr(code)]
    assert missed == []


def test_rows_that_are_clean_share_their_bytes_with_the_input() -> None:
    column = pa.array(["nothing to do here", "nor here, at all", None])
    text, changed = clean_strings(column)
    assert text.buffers()[2].address == column.buffers()[2].address
    assert changed.to_pylist() == [False, False, False]


def test_large_strings_are_welcome() -> None:
    text, _ = clean_strings(pa.array(["a &amp;  b", None], pa.large_string()))
    assert text.type == pa.string()
    assert text.to_pylist() == ["a & b", None]


def test_broken_bytes_are_dropped_and_nothing_is_read_past_the_end() -> None:
    raw = pa.array([b"caf\xc3", b"\xff ok", b"\xf0\x9f\x98"], pa.binary())
    text, _ = clean_strings(raw.view(pa.string()))
    assert text.to_pylist() == ["caf", "ok", ""]


def test_a_post_of_nested_entities_and_joiners_takes_no_time() -> None:
    long = ["&" + "amp;" * 5000, "\u200d" * 20_000, "👩\u200d" * 5000, "a\u0301" * 9000]
    once = clean(list(long))
    assert clean(once) == once
    assert once[0] == "&"


def test_the_screen_misses_no_mojibake_in_real_posts(real_data: Path) -> None:
    column = pq.read_table(real_data / "posts" / "ira-tweets.parquet", columns=["text"])["text"].combine_chunks()
    column = column.slice(0, 20_000)
    flags = screen_rows(*utf8_buffers(column))
    quiet = column.filter(pa.array((flags & MOJIBAKE) == 0)).to_pylist()
    assert [text[:20] for text in quiet if not text.isascii() and ftfy.fix_encoding(text) != text] == []


def test_real_posts_come_out_clean(real_data: Path) -> None:
    column = pq.read_table(real_data / "posts" / "ira-tweets.parquet", columns=["text"])["text"].combine_chunks()
    text, changed = clean_strings(column.slice(0, 20_000))
    assert 0.05 < np.mean(np.asarray(changed)) < 0.4
    again, changed_again = clean_strings(text)
    assert not pc.any(changed_again).as_py()
    assert again.equals(text)
