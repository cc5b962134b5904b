"""MinHash over character shingles, exact to the bit of datasketch's Mersenne form, and the keys made from it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit, uint32, uint64

from filters.kernels.shingles import Words, shingle_hashes
from filters.kernels.utf8 import Bytes, Offsets

Hashes = npt.NDArray[np.uint64]
Keys = npt.NDArray[np.int64]

MERSENNE = (1 << 61) - 1
_RANGE = 1 << 32
_TOPS = 7  # the most that h*a + b < 2^64 holds above its low 61 bits
_GROUP = 8  # hashes taken at a time: as many as `_take_group` names


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


def minhash(data: Bytes, offsets: Offsets, shingle_chars: int, a: Words, b: Words) -> Words:
    """Return the MinHash values of every row of UTF-8 text, shape (rows, len(a)): `minima` of its `shingle_hashes`.

    >>> text = np.frombuffer(b"abcabcabcabc", np.uint8)
    >>> values = minhash(text, np.array([0, 6, 12]), 3, *permutations(4, seed=1))
    >>> values.shape, bool((values[0] == values[1]).all())
    ((2, 4), True)
    """
    return minima(*shingle_hashes(data, offsets, shingle_chars), a, b)


def minima(hashes: Words, offsets: Offsets, a: Words, b: Words) -> Words:
    """Return the MinHash values of every row of distinct shingle hashes, shape (rows, len(a)).

    Value i is the minimum over the row's hashes h of ((h * a[i] + b[i]) mod (2^61 - 1)) mod 2^32; without any it is
    2^32 - 1. `a` and `b` must come from `permutations`.
    """
    out = np.empty((len(offsets) - 1, len(a)), np.uint32)
    _minima(hashes, offsets, (a, b), out)
    return out


@njit(cache=True, nogil=True)
def _minima(hashes: Words, offsets: Offsets, pairs: tuple[Words, Words], out: Words) -> None:
    a, b = pairs
    family = (a, b, b + uint32(_TOPS), _inverses(a))
    second = np.empty(len(a), np.uint32)
    for row in range(len(out)):
        _minimum(hashes, (offsets[row], offsets[row + 1]), family, second, out[row])


# The minimum of r = (h*a + b) mod (2^61 - 1) mod 2^32 over many h takes 64-bit arithmetic. Its low half alone does not:
# with x = h*a + b, r = (x + top) mod 2^32, where top = x >> 61 is at most 7. So the kernel looks for the least
# v = (x + 7) mod 2^32, in 32-bit lanes. As `a` is odd, that v gives back its h = (v - 7 - b) / a mod 2^32, and with it
# top and r. Some other hash could have a smaller r only if its v is less than 7 above the least, or if v wrapped
# around, which leaves it below 7: the second least v tells, and such a value is computed the long way (about one in
# four million for a post of 80 different shingles).


@njit(cache=True, nogil=True)
def _minimum(
    hashes: Words, span: tuple[int, int], family: tuple[Words, Words, Words, Words], second: Words, out: Words
) -> None:
    """Take the minimum of each permuted hash: many permutations side by side, some hashes at a time."""
    a, b, shifted, inverse = family
    start, end = span
    for i in range(len(a)):
        out[i] = second[i] = uint32(0xFFFFFFFF)
    whole = end - (end - start) % _GROUP
    for k in range(start, whole, _GROUP):
        _take_group(hashes, k, (a, shifted), out, second)
    for k in range(whole, end):
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
                out[i] = _long_minimum(hashes, span, a[i], b[i])


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
def _long_minimum(hashes, span, a, b):  # type: ignore[no-untyped-def]
    low = uint32(0xFFFFFFFF)
    for k in range(span[0], span[1]):
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
