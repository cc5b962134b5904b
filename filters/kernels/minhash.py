"""MinHash over character shingles, exact to the bit of datasketch's Mersenne form, and the keys made from it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit, uint32, uint64

from filters.kernels.utf8 import Bytes, Offsets

Words = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Keys = npt.NDArray[np.int64]

MERSENNE = (1 << 61) - 1
_RANGE = 1 << 32
_TOPS = 7  # the most that h*a + b < 2^64 holds above its low 61 bits
_GROUP = 8  # hashes taken at a time: as many as `_take_group` names
_SEEN = 1024  # hashes remembered to leave out repeats: 8 KiB, a quarter of the fastest cache


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
def _murmur_windows(text: Bytes, hashes: Words) -> None:
    """Hash every four bytes in a row of `text`, side by side: slices and two loops are what the compiler vectorises."""
    first, second, third, fourth = text[:-3], text[1:-2], text[2:-1], text[3:]
    for k in range(len(fourth)):
        low = uint32(first[k]) | uint32(second[k]) << uint32(8)
        hashes[k] = low | uint32(third[k]) << uint32(16) | uint32(fourth[k]) << uint32(24)
    for k in range(len(fourth)):
        h = _scrambled(hashes[k])
        h = uint32((h << uint32(13)) | (h >> uint32(19)))
        hashes[k] = _finished(uint32(h * uint32(5) + uint32(0xE6546B64)), 4)


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
    hashes = np.empty(longest + 1, np.uint32)
    _minhash_rows(data, offsets, shingle_chars, (a, b, hashes), out)
    return out


@njit(cache=True, nogil=True)
def _minhash_rows(
    data: Bytes, offsets: Offsets, shingle_chars: int, words: tuple[Words, Words, Words], out: Words
) -> None:
    a, b, hashes = words
    family = (a, b, b + uint32(_TOPS), _inverses(a))
    second = np.empty(len(a), np.uint32)
    seen = np.zeros(_SEEN, np.uint64)
    for row in range(len(offsets) - 1):
        count = _hash_shingles(data, offsets[row], offsets[row + 1], shingle_chars, hashes)
        count = _drop_repeats(hashes, count, uint64(row + 1), seen)
        _minimum(hashes, count, family, second, out[row])


@njit(cache=True, nogil=True)
def _hash_shingles(data: Bytes, start: int, end: int, shingle_chars: int, hashes: Words) -> int:
    """Hash each shingle of one text into `hashes` and return how many there are."""
    if start >= end:
        return 0
    if shingle_chars == 4 and end - start >= 4 and _is_ascii(data[start:end]):
        _murmur_windows(data[start:end], hashes)
        return end - start - 3
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
    return count


@njit(cache=True, nogil=True, inline="always")
def _next_char(data: Bytes, at: int, end: int) -> int:
    at += 1
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _is_ascii(text):  # type: ignore[no-untyped-def]
    high = np.uint8(0)
    for byte in text:
        high |= byte
    return high < 0x80


@njit(cache=True, nogil=True)
def _drop_repeats(hashes: Words, count: int, stamp, seen) -> int:  # type: ignore[no-untyped-def]
    """Move the hashes to the front, most repeats left out, and return how many stay: a repeat cannot be a new minimum.

    `seen` has room for one hash of each low end, stamped with the row so that nothing needs wiping.
    """
    kept = 0
    for k in range(count):
        slot = hashes[k] & uint32(_SEEN - 1)
        entry = stamp << uint64(32) | uint64(hashes[k])
        hashes[kept] = hashes[k]
        kept += seen[slot] != entry
        seen[slot] = entry
    return kept


# The minimum of r = (h*a + b) mod (2^61 - 1) mod 2^32 over many h takes 64-bit arithmetic. Its low half alone does not:
# with x = h*a + b, r = (x + top) mod 2^32, where top = x >> 61 is at most 7. So the kernel looks for the least
# v = (x + 7) mod 2^32, in 32-bit lanes. As `a` is odd, that v gives back its h = (v - 7 - b) / a mod 2^32, and with it
# top and r. Some other hash could have a smaller r only if its v is less than 7 above the least, or if v wrapped
# around, which leaves it below 7: the second least v tells, and such a value is computed the long way (about one in
# four million for a post of 80 different shingles).


@njit(cache=True, nogil=True)
def _minimum(hashes: Words, count: int, family: tuple[Words, Words, Words, Words], second: Words, out: Words) -> None:
    """Take the minimum of each permuted hash: many permutations side by side, some hashes at a time."""
    a, b, shifted, inverse = family
    for i in range(len(a)):
        out[i] = second[i] = uint32(0xFFFFFFFF)
    whole = count - count % _GROUP
    for k in range(0, whole, _GROUP):
        _take_group(hashes, k, (a, shifted), out, second)
    for k in range(whole, count):
        _take_one(hashes[k], a, shifted, out, second)
    doubtful = False
    for i in range(len(a)):
        least, margin = out[i], uint32(second[i] - out[i])
        x = uint64(uint32((least - shifted[i]) * inverse[i])) * uint64(a[i]) + uint64(b[i])
        out[i] = uint32(x + (x >> uint64(61)))
        second[i] = min(least, margin)
        doubtful |= second[i] < uint32(_TOPS)
    if doubtful:
        for i in range(len(a)):
            if second[i] < uint32(_TOPS):
                out[i] = _long_minimum(hashes, count, a[i], b[i])


@njit(cache=True, nogil=True)
def _take_group(hashes: Words, k: int, family: tuple[Words, Words], least: Words, second: Words) -> None:
    """Take the eight hashes from `k` on into the two least values of every permutation."""
    a, shifted = family
    h0, h1, h2, h3 = hashes[k], hashes[k + 1], hashes[k + 2], hashes[k + 3]
    group = (h0, h1, h2, h3, hashes[k + 4], hashes[k + 5], hashes[k + 6], hashes[k + 7])
    for i in range(len(a)):
        low, next_low = least[i], second[i]
        for h in group:
            v = uint32(h * a[i] + shifted[i])
            next_low = min(next_low, max(low, v))
            low = min(low, v)
        least[i], second[i] = low, next_low


@njit(cache=True, nogil=True)
def _take_one(h: int, a: Words, shifted: Words, least: Words, second: Words) -> None:
    for i in range(len(a)):
        v = uint32(h * a[i] + shifted[i])
        second[i] = min(second[i], max(least[i], v))
        least[i] = min(least[i], v)


@njit(cache=True, nogil=True)
def _long_minimum(hashes, count, a, b):  # type: ignore[no-untyped-def]
    low = uint32(0xFFFFFFFF)
    for k in range(count):
        x = uint64(hashes[k]) * uint64(a) + uint64(b)
        low = min(low, uint32(x + (x >> uint64(61))))  # the low 32 bits of rest + top
    return low


@njit(cache=True, nogil=True)
def _inverses(a: Words) -> Words:
    """Return the inverse of each odd number modulo 2^32, by Newton's steps: each doubles the bits that are right."""
    out = a.copy()  # an odd number is its own inverse modulo 8
    for i in range(len(a)):
        for _ in range(4):
            out[i] = uint32(out[i] * uint32(uint32(2) - uint32(a[i] * out[i])))
    return out


def band_keys(values: Words, bands: int) -> Keys:
    """Return one 64-bit key per band of MinHash values, shape (rows, bands).

    Band k starts from the splitmix64 step of k + 1, then takes its values in: `key = mix(key ^ value)`, with
    splitmix64's finaliser as `mix` (Steele, Lea and Flood, 2014). Equal values in different bands give unrelated keys.
    """
    out = np.empty((len(values), bands), np.uint64)
    rows = values.shape[1] // bands
    _band_keys(values, np.empty((rows, bands), np.uint32), np.empty(bands, np.uint64), out)
    return out.view(np.int64)


@njit(cache=True, nogil=True)
def _band_keys(values: Words, turned: Words, starts: Hashes, out: Hashes) -> None:
    """Fill `out`, all bands of a text side by side; `turned` and `starts` are room to work in."""
    rows, bands = turned.shape
    for band in range(bands):
        starts[band] = _mix64(uint64(band + 1) * uint64(0x9E3779B97F4A7C15))
    for text in range(len(out)):
        own = values[text]
        for k in range(rows):
            for band in range(bands):
                turned[k, band] = own[band * rows + k]
        keys = out[text]
        for band in range(bands):
            keys[band] = starts[band]
        for k in range(rows):
            column = turned[k]
            for band in range(bands):
                keys[band] = _mix64(keys[band] ^ uint64(column[band]))


@njit(cache=True, nogil=True, inline="always")
def _mix64(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))
