"""MinHash over character shingles, exact to the bit of datasketch's Mersenne form, and the keys made from it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit, uint32, uint64

from filters.kernels.utf8 import Bytes, Offsets

Words = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.int64]

MERSENNE = (1 << 61) - 1
_RANGE = 1 << 32
_LANES = 16  # shingles taken side by side; 16 was fastest of 16, 32 and 64 on tweets


@lru_cache(maxsize=8)
def permutations(count: int, seed: int) -> tuple[Words, Words]:
    """Draw the multipliers `a` (odd) and offsets `b`, both below 2^32, from NumPy's PCG64 stream of the seed.

    A pair for which one 32-bit hash would need a second reduction is drawn again (see `_reduces_at_once`).
    """
    stream = np.random.PCG64(seed)
    pairs: list[tuple[int, int]] = []
    while len(pairs) < count:
        raw = int(stream.random_raw())  # the raw stream is fixed by its algorithm; Generator's methods may change
        a, b = raw >> 32 | 1, raw & (_RANGE - 1)
        if _reduces_at_once(a, b):
            pairs.append((a, b))
    a_all, b_all = (np.array(column, np.uint32) for column in zip(*pairs, strict=True))
    a_all.setflags(write=False)
    b_all.setflags(write=False)
    return a_all, b_all


def _reduces_at_once(a: int, b: int) -> bool:
    """Tell whether x = h*a + b folds to x mod (2^61 - 1) in one step for every 32-bit h.

    With p = 2^61 - 1 and x = top * 2^61 + rest, x is congruent to rest + top. As h, a, b < 2^32, x < 2^64, so top
    is at most 7 and rest + top < p + 8: one fold is exact unless rest >= p - top. Those are at most 36 values of x,
    and whether an h reaches one is a division each. About one pair in 2^27 fails.
    """
    for top in range(8):
        for rest in range(MERSENNE - top, MERSENNE + 1):
            h, remainder = divmod((top << 61) + rest - b, a)
            if remainder == 0 and 0 <= h < _RANGE:
                return False
    return True


# Numba widens 32-bit arithmetic to 64 bits: every product, sum and shift is cut back by hand.


@njit(cache=True, nogil=True)
def _scrambled(word):  # type: ignore[no-untyped-def]
    word = uint32(word * uint32(0xCC9E2D51))
    word = uint32((word << uint32(15)) | (word >> uint32(17)))
    return uint32(word * uint32(0x1B873593))


@njit(cache=True, nogil=True)
def murmur32(data: Bytes, start: int, end: int) -> int:
    """Hash data[start:end] with MurmurHash3_x86_32, seed 0 (Austin Appleby's SMHasher)."""
    h = uint32(0)
    at = start
    while at + 4 <= end:
        word = uint32(data[at]) | uint32(data[at + 1]) << 8 | uint32(data[at + 2]) << 16 | uint32(data[at + 3]) << 24
        h ^= _scrambled(uint32(word))
        h = uint32((h << uint32(13)) | (h >> uint32(19)))
        h = uint32(h * uint32(5) + uint32(0xE6546B64))
        at += 4
    if at < end:
        word = uint32(0)
        for k in range(end - at):
            word |= uint32(uint32(data[at + k]) << uint32(8 * k))
        h ^= _scrambled(word)
    return _finished(h, end - start)


@njit(cache=True, nogil=True)
def _murmur_window(last8, size):  # type: ignore[no-untyped-def]
    """Hash the last `size` (4 to 8) of eight bytes held little-endian in one word: `murmur32` without a byte loop."""
    window = last8 >> uint64(8 * (8 - size))
    h = _scrambled(uint32(window))
    h = uint32((h << uint32(13)) | (h >> uint32(19)))
    h = uint32(h * uint32(5) + uint32(0xE6546B64))
    if size > 4:
        h ^= _scrambled(uint32(window >> uint64(32)))
    if size == 8:
        h = uint32((h << uint32(13)) | (h >> uint32(19)))
        h = uint32(h * uint32(5) + uint32(0xE6546B64))
    return _finished(h, size)


@njit(cache=True, nogil=True)
def _finished(h, size):  # type: ignore[no-untyped-def]
    h = uint32(h ^ uint32(size))
    h = uint32(uint32(h ^ (h >> uint32(16))) * uint32(0x85EBCA6B))
    h = uint32(uint32(h ^ (h >> uint32(13))) * uint32(0xC2B2AE35))
    return uint32(h ^ (h >> uint32(16)))


def minhash(data: Bytes, offsets: Offsets, shingle_chars: int, a: Words, b: Words) -> Words:
    """Return the MinHash values of every row of UTF-8 text, shape (rows, len(a)).

    Value i is the minimum over the row's shingles of ((h * a[i] + b[i]) mod (2^61 - 1)) mod 2^32, where h is the
    MurmurHash3_x86_32 of the shingle's bytes. Shingles are runs of `shingle_chars` code points; a shorter text is one
    shingle, and an empty one has none: all its values are 2^32 - 1. `a` and `b` must come from `permutations`.

    >>> text = np.frombuffer(b"abcabcabcabc", np.uint8)
    >>> values = minhash(text, np.array([0, 6, 12]), 3, *permutations(4, seed=1))
    >>> values.shape, bool((values[0] == values[1]).all())
    ((2, 4), True)
    """
    out = np.empty((len(offsets) - 1, len(a)), np.uint32)
    longest = int(np.diff(offsets).max(initial=0))
    hashes = np.empty(longest + _LANES, np.uint32)
    _minhash_rows(data, offsets, shingle_chars, (a, b, hashes), out)
    return out


@njit(cache=True, nogil=True)
def _minhash_rows(
    data: Bytes, offsets: Offsets, shingle_chars: int, words: tuple[Words, Words, Words], out: Words
) -> None:
    a, b, hashes = words
    for row in range(len(offsets) - 1):
        count = _hash_shingles(data, offsets[row], offsets[row + 1], shingle_chars, hashes)
        _minimum(hashes, count, a, b, out[row])


@njit(cache=True, nogil=True)
def _hash_shingles(data: Bytes, start: int, end: int, shingle_chars: int, hashes: Words) -> int:
    """Hash each shingle of one text into `hashes`, fill up the last group of lanes, return how many are to be read."""
    if start >= end:
        return 0
    first, at = start, start
    chars = 0
    count = 0
    last8 = uint64(0)  # the eight bytes before `at`, the newest on top
    while at < end:
        if chars == shingle_chars:  # the window is full: let its first character go
            first = _next_char(data, first, end)
            chars -= 1
        stop = _next_char(data, at, end)
        while at < stop:
            last8 = (last8 >> uint64(8)) | (uint64(data[at]) << uint64(56))
            at += 1
        chars += 1
        if chars == shingle_chars:
            size = at - first
            hashes[count] = _murmur_window(last8, size) if 4 <= size <= 8 else murmur32(data, first, at)
            count += 1
    if count == 0:
        hashes[0] = murmur32(data, start, end)
        count = 1
    while count % _LANES:  # a repeat cannot change a minimum
        hashes[count] = hashes[0]
        count += 1
    return count


@njit(cache=True, nogil=True, inline="always")
def _next_char(data: Bytes, at: int, end: int) -> int:
    at += 1
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _minimum(hashes: Words, count: int, a: Words, b: Words, out: Words) -> None:
    """Take the minimum of each permuted hash: one permutation at a time, many shingles side by side."""
    for i in range(len(a)):
        multiplier, offset = uint64(a[i]), uint64(b[i])
        low = uint32(0xFFFFFFFF)
        for k in range(count):
            x = uint64(hashes[k]) * multiplier + offset
            low = min(low, uint32(x + (x >> uint64(61))))  # the low 32 bits of rest + top
        out[i] = low


def band_keys(values: Words, bands: int) -> Keys:
    """Return one 64-bit key per band of MinHash values, shape (rows, bands).

    Band k starts from the splitmix64 step of k + 1, then takes its values in: `key = mix(key ^ value)`, with
    splitmix64's finaliser as `mix` (Steele, Lea and Flood, 2014). Equal values in different bands give unrelated keys.
    """
    out = np.empty((len(values), bands), np.uint64)
    _band_keys(values, values.shape[1] // bands, out)
    return out.view(np.int64)


@njit(cache=True, nogil=True)
def _band_keys(values: Words, rows: int, out: npt.NDArray[np.uint64]) -> None:
    for row in range(out.shape[0]):
        for band in range(out.shape[1]):
            key = _mix64(uint64(band + 1) * uint64(0x9E3779B97F4A7C15))
            for k in range(band * rows, band * rows + rows):
                key = _mix64(key ^ uint64(values[row, k]))
            out[row, band] = key


@njit(cache=True, nogil=True, inline="always")
def _mix64(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))
