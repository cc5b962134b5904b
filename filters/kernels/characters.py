"""What each Unicode character is, as flat tables a compiled loop can index.

`CLASS[code_point]` holds one byte: a kind in the low four bits (compare `CLASS[c] & KIND` with one of the kinds) and
flags in the high ones. `SCRIPT[code_point]` holds a number of `SCRIPTS` for letters and marks of the scripts we tell
apart, 0 for anything else. `FOLD[code_point]` is the simple lower case, `LOOK_UP` holds fold and class in one number.
They cover code points below `TABLE_SIZE`; use `look_up`, `class_of`, `script_of` and `fold_of` for any code point. The
tables are built from `unicodedata` at import (about 40 ms), so they follow the Unicode version of the Python that runs.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

TABLE_SIZE = 0x20000

KIND = 0x0F
OTHER = 0  # unassigned, private use, surrogates, U+FFFD
LETTER = 1
MARK = 2  # combining: accents, vowel signs, viramas
DIGIT = 3  # decimal digits of any script, and other numerals
PUNCTUATION = 4
SYMBOL = 5  # currency, mathematics, arrows, and `^`, `|`, `~`
SPACE = 6  # spaces and line breaks
INVISIBLE = 7  # control and format characters, joiners, variation selectors
EMOJI = 8  # emoji and pictographs, skin tones and flag letters included

UPPER = 0x10  # flag: a capital or title-case letter that has a lower case
LOWER = 0x20  # flag: a lower-case letter that has a capital
UNSPACED = 0x80  # flag: of a script written without spaces between words (Han, Kana, Thai, Lao, Khmer, Burmese)

SCRIPTS = (
    "",
    "Latn",
    "Cyrl",
    "Grek",
    "Arab",
    "Hebr",
    "Deva",
    "Beng",
    "Guru",
    "Gujr",
    "Orya",
    "Taml",
    "Telu",
    "Knda",
    "Mlym",
    "Sinh",
    "Thai",
    "Laoo",
    "Tibt",
    "Mymr",
    "Geor",
    "Hang",
    "Ethi",
    "Khmr",
    "Armn",
    "Hani",
    "Kana",
    "Thaa",
    "Syrc",
    "Cher",
    "Mong",
    "Tfng",
)
"""ISO 15924 codes by the number `SCRIPT` holds; `Kana` stands for Hiragana and Katakana alike."""
HAN = SCRIPTS.index("Hani")

_SCRIPT_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0041, 0x024F, "Latn"),
    (0x0250, 0x02AF, "Latn"),
    (0x0370, 0x03FF, "Grek"),
    (0x0400, 0x052F, "Cyrl"),
    (0x0531, 0x058F, "Armn"),
    (0x0591, 0x05F4, "Hebr"),
    (0x0600, 0x06FF, "Arab"),
    (0x0700, 0x074F, "Syrc"),
    (0x0750, 0x077F, "Arab"),
    (0x0780, 0x07BF, "Thaa"),
    (0x0870, 0x08FF, "Arab"),
    (0x0900, 0x097F, "Deva"),
    (0x0980, 0x09FF, "Beng"),
    (0x0A00, 0x0A7F, "Guru"),
    (0x0A80, 0x0AFF, "Gujr"),
    (0x0B00, 0x0B7F, "Orya"),
    (0x0B80, 0x0BFF, "Taml"),
    (0x0C00, 0x0C7F, "Telu"),
    (0x0C80, 0x0CFF, "Knda"),
    (0x0D00, 0x0D7F, "Mlym"),
    (0x0D80, 0x0DFF, "Sinh"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x0E80, 0x0EFF, "Laoo"),
    (0x0F00, 0x0FFF, "Tibt"),
    (0x1000, 0x109F, "Mymr"),
    (0x10A0, 0x10FF, "Geor"),
    (0x1100, 0x11FF, "Hang"),
    (0x1200, 0x139F, "Ethi"),
    (0x13A0, 0x13FF, "Cher"),
    (0x1780, 0x17FF, "Khmr"),
    (0x1800, 0x18AF, "Mong"),
    (0x1C80, 0x1C8F, "Cyrl"),
    (0x1C90, 0x1CBF, "Geor"),
    (0x1E00, 0x1EFF, "Latn"),
    (0x1F00, 0x1FFF, "Grek"),
    (0x2C60, 0x2C7F, "Latn"),
    (0x2D00, 0x2D2F, "Geor"),
    (0x2D30, 0x2D7F, "Tfng"),
    (0x2D80, 0x2DDF, "Ethi"),
    (0x2DE0, 0x2DFF, "Cyrl"),
    (0x2E80, 0x2FDF, "Hani"),
    (0x3005, 0x3007, "Hani"),
    (0x3041, 0x30FF, "Kana"),
    (0x3105, 0x312F, "Hani"),
    (0x3131, 0x318E, "Hang"),
    (0x31A0, 0x31BF, "Hani"),
    (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x4DBF, "Hani"),
    (0x4E00, 0x9FFF, "Hani"),
    (0xA640, 0xA69F, "Cyrl"),
    (0xA720, 0xA7FF, "Latn"),
    (0xA8E0, 0xA8FF, "Deva"),
    (0xA960, 0xA97F, "Hang"),
    (0xA9E0, 0xA9FF, "Mymr"),
    (0xAA60, 0xAA7F, "Mymr"),
    (0xAB00, 0xAB2F, "Ethi"),
    (0xAB30, 0xAB6F, "Latn"),
    (0xAB70, 0xABBF, "Cher"),
    (0xAC00, 0xD7FF, "Hang"),
    (0xF900, 0xFAFF, "Hani"),
    (0xFB00, 0xFB06, "Latn"),
    (0xFB13, 0xFB17, "Armn"),
    (0xFB1D, 0xFB4F, "Hebr"),
    (0xFB50, 0xFDFF, "Arab"),
    (0xFE70, 0xFEFC, "Arab"),
    (0xFF21, 0xFF5A, "Latn"),
    (0xFF66, 0xFF9D, "Kana"),
    (0xFFA0, 0xFFDC, "Hang"),
    (0x1B000, 0x1B16F, "Kana"),
)

_EMOJI_RANGES: tuple[tuple[int, int], ...] = (
    (0x2194, 0x2199),
    (0x21A9, 0x21AA),
    (0x20E3, 0x20E3),  # the keycap around a digit
    (0x231A, 0x231B),
    (0x2328, 0x2328),
    (0x23CF, 0x23CF),
    (0x23E9, 0x23F3),
    (0x23F8, 0x23FA),
    (0x24C2, 0x24C2),
    (0x25AA, 0x25AB),
    (0x25B6, 0x25B6),
    (0x25C0, 0x25C0),
    (0x25FB, 0x25FE),
    (0x2600, 0x2767),  # weather, stars, hands, hearts: pictographs all, though not all are emoji by the letter
    (0x2794, 0x27BF),
    (0x2934, 0x2935),
    (0x2B05, 0x2B07),
    (0x2B1B, 0x2B1C),
    (0x2B50, 0x2B50),
    (0x2B55, 0x2B55),
    (0x3030, 0x3030),
    (0x303D, 0x303D),
    (0x3297, 0x3297),
    (0x3299, 0x3299),
    (0x1F000, 0x1F0FF),
    (0x1F170, 0x1F171),
    (0x1F17E, 0x1F17F),
    (0x1F18E, 0x1F18E),
    (0x1F191, 0x1F19A),
    (0x1F1E6, 0x1F1FF),
    (0x1F201, 0x1F202),
    (0x1F21A, 0x1F21A),
    (0x1F22F, 0x1F22F),
    (0x1F232, 0x1F23A),
    (0x1F250, 0x1F251),
    (0x1F300, 0x1F6FF),
    (0x1F7E0, 0x1F7F0),
    (0x1F900, 0x1FAFF),
)

_INVISIBLE_RANGES: tuple[tuple[int, int], ...] = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),  # Hangul fillers are letters by category and blank on screen
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
)

_VISIBLE_FORMATS = (0x0600, 0x0601, 0x0602, 0x0603, 0x0604, 0x0605, 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2)

_UNSPACED_SCRIPTS = ("Hani", "Kana", "Thai", "Laoo", "Khmr", "Mymr")

_KIND_OF_CATEGORY = {"L": LETTER, "M": MARK, "N": DIGIT, "P": PUNCTUATION, "S": SYMBOL, "Z": SPACE}
_IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3))  # letters all: not asked one by one

Table8 = npt.NDArray[np.uint8]
Table32 = npt.NDArray[np.uint32]


def _build_script() -> Table8:
    table = np.zeros(TABLE_SIZE, np.uint8)
    for first, last, code in _SCRIPT_RANGES:
        table[first : last + 1] = SCRIPTS.index(code)
    return table


def _kind_and_case(character: str) -> int:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf"):
        return SPACE if character in "\t\n\v\f\r\x85" else INVISIBLE
    kind = _KIND_OF_CATEGORY.get(category[0], OTHER)
    if category in ("Lu", "Lt") and character.lower() != character:
        return kind | UPPER
    if category == "Ll" and character.upper() != character:
        return kind | LOWER
    return kind


def _build_class(script: Table8) -> Table8:
    table = np.zeros(TABLE_SIZE, np.uint8)
    start = 0
    for first, last in (*_IDEOGRAPHS, (TABLE_SIZE, TABLE_SIZE)):
        table[start:first] = [_kind_and_case(chr(code)) for code in range(start, first)]
        table[first : last + 1] = LETTER
        start = last + 1
    table[0xFFFD] = OTHER
    for first, last in _EMOJI_RANGES:
        table[first : last + 1] = EMOJI
    for first, last in _INVISIBLE_RANGES:
        table[first : last + 1] = INVISIBLE
    table[list(_VISIBLE_FORMATS)] = SYMBOL  # Arabic number and verse signs: format characters that can be seen
    kind = table & KIND
    readable = (kind == LETTER) | (kind == MARK)
    script[~readable] = 0
    unspaced = np.isin(script, [SCRIPTS.index(code) for code in _UNSPACED_SCRIPTS])
    table[unspaced & readable] |= UNSPACED
    return table


def _build_fold(classes: Table8) -> Table32:
    table = np.arange(TABLE_SIZE, dtype=np.uint32)
    for code in np.flatnonzero(classes & UPPER).tolist():
        lower = chr(code).lower()
        if len(lower) == 1:
            table[code] = ord(lower)
    return table


def _build() -> tuple[Table8, Table8, Table32]:
    script = _build_script()
    classes = _build_class(script)
    fold = _build_fold(classes)
    for table in (classes, script, fold):
        table.setflags(write=False)
    return classes, script, fold


CLASS, SCRIPT, FOLD = _build()
LOOK_UP = (FOLD << 8 | CLASS).astype(np.uint32)
LOOK_UP.setflags(write=False)


@njit(cache=True, nogil=True)
def decode(data: Any, at: int, end: int) -> Any:
    """Return (code point, width in bytes) of the UTF-8 character at `data[at]`, reading no further than `end`.

    A byte that starts no whole character comes back as U+FFFD of width 1, so a loop always moves on.
    """
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first >= 0xC2 and first < 0xE0 and at + 1 < end:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if first >= 0xE0 and first < 0xF0 and at + 2 < end:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
    if first >= 0xF0 and first < 0xF5 and at + 3 < end:
        high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
        return high | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F), 4
    return 0xFFFD, 1


@njit(cache=True, nogil=True)
def encode(code: int, out: Any, at: int) -> int:
    """Write a code point as UTF-8 at `out[at]` and return the position after it; needs room for four bytes."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | code >> 6
        out[at + 1] = 0x80 | code & 0x3F
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | code >> 12
        out[at + 1] = 0x80 | code >> 6 & 0x3F
        out[at + 2] = 0x80 | code & 0x3F
        return at + 3
    out[at] = 0xF0 | code >> 18
    out[at + 1] = 0x80 | code >> 12 & 0x3F
    out[at + 2] = 0x80 | code >> 6 & 0x3F
    out[at + 3] = 0x80 | code & 0x3F
    return at + 4


@njit(cache=True, nogil=True)
def class_of(code: int, classes: Any) -> Any:
    """Return the class byte of any code point: Han above the table, tags and late selectors invisible, else other."""
    if code < TABLE_SIZE:
        return np.int64(classes[code])
    if code < 0x323B0:
        return LETTER | UNSPACED
    if code >= 0xE0000 and code < 0xE1000:
        return INVISIBLE
    return OTHER


@njit(cache=True, nogil=True)
def look_up(code: int, table: Any) -> Any:
    """Return the fold of any code point, shifted by 8, and its class byte, from `LOOK_UP`."""
    if code < TABLE_SIZE:
        return np.int64(table[code])
    return code << 8 | class_of(code, table)


@njit(cache=True, nogil=True)
def script_of(code: int, scripts: Any) -> Any:
    """Return the script number of any code point, 0 where it has none."""
    if code < TABLE_SIZE:
        return np.int64(scripts[code])
    return HAN if code < 0x323B0 else 0


@njit(cache=True, nogil=True)
def fold_of(code: int, fold: Any) -> Any:
    """Return the simple lower case of any code point."""
    return np.int64(fold[code]) if code < TABLE_SIZE else code
