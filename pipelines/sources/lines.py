"""Byte streams cut into whole lines, in bounded memory, with true line numbers.

A file larger than memory and a line longer than memory both pass through: a line is held only up to `limit` bytes,
what follows is counted and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 1 << 20
STRIPE = 4 << 20
"""Bytes of a stream that cannot be entered in the middle are dealt to the parts in stripes of this size."""


class BrokenStream(Exception):  # noqa: N818  (the file ends early; what was readable is kept)
    """A compressed stream that ends early or is damaged, raised after its last readable byte."""


@dataclass(frozen=True)
class Stretch:
    """Whole lines of a file; the last one lacks its newline only at the end of the file.

    `line` is the number of the first, from 1. `raw_bytes` is set when this is the head of one over-long line, without
    its newline, and is that line's length. `broken` says why the stream ends here when it should not.
    """

    line: int
    data: bytes
    raw_bytes: int | None = None
    broken: str | None = None


def byte_range(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of all lines that begin in [start, end), a line being owned where it begins."""
    position = skip_line(file, start)
    while position < end:
        chunk = file.read(min(CHUNK, end - position))
        if not chunk:
            return
        position += len(chunk)
        yield chunk
        if position >= end and not chunk.endswith(b"\n"):
            yield from _rest_of_line(file)


def skip_line(file: BinaryIO, start: int) -> int:
    """Move to the first line that begins at or after `start` and return where that is."""
    if start == 0:
        file.seek(0)
        return 0
    position = file.seek(start - 1)
    while chunk := file.read(CHUNK):
        found = chunk.find(b"\n")
        if found >= 0:
            return file.seek(position + found + 1)
        position += len(chunk)
    return position


def _rest_of_line(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(64 << 10):
        cut = chunk.find(b"\n") + 1
        yield chunk[:cut] if cut else chunk
        if cut:
            return


def lines_before(path: str, start: int) -> int:
    """Count the lines in front of the first line that begins at or after `start`."""
    with open(path, "rb") as file:  # noqa: PTH123
        left = skip_line(file, start)
        file.seek(0)
        count = 0
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            count += chunk.count(b"\n")
            left -= len(chunk)
    return count


def stretches(chunks: Iterator[bytes], limit: int, part: int = 0, parts: int = 1) -> Iterator[Stretch]:
    """Cut a stream into whole lines and keep those of one part: a line belongs to the stripe it begins in."""
    line, offset = 1, 0
    for data, raw_bytes, broken in _whole_lines(chunks, limit):
        for piece, begin in _by_stripe(data, offset):
            if begin // STRIPE % parts == part:
                yield Stretch(line, piece, raw_bytes, broken)
            line += piece.count(b"\n")
        line += raw_bytes is not None
        offset += len(data) if raw_bytes is None else raw_bytes + 1


def _by_stripe(data: bytes, offset: int) -> Iterator[tuple[bytes, int]]:
    """Cut whole lines where a line begins in the next stripe; yield each piece with its place in the stream."""
    while True:
        room = (offset // STRIPE + 1) * STRIPE - offset
        cut = data.find(b"\n", room - 1) + 1 if len(data) > room else 0
        if cut == 0 or cut == len(data):
            yield data, offset
            return
        yield data[:cut], offset
        data, offset = data[cut:], offset + cut


def _whole_lines(chunks: Iterator[bytes], limit: int) -> Iterator[tuple[bytes, int | None, str | None]]:
    """Yield (whole lines, None, None), (head of an over-long line, its length, None), and last what is left over."""
    open_line = _OpenLine(limit)
    broken: list[str] = []
    for chunk in _until_break(chunks, broken):
        cut = chunk.rfind(b"\n") + 1
        first = chunk.find(b"\n") + 1
        if cut and open_line.length + first > limit + 1:  # the line at hand ends here, and was too long
            open_line.extend(chunk[: first - 1])
            yield open_line.close()
            if cut > first:
                yield chunk[first:cut], None, None
        elif cut:
            yield open_line.close()[0] + chunk[:cut], None, None
        open_line.extend(chunk[cut:])
    if open_line.length or broken:
        head, raw_bytes, _ = open_line.close()
        yield head, raw_bytes, (broken[0] if broken else None)


def _until_break(chunks: Iterator[bytes], broken: list[str]) -> Iterator[bytes]:
    """Yield what can be read; note in `broken` why no more can."""
    try:
        yield from chunks
    except BrokenStream as error:
        broken.append(str(error))


class _OpenLine:
    """A line whose end has not come yet: its first `limit` bytes, and how long it is so far."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pieces: list[bytes] = []
        self.held = self.length = 0

    def extend(self, data: bytes) -> None:
        kept = data[: self.limit - self.held]
        self.pieces.append(kept)
        self.held += len(kept)
        self.length += len(data)

    def close(self) -> tuple[bytes, int | None, None]:
        head, length = b"".join(self.pieces), self.length
        self.pieces, self.held, self.length = [], 0, 0
        return head, (length if length > self.limit else None), None
