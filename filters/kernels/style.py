"""How a post is written, not what about: rates of marks, word kinds and endings, regularity, as one row of numbers.

Links, mentions, hashtags and emoji are left out of every number but the last eight (see style_features.py), straight
quotation marks and line breaks of all: in labelled sets they betray the set. Words are English; of other text little
is read.
"""

from __future__ import annotations

import math
from functools import lru_cache
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
    LOOK_UP,
    MARK,
    SPACE,
    UPPER,
    class_of,
    decode,
    look_up,
)
from filters.kernels.style_features import ENDINGS, LEXICON, PER_WORD, PUNCTUATION, SHAPE, STYLE_FEATURES
from filters.kernels.surface import HASHTAG, LINK, MENTION, PLAIN, span_at
from filters.kernels.utf8 import Bytes, Offsets

_AT = {name: place for place, name in enumerate(STYLE_FEATURES)}
_WIDTH = len(STYLE_FEATURES)
_LEXICON, _RATES = len(LEXICON), len(PER_WORD)
_SHAPE, _MARKS = len(PER_WORD), len(PER_WORD) + len(SHAPE)
_ING, _LY, _ABSTRACT, _ED = (_AT[name] for name in ENDINGS)
_PERIOD, _APOSTROPHE = _AT["period"], _AT["apostrophe"]
_COMMA, _EXCLAMATION, _QUESTION, _SEMICOLON = (_AT[name] for name in ("comma", "exclamation", "question", "semicolon"))
_LONG, _CONTRACTIONS, _CAPITAL_WORDS, _SHOUTED = (
    _AT[name] for name in ("long_words", "contractions", "capital_words", "shouted_words")
)
_SMALL_I, _REPEATED, _PAIRS = (_AT[name] for name in ("small_i", "repeated_words", "repeated_pairs"))
_DOTS, _DOUBLED, _CURLY = (_AT[name] for name in ("dots", "doubled_marks", "curly"))
_SPACE_BEFORE, _NO_SPACE_AFTER = _AT["space_before"], _AT["no_space_after"]

MAX_CHARS = 240
"""Characters, without blanks, that are read. No labelled person writes more than a tweet holds: what is longer would
count as a machine's, so nothing is said of it."""
_SLOTS = 2048  # of the table of words and pairs seen: a power of two, at least twice as many as can be seen
_TABLE = 1024  # of the lexicon
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _TAIL = np.uint64(29), np.uint64(8)
_PUNCTUATION_CODES = 0x2030

# Counters of one text, in an array of integers.
_WORDS, _CHARS, _CHAR_SUM, _CHAR_SQUARES, _DISTINCT, _LETTERS, _CAPITALS, _DIGITS, _RUN, _LONGEST = range(10)
_SENTENCES, _SENTENCE_WORDS, _SENTENCE_SUM, _SENTENCE_SQUARES, _CAPITAL_SENTENCES = range(10, 15)
_FIRST_CAPITAL, _LAST, _LAST_SPAN, _COUNTERS = range(15, 19)


def hash_word(word: str) -> int:
    """Return the number by which the kernel knows a lower-case word.

    >>> hash_word("the") == hash_word("then")
    False
    """
    state = 0
    for letter in word:
        state = (state ^ ord(letter)) * int(_MULTIPLIER) % (1 << 64)
        state ^= state >> int(_SHIFT)
    return state


@lru_cache(maxsize=1)
def style_tables() -> tuple[Any, ...]:
    """Return what the kernel looks up: character classes, folds with them, the lexicon's keys and flags, the marks."""
    flags: dict[int, int] = {}
    for bit, words in enumerate(LEXICON.values()):
        for word in words.split():
            flags[hash_word(word)] = flags.get(hash_word(word), 0) | 1 << bit
    keys, values = np.zeros(_TABLE, np.uint64), np.zeros(_TABLE, np.uint8)
    for key, value in flags.items():
        slot = key % _TABLE
        while keys[slot]:
            slot = (slot + 1) % _TABLE
        keys[slot], values[slot] = key, value
    marks = np.full(_PUNCTUATION_CODES, -1, np.int16)
    for name, characters in PUNCTUATION.items():
        for character in characters:
            marks[ord(character)] = _AT[name]
    return CLASS, LOOK_UP, keys, values, marks


@njit(cache=True, nogil=True)
def _flags_of(state, keys, values):  # type: ignore[no-untyped-def]
    slot = state % np.uint64(_TABLE)
    while keys[slot] != 0:
        if keys[slot] == state:
            return values[slot]
        slot = (slot + np.uint64(1)) % np.uint64(_TABLE)
    return np.uint8(0)


@njit(cache=True, nogil=True)
def _is_new(state, row, seen):  # type: ignore[no-untyped-def]
    """Tell whether a word or pair is the first of its kind in this row, and remember it."""
    keys, stamps = seen
    slot = state % np.uint64(_SLOTS)
    while stamps[slot] == row:
        if keys[slot] == state:
            return False
        slot = (slot + np.uint64(1)) % np.uint64(_SLOTS)
    keys[slot], stamps[slot] = state, row
    return True


@njit(cache=True, nogil=True)
def _ending(tail, length):  # type: ignore[no-untyped-def]
    """Return the feature that a word's last four letters count for, or -1. Letters are packed, the last lowest."""
    three, two = tail & np.uint64(0xFFFFFF), tail & np.uint64(0xFFFF)
    if length > 4 and three == np.uint64(0x696E67):  # ing
        return _ING
    if length > 4 and two == np.uint64(0x6C79):  # ly
        return _LY
    if length > 3 and two == np.uint64(0x6564):  # ed
        return _ED
    if tail == np.uint64(0x74696F6E) or tail == np.uint64(0x6D656E74) or tail == np.uint64(0x6E657373):
        return _ABSTRACT  # tion, ment, ness
    return _ABSTRACT if length > 3 and three == np.uint64(0x697479) else -1  # ity


@njit(cache=True, nogil=True)
def _read_word(data, at, end, tables, out):  # type: ignore[no-untyped-def]
    """Read the word at a letter or digit; return (byte after it, hash, letters, characters, capitals, tail, joined)."""
    state, tail = np.uint64(0), np.uint64(0)
    letters, chars, capitals, joined = 0, 0, 0, 0
    while at < end:
        code, width = decode(data, at, end)
        entry = look_up(code, tables[1])
        group = entry & 0xFF
        kind = group & KIND
        if kind in (LETTER, MARK, DIGIT):
            letters += kind == LETTER
            capitals += (group & UPPER) != 0
            folded = entry >> 8
            chars += 1
        elif kind == INVISIBLE:
            at += width
            continue
        elif code == 0x27 or code == 0x2019:
            after, _ = decode(data, at + width, end) if at + width < end else (0, 1)
            if class_of(after, tables[0]) & KIND != LETTER:
                break
            out[_APOSTROPHE] += 1
            out[_CURLY] += code == 0x2019
            folded, joined = 0x27, 1
        else:
            break
        state = (state ^ np.uint64(folded)) * _MULTIPLIER
        state ^= state >> _SHIFT
        tail = tail << _TAIL | np.uint64(folded & 0xFF)
        at += width
    return at, state, letters, chars, capitals, tail & np.uint64(0xFFFFFFFF), joined


@njit(cache=True, nogil=True)
def _count_word(word, first_capital, row, work, tables):  # type: ignore[no-untyped-def]
    """Count one word: its kinds, its ending, its case, and whether it or the pair it ends came before."""
    out, counters, seen, before, bits = work
    _, state, letters, chars, capitals, tail, joined = word
    flags = _flags_of(state, tables[2], tables[3])
    for bit in range(_LEXICON):
        out[bit] += flags >> bit & 1
    ending = _ending(tail, chars)
    if ending >= 0:
        out[ending] += 1
    out[_LONG] += chars >= 8
    out[_CONTRACTIONS] += joined
    out[_CAPITAL_WORDS] += first_capital
    out[_SHOUTED] += chars > 1 and capitals == chars
    out[_SMALL_I] += letters == 1 and capitals == 0 and tail == np.uint64(0x69)
    out[_REPEATED] += counters[_WORDS] > 0 and state == before[0]
    counters[_DISTINCT] += _is_new(state, row, seen)
    if counters[_WORDS] > 0:
        out[_PAIRS] += not _is_new(before[0] * _MULTIPLIER + state, row, seen)
    before[0] = state
    bits[state >> np.uint64(62)] |= np.uint64(1) << (state >> np.uint64(56) & np.uint64(63))
    if counters[_SENTENCE_WORDS] == 0:
        counters[_CAPITAL_SENTENCES] += first_capital
        if counters[_WORDS] == 0:
            counters[_FIRST_CAPITAL] = first_capital
    counters[_WORDS] += 1
    counters[_SENTENCE_WORDS] += 1
    counters[_CHAR_SUM] += chars
    counters[_CHAR_SQUARES] += chars * chars
    counters[_LETTERS] += letters
    counters[_CAPITALS] += capitals
    counters[_DIGITS] += chars - letters


@njit(cache=True, nogil=True)
def _end_sentence(counters):  # type: ignore[no-untyped-def]
    length = counters[_SENTENCE_WORDS]
    if length:
        counters[_SENTENCES] += 1
        counters[_SENTENCE_SUM] += length
        counters[_SENTENCE_SQUARES] += length * length
        counters[_SENTENCE_WORDS] = 0


@njit(cache=True, nogil=True)
def _count_mark(code, blank_before, out, counters, marks):  # type: ignore[no-untyped-def]
    """Count one character that is neither part of a word nor a blank."""
    if code == 0x22 or code == 0x201C or code == 0x201D:
        out[_CURLY] += code != 0x22
        return
    slot = marks[code] if code < _PUNCTUATION_CODES else -1
    last = counters[_LAST]
    if slot >= 0:
        out[slot] += 1
        if last == code and not blank_before:
            out[_DOTS] += slot == _PERIOD
            out[_DOUBLED] += slot in (_EXCLAMATION, _QUESTION)
        stop = slot in (_COMMA, _PERIOD, _EXCLAMATION, _QUESTION, _SEMICOLON)
        out[_SPACE_BEFORE] += stop and blank_before
    counters[_RUN] = counters[_RUN] + 1 if last == code and not blank_before else 1
    counters[_LONGEST] = max(counters[_LONGEST], counters[_RUN])
    counters[_LAST] = code


@njit(cache=True, nogil=True)
def _count_span(kind, out, counters):  # type: ignore[no-untyped-def]
    """Count one link, mention or hashtag."""
    slot = 0 if kind == LINK else 1 if kind == MENTION else 2
    out[_MARKS + slot] += 1
    if kind == MENTION and counters[_CHARS] == 0:
        out[_MARKS + 4] = 1
    counters[_LAST_SPAN] = kind
    counters[_CHARS] += 1


@njit(cache=True, nogil=True)
def _is_stop(code):  # type: ignore[no-untyped-def]
    return code == 0x2E or code == 0x21 or code == 0x3F or code == 0x2026


@njit(cache=True, nogil=True)
def _read(data, start, end, row, work, tables):  # type: ignore[no-untyped-def]
    """Read one text into counters and rates."""
    out, counters = work[:2]
    at, boundary, blank = start, True, True
    while at < end and counters[_CHARS] < MAX_CHARS:
        if boundary:
            kind, stop = span_at(data, at, end, tables[0])
            if kind != PLAIN:
                _count_span(kind, out, counters)
                at, blank = stop, True
                continue
        code, width = decode(data, at, end)
        group = class_of(code, tables[0])
        kind = group & KIND
        boundary = True
        if kind in (LETTER, MARK, DIGIT):
            stuck = not blank and _wants_blank(counters[_LAST]) and kind == LETTER
            word = _read_word(data, at, end, tables, out)
            out[_NO_SPACE_AFTER] += stuck
            _count_word(word, 1 if group & UPPER else 0, row, work, tables)
            at, blank, boundary = word[0], False, False
            counters[_CHARS] += word[3]
            counters[_LAST], counters[_LAST_SPAN] = 0x61, 0
            continue
        at += width
        if kind == SPACE:
            if code == 0x0A or (_is_stop(counters[_LAST]) and not blank):
                _end_sentence(counters)
            blank = True
        elif kind == EMOJI or code == 0xFFFD:
            out[_MARKS + 3] += 1
            blank = True
        elif kind != INVISIBLE:
            _count_mark(code, blank, out, counters, tables[4])
            counters[_CHARS] += 1
            counters[_LAST_SPAN] = 0
            blank = False
    _end_sentence(counters)


@njit(cache=True, nogil=True)
def _wants_blank(code):  # type: ignore[no-untyped-def]
    """Tell whether a blank is due after this character."""
    return _is_stop(code) or code == 0x2C or code == 0x3A or code == 0x3B


@njit(cache=True, nogil=True)
def _finish(out, counters):  # type: ignore[no-untyped-def]
    """Turn counts into rates and fill in the shape."""
    words = counters[_WORDS]
    last, sentences = counters[_LAST], max(counters[_SENTENCES], 1)
    for k in range(_RATES):
        out[k] /= max(words, 1)
    mean = counters[_CHAR_SUM] / max(words, 1)
    long = counters[_SENTENCE_SUM] / sentences
    spread = math.sqrt(max(0.0, counters[_SENTENCE_SQUARES] / sentences - long * long))
    shape = out[_SHAPE:_MARKS]
    shape[0], shape[1] = math.log1p(counters[_CHARS]), math.log1p(words)
    shape[2] = mean
    shape[3] = math.sqrt(max(0.0, counters[_CHAR_SQUARES] / max(words, 1) - mean * mean))
    shape[4] = counters[_DISTINCT] / max(words, 1)
    shape[5] = counters[_DISTINCT] / max(words, 1) ** 0.9
    shape[6] = counters[_DIGITS] / max(counters[_CHARS], 1)
    shape[7] = counters[_CAPITALS] / max(counters[_LETTERS], 1)
    shape[8] = min(counters[_LONGEST], 6)
    shape[9] = counters[_FIRST_CAPITAL]
    shape[10], shape[11], shape[12], shape[13] = last == 0x2E, last == 0x21, last == 0x3F, last == 0x2026
    shape[14], shape[15], shape[16] = math.log1p(counters[_SENTENCES]), long, spread
    shape[17] = spread / max(long, 1.0)
    shape[18] = counters[_CAPITAL_SENTENCES] / sentences
    ends = counters[_LAST_SPAN]
    out[_MARKS + 5], out[_MARKS + 6], out[_MARKS + 7] = ends == LINK, ends == MENTION, ends == HASHTAG


@njit(cache=True, nogil=True)
def _style_rows(data, offsets, tables):  # type: ignore[no-untyped-def]
    rows = len(offsets) - 1
    styles = np.zeros((rows, _WIDTH), np.float32)
    words, bits = np.zeros(rows, np.int32), np.zeros((rows, 4), np.uint64)
    counters = np.zeros(_COUNTERS, np.int64)
    seen = (np.zeros(_SLOTS, np.uint64), np.full(_SLOTS, -1, np.int64))
    before = np.zeros(1, np.uint64)
    for row in range(rows):
        counters[:] = 0
        work = (styles[row], counters, seen, before, bits[row])
        _read(data, offsets[row], offsets[row + 1], row, work, tables)
        _finish(styles[row], counters)
        words[row] = counters[_WORDS] if counters[_CHARS] < MAX_CHARS else 0
    return styles, words, bits


def style_rows(
    data: Bytes, offsets: Offsets
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """Return each text's style, how many words it has (0 for one over MAX_CHARS), and which: a bit of 256 for each.

    Shapes: (rows, len(STYLE_FEATURES)), (rows,), (rows, 4).
    """
    styles, words, bits = _style_rows(data, offsets, style_tables())
    return styles, words, bits
