"""The style kernel against counts made by hand, and against what it must not see."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.kernels.style import MAX_CHARS, style_rows
from filters.kernels.style_features import MARKS, PER_WORD, STYLE_FEATURES
from filters.kernels.utf8 import utf8_buffers

NASTY = (
    "",
    " ",
    "\U0001f602" * 500,
    "\u200b\u200d",
    "\u202eabc\u202c",
    "\ufffd",
    "x" * 20_000,
    "'",
    "a'",
    "…",
    "@",
    "\x00",
)


def styles(*texts: str | None) -> np.ndarray:
    return style_rows(*utf8_buffers(pa.array(texts, pa.string())))[0]


def style(text: str) -> dict[str, float]:
    return dict(zip(STYLE_FEATURES, styles(text)[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("I said no, and the dog said yes.", {"comma": 1, "period": 1, "the": 1, "and": 1, "first_person": 1}),
        (
            "She's walking slowly to the station!!",
            {"ing": 1, "ly": 1, "abstract": 1, "contractions": 1, "exclamation": 2},
        ),
        ("no no no", {"repeated_words": 2, "repeated_pairs": 1}),
        ("STOP it , now.then", {"shouted_words": 1, "space_before": 1, "no_space_after": 1, "comma": 1, "period": 1}),
        ("i think u wanna go", {"small_i": 1, "slang": 2, "first_person": 1, "second_person": 1}),
        ("It’s “fine”", {"curly": 3, "apostrophe": 1, "contractions": 1}),
        ("wait.. what…", {"dots": 1, "period": 2, "ellipsis": 1}),
    ],
)
def test_counts_are_those_made_by_hand(text: str, counts: dict[str, int]) -> None:
    words = int(style_rows(*utf8_buffers(pa.array([text])))[1][0])
    found = style(text)
    for name, count in counts.items():
        assert found[name] * words == pytest.approx(count, abs=1e-4), name


def test_shape_of_sentences() -> None:
    found = style("One two three. four five?\nSix")
    assert np.expm1(found["log_sentences"]) == pytest.approx(3)
    assert found["sentence_mean"] == pytest.approx(2)
    assert found["capital_sentences"] == pytest.approx(2 / 3)
    assert found["sentence_sd"] == pytest.approx(np.std([3, 2, 1]))
    assert found["word_chars_mean"] == pytest.approx(22 / 6)
    assert found["starts_capital"] == 1


def test_marks_change_only_their_own_numbers() -> None:
    plain = style("the weather is fine today")
    marked = style("@ann the weather is fine today #sun 😀 https://a.example/b?c=d")
    assert {name for name in STYLE_FEATURES if plain[name] != marked[name]} <= {
        *MARKS,
        "log_chars",
        "digits",
        "capitals",
    }
    assert (marked["links"], marked["mentions"], marked["hashtags"], marked["emoji"]) == (1, 1, 1, 1)
    assert (marked["starts_mention"], marked["ends_link"]) == (1, 1)


def test_straight_quotes_and_line_breaks_are_not_seen() -> None:
    quoted, plain = style('"the weather is fine."'), style("the weather is fine.")
    assert {name for name in STYLE_FEATURES if quoted[name] != plain[name]} == {"log_chars"}  # they are characters, too
    assert style("so it goes\nand goes") == style("so it goes\n\nand goes")


def test_a_text_too_long_has_no_words_and_a_null_none_either() -> None:
    _, words, bits = style_rows(*utf8_buffers(pa.array(["ab " * MAX_CHARS, "ab " * (MAX_CHARS // 2 - 1), None])))
    assert words.tolist() == [0, MAX_CHARS // 2 - 1, 0]
    assert bits.shape == (3, 4)
    assert not bits[2].any()


def test_whatever_comes_is_finite_and_rows_do_not_depend_on_each_other() -> None:
    texts = [*NASTY, "the same words the same words", None, "the same words the same words"]
    whole = styles(*texts)
    assert np.isfinite(whole).all()
    assert (whole[:, : len(PER_WORD)] >= 0).all()
    for row, text in enumerate(texts):
        assert np.array_equal(whole[row], styles(text)[0])
