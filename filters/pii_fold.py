"""Reduce every way of writing a digit, a letter, a dash or a space to the ASCII one, character by character.

The compiled screen and the patterns read the same folded text, so that what one passes over the other cannot find.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

OTHER = 0x01  # neither letter nor digit: emoji, punctuation
LETTER = 0x80  # a letter or numeral outside ASCII, of a script that puts spaces between words
GLUED = 0x81  # a character of East Asia: links and words end here without a space
INVISIBLE = 0x00  # dropped before anything is matched

GLUED_RANGES = ((0x1100, 0x11FF), (0x2E80, 0xD7FF), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))
GLUED_CLASS = "".join(f"{chr(low)}-{chr(high)}" for low, high in GLUED_RANGES)
"""The same ranges, to stand inside the brackets of a pattern."""

_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x061C, 0x061C),  # Arabic letter mark
    (0x200B, 0x200F),  # zero-width space, joiners, direction marks
    (0x202A, 0x202E),  # direction embeddings and overrides, which contact cards put around a number
    (0x2060, 0x2069),  # word joiner, isolates
    (0x20E3, 0x20E3),  # the box around a keycap digit
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),
)
_DASHES = (0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212, 0xFE58, 0xFE63, 0xFF0D)
_WIDE_MARKS = "@.+():_"  # of the full-width marks, those that numbers and addresses are written with
_INVISIBLE = re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in _INVISIBLE_RANGES) + "]")


@cache
def folding() -> dict[int, str]:
    """Return the ASCII character of each code point that has one, for `str.translate`."""
    table: dict[int, str] = {}
    for code in range(0x80, sys.maxunicode + 1):
        character = chr(code)
        if character.isdecimal():
            table[code] = str(unicodedata.decimal(character))
        elif unicodedata.category(character) == "Zs":
            table[code] = " "
    for code in range(0xFF01, 0xFF5F):
        plain = chr(code - 0xFEE0)
        if plain.isalnum() or plain in _WIDE_MARKS:
            table[code] = plain
    table |= dict.fromkeys(_DASHES, "-") | dict.fromkeys((0x85, 0x2028, 0x2029, 0x0B, 0x0C, 0x0D), "\n")
    table[0x09] = " "
    return table


@cache
def fold_table() -> npt.NDArray[np.uint8]:
    """Return one byte per code point: its ASCII character, or one of OTHER, LETTER, GLUED, INVISIBLE."""
    table = np.full(sys.maxunicode + 1, OTHER, np.uint8)
    for code in range(0x80, 0x20000):
        if chr(code).isalnum():
            table[code] = LETTER
    for low, high in GLUED_RANGES:
        table[low : high + 1] = GLUED
    table[0x20:0x7F] = np.arange(0x20, 0x7F)
    table[0x0A] = 0x0A
    for code, plain in folding().items():
        table[code] = ord(plain)
    for low, high in _INVISIBLE_RANGES:
        table[low : high + 1] = INVISIBLE
    return table


def fold(text: str) -> tuple[str, list[int] | None]:
    """Return the folded text and, where characters were dropped, the position each one left had in `text`.

    >>> fold("Tel：０１２\u200b３")
    ('Tel:0123', [0, 1, 2, 3, 4, 5, 6, 8])
    """
    if text.isascii() and not any(mark in text for mark in "\t\x0b\x0c\r"):
        return text, None
    folded = text.translate(folding())
    if _INVISIBLE.search(folded) is None:
        return folded, None
    kept = [position for position, character in enumerate(folded) if not _INVISIBLE.match(character)]
    return "".join([folded[position] for position in kept]), kept
