"""Look up what words mean: wordings of several words, words that tell a topic, endings that ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.surface import LINK
from filters.kernels.utf8 import Bytes, Offsets
from filters.kernels.words import LENGTH, SPANS, STEM_LETTERS, TOPIC_POINTS, WORDS, mix, sequence, words_at

# What a wording means, as flags. PART says that its words begin a longer one.
PART, TEMPLATE, LINKED_TEMPLATE, UNIT, BAIT, QUESTION, CODE, CODE_HINT = (1 << bit for bit in range(8))

OPENING = 0x1F3D5B79  # where a wording may stand: at the start of a post, or anywhere
ANYWHERE = 0x5D1C9A37
ANY_WORD = "*"

MIN_POINTS = 2  # a topic is told from one strong word or two weak ones,
LEAD = 2  # when it has this many times the points of the next
WORDS_PER_POINT = 25  # and is not an aside

_ANY = 0x7A3C91E5
_STEM = 0x4B1D77C2
_PAIR = 0x9E3779B1
_LANGUAGE = 0x3C6EF372FE9
_BAIT_WORDS = 8  # bits below the number of words that ask for engagement
_TOPIC_BITS = 4
_SPARSE = 2  # slots an entry
_SIEVE_BITS = 1 << 16  # one is set for each entry: they tell nearly every word that is not known
_SLOTS_AT = _SIEVE_BITS >> 6

Table = npt.NDArray[np.int64]  # the sieve, then (key, value) by slot: one array, because handing over several is slow
Endings = tuple[Bytes, Offsets, Offsets]


@njit(cache=True, nogil=True)
def _find(key: int, table: Any) -> Any:
    """Return what a key stands for, 0 when it is not known."""
    place = key >> 1 & (_SIEVE_BITS - 1)  # the lowest bit of a word says whether it stands for a span
    if table[place >> 6] >> (place & 63) & 1 == 0:
        return np.int64(0)
    last = len(table) - 2
    slot = _SLOTS_AT + (key & (last - _SLOTS_AT) & ~1)
    while table[slot] != 0:
        if table[slot] == key:
            return table[slot + 1]
        slot = slot + 2 if slot < last else _SLOTS_AT
    return np.int64(0)


@njit(cache=True, nogil=True)
def meanings_from(first: int, where: int, table: Any, work: Any) -> Any:
    """Return the flags of all wordings that begin at word `first`, and above them the words of the longest bait."""
    words = words_at(work)
    key = where
    found = 0
    bait = 0
    for index in range(first, work[LENGTH]):
        longer = mix(key, work[words + 2 * index])
        value = _find(longer, table)
        if value == 0 and index > first:
            longer = mix(key, _ANY)
            value = _find(longer, table)
        if value == 0:
            break
        key = longer
        found |= value
        if value & BAIT:
            bait = index - first + 1
    return found | bait << _BAIT_WORDS


@njit(cache=True, nogil=True)
def bait_words(found: int) -> Any:
    """Return how many words ask for engagement, of what `meanings_from` found."""
    return found >> _BAIT_WORDS


@njit(cache=True, nogil=True)
def is_template(found: int, work: Any) -> bool:
    """Tell whether a template was found; some count beside a link alone."""
    return found & TEMPLATE != 0 or (found & LINKED_TEMPLATE != 0 and work[SPANS + LINK] > 0)


@njit(cache=True, nogil=True)
def _pair(before: int, word: int) -> int:
    return (before * _PAIR) ^ word


@njit(cache=True, nogil=True)
def _add_points(key: int, table: Any, work: Any) -> bool:
    """Give the topic of a known word its points; a word said twice in a row counts once."""
    value = _find(key, table)
    if value == 0:
        return False
    place = TOPIC_POINTS + 2 * (value & ((1 << _TOPIC_BITS) - 1))
    if work[place + 1] != key:
        work[place] += value >> _TOPIC_BITS
        work[place + 1] = key
    return True


@njit(cache=True, nogil=True)
def topic_of(language: int, table: Any, work: Any) -> int:
    """Return the number of the topic that words, stems and pairs of words tell, -1 when none is clear."""
    if language == 0:
        return -1
    words = words_at(work)
    salt = language * _LANGUAGE
    before = 0
    known = False
    for place in range(words, words + 2 * work[LENGTH], 2):
        word = work[place] & ~1
        stem = work[place + 1] & ~1
        known |= _add_points(word ^ salt, table, work)
        known |= _add_points(stem ^ _STEM ^ salt, table, work)
        known |= _add_points(_pair(before, word) ^ salt, table, work)
        before = word
    return _clearest(work) if known else -1


@njit(cache=True, nogil=True)
def _clearest(work: Any) -> int:
    best = -1
    top = 0
    second = 0
    for topic in range(1 << _TOPIC_BITS):
        points = work[TOPIC_POINTS + 2 * topic]
        if points > top:
            best, top, second = topic, points, top
        else:
            second = max(second, points)
    clear = top >= MIN_POINTS and top >= LEAD * second and top * WORDS_PER_POINT >= work[WORDS]
    return best if clear else -1


@njit(cache=True, nogil=True)
def ends_asking(data: Any, start: int, end: int, language: int, endings: Any) -> bool:
    """Tell whether the bytes up to `end`, where the last word ends, end as a question does in the language."""
    letters, bounds, ranges = endings
    for index in range(ranges[language], ranges[language + 1]):
        length = bounds[index + 1] - bounds[index]
        if length <= end - start:
            same = 0
            while same < length and data[end - length + same] == letters[bounds[index] + same]:
                same += 1
            if same == length:
                return True
    return False


def _table(entries: Mapping[int, int]) -> Table:
    slots = 1 << (_SPARSE * len(entries)).bit_length()
    table = np.zeros(_SLOTS_AT + 2 * slots, np.int64)
    sieve = table[:_SLOTS_AT].view(np.uint64)
    for key, value in entries.items():
        place = key >> 1 & (_SIEVE_BITS - 1)
        sieve[place >> 6] |= np.uint64(1 << (place & 63))
        slot = key >> 1 & (slots - 1)
        while table[_SLOTS_AT + 2 * slot]:
            slot = (slot + 1) & (slots - 1)
        table[_SLOTS_AT + 2 * slot :][:2] = key, value
    return table


def wording_table(wordings: Iterable[tuple[int, int, str]]) -> Table:
    """Hash (place, flag, text) for `meanings_from`: `0` is any number, `@x` any mention, `*` any one word.

    The texts go through the scan that posts go through: case is folded, and of an unspaced script the first letter is
    left out, because a word of such is a letter with the one before it. Raise ValueError for a text without words.
    """
    entries: dict[int, int] = {}
    for place, flag, text in wordings:
        words = [word for part in _parts(text) for word in part]
        if not words:
            raise ValueError(f"wording {text!r} has no words")
        key = place
        for word in words:
            key = int(mix(key, word))
            entries[key] = entries.get(key, 0) | PART
        entries[key] |= flag
    return _table(entries)


def _parts(text: str) -> Iterable[list[int]]:
    for count, part in enumerate(text.split(ANY_WORD)):
        if count:
            yield [_ANY]
        words = [int(word) for word, _ in sequence(part)]
        yield words[1:] if _is_unspaced(text) else words


def _is_unspaced(text: str) -> bool:
    return " " not in text and len(sequence(text)) == len(text) > 1


def topic_table(words: Iterable[tuple[int, int, int, str]]) -> Table:
    """Hash (language, topic, points, word) for `topic_of`.

    A word that ends in `*` is a stem of six letters, `_` joins two words. Raise ValueError for what is neither, and
    for a word that tells two topics of one language.
    """
    entries: dict[int, int] = {}
    for language, topic, points, word in words:
        key = _topic_key(word) ^ language * _LANGUAGE
        if key in entries:
            raise ValueError(f"{word!r} is listed twice for one language")
        entries[key] = topic | points << _TOPIC_BITS
    return _table(entries)


def _topic_key(word: str) -> int:
    found = sequence(word.rstrip("*").replace("_", " ")) & ~1
    if word.endswith("*") and len(found) == 1 and len(word) == STEM_LETTERS + 1:
        return int(found[0, 1]) ^ _STEM
    if len(found) == 2 and "_" in word:
        return int(_pair(found[0, 0], found[1, 0]))
    if (len(found) == 1 or (_is_unspaced(word) and len(found) == 2)) and not word.endswith("*"):
        return int(found[-1, 0])
    raise ValueError(f"expected a word, a stem of {STEM_LETTERS} letters and `*`, or two words and `_`, got {word!r}")


def ending_table(by_language: Sequence[Sequence[str]]) -> Endings:
    """Lay out the endings of each language, by its number, for `ends_asking`; `_` is the space before a word."""
    texts = [ending.replace("_", " ").encode() for endings in by_language for ending in endings]
    bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    ranges = np.cumsum([0, *map(len, by_language)], dtype=np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), bounds, ranges
