"""The normal form that is hashed, and what is counted beside it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.kernels import ngrams
from filters.kernels.ngrams import MAX_CHARS, STYLE, character_tables, feature_rows
from filters.kernels.utf8 import utf8_buffers


def normal_form(text: str, drop: bool = False, fold_case: bool = True) -> str:
    data, offsets = utf8_buffers(pa.array([text]))
    scratch = ngrams._workspace()[0]
    cut = (*character_tables(fold_case), 17, drop, 1)
    length = ngrams._normalise(data, offsets[0], offsets[1], cut, scratch)
    form = "".join(map(chr, scratch[0][:length]))
    for mark, name in (("\ue000", "LINK"), ("\ue001", "NAME"), ("\ue002", "TAG"), ("\ue003", "SMILE")):
        form = form.replace(mark, name)
    return form.strip()


def features(text: str, drop: bool = False, min_words: int = 1) -> tuple[list[int], dict[str, float]]:
    data, offsets = utf8_buffers(pa.array([text]))
    ids, starts, style = feature_rows(data, offsets, (*character_tables(True), 17, drop, min_words))
    assert starts.tolist() == [0, len(ids)]
    return ids.tolist(), dict(zip(STYLE, style[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "marked", "dropped"),
    [
        ("See https://a.example/x?y=1 now", "see LINK now", "see now"),
        ("www.a.example, really", "LINK really", "really"),
        ("what http is left of a link", "what LINK is left of a link", "what is left of a link"),
        ("httpd is a server", "httpd is a server", "httpd is a server"),
        ("@ann.example.org: hi", "NAME : hi", ": hi"),
        ("RT @ann: hi", "NAME : hi", ": hi"),
        ("mail ann@home", "mail ann@home", "mail ann@home"),
        ("so #happy today", "so TAG happy today", "so today"),
        ("# 1", "# 0", "# 0"),
        ("ok 😀😀👍🏽 ok", "ok SMILE ok", "ok ok"),
        ("a\ufffdb", "aSMILEb", "a b"),
        ("“Quoted” words", '"quoted" words', 'quoted" words'),
        ("Soooooo GOOD!!!!!!", "sooo good!!!", "sooo good!!!"),
        ("call 0906 12", "call 000 00", "call 000 00"),
        ("w\u200bo\u2060rd \u202eback\u202c", "word back", "word back"),
        ("ＦＲＥＥ\u3000中文", "free 中文", "free 中文"),
        ("ÄÖ Привет ٣", "äö привет 0", "äö привет 0"),
    ],
)
def test_normal_form(text: str, marked: str, dropped: str) -> None:
    assert normal_form(text) == marked
    assert normal_form(text, drop=True) == dropped


def test_case_is_kept_when_asked_for() -> None:
    assert normal_form("Éa B", fold_case=False) == "Éa B"


@pytest.mark.parametrize("text", ["", " ", "😀", "https://a.example", "@ann", "123", "\u200d\ufeff", "\ufffd", "?!"])
def test_nothing_to_read_has_no_features(text: str) -> None:
    assert features(text)[0] == []


def test_every_gram_and_word_is_hashed_once() -> None:
    ids, _ = features("ab c")  # " ab c " has 5 pairs, 4 triples, 3 and 2 longer grams; 2 words and 2 pairs of words
    assert len(ids) == 5 + 4 + 3 + 2 + 2 + 2
    assert len(set(ids)) == len(ids)
    assert all(0 <= row < 1 << 17 for row in ids)


def test_each_ideograph_is_a_word() -> None:
    assert features("中文字", min_words=3)[0]
    assert not features("中文字", min_words=4)[0]
    assert features("go中文go", min_words=4)[0]


def test_style_counts_what_it_says() -> None:
    _, style = features("HEY you!! 12 😀 @ann #tag https://a.example aaaaa")
    assert style["upper_share"] == pytest.approx(3 / 14)
    assert style["digit_share"] == pytest.approx(2 / 18)
    assert style["exclamation_share"] == pytest.approx(2 / 5)
    assert style["longest_run"] == pytest.approx(5 / 8)
    assert [style[name] for name in ("links", "mentions", "hashtags", "emoji")] == pytest.approx([0.2] * 4)
    _, dropped = features("HEY you!! 12 😀 @ann #tag https://a.example aaaaa", drop=True)
    assert [dropped[name] for name in ("links", "mentions", "hashtags", "emoji")] == [0] * 4


def test_a_long_post_is_read_to_its_limit() -> None:
    text = "".join(chr(97 + i * i % 26) for i in range(20_000))
    assert features(text)[0] == features(text[: MAX_CHARS - 1] + "zq" * 50)[0]
    assert len(features("a1 " * 20_000)[0]) <= 6 * (MAX_CHARS + 2)


def test_broken_bytes_do_not_run_past_the_row() -> None:
    broken = b"ab \xf0\x9f\xff\xe2\x82cd \xc3"
    cut = (*character_tables(True), 17, False, 1)
    whole, longer = (
        feature_rows(np.frombuffer(data, np.uint8), np.array([0, len(broken)]), cut)[0]
        for data in (broken, broken + b"\xa4more")
    )
    assert len(whole)
    assert whole.tolist() == longer.tolist()
