"""The character tables against unicodedata, and the coders against Python's own."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from filters.kernels import characters
from filters.kernels.characters import CLASS, FOLD, KIND, LETTER, SCRIPT, SCRIPTS, TABLE_SIZE, UPPER


def test_kinds_follow_the_general_category() -> None:
    kinds = CLASS & KIND
    for code in range(0, TABLE_SIZE, 7):
        category = unicodedata.category(chr(code))[0]
        if kinds[code] == LETTER:
            assert category == "L", hex(code)
        if category == "L" and kinds[code] != LETTER:
            assert kinds[code] in (characters.INVISIBLE, characters.EMOJI), hex(code)


def test_fold_is_pythons_lower_case() -> None:
    for code in np.flatnonzero(CLASS & UPPER).tolist():
        lower = chr(code).lower()
        assert FOLD[code] == (ord(lower) if len(lower) == 1 else code)


@pytest.mark.parametrize("code", [0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF])
def test_a_character_survives_encoding_and_decoding(code: int) -> None:
    out = np.zeros(4, np.uint8)
    end = characters.encode(code, out, 0)
    assert characters.decode(out, 0, end) == (code, end)
    if not 0xD800 <= code < 0xE000:
        assert bytes(out[:end]) == chr(code).encode()


@pytest.mark.parametrize("broken", [b"\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xff", b"\xc0\xaf"[:1]])
def test_a_broken_character_is_one_byte_wide(broken: bytes) -> None:
    assert characters.decode(np.frombuffer(broken, np.uint8), 0, len(broken)) == (0xFFFD, 1)


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("a", "Latn"),
        ("ж", "Cyrl"),
        ("中", "Hani"),
        ("の", "Kana"),
        ("한", "Hang"),
        ("ก", "Thai"),
        ("1", ""),
        ("😂", ""),
    ],
)
def test_scripts(character: str, script: str) -> None:
    assert SCRIPTS[SCRIPT[ord(character)]] == script


def test_the_tables_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        CLASS[0] = 1
