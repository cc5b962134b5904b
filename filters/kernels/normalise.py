"""The text that duplicates are compared by: what was said, without how it was passed on or dressed up."""

from __future__ import annotations

import numpy as np
from numba import njit

from filters.kernels.characters import (
    CLASS,
    DIGIT,
    EMOJI,
    FOLD,
    INVISIBLE,
    KIND,
    LETTER,
    MARK,
    Table8,
    Table32,
    class_of,
    decode,
    encode,
    fold_of,
)
from filters.kernels.surface import LINK, MENTION, span_at
from filters.kernels.utf8 import Bytes, Offsets

_PLAIN = np.array([chr(code).isascii() and chr(code).isalnum() for code in range(256)])
_HTTP = np.frombuffer(b"http", np.uint8)


def normalise(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """Return the normalised UTF-8 of every row: shapes (bytes,), (rows + 1,) in and out, offsets from 0.

    Links, mentions and a leading `RT` go; letters are lower-cased; punctuation, symbols and spaces become one space
    between words; invisible characters go without a trace. Letters, marks, digits and emoji of every script stay.
    Normalising again changes nothing.

    >>> text = "RT @someone: Größe ZÄHLT, #wirklich!\N{ZERO WIDTH SPACE} https://example.org/x".encode()
    >>> out, ends = normalise(np.frombuffer(text, np.uint8), np.array([0, len(text)]))
    >>> out.tobytes().decode()
    'größe zählt wirklich'
    """
    size = int(offsets[-1] - offsets[0])
    out = np.empty(size + size // 2 + 4, np.uint8)  # lower case can be longer: two bytes to three at the most
    ends = np.zeros(len(offsets), np.int64)
    _normalise_rows(data, offsets, (CLASS, FOLD), out, ends)
    return out[: ends[-1]], ends


@njit(cache=True, nogil=True)
def _normalise_rows(data: Bytes, offsets: Offsets, tables: tuple[Table8, Table32], out: Bytes, ends: Offsets) -> None:
    for row in range(len(offsets) - 1):
        ends[row + 1] = _normalise_row(data, (offsets[row], offsets[row + 1]), tables, out, ends[row])


@njit(cache=True, nogil=True)
def _normalise_row(data: Bytes, span: tuple[int, int], tables: tuple[Table8, Table32], out: Bytes, start: int) -> int:
    classes, fold = tables
    at, end = span
    written = start
    gap = False  # something was dropped since the last character written
    inside = False  # the character before is part of a word
    while at < end:
        byte = data[at]
        if byte == 0x20:
            at, gap, inside = at + 1, True, False
            continue
        if _PLAIN[byte]:
            spaced = gap and written > start
            out[written] = 0x20  # the word's first letter takes its place unless it is spaced
            after = _copy_plain(data, (at, end), inside, out, written + spaced)
            if after > at:
                written += after - at + spaced
                at, gap, inside = after, False, True
                continue
        after = _dropped_end(data, end, (at, inside, written == start), classes)
        if after > at:
            at, gap, inside = after, True, False
            continue
        code, width = decode(data, at, end)
        at += width
        kind = class_of(code, classes) & KIND
        if kind == INVISIBLE:
            continue
        inside = _is_word(kind) or code == 0x5F
        if not _is_word(kind) and kind != EMOJI:
            gap = True
            continue
        if gap and written > start:
            out[written] = 0x20
            written += 1
        gap = False
        written = encode(_lower(code, fold), out, written)
    return written


@njit(cache=True, nogil=True, inline="always")
def _copy_plain(data: Bytes, span: tuple[int, int], inside: bool, out: Bytes, written: int) -> int:
    """Copy ASCII letters and digits in lower case, as far as they need no second look; return where they end.

    This is only a shorter way for what is most of a text: at the start of a word, whatever could be a link without
    scheme, the beginning of another or a repost mark needs that look, and so does `htt` inside it.
    """
    at, end = span
    if at < 0 or written < 0:
        return at  # never: it spares every access below the question whether it counts from the end
    trap, stop = end, at
    while stop < end:
        byte = data[stop]
        if not _PLAIN[byte]:
            break
        if byte | 0x20 == 0x68 and trap == end and _is_htt(data, stop, end):
            trap = stop
        out[written + (stop - at)] = byte | 0x20  # makes capitals small and leaves digits as they are
        stop += 1
    if not inside and stop > at and _may_be_more(data, at, stop, end):
        return at
    return min(stop, trap)


@njit(cache=True, nogil=True, inline="always")
def _is_htt(data: Bytes, at: int, end: int) -> bool:
    return at + 2 < end and data[at + 1] | 0x20 == 0x74 and data[at + 2] | 0x20 == 0x74


@njit(cache=True, nogil=True, inline="always")
def _may_be_more(data: Bytes, at: int, stop: int, end: int) -> bool:
    """Tell whether a word may be, or begin, a link or a repost mark, from its first letters and what follows it."""
    first, second = data[at] | 0x20, data[at + 1] if at + 1 < end else np.uint8(0)
    if first == 0x68:  # h: `http`, `ht...` cut off by an ellipsis
        if second | 0x20 == 0x74 or second == 0xE2:
            return True
    elif first == 0x72:  # r: `RT`
        if second | 0x20 == 0x74:
            return True
    elif first == 0x77 and second | 0x20 == 0x77:  # w: `www.`
        return True
    if stop >= end or data[stop] == 0x2D:
        return stop < end  # a hyphen: the name of a domain may go on
    return data[stop] == 0x2E and stop + 1 < end and (data[stop + 1] == 0x2D or _PLAIN[data[stop + 1]])


@njit(cache=True, nogil=True, inline="always")
def _is_word(kind: int) -> bool:
    return kind in (LETTER, MARK, DIGIT)


@njit(cache=True, nogil=True, inline="always")
def _lower(code: int, fold: Table32) -> int:
    if code == 0x130:  # dotted capital I: its full lower case has two characters
        return 0x69
    if code == 0x3C2:  # final sigma: the same letter as any other sigma
        return 0x3C3
    return fold_of(code, fold)


@njit(cache=True, nogil=True, inline="always")
def _dropped_end(data: Bytes, end: int, place: tuple[int, bool, bool], classes: Table8) -> int:
    """Return where the link, mention or repost mark that begins at a place ends; the place when there is none."""
    at, inside, opening = place
    byte = data[at]
    after = at
    if inside:
        if byte | 0x20 == 0x68:  # h may open a link inside a word too
            after = _address_end(data, at, end, classes)
    elif byte < 0x80 or byte == 0xEF:  # full-width @ and # are the only others that open anything
        after = _skip(data, at, end, classes)
        if opening and after == at and byte | 0x20 == 0x72:  # r
            after = _repost_end(data, at, end, classes)
    return after


@njit(cache=True, nogil=True)
def _skip(data: Bytes, at: int, end: int, classes: Table8) -> int:
    """Return where the link or mention that begins between words ends, or `at` when there is none."""
    if data[at] | 0x20 == 0x68:  # h
        after = _cut_off_end(data, at, end)
        if after > at:
            return after
    kind, after = span_at(data, at, end, classes)
    return after if kind in (LINK, MENTION) else at


@njit(cache=True, nogil=True)
def _address_end(data: Bytes, at: int, end: int, classes: Table8) -> int:
    """Find the end of `http://...` or `https://...` glued to the word before it."""
    for k in range(4):
        if at + k >= end or data[at + k] | 0x20 != _HTTP[k]:
            return at
    stop = at + 4
    if stop < end and data[stop] | 0x20 == 0x73:
        stop += 1
    if stop + 2 >= end or data[stop] != 0x3A or data[stop + 1] != 0x2F or data[stop + 2] != 0x2F:
        return at
    kind, after = span_at(data, at, end, classes)
    return after if kind == LINK else stop + 3


@njit(cache=True, nogil=True)
def _cut_off_end(data: Bytes, at: int, end: int) -> int:
    """Find the end of a link that a repost cut short: some of `https://`, then an ellipsis; `at` when there is none."""
    stop = at
    while stop < end and stop < at + 4 and data[stop] | 0x20 == _HTTP[stop - at]:
        stop += 1
    if stop == at + 4:
        while stop < end and stop < at + 8 and (data[stop] | 0x20 == 0x73 or data[stop] == 0x3A or data[stop] == 0x2F):
            stop += 1
    cut = stop > at and stop + 3 <= end and data[stop] == 0xE2 and data[stop + 1] == 0x80 and data[stop + 2] == 0xA6
    return stop if cut else at


@njit(cache=True, nogil=True)
def _repost_end(data: Bytes, at: int, end: int, classes: Table8) -> int:
    """Find the end of a leading `RT`, or of `rt` in any case when a mention follows."""
    stop = at + 2
    if stop > end or data[at + 1] | 0x20 != 0x74:
        return at
    if data[at] == 0x52 and data[at + 1] == 0x54:
        if stop == end:
            return stop
        code, _ = decode(data, stop, end)
        return at if _is_word(class_of(code, classes) & KIND) else stop
    while stop < end and data[stop] == 0x20:
        stop += 1
    return stop if stop > at + 2 and stop < end and data[stop] == 0x40 else at
