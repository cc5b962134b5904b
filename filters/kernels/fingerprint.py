"""One 64-bit number for a whole text: equal texts have equal numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from filters.kernels.utf8 import Bytes, Offsets


def fingerprint(data: Bytes, offsets: Offsets) -> npt.NDArray[np.int64]:
    """Return the first 64 bits of MurmurHash3_x64_128, seed 0, of every row's bytes, shape (rows,).

    >>> text = np.frombuffer(b"hello", np.uint8)
    >>> hex(int(fingerprint(text, np.array([0, 5]))[0]) & (1 << 64) - 1)
    '0xcbd8a7b341bd9b02'
    """
    out = np.empty(len(offsets) - 1, np.uint64)
    _fingerprint_rows(data, offsets, out)
    return out.view(np.int64)


@njit(cache=True, nogil=True)
def _fingerprint_rows(data: Bytes, offsets: Offsets, out: npt.NDArray[np.uint64]) -> None:
    for row in range(len(out)):
        out[row] = _murmur128_low(data, offsets[row], offsets[row + 1])


@njit(cache=True, nogil=True)
def _murmur128_low(data: Bytes, start: int, end: int):  # type: ignore[no-untyped-def]
    size = uint64(end - start)
    h1 = uint64(0)
    h2 = uint64(0)
    at = start
    while at + 16 <= end:
        h1 = _rotated(h1 ^ _scrambled1(_word(data, at, 8)), 27) + h2
        h1 = h1 * uint64(5) + uint64(0x52DCE729)
        h2 = _rotated(h2 ^ _scrambled2(_word(data, at + 8, 8)), 31) + h1
        h2 = h2 * uint64(5) + uint64(0x38495AB5)
        at += 16
    rest = end - at
    if rest > 8:
        h2 ^= _scrambled2(_word(data, at + 8, rest - 8))
    if rest > 0:
        h1 ^= _scrambled1(_word(data, at, min(rest, 8)))
    h1 ^= size
    h2 ^= size
    h1 += h2
    h2 += h1
    return _finished(h1) + _finished(h2)


@njit(cache=True, nogil=True, inline="always")
def _word(data: Bytes, at: int, size: int):  # type: ignore[no-untyped-def]
    word = uint64(0)
    for k in range(size):
        word |= uint64(data[at + k]) << uint64(8 * k)
    return word


@njit(cache=True, nogil=True, inline="always")
def _rotated(x, bits):  # type: ignore[no-untyped-def]
    return (x << uint64(bits)) | (x >> uint64(64 - bits))


@njit(cache=True, nogil=True, inline="always")
def _scrambled1(x):  # type: ignore[no-untyped-def]
    return _rotated(x * uint64(0x87C37B91114253D5), 31) * uint64(0x4CF5AD432745937F)


@njit(cache=True, nogil=True, inline="always")
def _scrambled2(x):  # type: ignore[no-untyped-def]
    return _rotated(x * uint64(0x4CF5AD432745937F), 33) * uint64(0x87C37B91114253D5)


@njit(cache=True, nogil=True, inline="always")
def _finished(x):  # type: ignore[no-untyped-def]
    x = (x ^ (x >> uint64(33))) * uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> uint64(33))) * uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> uint64(33))
