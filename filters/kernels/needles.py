"""Find many known strings in many texts, and write over them: one pass over the bytes, whatever their number.

A window of the last eight bytes slides over a text (Wu and Manber, "A fast algorithm for multi-pattern searching",
1994, look at blocks in the same way); a needle is known by its own last eight, which in ids differ more than the first.
A bitmap stands in front of the sorted windows: nearly every byte of a text ends there. A needle of fewer bytes counts
only as a whole word, or the digits of any text would match.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from filters.kernels.utf8 import Bytes, Offsets

Windows = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

WINDOW = 8
_BITS = 1 << 20  # of the bitmap: 128 KiB, which stay in the cache
_FACTOR = 0x9E3779B97F4A7C15


@dataclass(frozen=True, eq=False)
class Needles:
    """The strings looked for, by their last eight bytes, longer ones first where those are equal, and their masks."""

    windows: Windows  # sorted
    sizes: Offsets  # bytes
    starts: Offsets  # of each in `data` and in `masks`
    data: Bytes
    masks: Bytes
    bitmap: Bytes
    short: Flags  # whether there are needles of each size below WINDOW

    @classmethod
    def of(cls, masks: Mapping[str, str]) -> Needles:
        """Lay out strings, each with what is written over it: as many bytes of that as it has itself."""
        pairs = sorted(((key.encode(), mask.encode()) for key, mask in masks.items() if key), key=_place)
        keys = [key for key, _ in pairs]
        covers = [_cover(mask, len(key)) for key, mask in pairs]
        windows = np.array([_window(key) for key in keys], np.uint64)
        sizes = np.array([len(key) for key in keys], np.int64)
        bitmap = np.zeros(_BITS // 8, np.uint8)
        bits = _bit(windows)
        np.bitwise_or.at(bitmap, bits >> 3, (1 << (bits & 7)).astype(np.uint8))
        short = np.zeros(WINDOW, np.bool_)
        short[sizes[sizes < WINDOW]] = True
        data, cover = (np.frombuffer(b"".join(one) or b"\0", np.uint8) for one in (keys, covers))
        return cls(windows, sizes, np.cumsum(sizes) - sizes, data, cover, bitmap, short)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.windows)


def find_needles(data: Bytes, offsets: Offsets, needles: Needles) -> Flags:
    """Tell which rows hold a needle, shape (rows,).

    >>> data = np.frombuffer("reply to 123456789, not 12345678 nor 42".encode(), np.uint8)
    >>> find_needles(data, np.array([0, 18, 39]), Needles.of({"123456789": "", "4": ""})).tolist()
    [True, False]
    """
    found = np.zeros(len(offsets) - 1, np.bool_)
    if len(needles):
        sieve = needles.bitmap, needles.short
        _search(data, offsets, sieve, _names(needles), np.zeros(0, np.uint8), found)
    return found


def mask_needles(data: Bytes, offsets: Offsets, needles: Needles) -> Bytes:
    """Return a copy of the bytes in which a mask stands over each needle; no text becomes longer or shorter.

    >>> data = np.frombuffer(b"see 123456789", np.uint8)
    >>> bytes(mask_needles(data, np.array([0, 13]), Needles.of({"123456789": "gone:0a1b2c"})))
    b'see gone:0a1b'
    """
    masked = data.copy()
    if len(needles):
        sieve, found = (needles.bitmap, needles.short), np.zeros(len(offsets) - 1, np.bool_)
        _search(data, offsets, sieve, _names(needles), masked, found)
    return masked


def _place(pair: tuple[bytes, bytes]) -> tuple[int, int]:
    return _window(pair[0]), -len(pair[0])


def _cover(mask: bytes, size: int) -> bytes:
    return (mask or b"*")[:size].ljust(size, b"*")


def _window(key: bytes) -> int:
    """Return the last eight bytes as a number, the last one highest; what a short needle lacks is 0."""
    return int.from_bytes(key[-WINDOW:].rjust(WINDOW, b"\0"), "little")


def _bit(windows: Windows) -> Offsets:
    return np.asarray((windows * np.uint64(_FACTOR)) >> np.uint64(44)).astype(np.int64)


def _names(needles: Needles) -> tuple[Windows, Offsets, Offsets, Bytes, Bytes]:
    return needles.windows, needles.sizes, needles.starts, needles.data, needles.masks


@njit(cache=True, nogil=True)
def _search(data, offsets, sieve, names, masked, found):  # type: ignore[no-untyped-def]
    bitmap, short = sieve
    any_short = short.any()
    for row in range(len(found)):
        window = uint64(0)
        for at in range(offsets[row], offsets[row + 1]):
            window = (window >> uint64(8)) | (uint64(data[at]) << uint64(56))
            end = at + 1
            if end - offsets[row] >= WINDOW and _may_be(window, bitmap):
                found[row] |= _match(data, (offsets[row], end, WINDOW), window, names, masked)
            if any_short and (end == offsets[row + 1] or not _is_word(data[end])):
                for length in range(1, WINDOW):
                    begin = end - length
                    if begin < offsets[row]:
                        break
                    if short[length] and (begin == offsets[row] or not _is_word(data[begin - 1])):
                        part = (window >> uint64(64 - 8 * length)) << uint64(64 - 8 * length)
                        if _may_be(part, bitmap):
                            found[row] |= _match(data, (offsets[row], end, length), part, names, masked)


@njit(cache=True, nogil=True, inline="always")
def _may_be(window, bitmap):  # type: ignore[no-untyped-def]
    bit = (window * uint64(_FACTOR)) >> uint64(44)
    return bitmap[bit >> uint64(3)] >> (bit & uint64(7)) & 1


@njit(cache=True, nogil=True)
def _match(data, place, window, needles, masked):  # type: ignore[no-untyped-def]
    """Tell whether a needle ends here, and write over it; `size` is that of a short one, WINDOW for any longer."""
    windows, sizes, starts, names, masks = needles
    first, end, size = place
    at = np.searchsorted(windows, window)
    while at < len(windows) and windows[at] == window:
        length = sizes[at]
        fits = length == size if size < WINDOW else length >= WINDOW
        if fits and end - length >= first:
            same = True
            for k in range(length):
                if data[end - length + k] != names[starts[at] + k]:
                    same = False
                    break
            if same:
                if len(masked):
                    for k in range(length):
                        masked[end - length + k] = masks[starts[at] + k]
                return True
        at += 1
    return False


@njit(cache=True, nogil=True, inline="always")
def _is_word(byte):  # type: ignore[no-untyped-def]
    """Tell whether a byte is part of a word: a letter, a digit, an underscore, or not ASCII."""
    return byte >= 0x80 or byte == 0x5F or 0x30 <= byte <= 0x39 or 0x41 <= (byte & 0xDF) <= 0x5A
