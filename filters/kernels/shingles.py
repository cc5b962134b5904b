"""The shingles of a text as a set of 32-bit hashes: what MinHash is taken over, and what two texts are compared by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint32, uint64

from filters.kernels.utf8 import Bytes, Offsets

Words = npt.NDArray[np.uint32]
Marks = npt.NDArray[np.uint64]

_FEWEST_SLOTS = 1024  # 8 KiB: little beside the fastest cache, much beside a post, so that few hashes meet


def shingle_hashes(data: Bytes, offsets: Offsets, shingle_chars: int) -> tuple[Words, Offsets]:
    """Return the distinct hashes of every row's shingles, one row after the other, and the n + 1 offsets of the rows.

    A shingle is a run of `shingle_chars` code points, its hash the MurmurHash3_x86_32, seed 0, of its UTF-8 bytes. A
    shorter text is one shingle, an empty one has none. Hashes stand where their shingle first stands in the text.

    >>> text = np.frombuffer(b"abcabcab", np.uint8)
    >>> hashes, ends = shingle_hashes(text, np.array([0, 6, 8]), 3)
    >>> ends.tolist(), hex(hashes[0])
    ([0, 3, 4], '0xb3dd93fa')
    """
    out = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    longest = int(np.diff(offsets).max(initial=1))
    seen = np.zeros(max(_FEWEST_SLOTS, 4 << (longest - 1).bit_length()), np.uint64)
    _hash_rows(data, offsets, shingle_chars, (out, ends), seen)
    return out[: ends[-1]], ends


@njit(cache=True, nogil=True)
def _hash_rows(data: Bytes, offsets: Offsets, shingle_chars: int, to: tuple[Words, Offsets], seen: Marks) -> None:
    out, ends = to
    for row in range(len(offsets) - 1):
        at = ends[row]
        count = _hash_shingles(data, (offsets[row], offsets[row + 1]), shingle_chars, out, at)
        ends[row + 1] = at + _drop_repeats(out, at, count, uint64(row + 1), seen)


@njit(cache=True, nogil=True)
def _hash_shingles(data: Bytes, span: tuple[int, int], shingle_chars: int, out: Words, to: int) -> int:
    """Hash each shingle of one text into `out` from `to` on and return how many there are."""
    start, end = span
    if start >= end:
        return 0
    if shingle_chars == 4 and end - start >= 4 and _is_ascii(data[start:end]):
        _murmur_windows(data[start:end], out[to:])
        return end - start - 3
    first, at = start, start
    chars = 0
    count = to
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
            out[count] = _murmur_window(last8, size) if 4 <= size <= 8 else murmur32(data, first, at)
            count += 1
    if count == to:
        out[count] = murmur32(data, start, end)
        count += 1
    return count - to


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
def _drop_repeats(hashes: Words, start: int, count: int, stamp, seen: Marks):  # type: ignore[no-untyped-def]
    """Keep the first of equal hashes among `count` from `start` on, move them together, return how many are kept.

    `seen` is an open-addressing table; what it holds is stamped with the row, so that nothing needs wiping.
    """
    slots = _FEWEST_SLOTS
    while slots < 4 * count:
        slots *= 2
    mask = uint64(slots - 1)  # unsigned: such an index cannot count from the end, so nobody asks whether it does
    own = uint64(stamp) << uint64(32)
    kept = uint64(start)
    for at in range(kept, kept + uint64(count)):
        h = hashes[at]
        entry = own | uint64(h)
        slot = uint64(h) & mask
        held = seen[slot]
        while held != entry and held >= own:  # rows come in order: nothing held is of a later one
            slot = (slot + uint64(1)) & mask
            held = seen[slot]
        seen[slot] = entry
        hashes[kept] = h
        kept += uint64(held != entry)
    return np.int64(kept) - start


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
