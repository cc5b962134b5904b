"""Received messages on their way to a journal: an open segment, closed once it is old or large enough.

Segment N is the file that entry N of the journal reads, so what a crash left open is known by its number. Its lines
stay in memory until the journal has them: a disk that ran full tears nothing, the segment is written once more.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pipelines.journal import DIGITS, Journal, write_durably
from pipelines.receivers.settings import Limits, free_bytes
from pipelines.sources.splits import Split
from schemas.errors import SetupError

FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = "no room: the disk is full"


class NoRoom(Exception):  # noqa: N818  (reading pauses and goes on when there is room)
    """The disk is too full: the message at hand was not taken, all earlier ones are safe."""


class Spool:
    """The segments of one source. It is the only one who appends to its journal. Any thread may call it."""

    def __init__(
        self, journal: Journal, format: str, limits: Limits, free_bytes: Callable[[Path], int] = free_bytes
    ) -> None:
        self.journal = journal
        self.format = format
        self.limits = limits
        self.folder = journal.folder / "segments"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._free_bytes = free_bytes
        self._lock = threading.RLock()
        self._lines: list[bytes] = []  # of the open segment; without a file when it has to be written once more
        self._size = 0  # bytes
        self._file: BinaryIO | None = None
        self._cursor: str | None = None
        self._began = 0.0  # seconds of the monotonic clock

    def recover(self, keep: bool) -> None:
        """Take up what a crash left open: journal its whole lines, or drop it where the source sends it again.

        Raises NoRoom when the disk is full; doing it again goes on.
        """
        for path in sorted(self.folder.glob("*.jsonl")):
            if int(path.stem) < self.journal.end:
                continue
            try:
                self._recover(path.absolute(), path.read_bytes() if keep else b"")
            except OSError as error:
                self._give_up(error)
                raise NoRoom(DISK_FULL) from None

    def _recover(self, path: Path, data: bytes) -> None:
        whole = data.rfind(b"\n") + 1
        if not whole:
            path.unlink()
            return
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
        split = Split(str(path), self.format, "jsonl", end=whole)
        self.journal.append([split], data.count(b"\n"), self.journal.cursor, [str(path)])

    def start_cursor(self, now: int) -> str:
        """Return where a source begins that has journaled nothing yet: when it was first started, remembered."""
        path = self.folder / "start"
        try:
            if not path.exists():
                write_durably(path, str(now))
            return path.read_text()
        except OSError as error:
            self._give_up(error)
            raise NoRoom(DISK_FULL) from None

    def append(self, line: bytes, cursor: str | None) -> None:
        """Add a message, and where the source resumes behind it. Raises NoRoom when it was not taken."""
        with self._lock:
            free = self._free_bytes(self.folder)
            if free < self.limits.free_bytes:
                raise NoRoom(f"no room: {free >> 20} MiB free, {self.limits.free_bytes >> 20} MiB wanted")
            if self._full() or (self._lines and self._file is None):
                self.seal()
            self._lines.append(line + b"\n")
            self._size += len(line) + 1
            self._cursor = cursor
            try:
                self._write(self._lines[-1])
            except OSError as error:
                self._give_up(error)

    def seal_if_due(self) -> None:
        """Close the open segment when it is old enough, so that a slow source is read in time."""
        with self._lock:
            if self._lines and time.monotonic() - self._began >= self.limits.segment_seconds:
                self.seal()

    def seal(self) -> None:
        """Close the open segment and journal it. Raises NoRoom when the disk is full; nothing is lost then."""
        with self._lock:
            if not self._lines:
                return
            try:
                self._journal()
            except OSError as error:
                self._give_up(error)
                raise NoRoom(DISK_FULL) from None
            self._lines, self._size = [], 0

    def _full(self) -> bool:
        return len(self._lines) >= self.limits.segment_records or self._size >= self.limits.segment_bytes

    def _journal(self) -> None:
        if self._file is None:
            self._write(b"".join(self._lines))
        assert self._file is not None
        os.fsync(self._file.fileno())
        fsync_folder(self.folder)
        path = self._file.name
        self._file.close()
        self._file = None
        split = Split(path, self.format, "jsonl", end=self._size)
        self.journal.append([split], len(self._lines), self._cursor, [path])

    def _write(self, data: bytes) -> None:
        if self._file is None:
            path = self.folder.absolute() / f"{self.journal.end:0{DIGITS}d}.jsonl"
            self._file = path.open("wb", buffering=0)
            self._began = time.monotonic()
        assert self._file is not None
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _give_up(self, error: OSError) -> None:
        """Leave the open file to be written once more; raise SetupError unless the disk is merely full."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if error.errno not in FULL:
            raise SetupError(f"{self.folder}: cannot keep what is received: {error.strerror}") from error


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
