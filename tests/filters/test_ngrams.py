"""The normal form that is hashed, and what is counted beside it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.kernels import ngrams
from filters.kernels.ngrams import CHAR_ROWS, CHARS_HEARD, ROWS, WORDS_HEARD, feature_rows
from filters.kernels.normal_form import MARKS, MAX_CHARS, STYLE, character_tables, normal_form
from filters.kernels.utf8 import utf8_buffers

ONE = ROWS + len(STYLE)  # the column that is always 1


def form_of(text: str) -> tuple[str, str]:
    """Return the normal form of a text and of its tags."""
    data, offsets = utf8_buffers(pa.array([text]))
    scratch = ngrams._workspace()[0]
    lengths = normal_form(data, offsets[0], offsets[1], character_tables(), scratch)
    texts = zip(scratch[:2], lengths, strict=True)
    form, tags = ("".join(map(chr, cells[:length])).strip() for (cells, _), length in texts)
    return form, tags


def features(text: str, min_words: int = 1, marks: bool = True) -> tuple[list[int], dict[str, float]]:
    """Return the rows of the n-grams and words, and the style that is not 0."""
    data, offsets = utf8_buffers(pa.array([text]))
    ids, values, starts = feature_rows(data, offsets, character_tables(), (min_words, marks))
    assert starts.tolist() == [0, len(ids)]
    assert (ids[-1:] == ONE).all()
    style = (ids >= ROWS) & (ids < ONE)
    named = {
        STYLE[column - ROWS]: value for column, value in zip(ids[style].tolist(), values[style].tolist(), strict=True)
    }
    return ids[ids < ROWS].tolist(), named


@pytest.mark.parametrize(
    ("text", "form", "tags"),
    [
        ("See https://a.example/x?y=1 now", "see now", ""),
        ("www.a.example, really", "really", ""),
        ("what http is left of a link", "what is left of a link", ""),
        ("now HTTPURL", "now", ""),
        ("httpd is a server", "httpd is a server", ""),
        ("httpurls are links", "httpurls are links", ""),
        ("@ann.example.org: hi", ": hi", ""),
        ("RT @ann: hi", ": hi", ""),
        ("mail ann@home", "mail ann@home", ""),
        ("so #happy today", "so today", "happy"),
        ("#StopTheTrain now #big_news #FIFA2026", "now", "stop the train big news fifa000"),
        ("# 1", "# 0", ""),
        ("ok 😀😀👍🏽 ok", "ok ok", "😀😀👍🏽"),
        ("a\ufffdb", "a b", "\ufffd"),
        ("“Quoted” words", 'quoted" words', ""),
        ("Soooooo GOOD!!!!!!", "sooo good!!!", ""),
        ("call 0906 12", "call 000 00", ""),
        ("w\u200bo\u2060rd \u202eback\u202c", "word back", ""),
        ("ＦＲＥＥ\u3000中文", "free 中文", ""),
        ("ÄÖ Привет ٣", "äö привет 0", ""),
    ],
)
def test_normal_form(text: str, form: str, tags: str) -> None:
    assert form_of(text) == (form, tags)


@pytest.mark.parametrize(
    "text", ["", " ", "😀", "https://a.example", "@ann", "#", "123", "\u200d\ufeff", "\ufffd", "?!"]
)
def test_nothing_to_read_has_no_features(text: str) -> None:
    data, offsets = utf8_buffers(pa.array([text]))
    assert len(feature_rows(data, offsets, character_tables(), (0, True))[0]) == 0


def test_every_gram_and_word_is_hashed_once() -> None:
    ids, _ = features("ab c")  # " ab c " has 5 pairs, 4 triples, 3 and 2 longer grams; 2 words and 2 pairs of words
    assert sum(row < CHAR_ROWS for row in ids) == 5 + 4 + 3 + 2
    assert sum(row >= CHAR_ROWS for row in ids) == 2 + 2
    assert len(set(ids)) == len(ids)
    assert all(0 <= row < ROWS for row in ids)


def test_a_block_counts_by_the_root_of_its_features() -> None:
    data, offsets = utf8_buffers(pa.array(["ab c #de", "one two three"]))
    ids, values, starts = feature_rows(data, offsets, character_tables(), (1, True))
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        for block in (ids[begin:end] < CHAR_ROWS, (ids[begin:end] >= CHAR_ROWS) & (ids[begin:end] < ROWS)):
            assert (values[begin:end][block] ** 2).sum() == pytest.approx(1, abs=1e-5)


def test_a_long_post_is_no_louder_than_a_tweet() -> None:
    data, offsets = utf8_buffers(pa.array(["one two " * 400]))
    ids, values, _ = feature_rows(data, offsets, character_tables(), (1, False))
    for rows, heard in ((ids < CHAR_ROWS, CHARS_HEARD), ((ids >= CHAR_ROWS) & (ids < ROWS), WORDS_HEARD)):
        assert rows.sum() > heard
        assert values[rows].sum() == pytest.approx(heard**0.5, rel=1e-4)


def test_marks_are_read_only_when_asked_for() -> None:
    plain, marked = "so it goes again", "so @ann it goes #badly https://a.example again 😀"
    assert features(marked, marks=False) == features(plain, marks=False)
    ids, style = features(marked)
    assert ids[: len(features(plain)[0])] != ids
    assert set(STYLE[-MARKS:]) <= set(style)


def test_each_ideograph_is_a_word() -> None:
    assert features("中文字", min_words=3)[0]
    assert not features("中文字", min_words=4)[0]
    assert features("go中文go", min_words=4)[0]


def test_style_counts_what_it_says() -> None:
    _, style = features("HEY you!! 12 😀 @ann #tag https://a.example aaaaa")
    assert style["upper_share"] == pytest.approx(3 / 9)
    assert style["digit_share"] == pytest.approx(2 / 13)
    assert style["punctuation_share"] == pytest.approx(2 / 13)
    assert style["shouted_words"] == pytest.approx(1 / 3)
    assert style["exclamations"] == pytest.approx(np.log1p(2) / 2)
    assert style["stretched_letters"] == pytest.approx(np.log1p(2) / 2)
    assert style["longest_number"] == pytest.approx(2 / 12)
    assert style["capital_first"] == 1
    assert "stop_last" not in style
    assert [style[name] for name in ("links", "mentions", "hashtags", "emoji")] == pytest.approx([np.log1p(1) / 2] * 4)


def test_style_knows_titles_questions_and_money() -> None:
    _, style = features("What It's Like, For £5 or $6?")
    assert style["capitalised_words"] == pytest.approx(4 / 5)
    assert style["questions"] == pytest.approx(np.log1p(1) / 2)
    assert style["money_signs"] == pytest.approx(np.log1p(2) / 2)
    assert style["stop_last"] == 1
    assert "capital_first" not in features("what it is")[1]


def test_a_long_post_is_read_to_its_limit() -> None:
    text = "".join(chr(97 + i * i % 26) for i in range(20_000))
    assert features(text)[0] == features(text[: MAX_CHARS - 1] + "zq" * 50)[0]
    assert len(features("a1 " * 20_000)[0]) <= 6 * (MAX_CHARS + 2)
    assert len(features("x " + "#a1 " * 20_000 + "😀" * 20_000)[0]) <= 6 * (MAX_CHARS + 2)


def test_broken_bytes_do_not_run_past_the_row() -> None:
    broken = b"ab \xf0\x9f\xff\xe2\x82cd \xc3"
    whole, longer = (
        feature_rows(np.frombuffer(data, np.uint8), np.array([0, len(broken)]), character_tables(), (1, True))[0]
        for data in (broken, broken + b"\xa4more")
    )
    assert len(whole)
    assert whole.tolist() == longer.tolist()
