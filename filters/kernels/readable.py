"""Write down what a language can be told from: words in lower case, without links, mentions, emoji and digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import (
    INVISIBLE,
    KIND,
    LETTER,
    LOOK_UP,
    MARK,
    PUNCTUATION,
    SCRIPT,
    SCRIPTS,
    decode,
    encode,
    look_up,
    script_of,
)
from filters.kernels.surface import HASHTAG, PLAIN, span_at
from filters.kernels.utf8 import Bytes, Offsets

MAX_LETTERS = 600  # letters read of one post: more do not change the answer
_SPACE = 0x20

Counts = npt.NDArray[np.int32]


@njit(cache=True, nogil=True)
def _write_row(data: Any, bounds: tuple[int, int], tables: Any, out: Any, counts: Any) -> int:
    """Write one post's words after `out[0]`, which holds a space, and count its letters by script; return the end."""
    at, end = bounds
    table, scripts = tables
    to = 1
    letters = 0
    mark = 0  # the punctuation written last, so that it is not repeated
    boundary = True
    while at < end and letters < MAX_LETTERS:
        if boundary:
            kind, stop = span_at(data, at, end, table)
            if kind == HASHTAG:
                at += 1 if data[at] == 0x23 else 3
                boundary = False
                continue
            if kind != PLAIN:
                at = stop
                continue
        code, width = decode(data, at, end)
        at += width
        entry = look_up(code, table)
        kind = entry & KIND
        is_letter = kind == LETTER
        boundary = not is_letter and kind != MARK and code != 0x5F and code != 0x40
        if is_letter or kind == MARK:
            mark = 0
            low = entry >> 8
            to = encode(low, out, to)
            letters += is_letter
            counts[script_of(low, scripts)] += is_letter
        elif kind == PUNCTUATION and code != 0x5F and code != mark:
            to = encode(code, out, to)
            mark = code
        elif kind != INVISIBLE and kind != PUNCTUATION and out[to - 1] != _SPACE:
            out[to] = _SPACE
            to += 1
    return to


@njit(cache=True, nogil=True)
def _write(data: Any, offsets: Any, tables: Any, kinds: int) -> Any:
    rows = len(offsets) - 1
    out = np.empty(2 * (offsets[rows] - offsets[0]) + rows + 8, np.uint8)
    ends = np.zeros(rows + 1, np.int64)
    counts = np.zeros((rows, kinds), np.int32)
    out[0] = _SPACE
    for row in range(rows):
        start = ends[row]
        out[start] = _SPACE
        ends[row + 1] = start + _write_row(data, (offsets[row], offsets[row + 1]), tables, out[start:], counts[row])
    return out[: ends[rows]], ends, counts


def readable(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets, Counts]:
    """Return the readable words of each post as (bytes, offsets), and its letters by script, (rows, SCRIPTS).

    Words stand in lower case, single spaces and single punctuation marks between them. What links, mentions, emoji and
    digits say of the language is chance; the `#` of a hashtag goes while its letters stay.
    """
    return _write(data, offsets, (LOOK_UP, SCRIPT), len(SCRIPTS))
