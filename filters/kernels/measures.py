"""Count what a post is made of, in one pass over its bytes: words, spans, capitals, repetition, entropy, templates."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from filters.kernels.surface import HASHTAG, LINK, MENTION, PLAIN, span_at
from filters.kernels.utf8 import Bytes, Offsets

# Columns of the counts, in characters unless the name says otherwise. Span columns stand at the number of their kind.
TOTAL = 0  # characters that are seen: no spaces, no invisible marks
EMOJI_CHARS = 4
READABLE = 5
WORDS = 6
UPPER_LETTERS = 7
CASED_LETTERS = 8
MEASURES = 9  # numbers with a unit
LONGEST_RUN = 10
COLUMNS = 11

WORD_WINDOW = 32  # a word repeats when it stands among this many words before it
PAIR_WINDOW = 1024  # the same for a pair of neighbouring words
RUN_CHARS = 3  # shorter runs of one character are spelling, not repetition
PREFIX_WORDS = 8  # longest template that is anchored at the start of a post
PHRASE_WORDS = 3  # length of a template that may stand anywhere

ALWAYS, WITH_LINK, UNIT = 1, 2, 3  # what a known hash means: a template, one only beside a link, a unit of measure

_WORD_KINDS = 1 << LETTER | 1 << DIGIT | 1 << MARK
_SLOTS = 4096
_BLOOM = 8192
_CODES = 0x323B0
_SEED = 0x1F3D5B79
_PHRASE_SEED = 0x5D1C9A37
_NUMBER = 0x2545F490
_SPAN_WORD = 1 << 40  # added to a span's kind: the word it counts as in templates
_BRACKET = 1 << 41 | 1
_STEP = 0x100000001B3

# All that is remembered while a post is scanned stands in one int64 array, `work`: handing several arrays from function
# to function costs more than the counting. First the counts, then the state, then these stretches.
_WORD, _LETTERS, _RUN, _RUN_CODE, _LAST_UNSPACED, _LENGTH, _TOUCHED, _ALL_DIGITS, _AFTER_DIGIT = range(16, 25)
_SEEN = 32  # how often each folded character came, by code point
_SLOTS_AT = _SEEN + _CODES  # (hash, position) of words, then of pairs, seen lately
_LISTS_AT = _SLOTS_AT + 4 * _SLOTS  # which characters came, then from the middle on the sequence of words

Known = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]

Templates = Mapping[int, tuple[str, ...]]


@njit(cache=True, nogil=True)
def _mix(value: int, more: int) -> int:
    mixed = (value ^ more) * _STEP
    return mixed ^ (mixed >> 29)


@njit(cache=True, nogil=True)
def _words_at(work: Any) -> int:
    return (len(work) + _LISTS_AT) >> 1


@njit(cache=True, nogil=True)
def _push(work: Any, word: int, is_span: int) -> None:
    """Add a word to the sequence; its lowest bit says that it stands for a span."""
    work[_words_at(work) + work[_LENGTH]] = word & ~1 | is_span
    work[_LENGTH] += 1


@njit(cache=True, nogil=True)
def _close_word(work: Any) -> None:
    if work[_LETTERS] > 0:
        _push(work, _NUMBER if work[_ALL_DIGITS] else work[_WORD], 0)
    work[_LETTERS] = 0
    work[_WORD] = _SEED
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
    word = _SEED
    while at < end:
        code, width = decode(data, at, end)
        at += width
        chars += 1
        if kind == HASHTAG and chars > 1:
            word = _mix(word, look_up(code, table) >> 8)
    work[TOTAL] += chars
    work[kind] += chars
    _close_word(work)
    _push(work, word if kind == HASHTAG else _SPAN_WORD + 2 * kind, 1)
    _end_run(work)


@njit(cache=True, nogil=True)
def _take_letter(low: int, flags: int, work: Any) -> None:
    """Count a letter, digit or mark and add it to its word; a letter of an unspaced script is a word by itself."""
    kind = flags & KIND
    if kind != MARK:
        work[READABLE] += 1
        if work[_SEEN + low] == 0:
            work[_LISTS_AT + work[_TOUCHED]] = low
            work[_TOUCHED] += 1
        work[_SEEN + low] += 1
    work[_AFTER_DIGIT] = kind == DIGIT
    if flags & UNSPACED and kind == LETTER:
        _close_word(work)
        work[WORDS] += 1
        _push(work, _mix(_mix(_SEED, work[_LAST_UNSPACED]), low), 0)
        work[_LAST_UNSPACED] = low
    elif flags & UNSPACED == 0:
        work[_LAST_UNSPACED] = 0
        work[CASED_LETTERS] += flags & (UPPER | LOWER) != 0
        work[UPPER_LETTERS] += flags & UPPER != 0
        work[WORDS] += work[_LETTERS] == 0
        work[_LETTERS] += 1
        work[_ALL_DIGITS] &= kind == DIGIT
        work[_WORD] = _mix(work[_WORD], low)


@njit(cache=True, nogil=True)
def _take_sign(code: int, kind: int, work: Any) -> None:
    """Count an emoji, symbol or punctuation mark; it closes the word unless it is an apostrophe."""
    work[EMOJI_CHARS] += kind == EMOJI
    if work[_AFTER_DIGIT] and (code == 0x25 or code == 0xB0):
        work[MEASURES] += 1
    if code != 0x27 and code != 0x2019:
        _close_word(work)
    if code == 0x5B and work[TOTAL] == 1:
        _push(work, _BRACKET, 1)  # "[Poll]" and its like open with a bracket
    work[_AFTER_DIGIT] = 0
    work[_LAST_UNSPACED] = 0


@njit(cache=True, nogil=True)
def _scan(data: Any, at: int, end: int, table: Any, work: Any) -> None:
    """Fill the counts of one post, the list of its characters and the sequence of its words."""
    work[:_SEEN] = 0
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
            boundary = True
        elif kind != INVISIBLE:
            work[TOTAL] += 1
            low = entry >> 8
            work[_RUN] = work[_RUN] + 1 if low == work[_RUN_CODE] else 1
            work[_RUN_CODE] = low
            work[LONGEST_RUN] = max(work[LONGEST_RUN], work[_RUN])
            if _WORD_KINDS >> kind & 1:
                _take_letter(low, entry & 0xFF, work)
                boundary = entry & UNSPACED != 0
            else:
                _take_sign(code, kind, work)
                boundary = code != 0x40 and code != 0x5F
    _close_word(work)


@njit(cache=True, nogil=True)
def _seen_within(key: int, at: int, base: int, window: int, work: Any) -> bool:
    """Note that `key` stands at `at`; tell whether it stood at most `window` places before, after `base`."""
    slot = _SLOTS_AT + 2 * (key & (2 * _SLOTS - 1))
    found = work[slot] == key and work[slot + 1] > base and at - work[slot + 1] <= window
    work[slot] = key
    work[slot + 1] = at
    return found


@njit(cache=True, nogil=True)
def _repeats(base: int, work: Any) -> int:
    """Count the words that repeat within WORD_WINDOW or the pairs within PAIR_WINDOW, whichever are more.

    Positions grow from post to post and `base` is below every one of this post, so nothing seen in another post counts.
    """
    words = _words_at(work)
    repeated = 0
    repeated_pairs = 0
    last = 0
    for index in range(work[_LENGTH]):
        word = work[words + index]
        if word & 1 or word == _NUMBER:  # dates and lists of figures are no repetition
            continue
        at = base + index + 1
        pair = _mix(_mix(_SEED, last), word)
        repeated += _seen_within(word >> 1 << 1, at, base, WORD_WINDOW, work)
        repeated_pairs += _seen_within(pair | 1, at, base, PAIR_WINDOW, work)
        last = word
    return max(repeated, repeated_pairs)


@njit(cache=True, nogil=True)
def _meaning(key: int, known: Any) -> Any:
    """Return what a hash means, 0 when it is not known."""
    hashes, meanings, bloom = known
    if not bloom[key & (_BLOOM - 1)]:
        return 0
    place = np.searchsorted(hashes, key)
    return np.int64(meanings[place]) if place < len(hashes) and hashes[place] == key else 0


@njit(cache=True, nogil=True)
def _is_template(known: Any, work: Any) -> bool:
    """Tell whether the words open with a known line, hold a known phrase, or are a list of measurements."""
    first = _words_at(work)
    last = first + work[_LENGTH]
    while first < last and work[first] == _SPAN_WORD + 2 * MENTION + 1:
        first += 1
    prefix = _SEED
    for index in range(first, last):
        meaning = 0
        prefix = _mix(prefix, work[index])
        if index - first < PREFIX_WORDS:
            meaning = _meaning(prefix, known)
        if meaning == 0 and index - first >= 2:
            phrase = _mix(_mix(_mix(_PHRASE_SEED, work[index - 2]), work[index - 1]), work[index])
            meaning = _meaning(phrase, known)
        if meaning == ALWAYS or (meaning == WITH_LINK and work[LINK] > 0):
            return True
        if index > first and work[index - 1] == _NUMBER and _meaning(work[index], known) == UNIT:
            work[MEASURES] += 1
    return work[MEASURES] >= 4 and 6 * work[MEASURES] >= work[WORDS]


@njit(cache=True, nogil=True)
def _entropy(work: Any) -> float:
    """Return the Shannon entropy of the folded characters, in bits, and clear the table for the next post."""
    weighted = 0.0
    total = work[READABLE]
    for index in range(_LISTS_AT, _LISTS_AT + work[_TOUCHED]):
        count = work[_SEEN + work[index]]
        work[_SEEN + work[index]] = 0
        if count > 1:
            weighted += count * math.log2(count)
    return max(0.0, math.log2(total) - weighted / total) if total > 0 else 0.0


@njit(cache=True, nogil=True)
def _room(longest: int) -> Any:
    return np.zeros(_LISTS_AT + 2 * (longest + 2), np.int64)


@njit(cache=True, nogil=True)
def _measure(data: Any, offsets: Any, table: Any, known: Any) -> Any:
    rows = len(offsets) - 1
    counts = np.zeros((rows, COLUMNS), np.int32)
    reals = np.zeros((rows, 2), np.float32)
    template = np.zeros(rows, np.bool_)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    work = _room(longest)
    base = offsets[0] * 0
    for row in range(rows):
        _scan(data, offsets[row], offsets[row + 1], table, work)
        repeated = _repeats(base, work)
        base += work[_LENGTH]
        reals[row, 0] = repeated / work[WORDS] if work[WORDS] else 0.0
        if work[LONGEST_RUN] >= RUN_CHARS:
            reals[row, 0] = max(reals[row, 0], work[LONGEST_RUN] / work[TOTAL])
        reals[row, 1] = _entropy(work)
        template[row] = _is_template(known, work)
        counts[row] = work[:COLUMNS]
    return counts, reals, template


@njit(cache=True, nogil=True)
def _sequence(data: Any, table: Any) -> Any:
    """Return the word hashes of one text."""
    work = _room(len(data))
    bounds = np.array([0, len(data)])  # a literal 0 would have everything compiled a second time
    _scan(data, bounds[0], bounds[1], table, work)
    start = _words_at(work)
    return work[start : start + work[_LENGTH]].copy()


@njit(cache=True, nogil=True)
def _chain(words: Any, seed: int) -> int:
    key = seed
    for word in words:
        key = _mix(key, word)
    return key


def compile_known(openings: Templates, phrases: Templates, units: tuple[str, ...]) -> Known:
    """Hash templates for `measure`, by meaning: openings of at most 8 words, phrases of 3; units of measure, one word.

    The texts go through the scan that posts go through: a number is any number, `@x` any mention, case is folded.
    Raise ValueError for a template of another length.
    """
    kinds = ((openings, _SEED, PREFIX_WORDS), (phrases, _PHRASE_SEED, PHRASE_WORDS))
    table = {int(_words_of(unit, 1)[0]): UNIT for unit in units}
    for templates, seed, words in kinds:
        for meaning, texts in templates.items():
            table.update({int(_chain(_words_of(text, words), seed)): meaning for text in texts})
    hashes = np.array(sorted(table), np.int64)
    bloom = np.zeros(_BLOOM, np.bool_)
    bloom[hashes & (_BLOOM - 1)] = True
    return hashes, np.array([table[int(key)] for key in hashes], np.uint8), bloom


def _words_of(text: str, at_most: int) -> npt.NDArray[np.int64]:
    words: npt.NDArray[np.int64] = _sequence(np.frombuffer(text.encode(), np.uint8), LOOK_UP)
    if not 0 < len(words) <= at_most or (at_most == PHRASE_WORDS and len(words) != at_most):
        raise ValueError(f"template {text!r} has {len(words)} words, expected {at_most}")
    return words


def measure(data: Bytes, offsets: Offsets, known: Known) -> tuple[Any, Any, Any]:
    """Return counts (rows, COLUMNS), reals (rows, 2: repetition, entropy in bits) and the template flags (rows,)."""
    return _measure(data, offsets, LOOK_UP, known)
