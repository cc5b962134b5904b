"""Find the posts whose text needs cleaning, and rewrite what needs no look-up: invisible marks, controls, spaces."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import (
    CLASS,
    DIGIT,
    EMOJI,
    INVISIBLE,
    KIND,
    LETTER,
    MARK,
    OTHER,
    SCRIPT,
    SCRIPTS,
    SPACE,
    SYMBOL,
    TABLE_SIZE,
    decode,
    encode,
)
from filters.kernels.utf8 import Bytes, Offsets

TIDY = 1  # invisible marks, controls, spaces or U+FFFD to rewrite
ENTITY = 2  # may hold an HTML entity
MOJIBAKE = 4  # may hold UTF-8 that was once read in another encoding
COMPOSE = 8  # may not be in Unicode's normal form C

_JOINED_SCRIPTS = ("Arab", "Syrc", "Mong", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym")
_MORE_JOINED_SCRIPTS = ("Sinh", "Tibt", "Mymr", "Khmr")
_NEAR = 8  # invisible characters looked past to find what a joiner joins
_HANGUL = range(0xAC00, 0xD7A4)

# Flags of the traits, the low four bits being the kind.
_JOINED = 0x10  # of a script in which joiners and non-joiners change the reading
_SELECTABLE = 0x20  # may be followed by a variation selector
_UNSETTLED = 0x40  # normal form C may replace it or move it
_SECOND = 0x80  # composes with a `_FIRST` right before it
_FIRST = 0x100
_LATIN_LEAD = 0x200  # a UTF-8 lead byte as Latin-1 or Windows-1252 shows it
_LATIN_TRAIL = 0x400  # a UTF-8 continuation byte as Windows-1252 shows it
_CYRILLIC_LEAD = 0x800  # the same in Windows-1251
_CYRILLIC_TRAIL = 0x1000
_CONTROL = 0x2000  # a C1 control: Windows-1252 read as Latin-1
_MAC_LEAD = 0x4000  # how Mac Roman shows the lead bytes of accents and quotes
_MAC_TRAIL = 0x8000

_ZWNJ, _ZWJ, _REPLACEMENT, _KEYCAP, _BLACK_FLAG = 0x200C, 0x200D, 0xFFFD, 0x20E3, 0x1F3F4
_WORD_KINDS = 1 << LETTER | 1 << DIGIT | 1 << MARK

Traits = npt.NDArray[np.uint16]
Ranks = npt.NDArray[np.uint8]


@functools.cache
def traits() -> tuple[Traits, Ranks]:
    """Build (traits, canonical combining class) of every code point below TABLE_SIZE; takes about 80 ms."""
    kind = CLASS & KIND
    table = kind.astype(np.uint16)
    table[np.isin(SCRIPT, [SCRIPTS.index(code) for code in (*_JOINED_SCRIPTS, *_MORE_JOINED_SCRIPTS)])] |= _JOINED
    selectable = np.isin(SCRIPT, [SCRIPTS.index(code) for code in ("Hani", "Mymr", "Mong")])
    table[selectable | (kind == EMOJI) | (kind == SYMBOL)] |= _SELECTABLE
    table[[0x203C, 0x2049, 0x2139]] |= _SELECTABLE
    ranks = np.zeros(TABLE_SIZE, np.uint8)
    for code in np.flatnonzero((kind == MARK) | (kind == INVISIBLE)).tolist():
        ranks[code] = unicodedata.combining(chr(code))
    _add_compositions(table, ranks)
    trails = bytes(range(0x80, 0xC0))
    for flag, characters in (
        (_LATIN_LEAD, map(chr, range(0xC2, 0xF5))),
        (_LATIN_TRAIL, trails.decode("latin-1") + trails.decode("cp1252", "ignore")),
        (_CYRILLIC_LEAD, "РСв"),
        (_CYRILLIC_TRAIL, trails.decode("cp1251", "ignore")),
        (_CONTROL, map(chr, range(0x80, 0xA0))),
        (_MAC_LEAD, "√‚¬"),
        (_MAC_TRAIL, trails.decode("mac-roman")),
    ):
        table[[ord(character) for character in characters]] |= flag
    return table, ranks


def _add_compositions(table: Traits, ranks: Ranks) -> None:
    """Flag what normal form C changes: singletons and exclusions alone, pairs where they meet, marks always."""
    for code in range(0xA0, TABLE_SIZE):
        parts = "" if code in _HANGUL else unicodedata.decomposition(chr(code))
        if not parts or parts[0] == "<":
            continue
        if unicodedata.normalize("NFC", chr(code)) != chr(code):
            table[code] |= _UNSETTLED
            continue
        first, second = (int(part, 16) for part in parts.split())
        table[first] |= _FIRST
        table[second] |= _UNSETTLED if ranks[second] else _SECOND
    table[0x1100:0x1113] |= _FIRST
    table[0xAC00:0xD7A4] |= _FIRST
    table[0x1161:0x1176] |= _SECOND
    table[0x11A8:0x11C3] |= _SECOND


@njit(cache=True, nogil=True, inline="always")
def _trait(code: int, table: Any) -> Any:
    if code < TABLE_SIZE:
        return np.int64(table[code])
    if code >= 0xE0000 and code < 0xE1000:
        return INVISIBLE
    # The compatibility ideographs of the second supplementary plane decompose, other Han does not.
    return LETTER | _SELECTABLE | (_UNSETTLED if code >= 0x2F800 and code < 0x2FA20 else 0)


@njit(cache=True, nogil=True)
def _screen_wide(code: int, last: int, table: Any) -> int:
    """Return the flags that a character beyond ASCII raises after the character `last`."""
    trait = _trait(code, table)
    before = _trait(last, table)
    kind = trait & KIND
    flags = 0
    if kind in (INVISIBLE, SPACE) or code == _REPLACEMENT:
        flags |= TIDY
    if trait & _UNSETTLED or (trait & _SECOND and before & _FIRST):
        flags |= COMPOSE
    if (
        trait & _CONTROL
        or (trait & _LATIN_TRAIL and before & _LATIN_LEAD)
        or (trait & _CYRILLIC_TRAIL and before & _CYRILLIC_LEAD)
        or (trait & _MAC_TRAIL and before & _MAC_LEAD)
    ):
        flags |= MOJIBAKE
    return flags


@njit(cache=True, nogil=True, inline="always")
def _screen_ascii(data: Any, at: int, end: int, last: int) -> int:
    """Return the flags that an ASCII byte raises after the character `last` (a newline before the first)."""
    byte = data[at]
    if byte == 0x20:
        spaces = last == 0x20 or last == 0x0A or at + 1 == end
        return (TIDY if spaces else 0) | (MOJIBAKE if last == 0xC3 else 0)
    if byte == 0x0A:
        third = at >= 2 and last == 0x0A and data[at - 2] == 0x0A
        return TIDY if last == 0x20 or third or at + 1 == end else 0
    if byte < 0x20 or byte == 0x7F:
        return TIDY
    if byte == 0x26 and at + 2 < end:
        follower = data[at + 1]
        return ENTITY if follower == 0x23 or (follower | 0x20 >= 97 and follower | 0x20 <= 122) else 0
    return 0


@njit(cache=True, nogil=True)
def screen(data: Any, offsets: Any, table: Any, ranks: Any) -> Any:
    """Return one byte of flags per row: what may have to be done to it. Zero means: clean."""
    flags = np.zeros(len(offsets) - 1, np.uint8)
    for row in range(len(flags)):
        at = offsets[row]
        end = offsets[row + 1]
        last: Any = 0x0A
        rank = 0
        found = TIDY if at < end and data[at] == 0x0A else 0
        while at < end:
            if data[at] < 0x80:
                found |= _screen_ascii(data, at, end, last)
                last = np.int64(data[at])
                at += 1
                rank = 0
                continue
            code, width = decode(data, at, end)
            found |= _screen_wide(code, last, table) | (TIDY if width == 1 else 0)
            now = ranks[code] if code < TABLE_SIZE else 0
            if now and now < rank:
                found |= COMPOSE
            rank = now
            last = code
            at += width
        flags[row] = found
    return flags


@njit(cache=True, nogil=True)
def _next_visible(data: Any, at: int, end: int, table: Any) -> tuple[int, int]:
    """Return (code point, traits) of the first visible character from `at` on, (0, OTHER) when none is near."""
    for _ in range(_NEAR):
        if at >= end:
            break
        code, width = decode(data, at, end)
        trait = _trait(code, table)
        if trait & KIND != INVISIBLE:
            return code, trait
        at += width
    return 0, OTHER


@njit(cache=True, nogil=True)
def _keeps(code: int, last: int, follower: tuple[int, int], table: Any) -> bool:
    """Tell whether an invisible character means something between `last` and the next visible character."""
    before = _trait(last, table)
    if code == _ZWNJ:
        return before & _JOINED != 0 and follower[1] & _JOINED != 0
    if code == _ZWJ:
        after_emoji = before & KIND == EMOJI or last == 0xFE0F or (last >= 0xE0020 and last < 0xE0080)
        return before & _JOINED != 0 or (after_emoji and follower[1] & KIND == EMOJI)
    if code == 0xFE0F or code == 0xFE0E:
        keycap = (last == 0x23 or last == 0x2A or (last >= 0x30 and last <= 0x39)) and follower[0] == _KEYCAP
        return keycap or (before & _SELECTABLE != 0)
    if (code >= 0xFE00 and code < 0xFE0E) or (code >= 0x180B and code <= 0x180F) or code >= 0xE0100:
        return before & _SELECTABLE != 0
    if code >= 0xE0020 and code < 0xE0080:
        return last == _BLACK_FLAG or (last >= 0xE0020 and last < 0xE0080)
    return False


@njit(cache=True, nogil=True, inline="always")
def _gap(gap: int, out: Any, to: int) -> int:
    """Write the white space that stood before a character: a space (1), a newline (2) or an empty line (3)."""
    if gap == 1:
        out[to] = 0x20
        return to + 1
    for _ in range(gap - 1):
        out[to] = 0x0A
        to += 1
    return to


@njit(cache=True, nogil=True)
def _tidy_row(data: Any, bounds: tuple[int, int], table: Any, out: Any, to: int) -> int:
    """Write the tidy form of one post at `out[to]` and return where it ends; it is never longer than the post."""
    at, end = bounds
    start = to
    last = 0  # the last character kept, 0 after white space
    gap = 0
    lost = 0  # U+FFFD seen since then
    while at < end:
        code, width = decode(data, at, end)
        broken = width == 1 and data[at] >= 0x80
        carriage = code == 0x0D and at + 1 < end and data[at + 1] == 0x0A
        at += width
        kind = _trait(code, table) & KIND
        if broken or carriage:
            continue
        if kind == SPACE:
            line = (code >= 0x0A and code <= 0x0D) or code == 0x85 or code == 0x2028 or code == 0x2029
            gap = min(3, max(2, gap + 1)) if line else max(gap, 1)
            last = 0
            lost = 0
        elif code == _REPLACEMENT:
            lost += 1
        elif kind != INVISIBLE or _keeps(code, last, _next_visible(data, at, end, table), table):
            if lost and last and _WORD_KINDS >> (_trait(last, table) & KIND) & 1 and _WORD_KINDS >> kind & 1:
                to = encode(_REPLACEMENT if lost == 1 else 0x20, out, to)
            to = encode(code, out, _gap(gap, out, to) if to > start else to)
            last = code
            gap = 0
            lost = 0
    return to


@njit(cache=True, nogil=True)
def tidy(data: Any, offsets: Any, table: Any) -> Any:
    """Return (bytes, offsets) of the tidy form of every row: no invisible marks, controls or needless white space."""
    rows = len(offsets) - 1
    out = np.empty(offsets[rows] - offsets[0] + 4, np.uint8)
    ends = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        ends[row + 1] = _tidy_row(data, (offsets[row], offsets[row + 1]), table, out, ends[row])
    return out[: ends[rows]], ends


def screen_rows(data: Bytes, offsets: Offsets) -> npt.NDArray[np.uint8]:
    """Return one byte of flags per row: TIDY, ENTITY, MOJIBAKE, COMPOSE. Zero means that the row is clean."""
    return screen(data, offsets, *traits())


def tidy_rows(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """Return the tidy form of every row."""
    return tidy(data, offsets, traits()[0])
