"""Read a post once: count its characters by kind, write down its words, see where its sentences end and which ask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import (
    DIGIT,
    EMOJI,
    INVISIBLE,
    KIND,
    LETTER,
    LOOK_UP,
    LOWER,
    MARK,
    SPACE,
    UNSPACED,
    UPPER,
    decode,
    look_up,
)
from filters.kernels.surface import HASHTAG, PLAIN, span_at

# Columns of the counts, in characters unless the name says otherwise. Span columns stand at the number of their kind.
TOTAL = 0  # characters that are seen: no spaces, no invisible marks
EMOJI_CHARS = 4
READABLE = 5
WORDS = 6
UPPER_LETTERS = 7
CASED_LETTERS = 8
MEASURES = 9  # numbers with a unit
LONGEST_RUN = 10
EXCLAMATIONS = 11  # marks
SPANS = 11  # how many spans: at SPANS + the number of their kind
COLUMNS = 15

STEM_LETTERS = 6  # by which the forms of a word are one

SEED = 0x1F3D5B79
NUMBER = 0x2545F490  # the word that any number counts as
SPAN_WORD = 1 << 40  # added to twice a span's kind: the word it counts as
BRACKET = 1 << 41 | 1  # the word an opening bracket counts as

# All that is remembered while a post is scanned stands in one int64 array, `work`: handing several arrays from function
# to function costs more than the counting. First the counts, then the state, then these stretches.
_WORD, _STEM, _LETTERS, _RUN, _RUN_CODE, _LAST_UNSPACED = range(16, 22)
LENGTH, TOUCHED, LAST_END = 22, 23, 24  # words written down, characters noted, where the last letter ended
_ALL_DIGITS, _AFTER_DIGIT, _LAST_LETTER = range(25, 28)
_SENTENCES, _SENTENCE_START, FIRST_ASKS, LAST_ASKS = range(28, 32)
TOPIC_POINTS = 32  # for each topic, then which word brought the last of them
SEEN = 64  # how often each folded character came, by code point
_CODES = 0x323B0
SLOTS = 4096
SLOTS_AT = SEEN + _CODES  # (hash, position) of words, then of pairs, seen lately
LISTS_AT = SLOTS_AT + 4 * SLOTS  # which characters came, then from the middle on (word, stem) in order

_WORD_KINDS = 1 << LETTER | 1 << DIGIT | 1 << MARK
_STEP = 0x100000001B3

_GREEK = (0x370, 0x3FF)
_ENDS = 1  # a mark that ends a sentence
_ASKS = 2  # a mark that ends a question
_ASKS_INSIDE = 3  # a mark inside the word that is asked about


@njit(cache=True, nogil=True)
def mix(value: int, more: int) -> int:
    """Return the hash `value` with one more number taken into it."""
    mixed = (value ^ more) * _STEP
    return mixed ^ (mixed >> 29)


@njit(cache=True, nogil=True)
def words_at(work: Any) -> int:
    """Return where the sequence of words begins; two numbers a word."""
    return (len(work) + LISTS_AT) >> 1


@njit(cache=True, nogil=True)
def _push(work: Any, word: int, stem: int, is_span: int) -> None:
    """Add a word to the sequence; its lowest bit says that it stands for a span."""
    place = words_at(work) + 2 * work[LENGTH]
    work[place] = word & ~1 | is_span
    work[place + 1] = stem
    work[LENGTH] += 1


@njit(cache=True, nogil=True)
def _close_word(work: Any) -> None:
    if work[_LETTERS] > 0:
        _push(work, NUMBER if work[_ALL_DIGITS] else work[_WORD], work[_STEM], 0)
    work[_LETTERS] = 0
    work[_WORD] = SEED
    work[_ALL_DIGITS] = 1


@njit(cache=True, nogil=True)
def _end_run(work: Any) -> None:
    work[_RUN] = 0
    work[_RUN_CODE] = -1
    work[_LAST_UNSPACED] = 0
    work[_AFTER_DIGIT] = 0


@njit(cache=True, nogil=True)
def _take_span(data: Any, at: int, span: tuple[int, int], table: Any, work: Any) -> None:
    """Count a span's characters; in the word sequence a hashtag is its letters, any other span its kind."""
    kind, end = span
    chars = 0
    word = SEED
    stem = word
    while at < end:
        code, width = decode(data, at, end)
        at += width
        chars += 1
        if kind == HASHTAG and chars > 1:
            word = mix(word, look_up(code, table) >> 8)
            if chars <= STEM_LETTERS + 1:
                stem = word
    work[TOTAL] += chars
    work[kind] += chars
    work[SPANS + kind] += 1
    _close_word(work)
    _push(work, word if kind == HASHTAG else SPAN_WORD + 2 * kind, stem, 1)
    _end_run(work)


@njit(cache=True, nogil=True)
def _take_letter(low: int, flags: int, work: Any) -> None:
    """Count a letter, digit or mark and add it to its word; a letter of an unspaced script is a word by itself."""
    kind = flags & KIND
    if kind != MARK:
        work[READABLE] += 1
        if work[SEEN + low] == 0:
            work[LISTS_AT + work[TOUCHED]] = low
            work[TOUCHED] += 1
        work[SEEN + low] += 1
    work[_AFTER_DIGIT] = kind == DIGIT
    work[_LAST_LETTER] = low
    if flags & UNSPACED and kind == LETTER:
        _close_word(work)
        work[WORDS] += 1
        word = mix(mix(SEED, work[_LAST_UNSPACED]), low)
        _push(work, word, word, 0)
        work[_LAST_UNSPACED] = low
    elif flags & UNSPACED == 0:
        work[_LAST_UNSPACED] = 0
        work[CASED_LETTERS] += flags & (UPPER | LOWER) != 0
        work[UPPER_LETTERS] += flags & UPPER != 0
        work[WORDS] += work[_LETTERS] == 0
        work[_LETTERS] += 1
        work[_ALL_DIGITS] &= kind == DIGIT
        work[_WORD] = mix(work[_WORD], low)
        if work[_LETTERS] <= STEM_LETTERS:
            work[_STEM] = work[_WORD]


@njit(cache=True, nogil=True)
def _take_sign(code: int, kind: int, work: Any) -> None:
    """Count an emoji, symbol or punctuation mark; it closes the word unless it is an apostrophe."""
    work[EMOJI_CHARS] += kind == EMOJI
    if work[_AFTER_DIGIT] and (code == 0x25 or code == 0xB0):
        work[MEASURES] += 1
    if code != 0x27 and code != 0x2019:
        _close_word(work)
    if code == 0x5B and work[TOTAL] == 1:
        _push(work, BRACKET, 0, 1)  # "[Poll]" and its like open with a bracket
    work[EXCLAMATIONS] += code == 0x21 or code == 0xFF01 or code == 0x203C or code == 0x2757
    work[_AFTER_DIGIT] = 0
    work[_LAST_UNSPACED] = 0


@njit(cache=True, nogil=True)
def _mark_of(code: int, after: int) -> int:
    """Return what a sign says of the sentence before it; `after` is the letter before it."""
    if code == 0x3F or code == 0xFF1F or code == 0x61F or code == 0x37E or code == 0x1367 or code == 0x2047:
        return _ASKS
    if code == 0x3B:
        return _ASKS if after >= _GREEK[0] and after <= _GREEK[1] else 0
    if code == 0x203D or code == 0x2048 or code == 0x2049:  # interrobangs
        return _ASKS
    if code == 0x55E:
        return _ASKS_INSIDE
    if code == 0x2E or code == 0x21 or code == 0x2026 or code == 0x3002 or code == 0xFF01 or code == 0xFF0E:
        return _ENDS
    if code == 0x6D4 or code == 0x964 or code == 0x589 or code == 0x1362 or code == 0xFF61:
        return _ENDS
    return 0


@njit(cache=True, nogil=True)
def _end_sentence(asks: bool, work: Any) -> None:
    """Note a sentence that ended; a mark without new letters before it still belongs to the sentence before."""
    if work[READABLE] > work[_SENTENCE_START]:
        work[_SENTENCE_START] = work[READABLE]
        work[_SENTENCES] += 1
        work[LAST_ASKS] = asks
    elif asks and work[_SENTENCES] > 0:
        work[LAST_ASKS] = 1
    if work[_SENTENCES] == 1:
        work[FIRST_ASKS] = work[LAST_ASKS]


@njit(cache=True, nogil=True)
def _is_word_at(data: Any, at: int, end: int, table: Any) -> bool:
    if at >= end:
        return False
    code, _ = decode(data, at, end)
    return _WORD_KINDS >> (look_up(code, table) & KIND) & 1 != 0


@njit(cache=True, nogil=True)
def _take_mark(data: Any, bounds: tuple[int, int], code: int, table: Any, work: Any) -> None:
    """End the sentence at its mark, unless a letter follows ("don?t", "3.5") or a bracket opens before it ("(?)")."""
    mark = _mark_of(code, work[_LAST_LETTER])
    if mark == 0:
        return
    at, end = bounds
    opened = code < 0x80 and work[TOTAL] > 1 and data[at - 2] == 0x28
    if mark == _ASKS_INSIDE or not (opened or _is_word_at(data, at, end, table)):
        _end_sentence(mark != _ENDS, work)


@njit(cache=True, nogil=True)
def _end_line(work: Any) -> None:
    if work[READABLE] > work[_SENTENCE_START]:
        _end_sentence(False, work)


@njit(cache=True, nogil=True)
def scan(data: Any, at: int, end: int, table: Any, work: Any) -> None:
    """Fill the counts of one post, the list of its characters and the sequence of its words."""
    work[:SEEN] = 0
    _close_word(work)
    _end_run(work)
    boundary = True
    while at < end:
        if boundary:
            span = span_at(data, at, end, table)
            if span[0] != PLAIN:
                _take_span(data, at, span, table, work)
                at = span[1]
                continue
        code, width = decode(data, at, end)
        at += width
        entry = look_up(code, table)
        kind = entry & KIND
        if kind == SPACE:
            _close_word(work)
            _end_run(work)
            if code == 0x0A:
                _end_line(work)
            boundary = True
        elif kind != INVISIBLE:
            work[TOTAL] += 1
            low = entry >> 8
            work[_RUN] = work[_RUN] + 1 if low == work[_RUN_CODE] else 1
            work[_RUN_CODE] = low
            work[LONGEST_RUN] = max(work[LONGEST_RUN], work[_RUN])
            if _WORD_KINDS >> kind & 1:
                _take_letter(low, entry & 0xFF, work)
                work[LAST_END] = at
                boundary = entry & UNSPACED != 0
            else:
                _take_mark(data, (at, end), code, table, work)
                _take_sign(code, kind, work)
                boundary = code != 0x40 and code != 0x5F
    _close_word(work)
    _end_line(work)


@njit(cache=True, nogil=True)
def room(longest: int) -> Any:
    """Return a `work` for posts of at most that many bytes."""
    return np.zeros(LISTS_AT + 4 * (longest + 2), np.int64)


@njit(cache=True, nogil=True)
def _sequence(data: Any, table: Any) -> Any:
    work = room(len(data))
    bounds = np.array([0, len(data)])  # a literal 0 would have everything compiled a second time
    scan(data, bounds[0], bounds[1], table, work)
    start = words_at(work)
    return work[start : start + 2 * work[LENGTH]].copy()


def sequence(text: str) -> npt.NDArray[np.int64]:
    """Return the (word, stem) hashes of one text, shape (words, 2), as `scan` writes them down."""
    found: npt.NDArray[np.int64] = _sequence(np.frombuffer(text.encode(), np.uint8), LOOK_UP)
    return found.reshape(-1, 2)
