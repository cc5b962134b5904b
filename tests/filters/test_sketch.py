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
from filters.kernels.minhash import MERSENNE, _reduces_at_once, murmur32
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.sketch import Sketch, estimate_jaccard
from filters.stage import configure
from schemas.columns import CLEAN_TEXT
from schemas.errors import ConfigError

GOLDEN = Path(__file__).parents[1] / "golden" / "sketch.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]

TEXTS = [
    "a",
    "abc",
    "abcd",
    "the quick brown fox jumps over the lazy dog",
    "съешь ещё этих мягких французских булок",
    "敏捷的棕色狐狸跳过了懒狗",
    "नमस्ते दुनिया कैसे हो",
    "שלום abc مرحبا def",
    "\U0001f602",
    "\U0001f602" * 300,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
    "\u202eoverride\u202c",
    "\ufffd\ufffd",
    "word",
    "buy now " * 200,
    "ab" * 10_000,
]


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


def reference(text: str, shingle_chars: int, count: int) -> MinHash:
    a, b = cpu.permutations(count, 1)
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


@pytest.mark.parametrize("shingle_chars", [1, 4, 7])
def test_minhash_equals_datasketch_to_the_bit(shingle_chars: int) -> None:
    data, offsets = utf8_buffers(pa.array(TEXTS))
    values = cpu.minhash(data, offsets, shingle_chars, *cpu.permutations(144, 1))
    for text, row in zip(TEXTS, values, strict=True):
        assert row.tolist() == reference(text, shingle_chars, 144).hashvalues.tolist(), text[:20]


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


def test_estimate_follows_the_true_similarity() -> None:
    words = [f"w{number:03d}" for number in range(60)]
    posts = ["".join(words)] + [
        "".join(words[cut:] + [f"x{number:03d}" for number in range(cut)]) for cut in (3, 10, 30)
    ]
    signatures = pc.struct_field(sketch(posts, bands=64, rows=8), "signature")
    estimates = estimate_jaccard(pa.array([signatures[0].as_py()] * 4, pa.binary()), signatures)
    shingles = [{post[at : at + 4] for at in range(len(post) - 3)} for post in posts]
    truth = [len(shingles[0] & other) / len(shingles[0] | other) for other in shingles]
    assert estimates[0] == 1.0
    assert np.abs(estimates - truth).max() < 0.08  # 512 values: a standard error of 0.022 at the most


def test_estimate_of_unrelated_bytes_is_near_zero_and_of_nulls_unknown() -> None:
    rng = np.random.default_rng(0)
    left, right = (pa.array([rng.bytes(144) for _ in range(500)] + [None], pa.binary()) for _ in range(2))
    estimates = estimate_jaccard(left, right)
    assert estimates[:-1].mean() < 0.003  # without the correction it would be 1/256 = 0.0039
    assert np.isnan(estimates[-1])
    assert np.array_equal(estimate_jaccard(left.slice(3, 5), right.slice(3, 5)), estimates[3:8])
    with pytest.raises(ValueError, match="one length"):
        estimate_jaccard(left, right.slice(1))
    with pytest.raises(ValueError, match="one width"):
        estimate_jaccard(left.slice(0, 2), pa.array([b"ab", b"abc"]))


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
    assert (len(row["bands"]), len(row["signature"])) == (5, 15)
