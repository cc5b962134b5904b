"""Measure posts, in one pass over their bytes: counts, repetition, entropy, known wordings, questions, code, topic."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import LOOK_UP
from filters.kernels.code_signs import SURE, WORDING, has_code
from filters.kernels.lookups import (
    ANYWHERE,
    CODE,
    CODE_HINT,
    OPENING,
    QUESTION,
    UNIT,
    Endings,
    Table,
    bait_words,
    ends_asking,
    is_template,
    meanings_from,
    topic_of,
)
from filters.kernels.surface import MENTION
from filters.kernels.utf8 import Bytes, Offsets
from filters.kernels.words import (
    COLUMNS,
    FIRST_ASKS,
    LAST_ASKS,
    LAST_END,
    LENGTH,
    LISTS_AT,
    LONGEST_RUN,
    MEASURES,
    NUMBER,
    READABLE,
    SEED,
    SEEN,
    SLOTS,
    SLOTS_AT,
    SPAN_WORD,
    TOTAL,
    TOUCHED,
    WORDS,
    mix,
    room,
    scan,
    words_at,
)

WORD_WINDOW = 32  # a word repeats when it stands among this many words before it
PAIR_WINDOW = 1024  # the same for a pair of neighbouring words
RUN_CHARS = 3  # shorter runs of one character are spelling, not repetition
MIN_MEASURES = 4  # numbers with a unit that make a post a list of measurements,
WORDS_PER_MEASURE = 6  # when they are this dense

REPETITION, ENTROPY, BAIT_SHARE = range(3)  # columns of the reals
IS_TEMPLATE, IS_QUESTION, HAS_CODE = range(3)  # columns of the flags


class Known(NamedTuple):
    """What is known of words, as the tables of `lookups`."""

    wordings: Table
    topics: Table
    endings: Endings


@njit(cache=True, nogil=True)
def _seen_within(key: int, at: int, base: int, window: int, work: Any) -> bool:
    """Note that `key` stands at `at`; tell whether it stood at most `window` places before, after `base`."""
    slot = SLOTS_AT + 2 * (key & (2 * SLOTS - 1))
    found = work[slot] == key and work[slot + 1] > base and at - work[slot + 1] <= window
    work[slot] = key
    work[slot + 1] = at
    return found


@njit(cache=True, nogil=True)
def _repeats(base: int, work: Any) -> int:
    """Count the words that repeat within WORD_WINDOW or the pairs within PAIR_WINDOW, whichever are more.

    Positions grow from post to post and `base` is below every one of this post, so nothing seen in another post counts.
    """
    words = words_at(work)
    repeated = 0
    repeated_pairs = 0
    last = 0
    for index in range(work[LENGTH]):
        word = work[words + 2 * index]
        if word & 1 or word == NUMBER:  # dates and lists of figures are no repetition
            continue
        at = base + index + 1
        pair = mix(mix(SEED, last), word)
        repeated += _seen_within(word >> 1 << 1, at, base, WORD_WINDOW, work)
        repeated_pairs += _seen_within(pair | 1, at, base, PAIR_WINDOW, work)
        last = word
    return max(repeated, repeated_pairs)


@njit(cache=True, nogil=True)
def _wordings(table: Any, work: Any) -> Any:
    """Return the flags of all known wordings in a post, and how many of its words ask for engagement.

    What stands at the start stands behind any mentions. Numbers with a unit are counted on the way.
    """
    words = words_at(work)
    first = 0
    while first < work[LENGTH] and work[words + 2 * first] == SPAN_WORD + 2 * MENTION + 1:
        first += 1
    found = meanings_from(first, OPENING, table, work)
    covered = first + bait_words(found)
    bait = bait_words(found)
    for index in range(first, work[LENGTH]):
        here = meanings_from(index, ANYWHERE, table, work)
        if here == 0:
            continue
        if here & UNIT and index > first and work[words + 2 * index - 2] == NUMBER:
            work[MEASURES] += 1
        found |= here
        if index + bait_words(here) > covered:
            bait += index + bait_words(here) - max(index, covered)
            covered = index + bait_words(here)
    return found, bait


@njit(cache=True, nogil=True)
def _entropy(work: Any) -> float:
    """Return the Shannon entropy of the folded characters, in bits, and clear the table for the next post."""
    weighted = 0.0
    total = work[READABLE]
    for index in range(LISTS_AT, LISTS_AT + work[TOUCHED]):
        count = work[SEEN + work[index]]
        work[SEEN + work[index]] = 0
        if count > 1:
            weighted += count * math.log2(count)
    return max(0.0, math.log2(total) - weighted / total) if total > 0 else 0.0


@njit(cache=True, nogil=True)
def _repetition(base: int, work: Any) -> float:
    share = _repeats(base, work) / work[WORDS] if work[WORDS] else 0.0
    if work[LONGEST_RUN] >= RUN_CHARS:
        share = max(share, work[LONGEST_RUN] / work[TOTAL])
    return share


@njit(cache=True, nogil=True)
def _is_list_of_measurements(work: Any) -> bool:
    return work[MEASURES] >= MIN_MEASURES and WORDS_PER_MEASURE * work[MEASURES] >= work[WORDS]


@njit(cache=True, nogil=True)
def _code_signs(found: int) -> int:
    return SURE if found & CODE else WORDING if found & CODE_HINT else 0


@njit(cache=True, nogil=True)
def _measure(data: Any, offsets: Any, languages: Any, table: Any, known: Any) -> Any:
    rows = len(offsets) - 1
    counts = np.zeros((rows, COLUMNS), np.int32)
    reals = np.zeros((rows, 3), np.float32)
    flags = np.zeros((rows, 3), np.bool_)
    topics = np.zeros(rows, np.int8)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    work = room(longest)
    wordings, topic_words, endings = known
    base = offsets[0] * 0
    for row in range(rows):
        start, end, language = offsets[row], offsets[row + 1], languages[row]
        scan(data, start, end, table, work)
        found, bait = _wordings(wordings, work)
        reals[row, REPETITION] = _repetition(base, work)
        reals[row, ENTROPY] = _entropy(work)
        reals[row, BAIT_SHARE] = min(1.0, bait / work[WORDS]) if work[WORDS] else 0.0
        flags[row, IS_TEMPLATE] = is_template(found, work) or _is_list_of_measurements(work)
        asks = found & QUESTION != 0 or work[FIRST_ASKS] + work[LAST_ASKS] > 0
        flags[row, IS_QUESTION] = asks or ends_asking(data, start, work[LAST_END], language, endings)
        flags[row, HAS_CODE] = has_code(data, start, end, _code_signs(found))
        topics[row] = topic_of(language, topic_words, work)
        counts[row] = work[:COLUMNS]
        base += work[LENGTH]
    return counts, reals, flags, topics


def measure(data: Bytes, offsets: Offsets, languages: npt.NDArray[np.int64], known: Known) -> tuple[Any, Any, Any, Any]:
    """Return what posts are made of; `languages` are numbers of `known`, 0 where none is known.

    Counts (rows, words.COLUMNS), reals (rows, 3), flags (rows, 3) and the number of the topic or -1 (rows,).
    """
    return _measure(data, offsets, languages, LOOK_UP, known)
