"""What a stream has still to read: an ordered, durable list of splits, each entry a small file in a folder.

Whoever finds input (a receiver that has filled a file, a look at a folder) appends; the stream reads entries by number
and releases them once their epoch is published. Numbers only grow, across restarts too: they are the stream's offsets.

    NUMBER.json    an entry: splits, how many records they hold, where to resume after it
    released.json  where the list begins, and the cursor of the last entry that went
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.sources.splits import Split

RELEASED = "released.json"
DIGITS = 12  # so that names sort as numbers do


@dataclass(frozen=True)
class Entry:
    """Some input that has been found, in the order in which it was."""

    number: int
    splits: tuple[Split, ...]
    records: int  # about how many there are: what bounds an epoch
    cursor: str | None = None  # where a source resumes after it; None where there is nothing to resume
    owned: tuple[str, ...] = ()  # files written for it alone: they go when it is released

    def to_json(self) -> str:
        """Return the entry as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Entry:
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        splits = tuple(Split(**split) for split in data["splits"])
        return cls(data["number"], splits, data["records"], data["cursor"], tuple(data["owned"]))


class Journal:
    """The list in a folder. One process appends; others may read at the same time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def append(
        self, splits: Sequence[Split], records: int, cursor: str | None = None, owned: Sequence[str] = ()
    ) -> Entry:
        """Add an entry behind all others; once this returns it survives a crash."""
        entry = Entry(self.end, tuple(splits), records, cursor, tuple(owned))
        write_durably(self._path(entry.number), entry.to_json())
        return entry

    def entry(self, number: int) -> Entry:
        """Read one entry. Raises FileNotFoundError when it was released, or never there."""
        return Entry.from_json(self._path(number).read_text())

    def entries(self, start: int = 0) -> Iterator[Entry]:
        """Yield the entries from a number on, in order."""
        for number in range(max(start, self.begin), self.end):
            yield self.entry(number)

    @property
    def begin(self) -> int:
        """Return the number of the first entry that has not been released."""
        return int(self._released()["end"])

    @property
    def end(self) -> int:
        """Return the number that the next entry will have."""
        return max((int(path.stem) + 1 for path in self._files()), default=self.begin)

    @property
    def cursor(self) -> str | None:
        """Return where a source resumes: the cursor of the last entry, released or not."""
        if self.end > self.begin:
            return self.entry(self.end - 1).cursor
        cursor: str | None = self._released()["cursor"]
        return cursor

    def release(self, end: int) -> None:
        """Drop the entries in front of a number, and the files that are theirs; doing it again does nothing."""
        gone = [entry for entry in self.entries() if entry.number < end]
        if gone:
            write_durably(self.folder / RELEASED, json.dumps({"end": end, "cursor": gone[-1].cursor}))
        for path in self._files():
            if int(path.stem) < end:
                for name in Entry.from_json(path.read_text()).owned:
                    Path(name).unlink(missing_ok=True)
                path.unlink()

    def _released(self) -> dict[str, Any]:
        try:
            released: dict[str, Any] = json.loads((self.folder / RELEASED).read_text())
        except FileNotFoundError:
            return {"end": 0, "cursor": None}
        return released

    def _files(self) -> list[Path]:
        return [path for path in self.folder.glob("*.json") if path.stem.isdigit()]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:0{DIGITS}d}.json"


def write_durably(path: Path, text: str) -> None:
    """Replace a small file at once: a crash leaves the old one or the new one."""
    pending = path.with_name(f".{path.name}")
    with pending.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    pending.replace(path)
