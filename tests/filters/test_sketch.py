"""The sketch: what normalising keeps, MinHash equal to datasketch's to the bit, keys and estimates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels import cpu
from filters.kernels.minhash import MERSENNE, _reduces_at_once
from filters.kernels.shingles import murmur32
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.sketch import Sketch, estimate_jaccard
from filters.stage import configure
from schemas.columns import CLEAN_TEXT
from schemas.errors import ConfigError

GOLDEN = Path(__file__).parents[1] / "golden" / "sketch.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]

TEXTS = {
    "empty": "",
    "one character": "a",
    "shorter than a shingle": "abc",
    "one shingle": "abcd",
    "one word": "word",
    "latin": "the quick brown fox jumps over the lazy dog; größe zählt, ça va, żółw",
    "cyrillic": "съешь ещё этих мягких французских булок",
    "greek": "ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "arabic": "نص حكيم له سر قاطع وذو شأن عظيم",
    "persian, joined by a non-joiner": "می\u200cخواهم بروم",
    "hebrew": "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
    "hebrew with points": "שָׁלוֹם עֲלֵיכֶם",
    "devanagari": "नमस्ते दुनिया कैसे हो",
    "bengali": "আমি বাংলায় গান গাই",
    "tamil": "வணக்கம் உலகம் எப்படி இருக்கிறாய்",
    "thai": "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "khmer": "ខ្ញុំសូមស្វាគមន៍",
    "burmese": "မင်္ဂလာပါ ကမ္ဘာလောက",
    "georgian": "ვეპხის ტყაოსანი შოთა რუსთაველი",
    "armenian": "բարեւ աշխարհ ինչպես ես",
    "ethiopic": "ሰላም ለዓለም ሁሉ",
    "tibetan": "བཀྲ་ཤིས་བདེ་ལེགས",
    "han": "敏捷的棕色狐狸跳过了懒狗",
    "han beyond 16 bits": "𠮷野家𠀋𡈽𡌛𡑮",
    "kana": "いろはにほへと ちりぬるを アイウエオ",
    "hangul": "다람쥐 헌 쳇바퀴에 타고파",
    "hangul in parts": "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "right to left mixed": "שלום abc مرحبا def 42",
    "direction override": "\u202eoverride\u202c",
    "emoji": "\U0001f602",
    "emoji storm": "\U0001f525\U0001f602\U0001f44d\U0001f3fd\u2764\ufe0f" * 40,
    "joined emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
    "joined flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "flags": "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7\U0001f1ef\U0001f1f5",
    "zero-width marks": "f\u200br\u200de\u200ce \ufeffm\u2060oney",
    "stacked accents": "z\u0301\u0302\u0303\u0304a\u0305\u0306l\u0307g\u0308o",
    "replacement characters": "\ufffd\ufffd",
    "NUL and controls": "a\x00b\x07c\x1bd",
    "copy-pasta": "buy now " * 200,
    "two shingles 20,000 times": "ab" * 10_000,
    "20,000 characters": "".join(chr(97 + number * number % 26) + str(number) for number in range(4000))[:20_000],
    "20,000 ideographs": "".join(chr(0x4E00 + number * number % 20_000) for number in range(20_000)),
}


def sketch(texts: list[str | None], **settings_: int) -> pa.Array:
    rows = [None if text is None else {"text": text, "changed": False} for text in texts]
    answer = Sketch(**settings_)(pa.RecordBatch.from_arrays([pa.array(rows, CLEAN_TEXT)], ["clean_text"]))
    answer.validate(full=True)
    return answer


def normalised(texts: list[str]) -> list[str]:
    data, offsets = utf8_buffers(pa.array(texts, pa.string()))
    return string_array(*cpu.normalise(data, offsets)).to_pylist()


def plain_murmur32(data: bytes) -> int:
    """MurmurHash3_x86_32 of seed 0, as its specification reads, on Python integers."""
    mask = 0xFFFFFFFF

    def rotated(x: int, bits: int) -> int:
        return (x << bits | x >> 32 - bits) & mask

    h = 0
    whole = len(data) // 4 * 4
    for at in range(0, len(data), 4):
        word = int.from_bytes(data[at : at + 4], "little")
        h ^= rotated(word * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask
        if at < whole:
            h = (rotated(h, 13) * 5 + 0xE6546B64) & mask
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def reference(text: str, shingle_chars: int, count: int, seed: int = 1) -> MinHash:
    a, b = cpu.permutations(count, seed)
    # datasketch 2 calls (a * h + b) mod (2^61 - 1) mod 2^32 its legacy scheme
    permutations = (a.astype(np.uint64), b.astype(np.uint64))
    sketch_ = MinHash(count, hashfunc=plain_murmur32, permutations=permutations, scheme="legacy")
    shingles = {text[at : at + shingle_chars] for at in range(max(1, len(text) - shingle_chars + 1))}
    sketch_.update_batch([shingle.encode() for shingle in shingles])
    return sketch_


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    [answer] = sketch([line["text"]]).to_pylist()
    if line["text"] is None:
        assert answer is None
    elif line["normalised"] is None:
        assert answer == {"fingerprint": None, "bands": None, "signature": None}
    else:
        assert normalised([line["text"]]) == [line["normalised"]]
        assert answer == sketch([line["normalised"]])[0].as_py()
        assert answer != sketch([line["normalised"] + " x"])[0].as_py()


@given(st.lists(st.text(), max_size=8))
@settings(deadline=None, max_examples=200)
def test_normalising_twice_changes_nothing(texts: list[str]) -> None:
    once = normalised(texts)
    assert normalised(once) == once


@pytest.mark.parametrize("script", TEXTS)
def test_minhash_equals_datasketch_to_the_bit(script: str) -> None:
    text = TEXTS[script]
    data, offsets = utf8_buffers(pa.array([text]))
    for shingle_chars in (1, 4, 7):
        [row] = cpu.minhash(data, offsets, shingle_chars, *cpu.permutations(144, 1))
        expected = reference(text, shingle_chars, 144).hashvalues if text else np.full(144, 0xFFFFFFFF)
        assert row.tolist() == expected.tolist()


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.integers(1, 6))
@settings(deadline=None, max_examples=50)
def test_minhash_of_any_texts_equals_datasketch(texts: list[str], shingle_chars: int) -> None:
    data, offsets = utf8_buffers(pa.array(texts))
    values = cpu.minhash(data, offsets, shingle_chars, *cpu.permutations(16, 3))
    for text, row in zip(texts, values, strict=True):
        if text:
            assert row.tolist() == reference(text, shingle_chars, 16, seed=3).hashvalues.tolist()


def test_bands_of_posts_are_made_of_datasketch_values() -> None:
    """The whole way of a post: normalised, shingled, permuted, and keyed as `band_keys` says."""
    texts = [text for text in normalised(list(TEXTS.values())) if text]
    values = np.array([reference(text, 4, 144).hashvalues for text in texts], np.uint32)
    bands = pc.struct_field(sketch(texts), "bands").to_pylist()
    assert bands == cpu.band_keys(values, 24).tolist()


def test_minimum_is_exact_where_its_short_cut_is_in_doubt() -> None:
    """Hashes made so that two values lie close together, or wrap around: the least low half is not the least value."""
    a, b = cpu.permutations(64, 1)
    rng = np.random.default_rng(5)
    hashes, expected = [], []
    for i in range(64):
        inverse = pow(int(a[i]), -1, 1 << 32)
        for low in (0, 3, (1 << 32) - 8, (1 << 32) - 2, *rng.integers(0, 1 << 32, 4).tolist()):
            close = [(low + step - int(b[i])) * inverse % (1 << 32) for step in range(9)]
            row = [h for h in close if rng.random() < 0.5] or close
            hashes.append(row)
            expected.append(
                [min((h * int(x) + int(y)) % MERSENNE % (1 << 32) for h in row) for x, y in zip(a, b, strict=True)]
            )
    ends = np.cumsum([0, *map(len, hashes)])
    found = cpu.minima(np.array([h for row in hashes for h in row], np.uint32), ends, a, b)
    assert found.tolist() == expected


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_murmur32_equals_its_specification(data: bytes) -> None:
    assert murmur32(np.frombuffer(b"x" + data, np.uint8), 1, len(data) + 1) == plain_murmur32(data)


def test_hashes_equal_published_values() -> None:
    fox = b"The quick brown fox jumps over the lazy dog"
    row = np.array([0, len(fox)])
    assert plain_murmur32(fox) == 0x2E4FF723
    assert int(cpu.fingerprint(np.frombuffer(fox, np.uint8), row).view(np.uint64)[0]) == 0xE34BBC7BBC071B6C


def test_one_fold_is_exact_for_every_permutation_drawn() -> None:
    rng = np.random.default_rng(3)
    a, b = cpu.permutations(512, 5)
    for multiplier, offset in zip(a.tolist(), b.tolist(), strict=True):
        assert multiplier % 2 == 1
        assert _reduces_at_once(multiplier, offset)
        for h in [0, 1, 0xFFFFFFFF, *rng.integers(0, 1 << 32, 20).tolist()]:
            x = h * multiplier + offset
            assert x < 1 << 64
            assert (x & MERSENNE) + (x >> 61) == x % MERSENNE


def test_a_permutation_that_needs_two_folds_is_refused() -> None:
    multiplier = (1 << 31) + 11
    offset = MERSENNE % multiplier  # then some h gives x = 2^61 - 1, which folds to itself instead of 0
    assert not _reduces_at_once(multiplier, offset)


def test_permutations_are_pinned() -> None:
    """A change here would part a running system from its own history."""
    a, b = cpu.permutations(2, 1)
    assert (a.tolist(), b.tolist()) == ([2198257139, 4082210491], [2032329983, 3243419750])
    assert sketch(["good morning"])[0]["fingerprint"].as_py() == 1755260319708100274
    assert sketch(["good morning"])[0]["bands"][23].as_py() == 5894972312657412941


def test_similar_texts_share_bands_and_others_do_not() -> None:
    post = "the council voted last night to close the old swimming pool for good"
    near = sketch([post, post.replace("old", "new"), "RT @x: " + post.upper() + "!", "an entirely different matter"])
    first, edited, passed_on, other = near.to_pylist()
    assert set(first["bands"]) & set(edited["bands"])
    assert first == passed_on
    assert not set(first["bands"]) & set(other["bands"])


def test_a_value_that_moves_to_another_band_gives_another_key() -> None:
    keys = cpu.band_keys(np.full((1, 12), 7, np.uint32), 6)
    assert len(set(keys[0].tolist())) == 6


def test_short_texts_are_one_shingle_each() -> None:
    rows = sketch(["ab", "abc", "ab"]).to_pylist()
    assert rows[0] == rows[2]
    assert not set(rows[0]["bands"]) & set(rows[1]["bands"])


def shingled(text: str) -> set[str]:
    return {text[at : at + 4] for at in range(max(1, len(text) - 3))}


def jaccard(left: str, right: str) -> float:
    return len(shingled(left) & shingled(right)) / len(shingled(left) | shingled(right))


def estimates(pairs: list[tuple[str, str]]) -> Any:
    left, right = (pc.struct_field(sketch(list(side)), "signature") for side in zip(*pairs, strict=True))
    return estimate_jaccard(left, right)


def spelt(words: list[int]) -> str:
    return " ".join(f"{word * 2654435761 % 9999991:07d}" for word in words)


def test_estimate_of_posts_is_their_exact_similarity() -> None:
    words = list(range(33))  # 263 characters
    edited = [spelt([word + 100 * (word < cut) for word in words]) for cut in (0, 1, 3, 10, 30, 33)]
    short = [("gm", "gm"), ("gm", "gn"), ("lol same", "lol sane"), ("\U0001f602", "\U0001f602"), ("ok", "ok then")]
    pairs = [(edited[0], other) for other in edited] + short
    assert estimates(pairs).tolist() == pytest.approx([jaccard(*pair) for pair in pairs], abs=1e-12)


@pytest.mark.parametrize("words", [40, 100, 500, 2400])
def test_estimate_of_long_texts_follows_the_true_similarity(words: int) -> None:
    texts = [spelt([word + 10_000 * (word < cut) for word in range(words)]) for cut in range(0, words, words // 20)]
    pairs = [(texts[0], other) for other in texts] + [(texts[0][: len(text) * 3 // 4], text) for text in texts]
    off = estimates(pairs) - [jaccard(*pair) for pair in pairs]
    assert np.abs(off).max() < 0.12  # a standard error of .04 at the most, and one sample for all pairs
    assert np.abs(off.mean()) < 0.06


def test_estimate_of_a_repetitive_text_counts_each_shingle_once() -> None:
    assert estimates([("ab" * 10_000, "ab" * 40), ("buy now " * 200, "buy now " * 3)]).tolist() == [1.0, 1.0]


def test_estimate_of_nulls_is_unknown_and_of_other_bytes_refused() -> None:
    signatures = pc.struct_field(sketch(["good morning", None, "@a", "good evening", "good morning"]), "signature")
    assert signatures.null_count == 2
    found = estimate_jaccard(signatures, pa.concat_arrays([signatures.slice(4), signatures.slice(0, 4)]))
    assert found[0] == 1.0
    assert np.isnan(found[1:4]).all()
    assert np.array_equal(estimate_jaccard(signatures.slice(3), signatures.slice(3)), [1.0, 1.0])
    with pytest.raises(ValueError, match="one length"):
        estimate_jaccard(signatures, signatures.slice(1))
    with pytest.raises(ValueError, match="got one of 2 bytes"):
        estimate_jaccard(pa.array([b"ab"]), pa.array([b"abcd"]))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"bands": 0}, "'bands' must be a positive integer, got 0"),
        ({"rows": 2.0}, "'rows' must be a positive integer, got 2.0"),
        ({"seed": True}, "'seed' must be a positive integer, got True"),
        ({"bands": 64, "rows": 9}, "must be at most 512, got 64 x 9"),
        ({"shingle": 4}, "did you mean 'shingle_chars'?"),
    ],
)
def test_wrong_settings_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        configure([Sketch], {"sketch": section})


def test_other_settings_give_other_widths() -> None:
    [row] = sketch(["good morning to you"], bands=5, rows=3, shingle_chars=2).to_pylist()
    assert (len(row["bands"]), len(row["signature"])) == (5, 1 + 3 * 18)  # a level and 18 shingles
    [row] = sketch(["".join(map(chr, range(0x4E00, 0x6E00)))]).to_pylist()
    assert len(row["signature"]) <= 1 + 3 * 280
