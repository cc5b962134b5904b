"""What a post shows of where its words come from: links and their hosts, marks of opinion, doubt and report, figures.

One pass over the bytes. Words are runs of letters, digits and apostrophes, folded in ASCII; a phrase is up to
PHRASE_WORDS of them with nothing but spaces or hyphens in between, known by a hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from filters.kernels.characters import (
    CLASS,
    DIGIT,
    INVISIBLE,
    KIND,
    LETTER,
    MARK,
    SPACE,
    UNSPACED,
    class_of,
    decode,
)
from filters.kernels.surface import LINK, MENTION, PLAIN, span_at
from filters.kernels.utf8 import Bytes, Offsets

PHRASE_WORDS = 4
LEAST_QUOTED = 3  # words between two quotation marks
NEAR_WORDS = 3  # how far behind "according to" a name may stand

# What a phrase is a sign of; a phrase may be one of several.
HEDGE, OPINION, REPORT, SOURCE, NO_NAME = 1, 2, 4, 8, 16

# Columns of the counts.
WORDS, HEDGES, OPINIONS, REPORTS, FIGURES, QUOTES, NAMED, QUESTION, COLUMNS = range(9)

_SEED = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MIX = 0x9E3779B97F4A7C15
_APOSTROPHE, _CURLY = 0x27, 0x2019
_WORD_KINDS = 1 << LETTER | 1 << DIGIT | 1 << MARK

Table = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]


def compile_phrases(phrases: Mapping[int, Iterable[str]]) -> Table:
    """Lay phrases out by the hash of their words, with the signs that each is."""
    signs: dict[int, int] = {}
    for sign, group in phrases.items():
        for phrase in group:
            key = _phrase_hash(phrase)
            signs[key] = signs.get(key, 0) | sign
    return _laid_out(signs)


def compile_endings(endings: Mapping[str, int]) -> Table:
    """Lay endings of host names out by their hash, read backwards, with the number of their kind."""
    return _laid_out({_hash(name.encode()[::-1]): kind for name, kind in endings.items()})


def read_claims(
    data: Bytes, offsets: Offsets, spoken: npt.NDArray[np.bool_], tables: tuple[Table, Table], unknown: int
) -> tuple[npt.NDArray[np.int32], Offsets, npt.NDArray[np.uint8], tuple[Bytes, Offsets]]:
    """Return the counts (rows, COLUMNS), the n + 1 ends of each row's links, their kinds, and their hosts as strings.

    Words are looked at where `spoken` is true, links everywhere. `tables` are those of phrases and of endings, and
    `unknown` is the kind of a host with no listed ending.
    """
    rows, size = len(offsets) - 1, int(offsets[-1] - offsets[0])
    counts = np.zeros((rows, COLUMNS), np.int32)
    ends = np.zeros(rows + 1, np.int64)
    kinds = np.empty(size // 4 + 1, np.uint8)  # no link is shorter than that
    hosts, host_ends = np.empty(size + 1, np.uint8), np.zeros(size // 4 + 2, np.int64)
    links = (ends, kinds, hosts, host_ends)
    _read_rows(data, offsets, spoken, (CLASS, *tables[0], *tables[1], np.uint8(unknown)), counts, links)
    found = int(ends[-1])
    return counts, ends, kinds[:found], (hosts[: host_ends[found]], host_ends[: found + 1])


def _laid_out(signs: Mapping[int, int]) -> Table:
    """Put numbers into a table of open addressing, four times as large as needed; an empty slot holds 0."""
    size = 1 << (4 * max(len(signs), 1) - 1).bit_length()
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    for key, value in signs.items():
        slot = key & (size - 1)
        while keys[slot]:
            slot = (slot + 1) & (size - 1)
        keys[slot], values[slot] = key, value
    return keys, values


def _hash(word: bytes) -> int:
    value = _SEED
    for byte in word:
        value = ((value ^ byte) * _PRIME) & (1 << 64) - 1
    return value


def _phrase_hash(phrase: str) -> int:
    value = 0
    for word in phrase.encode().split():
        value = (value * _MIX + _hash(word)) & (1 << 64) - 1
    return value


@njit(cache=True, nogil=True, inline="always")
def _look_up(key, keys, values):  # type: ignore[no-untyped-def]
    slot = key & uint64(len(keys) - 1)
    while keys[slot] != uint64(0):
        if keys[slot] == key:
            return values[slot]
        slot = (slot + uint64(1)) & uint64(len(keys) - 1)
    return np.uint8(255)


# What is remembered within a row, beside the hashes of its last words: how many words run on, whether the last one was
# a name, which word a quotation began before (from 1), how many words more may name a source, the last mark.
_RUN, _NAME, _OPEN, _AWAITED, _LAST_MARK, _STATE = range(6)


@njit(cache=True, nogil=True)
def _read_rows(data: Any, offsets: Any, spoken: Any, tables: Any, counts: Any, links: Any) -> None:
    state, hashes = np.zeros(_STATE, np.int64), np.zeros(PHRASE_WORDS, np.uint64)
    for row in range(len(counts)):
        links[0][row + 1] = links[0][row]
        state[:] = 0
        _read_row(data, (offsets[row], offsets[row + 1], row, spoken[row]), tables, (counts[row], state, hashes), links)


@njit(cache=True, nogil=True)
def _read_row(data: Any, place: Any, tables: Any, memory: Any, links: Any) -> None:
    at, end, row, spoken = place
    counts, state, _ = memory
    boundary = True
    while at < end:
        if boundary:
            span, stop = span_at(data, at, end, tables[0])
            if span != PLAIN:
                if span == LINK:
                    _take_link(data, (at, stop, row), tables, links)
                elif span == MENTION:
                    _take_name(counts, state)
                state[_RUN] = 0
                at = stop
                continue
        code, width = decode(data, at, end)
        flags = class_of(code, tables[0])
        if _WORD_KINDS >> (flags & KIND) & 1:
            stop = at + width if flags & UNSPACED else _word_end(data, at + width, end, tables[0])
            if spoken:
                _take_word(data, (at, stop), tables, memory)
            at, boundary = stop, flags & UNSPACED != 0
        else:
            if spoken:
                _take_mark(code, flags & KIND, counts, state)
            at, boundary = at + width, code != 0x40 and code != 0x5F
    counts[QUESTION] = state[_LAST_MARK] == 0x3F


@njit(cache=True, nogil=True)
def _word_end(data: Any, at: int, end: int, classes: Any) -> int:
    """Return where a word ends; an apostrophe, straight or curly, between letters belongs to it."""
    stop = at
    while at < end:
        code, width = decode(data, at, end)
        flags = class_of(code, classes)
        at += width
        if _WORD_KINDS >> (flags & KIND) & 1 and not flags & UNSPACED:
            stop = at
        elif (code != _APOSTROPHE and code != _CURLY) or at - width != stop:
            break
    return stop


@njit(cache=True, nogil=True)
def _take_word(data: Any, span: tuple[int, int], tables: Any, memory: Any) -> None:
    """Count a word and the phrases that end with it."""
    counts, state, hashes = memory
    at, end = span
    word, digits = _word_hash(data, at, end)
    for k in range(PHRASE_WORDS - 1, 0, -1):
        hashes[k] = hashes[k - 1]
    hashes[0] = word
    state[_RUN] = min(state[_RUN] + 1, PHRASE_WORDS)
    state[_LAST_MARK] = 0
    signs = _signs(tables, state[_RUN], hashes)
    counts[WORDS] += 1
    counts[FIGURES] += digits == end - at
    counts[HEDGES] += signs & HEDGE != 0
    counts[OPINIONS] += signs & OPINION != 0
    if signs & REPORT:
        counts[REPORTS] += 1
        counts[NAMED] += state[_NAME]
    if data[at] >= 0x41 and data[at] <= 0x5A and not signs & NO_NAME:
        _take_name(counts, state)
    else:
        state[_NAME] = 0
        state[_AWAITED] = max(0, state[_AWAITED] - 1)
    if signs & SOURCE:
        counts[REPORTS] += 1
        state[_AWAITED] = NEAR_WORDS


@njit(cache=True, nogil=True, inline="always")
def _word_hash(data, at, end):  # type: ignore[no-untyped-def]
    """Return the hash of a word in lower case, and how many ASCII digits it has."""
    word = uint64(_SEED)
    digits = 0
    while at < end:
        byte = uint64(data[at])
        if byte == uint64(0xE2):  # a curly apostrophe
            byte = uint64(_APOSTROPHE)
            at += 2
        if byte >= uint64(0x41) and byte <= uint64(0x5A):
            byte += uint64(32)
        digits += byte >= uint64(0x30) and byte <= uint64(0x39)
        word = (word ^ byte) * uint64(_PRIME)
        at += 1
    return word, digits


@njit(cache=True, nogil=True, inline="always")
def _take_name(counts, state):  # type: ignore[no-untyped-def]
    """Note a name: it may be whom a source was announced for, or who is about to have said something."""
    counts[NAMED] += state[_AWAITED] > 0
    state[_AWAITED] = 0
    state[_NAME] = 1


@njit(cache=True, nogil=True)
def _signs(tables: Any, run: int, hashes: Any) -> Any:
    """Return what the phrases that end with the last word are signs of, all together."""
    found = np.int64(0)
    power, key = uint64(1), uint64(0)
    for k in range(run):
        key += hashes[k] * power
        power *= uint64(_MIX)
        signs = _look_up(key, tables[1], tables[2])
        if signs != 255:
            found |= np.int64(signs)
    return found


@njit(cache=True, nogil=True)
def _take_mark(code: int, kind: int, counts: Any, state: Any) -> None:
    """Take what is no word: quotation marks, the end of a sentence, anything that parts phrases."""
    if kind in (SPACE, INVISIBLE) or code == 0x2D:
        return
    state[_RUN] = 0
    if state[_OPEN] > 0 and (code == 0x22 or code == 0x201D or code == 0x201C):
        counts[QUOTES] += counts[WORDS] + 1 - state[_OPEN] >= LEAST_QUOTED
        state[_OPEN] = 0
    elif code == 0x22 or code == 0x201C or code == 0x201E:
        state[_OPEN] = counts[WORDS] + 1
    if code == 0x3F or code == 0x2E or code == 0x21:
        state[_LAST_MARK] = code
        state[_NAME] = state[_AWAITED] = 0


@njit(cache=True, nogil=True)
def _take_link(data: Any, place: tuple[int, int, int], tables: Any, links: Any) -> None:
    """Add the host of a link, in lower case, and the kind of its longest listed ending."""
    at, end, row = place
    ends, kinds, hosts, host_ends = links
    start, stop = _host(data, at, end)
    if start == stop:
        return
    number = ends[row + 1]
    out = host_ends[number]
    for here in range(start, stop):
        byte = data[here]
        hosts[out] = byte + 32 if 0x41 <= byte <= 0x5A else byte
        out += 1
    host_ends[number + 1] = out
    ends[row + 1] += 1
    kinds[number] = tables[5]
    h = uint64(_SEED)
    for here in range(out - 1, host_ends[number] - 1, -1):
        h = (h ^ uint64(hosts[here])) * uint64(_PRIME)
        if here == host_ends[number] or hosts[here - 1] == 0x2E:
            kind = _look_up(h, tables[3], tables[4])
            if kind != 255:
                kinds[number] = kind


@njit(cache=True, nogil=True)
def _host(data: Any, at: int, end: int) -> tuple[int, int]:
    """Return where the host of a link begins and ends: after scheme, user and `www.`, before port, path and query."""
    start = at
    for here in range(at, min(at + 6, end - 2)):
        if data[here] == 0x3A and data[here + 1] == 0x2F and data[here + 2] == 0x2F:
            start = here + 3
            break
    stop = start
    while stop < end and data[stop] not in (0x2F, 0x3F, 0x23, 0x5C):
        stop += 1
    for here in range(start, stop):
        if data[here] == 0x40:
            start = here + 1
    for here in range(start, stop):
        if data[here] == 0x3A:
            stop = here
            break
    while stop > start and data[stop - 1] == 0x2E:
        stop -= 1
    if stop - start > 4 and data[start + 3] == 0x2E:
        www = True
        for here in range(start, start + 3):
            www = www and data[here] | 0x20 == 0x77
        start = start + 4 if www else start
    return start, stop
