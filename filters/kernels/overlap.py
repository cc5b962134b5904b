"""Find known stretches of words in texts, by 64-bit hash: one pass over the characters, one over the words.

Every word is hashed, and the hashes of a batch are summed up as a polynomial modulo 2^64, so that the hash of any
stretch of words is one multiplication and one subtraction away (Karp and Rabin, "Efficient randomized
pattern-matching algorithms", 1987). A small Bloom filter stands in front of the sorted keys: nearly every stretch of
an ordinary post ends there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from filters.kernels.characters import CLASS, DIGIT, KIND, LETTER, MARK, UNSPACED, class_of, decode
from filters.kernels.normalise import normalise
from filters.kernels.utf8 import Bytes, Offsets

Hashes = npt.NDArray[np.uint64]
Matches = npt.NDArray[np.int64]

_FACTOR = 0x9E3779B97F4A7C15
_STEP = 0xD6E8FEB86659FD93
_EMPTY = 0x243F6A8885A308D3
_BITS_PER_KEY = 16  # with two bits set a key, one stretch in about 60 gets past the filter for nothing


@dataclass(frozen=True, eq=False)
class Index:
    """The stretches looked for: windows of `words` words, and whole texts of `least` words or more, but fewer.

    Plain arrays, so that a driver builds it and workers get it by pickle.
    """

    words: int
    least: int
    keys: Hashes  # (keys,), ascending: a stretch each
    windows: Hashes  # filter over the keys of windows
    openings: Hashes  # filter over the keys of the first `least` words of the short texts
    lengths: npt.NDArray[np.int64]  # of the short texts, in words, ascending and distinct


def word_sums(data: Bytes, offsets: Offsets) -> tuple[Hashes, Offsets]:
    """Return the running sums of the word hashes of all rows, and where each row's words begin and end in them.

    Shapes: (bytes,), (rows + 1,) in; (words + 1,), (rows + 1,) out. Words are those of the normalised text (see
    kernels/normalise.py): what stands between spaces and emoji, and each letter of a script written without spaces,
    with the marks on it, by itself.

    >>> text = "It's 3 P.M., 你好!".encode()
    >>> word_sums(np.frombuffer(text, np.uint8), np.array([0, len(text)]))[1].tolist()
    [0, 7]
    """
    normal, ends = normalise(data, offsets)
    sums = np.empty(len(normal) // 2 + len(ends) + 1, np.uint64)  # neighbouring words of one byte have a space between
    words = np.zeros(len(ends), np.int64)
    _sum_rows(normal, ends, CLASS, sums, words)
    return sums[: words[-1] + 1], words


@njit(cache=True, nogil=True)
def _sum_rows(data, offsets, classes, sums, words):  # type: ignore[no-untyped-def]
    count = 0
    sums[0] = uint64(0)
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        word = uint64(_EMPTY)
        alone = False  # the open word is one letter of a script without spaces: only marks may follow
        while at < end:
            code, width = decode(data, at, end)
            at += width
            flags = LETTER if code < 0x80 and code != 0x20 else class_of(code, classes)
            kind = flags & KIND
            unspaced = flags & UNSPACED != 0 and kind == LETTER
            inside = kind in (LETTER, DIGIT, MARK)
            if word != uint64(_EMPTY) and (not inside or unspaced or (alone and kind != MARK)):
                count = _close(word, sums, count)
                word = uint64(_EMPTY)
            if inside:
                word = (word ^ uint64(code)) * uint64(_STEP)
                word ^= word >> uint64(32)
                alone = unspaced or (alone and kind == MARK)
        if word != uint64(_EMPTY):
            count = _close(word, sums, count)
        words[row + 1] = count


@njit(cache=True, nogil=True)
def _close(word, sums, count):  # type: ignore[no-untyped-def]
    sums[count + 1] = sums[count] * uint64(_FACTOR) + _spread(word)
    return count + 1


@njit(cache=True, nogil=True, inline="always")
def _spread(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> uint64(32))) * uint64(_STEP)
    x = (x ^ (x >> uint64(32))) * uint64(_STEP)
    return x ^ (x >> uint64(32))


@njit(cache=True, nogil=True)
def _power(length):  # type: ignore[no-untyped-def]
    product = uint64(1)
    for _ in range(length):
        product *= uint64(_FACTOR)
    return product


@njit(cache=True, nogil=True, inline="always")
def _key(sums, start, length, power):  # type: ignore[no-untyped-def]
    """Hash the words [start, start + length); `power` is _FACTOR to the length."""
    return _spread(sums[start + length] - sums[start] * power + uint64(length))


@njit(cache=True, nogil=True)
def keys_at(sums, starts, lengths):  # type: ignore[no-untyped-def]
    """Return the key of each stretch of words, given by where it starts and how many words it has. Shape: (n,)."""
    keys = np.empty(len(starts), np.uint64)
    for k in range(len(starts)):
        keys[k] = _key(sums, starts[k], lengths[k], _power(lengths[k]))
    return keys


@njit(cache=True, nogil=True)
def bloom(keys):  # type: ignore[no-untyped-def]
    """Return a filter that lets every one of the keys pass and few others: 2 bits a key in one word of 2^k."""
    bits = 0
    while (64 << bits) < _BITS_PER_KEY * len(keys):
        bits += 1
    words = np.zeros(1 << bits, np.uint64)
    for key in keys:
        words[_slot(key, len(words))] |= _bits(key)
    return words


@njit(cache=True, nogil=True, inline="always")
def _slot(key, size):  # type: ignore[no-untyped-def]
    return (key >> uint64(32)) & uint64(size - 1)


@njit(cache=True, nogil=True, inline="always")
def _bits(key):  # type: ignore[no-untyped-def]
    return uint64(1) << (key & uint64(63)) | uint64(1) << ((key >> uint64(6)) & uint64(63))


@njit(cache=True, nogil=True, inline="always")
def _passes(key, words):  # type: ignore[no-untyped-def]
    bits = _bits(key)
    return words[_slot(key, len(words))] & bits == bits


def find(sums: Hashes, words: Offsets, index: Index) -> Matches:
    """Return every known stretch in the rows: (row, first word, words, place in index.keys) each, shape (matches, 4).

    The first word is counted from the start of `sums`. In the order of the rows, then of the words.
    """
    return _find(sums, words, (index.words, index.least), (index.keys, index.windows, index.openings), index.lengths)


@njit(cache=True, nogil=True)
def _find(sums, words, sizes, known, lengths):  # type: ignore[no-untyped-def]
    size, least = sizes
    keys, windows, openings = known
    size_power, least_power = _power(size), _power(least)
    matches = np.empty((64, 4), np.int64)
    found = 0
    for row in range(len(words) - 1):
        end = words[row + 1]
        for start in range(words[row], end - least + 1):
            if start + size <= end:
                key = _key(sums, start, size, size_power)
                if _passes(key, windows):
                    matches, found = _note(matches, found, (row, start, size), _place(key, keys))
            if len(lengths) and _passes(_key(sums, start, least, least_power), openings):
                for length in lengths:
                    if start + length <= end:
                        place = _place(_key(sums, start, length, _power(length)), keys)
                        matches, found = _note(matches, found, (row, start, length), place)
    return matches[:found]


@njit(cache=True, nogil=True)
def _note(matches, found, match, place):  # type: ignore[no-untyped-def]
    if place < 0:
        return matches, found
    if found == len(matches):
        more = np.empty((2 * found, 4), np.int64)
        more[:found] = matches
        matches = more
    row, start, length = match
    matches[found, 0] = row
    matches[found, 1] = start
    matches[found, 2] = length
    matches[found, 3] = place
    return matches, found + 1


@njit(cache=True, nogil=True)
def _place(key, keys):  # type: ignore[no-untyped-def]
    """Return where a key stands among the sorted ones, -1 where it does not."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < len(keys) and keys[low] == key else -1
