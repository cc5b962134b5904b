"""Reduce a post to the characters that its n-grams are taken from, and count what that leaves out.

Letters lose their case, digits become 0, typographic quotes and dashes their plain kin, runs of one character are cut
at three, invisible marks and a leading quotation mark go. Links, mentions, hashtags and emoji leave the running text:
in labelled sets they betray the set, not the class. What hashtags and emoji say stands in a text of its own, the tags,
`#StopTheTrain` as three words, so that a classifier may read it or not.
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
    script_of,
)

MAX_CHARS, MAX_TAG_CHARS = 4096, 512
"""Characters of normal form that are read of a post and of its tags; what follows is not looked at."""

STYLE = (
    "log_letters",
    "log_words",
    "upper_share",
    "digit_share",
    "punctuation_share",
    "letters_per_word",
    "exclamations",
    "questions",
    "stretched_letters",
    "longest_number",
    "capitalised_words",
    "shouted_words",
    "capital_first",
    "stop_last",
    "comma_share",
    "apostrophe_share",
    "money_signs",
    "links",
    "mentions",
    "hashtags",
    "emoji",
)
"""The dense features, in order, each about 0 to 1. The last MARKS of them count links, mentions, hashtags, emoji."""
MARKS = 4

Kinds = npt.NDArray[np.uint8]
Folds = npt.NDArray[np.uint32]
Tables = tuple[Kinds, Folds]

OTHER_KIND, SPACE_KIND, EMOJI_KIND, SKIP_KIND, LETTER_KIND, DIGIT_KIND, IDEOGRAPH_KIND = range(7)  # from letter: words
KIND_BITS, CAPITAL = 7, 8  # a cell's kind and, for a letter that was a capital, a flag
CELLS, TAG_CELLS = MAX_CHARS + 2, MAX_TAG_CHARS + 2  # a blank before and after
COUNTS = 2 + MARKS  # characters cut from runs, longest number, links, mentions, hashtags, emoji
_CUT, _LONGEST_NUMBER, _LINK, _MENTION, _HASHTAG, _EMOJI_MARK = range(COUNTS)

_PLAIN = {0x2018: 0x27, 0x2019: 0x27, 0x201C: 0x22, 0x201D: 0x22, 0x2013: 0x2D, 0x2014: 0x2D, 0x2026: 0x2E}


@lru_cache(maxsize=1)
def character_tables() -> Tables:
    """Return, for each code point of the character tables, its kind here and what it is hashed as.

    >>> kinds, folds = character_tables()
    >>> [chr(folds[ord(mark)]) for mark in "A7Я“Ａ"]
    ['a', '0', 'я', '"', 'a']
    """
    renamed = np.full(16, OTHER_KIND, np.uint8)
    renamed[[LETTER, MARK]] = LETTER_KIND
    renamed[[DIGIT, SPACE, INVISIBLE, EMOJI]] = DIGIT_KIND, SPACE_KIND, SKIP_KIND, EMOJI_KIND
    kinds = renamed[CLASS & KIND]
    kinds[(kinds == LETTER_KIND) & (CLASS & UNSPACED > 0) & (SCRIPT >= HAN)] = IDEOGRAPH_KIND
    kinds[0xFFFD] = EMOJI_KIND  # what is left of an emoji cut in half
    plain = np.arange(TABLE_SIZE, dtype=np.uint32)
    plain[0xFF01:0xFF5F] -= 0xFEE0  # full width
    for code, kin in _PLAIN.items():
        plain[code] = kin
    folds = FOLD[plain]
    folds[kinds == DIGIT_KIND] = 0x30
    folds[kinds == SPACE_KIND] = 0x20
    kinds.flags.writeable = folds.flags.writeable = False
    return kinds, folds


@njit(cache=True, nogil=True)
def _kind_of(code, kinds):  # type: ignore[no-untyped-def]
    if code < TABLE_SIZE:
        return kinds[code]
    if code < 0x323B0:
        return IDEOGRAPH_KIND
    return SKIP_KIND if 0xE0000 <= code < 0xE1000 else OTHER_KIND


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
    """Tell whether a link starts at byte i; the bare words "http" and "httpurl" are what collections leave of one."""
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
    if _starts(data, j, end, b"url"):
        j += 3
    elif j < end and data[j] | 0x20 == 0x73:
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
def _mark_at(data, i, end, kinds):  # type: ignore[no-untyped-def]
    """Return (which mark starts a word at byte i, or -1, and the byte to go on from)."""
    byte = data[i]
    if byte == 0x40 and i + 1 < end and _handle_byte(data[i + 1]):
        return _MENTION, _skip_token(data, i + 1, end, True)
    if byte | 0x20 == 0x72 and _starts(data, i, end, b"rt @"):
        return _MENTION, _skip_token(data, i + 4, end, True)
    if byte == 0x23 and i + 1 < end:
        code, _ = decode(data, i + 1, end)
        if _kind_of(code, kinds) >= LETTER_KIND or code == 0x5F:
            return _HASHTAG, i + 1
    if _is_link(data, i, end):
        return _LINK, _skip_token(data, i, end, False)
    return -1, i


@njit(cache=True, nogil=True)
def _twice_before(cells, n, code):  # type: ignore[no-untyped-def]
    return n > 2 and cells[n - 2] == code and cells[n - 3] == code


@njit(cache=True, nogil=True)
def _push(text, n, code, kind):  # type: ignore[no-untyped-def]
    """Append one character unless the text is full, or it would make a run of four, or of two blanks."""
    cells, kinds = text
    if n > 0 and cells[n - 1] == code and (kind == SPACE_KIND or _twice_before(cells, n, code)):
        return n
    if n >= len(cells) - (kind != SPACE_KIND):  # the last place is for the blank at the end
        return n
    cells[n] = code
    kinds[n] = kind
    return n + 1


@njit(cache=True, nogil=True)
def _read_hashtag(data, i, end, tables, tags, n):  # type: ignore[no-untyped-def]
    """Append the words of a hashtag, cut where a capital follows a small letter; return the next byte and length."""
    kinds, folds = tables
    small = False
    while i < end:
        code, width = decode(data, i, end)
        kind = _kind_of(code, kinds)
        if kind < SKIP_KIND and code != 0x5F:
            break
        i += width
        if kind == SKIP_KIND:
            continue
        folded = int(folds[code]) if code < TABLE_SIZE else code
        if code == 0x5F or (small and folded != code and kind == LETTER_KIND):
            n = _push(tags, n, 0x20, SPACE_KIND)
        small = folded == code and kind == LETTER_KIND
        if code != 0x5F:
            n = _push(tags, n, folded, kind)
    return i, _push(tags, n, 0x20, SPACE_KIND)


@njit(cache=True, nogil=True)
def normal_form(data, start, end, tables, scratch):  # type: ignore[no-untyped-def]
    """Write the normal form of one post and of its tags to scratch and count; return the length of both."""
    kinds, folds = tables
    text, tags, counts = scratch
    counts[:] = 0
    n, m = _push(text, 0, 0x20, SPACE_KIND), _push(tags, 0, 0x20, SPACE_KIND)
    i, number, fresh = start, 0, True
    while i < end and n < MAX_CHARS:
        if fresh:
            mark, after = _mark_at(data, i, end, kinds)
            if mark >= 0:
                counts[mark] += 1
                if mark == _HASHTAG:
                    after, m = _read_hashtag(data, after, end, tables, tags, m)
                n = _push(text, n, 0x20, SPACE_KIND)
                i = after
                continue
        code, width = decode(data, i, end)
        i += width
        kind = _kind_of(code, kinds)
        if kind == SKIP_KIND:
            continue
        fresh = kind <= EMOJI_KIND
        if kind == EMOJI_KIND:
            counts[_EMOJI_MARK] += 1
            m = _push(tags, m, code, IDEOGRAPH_KIND)
            code, kind = 0x20, SPACE_KIND
        folded = int(folds[code]) if code < TABLE_SIZE else code
        if n == 1 and kind == OTHER_KIND and (folded == 0x22 or folded == 0x27):
            continue  # a leading quotation mark
        number = number + 1 if kind == DIGIT_KIND else 0
        counts[_LONGEST_NUMBER] = max(counts[_LONGEST_NUMBER], number)
        before = n
        n = _push(text, n, folded, kind | (CAPITAL if kind == LETTER_KIND and folded != code else 0))
        counts[_CUT] += n == before and kind != SPACE_KIND
    return _push(text, n, 0x20, SPACE_KIND), _push(tags, m, 0x20, SPACE_KIND)


@njit(cache=True, nogil=True)
def main_script(text, n, scripts, seen):  # type: ignore[no-untyped-def]
    """Return the number of the script that most letters are in, 0 when that is none we tell apart."""
    cells, kinds = text
    seen[:] = 0
    for i in range(1, n):
        kind = kinds[i] & KIND_BITS
        if kind in (LETTER_KIND, IDEOGRAPH_KIND):
            seen[script_of(cells[i], scripts)] += 1
    return np.argmax(seen)


@njit(cache=True, nogil=True)
def _measure(text, n):  # type: ignore[no-untyped-def]
    """Count letters, digits, other marks and kinds of words in a normal form that begins and ends with a blank."""
    cells, kinds = text
    letters, capitals, digits, others, capitalised, shouted, words = 0, 0, 0, 0, 0, 0, 0
    word_letters, word_capitals, word_cells = 0, 0, 0
    for i in range(1, n):
        kind = kinds[i] & KIND_BITS
        if kind == LETTER_KIND:
            word_letters += 1
            word_capitals += kinds[i] != kind
            word_cells += 1
            continue
        if word_letters and cells[i] == 0x27:  # it's is one word
            others += 1
            word_cells += 1
            continue
        if word_letters:
            letters += word_letters
            capitals += word_capitals
            words += 1
            capitalised += word_capitals == 1 and word_letters > 1 and kinds[i - word_cells] & CAPITAL != 0
            shouted += word_capitals > 1 and word_capitals == word_letters
            word_letters, word_capitals, word_cells = 0, 0, 0
        letters += kind == IDEOGRAPH_KIND
        words += kind == IDEOGRAPH_KIND
        digits += kind == DIGIT_KIND
        others += kind == OTHER_KIND
    return letters, capitals, digits, others, capitalised, shouted, words


@njit(cache=True, nogil=True)
def _count_signs(text, n, signs):  # type: ignore[no-untyped-def]
    """Count ! ? , ' and money signs; return the first letter's kind with its flag, and the last character."""
    cells, kinds = text
    signs[:] = 0
    first, last = 0, 0x20
    for i in range(1, n):
        if cells[i] == 0x20:
            continue
        last = cells[i]
        kind = kinds[i] & KIND_BITS
        if kind >= LETTER_KIND:
            first = first if first else kinds[i]
            continue
        signs[0] += last == 0x21
        signs[1] += last == 0x3F
        signs[2] += last == 0x2C or last == 0x3001 or last == 0x3002
        signs[3] += last == 0x27
        signs[4] += last == 0x24 or last == 0xA3 or last == 0x20AC
    return first, last


@njit(cache=True, nogil=True)
def style_of(scratch, n, signs, style):  # type: ignore[no-untyped-def]
    """Write the dense features of one post; return its letters and its words."""
    text, _, counts = scratch
    letters, capitals, digits, others, capitalised, shouted, words = _measure(text, n)
    first, last = _count_signs(text, n, signs)
    total, several = max(1, letters + digits + others), max(1, words)
    style[0] = math.log1p(min(letters, 250)) / 5  # no more than a tweet holds: few sets have longer posts
    style[1] = math.log1p(min(words, 60)) / 4
    style[2] = capitals / max(1, letters)
    style[3] = digits / total
    style[4] = others / total
    style[5] = min(letters / several, 12) / 6
    style[6] = math.log1p(signs[0]) / 2
    style[7] = math.log1p(signs[1]) / 2
    style[8] = math.log1p(counts[_CUT]) / 2
    style[9] = min(counts[_LONGEST_NUMBER], 12) / 12
    style[10] = capitalised / several
    style[11] = shouted / several
    style[12] = first & CAPITAL != 0
    style[13] = last == 0x2E or last == 0x21 or last == 0x3F or last == 0x3002
    style[14] = min(1, 5 * signs[2] / several)
    style[15] = min(1, 5 * signs[3] / several)
    style[16] = math.log1p(signs[4]) / 2
    for mark in range(MARKS):
        style[17 + mark] = math.log1p(counts[_LINK + mark]) / 2
    return letters, words
