"""Cut the words of a text into hashed letter n-grams, and score them with a linear model, script by script.

A text is read in the script of most of its letters: words are runs of its letters and marks, anything else parts them.
Of each word, blanks around it, all 1-5-grams and the whole word are features, each a row of the script's own table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import CLASS, KIND, LETTER, MARK, SCRIPT, class_of, decode, script_of
from filters.kernels.utf8 import Bytes, Offsets

LONGEST_GRAM = 5
_BLANK = 0x20
_SEED, _PRIME, _MIX = np.uint64(0x51ED270B), np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)

Ids = npt.NDArray[np.int32]
Scripts = npt.NDArray[np.int64]
_TABLES = (CLASS, SCRIPT)


@njit(cache=True, nogil=True)
def write_words(data: Any, bounds: tuple[int, int], script: int, tables: Any, cells: Any) -> int:
    """Write the words in one script as code points, a blank before, between and after; return how many cells."""
    at, end = bounds
    classes, scripts = tables
    cells[0] = _BLANK
    to = 1
    while at < end:
        code, width = decode(data, at, end)
        at += width
        kind = class_of(code, classes) & KIND
        theirs = script_of(code, scripts)
        if (kind == LETTER and theirs == script) or (kind == MARK and (theirs == script or theirs == 0)):
            cells[to] = code
            to += 1
        elif cells[to - 1] != _BLANK:
            cells[to] = _BLANK
            to += 1
    if cells[to - 1] != _BLANK:
        cells[to] = _BLANK
        to += 1
    return to


@njit(cache=True, nogil=True)
def word_end(cells: Any, start: int) -> int:
    """Return the cell after the blank that ends the word after the blank at `start`."""
    stop = start + 1
    while cells[stop] != _BLANK:
        stop += 1
    return stop + 1


@njit(cache=True, nogil=True)
def hash_word(cells: Any, start: int, stop: int, bits: int, ids: Any) -> int:
    """Write the rows of one word's n-grams and of the word; return how many. Both ends of the word are blanks."""
    n = 0
    shift = np.uint64(64 - bits)
    for first in range(start, stop - 1):
        state = _SEED
        last = stop if first == start else min(first + LONGEST_GRAM, stop)
        for at in range(first, last):
            state = (state ^ state >> _SHIFT) * _MIX + np.uint64(cells[at])
            if at == start or (at - first >= LONGEST_GRAM and at + 1 < stop):
                continue
            ids[n] = np.int32(state * _PRIME >> shift)
            n += 1
    return n


@njit(cache=True, nogil=True)
def longest_of(offsets: Any) -> int:
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@njit(cache=True, nogil=True)
def _cut(data: Any, offsets: Any, scripts: Any, bits: Any, tables: Any, out: Any) -> Any:
    """Count, or with room in `out` also write, the rows of all words; return where texts and words begin."""
    ids, word_starts, text_starts = out
    room = longest_of(offsets) + 3
    cells, rows = np.empty(room, np.int32), np.empty(6 * room, np.int32)
    words, total = 0, 0
    for row in range(len(offsets) - 1):
        text_starts[row] = words
        if scripts[row] < 0:
            continue
        size = write_words(data, (offsets[row], offsets[row + 1]), scripts[row], tables, cells)
        start = 0
        while start + 1 < size:
            stop = word_end(cells, start)
            n = hash_word(cells, start, stop, bits[scripts[row]], rows)
            if len(ids):
                ids[total : total + n] = rows[:n]
                word_starts[words] = total
            total += n
            words += 1
            start = stop - 1
    text_starts[len(offsets) - 1] = words
    if len(ids):
        word_starts[words] = total
    return words, total


def gram_rows(data: Bytes, offsets: Offsets, scripts: Scripts, bits: Scripts) -> tuple[Ids, Offsets, Offsets]:
    """Return feature rows, where each word's begin among them, and where each text's begin among the words.

    `scripts` (rows,) is the script each text is read in, -1 for none; `bits` (SCRIPTS,) is log2 of each script's rows.
    Shapes: (features,), (words + 1,), (rows + 1,).
    """
    texts = np.zeros(len(offsets), np.int64)
    nothing = np.zeros(0, np.int32), np.zeros(0, np.int64), texts
    words, total = _cut(data, offsets, scripts, bits, _TABLES, nothing)
    ids, starts = np.empty(max(total, 1), np.int32), np.zeros(words + 1, np.int64)
    _cut(data, offsets, scripts, bits, _TABLES, (ids, starts, texts))
    return ids[:total], starts, texts
