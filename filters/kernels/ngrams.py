"""Hash a post's n-grams once, for training and for every classifier alike, and score all classifiers in that one pass.

There is one cut. From the running text of a post and from its tags (see normal_form) come two blocks of features: all
character 2- to 5-grams, hashed to the first CHAR_ROWS rows of a model, and words with their neighbours, hashed to the
WORD_ROWS after them; an ideograph is a word. Style makes a third block. In each block a post counts by the root of its
number of features, but from the length of a tweet on no louder than a tweet: so a long post does not outshout short
ones, which are nearly all that labelled sets hold.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import SCRIPT, SCRIPTS
from filters.kernels.normal_form import (
    CELLS,
    COUNTS,
    DIGIT_KIND,
    IDEOGRAPH_KIND,
    KIND_BITS,
    LETTER_KIND,
    MARKS,
    STYLE,
    TAG_CELLS,
    Tables,
    main_script,
    normal_form,
    style_of,
)
from filters.kernels.utf8 import Bytes, Offsets

CHAR_BITS, WORD_BITS = 17, 17
CHAR_ROWS, WORD_ROWS = 1 << CHAR_BITS, 1 << WORD_BITS
ROWS = CHAR_ROWS + WORD_ROWS
LANES = 4
"""Classifiers that are scored at once: their weights of one feature lie side by side, in one cache line."""

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

CHARS_HEARD, WORDS_HEARD = 1120, 100
"""Features of a post of 280 characters: from there on, more of them in a block make it no louder."""

_IDS = 6 * (CELLS + TAG_CELLS)  # four n-grams from each character, at most one word and one word pair
_STYLES = len(STYLE)
_CHAR_SHIFT, _WORD_SHIFT = np.uint64(64 - CHAR_BITS), np.uint64(64 - WORD_BITS)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: its top bits mix well
_MIX = np.uint64(0xD6E8FEB86659FD93)
_ONE, _SHIFT = np.uint64(1), np.uint64(32)
_CHAR_SEED, _WORD_SEED = np.uint64(0x51ED270B), np.uint64(0xA0761D64)


@njit(cache=True, nogil=True)
def _hash_characters(cells, length, ids, n):  # type: ignore[no-untyped-def]
    """Append the row of every 2-, 3-, 4- and 5-gram; return how many ids."""
    for i in range(length - 1):
        state = (_CHAR_SEED + np.uint64(cells[i])) * _MULTIPLIER
        for j in range(i + 1, min(i + 5, length)):
            state = (state ^ state >> _SHIFT) * _MIX + np.uint64(cells[j])
            ids[n] = np.int32(state * _MULTIPLIER >> _CHAR_SHIFT)
            n += 1
    return n


@njit(cache=True, nogil=True)
def _hash_words(text, length, ids, n):  # type: ignore[no-untyped-def]
    """Append the row of every word and of every two neighbours; return how many ids."""
    cells, kinds = text
    state, before, inside, last = _WORD_SEED, _WORD_SEED, False, 0
    for i in range(length):
        kind = kinds[i] & KIND_BITS
        goes_on = inside and (LETTER_KIND <= kind <= DIGIT_KIND or cells[i] == 0x27) and last != IDEOGRAPH_KIND
        if inside and not goes_on:
            ids[n] = CHAR_ROWS + np.int32(state * _MULTIPLIER >> _WORD_SHIFT)
            ids[n + 1] = CHAR_ROWS + np.int32((before * _MIX + state) * _MULTIPLIER >> _WORD_SHIFT)
            n += 2
            before, state, inside = state, _WORD_SEED, False
        if goes_on or kind >= LETTER_KIND:
            state = (state + np.uint64(cells[i]) + _ONE) * _MULTIPLIER
            state ^= state >> _SHIFT
            inside = True
        last = kind
    return n


@njit(cache=True, nogil=True)
def _workspace():  # type: ignore[no-untyped-def]
    text = (np.zeros(CELLS, np.int32), np.zeros(CELLS, np.uint8))
    tags = (np.zeros(TAG_CELLS, np.int32), np.zeros(TAG_CELLS, np.uint8))
    scratch = (text, tags, np.zeros(COUNTS, np.int64))
    bounds, signs, length = np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros(1, np.int64)
    return scratch, np.zeros(_IDS, np.int32), bounds, np.zeros(_STYLES, np.float32), signs, length


@njit(cache=True, nogil=True)
def _featurise(data, start, end, tables, work):  # type: ignore[no-untyped-def]
    """Write one post's ids and style; return its words, 0 when it has no letter.

    `bounds` says where the four stretches of ids begin and end: n-grams of the text, words of the text, n-grams of the
    tags, words of the tags.
    """
    scratch, ids, bounds, style, signs, written = work
    length, tag_length = normal_form(data, start, end, tables, scratch)
    written[0] = length
    letters, words = style_of(scratch, length, signs, style)
    text, tags, _ = scratch
    if letters == 0:
        return 0
    bounds[1] = _hash_characters(text[0], length, ids, 0)
    bounds[2] = _hash_words(text, length, ids, bounds[1])
    bounds[3] = _hash_characters(tags[0], tag_length, ids, bounds[2]) if tag_length > 1 else bounds[2]
    bounds[4] = _hash_words(tags, tag_length, ids, bounds[3])
    return words


@njit(cache=True, nogil=True)
def _sum_rows(table, ids, begin, end):  # type: ignore[no-untyped-def]
    """Return the sums of the weights of a stretch of ids, a classifier each."""
    a, b, c, d = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for k in range(begin, end):
        row = ids[k]
        a += table[row, 0]
        b += table[row, 1]
        c += table[row, 2]
        d += table[row, 3]
    return a, b, c, d


@njit(cache=True, nogil=True)
def _voice(count, heard):  # type: ignore[no-untyped-def]
    """Return what one feature of a block of `count` counts."""
    return 1 / math.sqrt(max(1, count)) if count <= heard else math.sqrt(heard) / count


@njit(cache=True, nogil=True)
def score_rows(data, offsets, wanted, tables, heads):  # type: ignore[no-untyped-def]
    """Return the probability that each classifier gives each row, NaN where it says nothing. Shape: (LANES, rows).

    Bit h of `wanted[row]` asks for classifier h. Bit LANES says that the language is unknown: then those are asked that
    have learnt the script most letters are in. `heads` is
    (weights (ROWS, LANES) int8, style weights (LANES, k), constants (LANES, 3): scale of n-grams, scale of words, bias;
    settings (LANES, 3): fewest words, whether it reads tags and counts of marks, a bit for each script it has learnt).
    """
    table, styles, constants, settings = heads
    seen = np.zeros(len(SCRIPTS), np.int64)
    work = _workspace()
    ids, bounds, style = work[1], work[2], work[3]
    out = np.full((LANES, len(offsets) - 1), np.nan, np.float32)
    for row in range(len(offsets) - 1):
        if not wanted[row]:
            continue
        words = _featurise(data, offsets[row], offsets[row + 1], tables, work)
        if words == 0:
            continue
        asked = np.int64(wanted[row])
        if asked >> LANES:
            script = main_script(work[0][0], work[5][0], SCRIPT, seen)
            for lane in range(LANES):
                asked |= (settings[lane, 2] >> script & 1) << lane
        chars, plain = _sum_rows(table, ids, 0, bounds[1]), _sum_rows(table, ids, bounds[1], bounds[2])
        tag_chars = _sum_rows(table, ids, bounds[2], bounds[3])
        tag_words = _sum_rows(table, ids, bounds[3], bounds[4])
        for lane in range(LANES):
            if not asked >> lane & 1 or words < settings[lane, 0]:
                continue
            tags = settings[lane, 1]
            char_total, word_total = chars[lane] + tags * tag_chars[lane], plain[lane] + tags * tag_words[lane]
            char_count = bounds[1] + tags * (bounds[3] - bounds[2])
            word_count = bounds[2] - bounds[1] + tags * (bounds[4] - bounds[3])
            margin = constants[lane, 2] + char_total * constants[lane, 0] * _voice(char_count, CHARS_HEARD)
            margin += word_total * constants[lane, 1] * _voice(word_count, WORDS_HEARD)
            for k in range(_STYLES):
                margin += style[k] * styles[lane, k]
            out[lane, row] = 1 / (1 + math.exp(-margin))
    return out


@njit(cache=True, nogil=True)
def main_scripts(data, offsets, tables):  # type: ignore[no-untyped-def]
    """Return the number of the script that most letters of each row are in, see characters.SCRIPTS. Shape: (rows,)."""
    scratch = _workspace()[0]
    out, seen = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(SCRIPTS), np.int64)
    for row in range(len(out)):
        length, _ = normal_form(data, offsets[row], offsets[row + 1], tables, scratch)
        out[row] = main_script(scratch[0], length, SCRIPT, seen)
    return out


@njit(cache=True, nogil=True)
def _write_row(work, tags, ids, values, n):  # type: ignore[no-untyped-def]
    """Append one post's ids with their values to `ids` and `values` from n on; return the next place."""
    found, bounds, style = work[1], work[2], work[3]
    char_count, word_count = bounds[1], bounds[2] - bounds[1]
    if tags:
        char_count, word_count = char_count + bounds[3] - bounds[2], word_count + bounds[4] - bounds[3]
    for stretch in range(4 if tags else 2):
        value = _voice(word_count, WORDS_HEARD) if stretch % 2 else _voice(char_count, CHARS_HEARD)
        for k in range(bounds[stretch], bounds[stretch + 1]):
            ids[n] = found[k]
            values[n] = value
            n += 1
    for k in range(_STYLES if tags else _STYLES - MARKS):
        if style[k]:
            ids[n] = ROWS + k
            values[n] = style[k]
            n += 1
    ids[n] = ROWS + _STYLES
    values[n] = 1
    return n + 1


@njit(cache=True, nogil=True)
def _sizes(data, offsets, tables, head):  # type: ignore[no-untyped-def]
    min_words, tags = head
    work = _workspace()
    starts = np.zeros(len(offsets), np.int64)
    for row in range(len(offsets) - 1):
        words = _featurise(data, offsets[row], offsets[row + 1], tables, work)
        size = work[2][4 if tags else 2] + _STYLES + 1 if words and words >= min_words else 0
        starts[row + 1] = starts[row] + size
    return starts


@njit(cache=True, nogil=True)
def _fill(data, offsets, tables, tags, starts):  # type: ignore[no-untyped-def]
    work = _workspace()
    ids, values = np.zeros(starts[-1], np.int32), np.zeros(starts[-1], np.float32)
    ends = starts[:-1].copy()
    for row in range(len(offsets) - 1):
        if starts[row + 1] > starts[row]:
            _featurise(data, offsets[row], offsets[row + 1], tables, work)
            ends[row] = _write_row(work, tags, ids, values, starts[row])
    return ids, values, ends


def feature_rows(data: Bytes, offsets: Offsets, tables: Tables, head: tuple[int, bool]) -> tuple[Ids, Floats, Offsets]:
    """Return each post's features as rows of a sparse matrix: ids, values, and where each post's begin.

    Shapes: (n,), (n,), (rows + 1,). `head` is (fewest words, whether tags and counts of marks are read). Columns are
    the ROWS, the STYLE, and a last one that is always 1. A post with too little to read has no features.
    """
    starts = _sizes(data, offsets, tables, head)
    ids, values, ends = _fill(data, offsets, tables, head[1], starts)
    keep = np.ones(len(ids), np.bool_)
    for begin, end in zip(ends.tolist(), starts[1:].tolist(), strict=True):
        keep[begin:end] = False
    sizes = ends - starts[:-1]
    return ids[keep], values[keep], np.append(0, np.cumsum(sizes))
