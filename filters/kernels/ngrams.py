"""Hash a post's character 2-5-grams, words and style into features, once, for training and for scoring alike.

The normal form that is hashed: digits become 0, typographic quotes and dashes their plain kin, runs of one character
at most three, invisible marks nothing. Links, mentions, hashtag marks and emoji become placeholders, or nothing at
all when `drop` is set (hashtags then go with their words): in labelled sets they betray the set, not the class.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import (
    CLASS,
    DIGIT,
    EMOJI,
    FOLD,
    HAN,
    INVISIBLE,
    KIND,
    LETTER,
    MARK,
    SCRIPT,
    SPACE,
    TABLE_SIZE,
    UNSPACED,
    decode,
)
from filters.kernels.utf8 import Bytes, Offsets

MAX_CHARS = 4096
"""Characters of normal form that are read; the rest of a longer post is not looked at."""

STYLE = (
    "log_letters",
    "log_words",
    "upper_share",
    "digit_share",
    "punctuation_share",
    "letters_per_word",
    "exclamation_share",
    "longest_run",
    "links",
    "mentions",
    "hashtags",
    "emoji",
)
"""The dense features, in order; the last four are always 0 under `drop`."""

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Kinds = npt.NDArray[np.uint8]
Folds = npt.NDArray[np.uint32]
Cut = tuple[Kinds, Folds, int, bool, int]
"""How posts are cut into features: the two character tables, log2 of the feature rows, drop, fewest words."""

_OTHER, _SPACE, _EMOJI, _SKIP, _LETTER, _DIGIT, _IDEOGRAPH = 0, 1, 2, 3, 4, 5, 6  # from _LETTER on: part of a word
_LINK, _MENTION, _HASHTAG, _SMILE = 0xE000, 0xE001, 0xE002, 0xE003  # private use: never in a normal form otherwise
_CELLS = MAX_CHARS + 2  # a blank before and after
_IDS = 6 * _CELLS  # four n-grams from each character, at most one word and one word pair
_COUNTS = 11  # letters, capitals, digits, punctuation, exclamation marks, longest run, links, ... emoji, words
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: its top bits mix well
_MIX = np.uint64(0xD6E8FEB86659FD93)
_ONE, _SHIFT = np.uint64(1), np.uint64(32)
_CHAR_SEED, _WORD_SEED = np.uint64(0x51ED270B), np.uint64(0xA0761D64)

_PLAIN = {0x2018: 0x27, 0x2019: 0x27, 0x201C: 0x22, 0x201D: 0x22, 0x2013: 0x2D, 0x2014: 0x2D, 0x2026: 0x2E}


@lru_cache(maxsize=2)
def character_tables(fold_case: bool) -> tuple[Kinds, Folds]:
    """Return, for each code point of the character tables, its kind here and what it is hashed as.

    >>> kinds, folds = character_tables(True)
    >>> [chr(folds[ord(mark)]) for mark in "A7Я“Ａ"]
    ['a', '0', 'я', '"', 'a']
    """
    renamed = np.full(16, _OTHER, np.uint8)
    renamed[[LETTER, MARK]] = _LETTER
    renamed[[DIGIT, SPACE, INVISIBLE, EMOJI]] = _DIGIT, _SPACE, _SKIP, _EMOJI
    kinds = renamed[CLASS & KIND]
    kinds[(kinds == _LETTER) & (CLASS & UNSPACED > 0) & (SCRIPT >= HAN)] = _IDEOGRAPH
    kinds[0xFFFD] = _EMOJI  # what is left of an emoji cut in half
    plain = np.arange(TABLE_SIZE, dtype=np.uint32)
    plain[0xFF01:0xFF5F] -= 0xFEE0  # full width
    for code, kin in _PLAIN.items():
        plain[code] = kin
    folds = FOLD[plain] if fold_case else plain
    folds[kinds == _DIGIT] = 0x30
    folds[kinds == _SPACE] = 0x20
    kinds.flags.writeable = folds.flags.writeable = False
    return kinds, folds


@njit(cache=True, nogil=True)
def _kind_of(code, kinds):  # type: ignore[no-untyped-def]
    if code < TABLE_SIZE:
        return kinds[code]
    if code < 0x323B0:
        return _IDEOGRAPH
    return _SKIP if 0xE0000 <= code < 0xE1000 else _OTHER


@njit(cache=True, nogil=True)
def _starts(data, i, end, word):  # type: ignore[no-untyped-def]
    if i + len(word) > end:
        return False
    for j in range(len(word)):  # noqa: SIM110 - Numba compiles no all(...)
        if data[i + j] | 0x20 != word[j] | 0x20:
            return False
    return True


@njit(cache=True, nogil=True)
def _is_link(data, i, end):  # type: ignore[no-untyped-def]
    """Tell whether a link starts at byte i; the bare word "http" is what some collections leave of one."""
    lead = data[i] | 0x20
    if lead == 0x77:
        return _starts(data, i, end, b"www.")
    if lead == 0x70:
        return _starts(data, i, end, b"pic.twitter.com")
    if lead == 0x74:
        return _starts(data, i, end, b"t.co/")
    if lead != 0x68 or not _starts(data, i, end, b"http"):
        return False
    j = i + 4
    if j < end and data[j] | 0x20 == 0x73:
        j += 1
    if j >= end or data[j] <= 0x20 or data[j] >= 0x80:
        return True
    return data[j] == 0x3A


@njit(cache=True, nogil=True)
def _handle_byte(byte):  # type: ignore[no-untyped-def]
    lower = byte | 0x20
    return 0x61 <= lower <= 0x7A or 0x30 <= byte <= 0x39 or byte == 0x5F


@njit(cache=True, nogil=True)
def _skip_token(data, i, end, handle):  # type: ignore[no-untyped-def]
    """Return the byte after the link (until white space) or after the handle (its letters, inner dots and dashes)."""
    while i < end:
        byte = data[i]
        if not handle:
            if byte <= 0x20:
                break
        elif not _handle_byte(byte):
            joined = (byte == 0x2E or byte == 0x2D) and i + 1 < end and _handle_byte(data[i + 1])
            if not joined:
                break
        i += 1
    return i


@njit(cache=True, nogil=True)
def _skip_hashtag(data, i, end, kinds):  # type: ignore[no-untyped-def]
    while i < end:
        code, width = decode(data, i, end)
        kind = _kind_of(code, kinds)
        if kind < _SKIP and code != 0x5F:
            break
        i += width
    return i


@njit(cache=True, nogil=True)
def _push(cells, marks, n, code, kind):  # type: ignore[no-untyped-def]
    """Append one character of normal form unless it makes a run of four, or of two blanks or placeholders."""
    if n > 0 and cells[n - 1] == code:
        single = kind == _SPACE or (code >= _LINK and code <= _SMILE)
        if single or (n > 2 and cells[n - 2] == code and cells[n - 3] == code):
            return n
    cells[n] = code
    marks[n] = kind
    return n + 1


@njit(cache=True, nogil=True)
def _masked(data, i, end, kinds, drop):  # type: ignore[no-untyped-def]
    """Return (placeholder, byte to go on from) when a link, mention or hashtag starts a word at byte i, else (0, i)."""
    byte = data[i]
    if byte == 0x40 and i + 1 < end and _handle_byte(data[i + 1]):
        return _MENTION, _skip_token(data, i + 1, end, True)
    if _starts(data, i, end, b"rt @"):
        return _MENTION, _skip_token(data, i + 4, end, True)
    if byte == 0x23 and i + 1 < end:
        code, _ = decode(data, i + 1, end)
        kind = _kind_of(code, kinds)
        if kind >= _LETTER or code == 0x5F:
            return _HASHTAG, _skip_hashtag(data, i + 1, end, kinds) if drop else i + 1
    if _is_link(data, i, end):
        return _LINK, _skip_token(data, i, end, False)
    return 0, i


@njit(cache=True, nogil=True)
def _normalise(data, start, end, cut, scratch):  # type: ignore[no-untyped-def]
    """Write the normal form of one post to scratch and count its marks; return the number of characters written."""
    kinds, folds, _, drop, _ = cut
    cells, marks, counts = scratch
    counts[:] = 0
    n = _push(cells, marks, 0, 0x20, _SPACE)
    i, run, last, fresh = start, 0, -1, True
    while i < end and n < MAX_CHARS:
        if fresh:
            mask, after = _masked(data, i, end, kinds, drop)
            if mask:
                counts[6 + mask - _LINK] += 1
                if not drop:
                    n = _push(cells, marks, n, mask, _OTHER)
                n = _push(cells, marks, n, 0x20, _SPACE)
                i = after
                continue
        code, width = decode(data, i, end)
        i += width
        kind = _kind_of(code, kinds)
        if kind == _SKIP:
            continue
        run = run + 1 if code == last else 1
        last = code
        counts[5] = max(counts[5], run) if kind != _SPACE else counts[5]
        fresh = kind <= _EMOJI
        if kind == _EMOJI:
            counts[9] += 1
            code, kind = (0x20, _SPACE) if drop else (_SMILE, _OTHER)
        elif drop and kind == _OTHER and n == 1 and folds[code] in (0x22, 0x27):
            continue  # a leading quotation mark
        else:
            _count(counts, code, kind)
            code = int(folds[code]) if code < TABLE_SIZE else code
        n = _push(cells, marks, n, code, kind)
    return _push(cells, marks, n, 0x20, _SPACE)


@njit(cache=True, nogil=True)
def _count(counts, code, kind):  # type: ignore[no-untyped-def]
    if kind >= _LETTER and kind != _DIGIT:
        counts[0] += 1
        counts[1] += 0x41 <= code <= 0x5A or 0x410 <= code <= 0x42F
    elif kind == _DIGIT:
        counts[2] += 1
    elif kind == _OTHER:
        counts[3] += 1
        counts[4] += code == 0x21


@njit(cache=True, nogil=True)
def _hash_characters(cells, length, shift, ids):  # type: ignore[no-untyped-def]
    """Write the row of every 2-, 3-, 4- and 5-gram; return how many."""
    n = 0
    for i in range(length - 1):
        state = (_CHAR_SEED + np.uint64(cells[i])) * _MULTIPLIER
        for j in range(i + 1, min(i + 5, length)):
            state = (state ^ state >> _SHIFT) * _MIX + np.uint64(cells[j])
            ids[n] = np.int32(state * _MULTIPLIER >> shift)
            n += 1
    return n


@njit(cache=True, nogil=True)
def _hash_words(scratch, length, shift, ids, n):  # type: ignore[no-untyped-def]
    """Append the row of every word and of every two neighbours; each ideograph is a word. Return how many ids."""
    cells, marks, counts = scratch
    state, before, inside = _WORD_SEED, _WORD_SEED, False
    for i in range(length):
        kind = marks[i]
        goes_on = inside and (_LETTER <= kind <= _DIGIT or cells[i] == 0x27) and marks[i - 1] != _IDEOGRAPH
        if inside and not goes_on:
            ids[n] = np.int32(state * _MULTIPLIER >> shift)
            ids[n + 1] = np.int32((before * _MIX + state) * _MULTIPLIER >> shift)
            n += 2
            counts[10] += 1
            before, state, inside = state, _WORD_SEED, False
        if goes_on or kind >= _LETTER:
            state = (state + np.uint64(cells[i]) + _ONE) * _MULTIPLIER
            state ^= state >> _SHIFT
            inside = True
    return n


@njit(cache=True, nogil=True)
def _style(counts, drop, style):  # type: ignore[no-untyped-def]
    letters, words = counts[0], counts[10]
    total = max(1, letters + counts[2] + counts[3])
    style[0] = math.log1p(letters) / 5
    style[1] = math.log1p(words) / 4
    style[2] = counts[1] / max(1, letters)
    style[3] = counts[2] / total
    style[4] = counts[3] / total
    style[5] = min(letters / max(1, words), 12) / 6
    style[6] = min(counts[4], 5) / 5
    style[7] = min(counts[5], 8) / 8
    for k in range(4):
        style[8 + k] = 0 if drop else min(counts[6 + k], 5) / 5


@njit(cache=True, nogil=True)
def _featurise(data, start, end, cut, work):  # type: ignore[no-untyped-def]
    """Write one post's feature rows and style; return how many rows, or 0 when there is too little to read."""
    _, _, bits, drop, min_words = cut
    scratch, ids, style = work
    length = _normalise(data, start, end, cut, scratch)
    if scratch[2][0] == 0:
        return 0
    shift = np.uint64(64 - bits)
    n = _hash_characters(scratch[0], length, shift, ids)
    n = _hash_words(scratch, length, shift, ids, n)
    _style(scratch[2], drop, style)
    return n if scratch[2][10] >= min_words else 0


@njit(cache=True, nogil=True)
def _workspace():  # type: ignore[no-untyped-def]
    scratch = (np.zeros(_CELLS, np.int32), np.zeros(_CELLS, np.uint8), np.zeros(_COUNTS, np.int64))
    return scratch, np.zeros(_IDS, np.int32), np.zeros(12, np.float32)


@njit(cache=True, nogil=True)
def score_rows(data, offsets, wanted, cut, model):  # type: ignore[no-untyped-def]
    """Return the calibrated probability of each wanted row, NaN where there is nothing to say. Shape: (rows,)."""
    table, style_weights, constants = model
    scale, bias, slope, intercept = constants
    work = _workspace()
    ids, style = work[1], work[2]
    out = np.full(len(offsets) - 1, np.nan, np.float32)
    for row in range(len(out)):
        if not wanted[row]:
            continue
        n = _featurise(data, offsets[row], offsets[row + 1], cut, work)
        if n == 0:
            continue
        total = 0
        for k in range(n):
            total += table[ids[k]]
        margin = total * scale / math.sqrt(n) + bias
        for k in range(len(style)):
            margin += style[k] * style_weights[k]
        out[row] = 1 / (1 + math.exp(-(slope * margin + intercept)))
    return out


@njit(cache=True, nogil=True)
def _count_features(data, offsets, cut):  # type: ignore[no-untyped-def]
    work = _workspace()
    starts = np.zeros(len(offsets), np.int64)
    for row in range(len(offsets) - 1):
        n = _featurise(data, offsets[row], offsets[row + 1], cut, work)
        starts[row + 1] = starts[row] + n
    return starts


@njit(cache=True, nogil=True)
def _fill_features(data, offsets, starts, cut):  # type: ignore[no-untyped-def]
    work = _workspace()
    ids = np.zeros(starts[-1], np.int32)
    style = np.zeros((len(offsets) - 1, 12), np.float32)
    for row in range(len(offsets) - 1):
        n = _featurise(data, offsets[row], offsets[row + 1], cut, work)
        if n:
            ids[starts[row] : starts[row + 1]] = work[1][:n]
            style[row] = work[2]
    return ids, style


def feature_rows(data: Bytes, offsets: Offsets, cut: Cut) -> tuple[Ids, Offsets, Floats]:
    """Return every post's feature ids, where each post's begin, and its style. Shapes: (n,), (rows + 1,), (rows, 12).

    A post with too little to read has no ids.
    """
    starts = _count_features(data, offsets, cut)
    ids, style = _fill_features(data, offsets, starts, cut)
    return ids, starts, style
