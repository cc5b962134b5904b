"""Watch a folder and put its files into a journal, each once: a file that has been found never changes.

A file is taken when two looks in a row find it the same, so one that is still being copied is left alone. Plain JSONL
and Parquet are cut into entries of at most an epoch's posts; what cannot be entered in the middle (CSV, .gz, .zst) is
one entry whatever it holds. Files found in one look are taken in the order of their paths.

    finding.json   the file whose entries are being appended: what a crash leaves unfinished is finished from it
    found.txt      a digest a line of every file that is in the journal, or was
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipelines.journal import Journal, write_durably
from pipelines.sources import Split, plan_splits
from pipelines.sources.plan import TYPICAL_RATIO, files_in
from pipelines.telemetry.figures import SourceFigures, SourceStatus
from schemas.config import Config, InputConfig
from schemas.errors import ConfigError, SwarmfeedError

FINDING = "finding.json"
FOUND = "found.txt"
LOOK_SECONDS = 1.0
CHUNK_BYTES = 8 << 20
TYPICAL_RECORD_BYTES = 300  # of a file whose records are not counted before they are read


class FolderWatch:
    """Finds the files of a folder for a journal; `refused` is told of files that cannot be read, at every look."""

    def __init__(self, folder: Path, journal: Journal, config: Config, refused: Callable[[str], None]) -> None:
        self._folder, self._journal, self._refused = folder.absolute(), journal, refused
        most = min(config.stream.max_posts_per_epoch, config.input.split_rows)
        self._config = config.input.model_copy(update={"split_rows": most})
        self._found: set[str] = set()
        self._seen: dict[str, str] = {}  # path to digest, at the last look
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="folder watch", daemon=True)
        self.failure: SwarmfeedError | None = None
        if not folder.is_dir():
            raise ConfigError(f"files://{folder}: no such folder")
        self._finish()

    def find_all(self) -> None:
        """Take every file that is there. Raises ConfigError for one that cannot be read."""
        for path, digest in self._look():
            self._take(path, digest)

    def start(self) -> None:
        """Go on looking, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def figures(self) -> SourceFigures:
        """Say how many files were found."""
        return SourceFigures("files", SourceStatus.STREAMING, received=len(self._found))

    def look(self) -> None:
        """Take the files that are as they were at the last look."""
        now = dict(self._look())
        for path, digest in now.items():
            if self._seen.get(path) == digest:
                try:
                    self._take(path, digest)
                except ConfigError as error:
                    self._refused(str(error))
        self._seen = now

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except OSError as error:  # the folder is away for a while, or the disk is full
                self._refused(f"files://{self._folder}: {error.strerror}")

    def _look(self) -> Iterator[tuple[str, str]]:
        """Yield path and digest of the files that are not in the journal yet, in the order of their paths."""
        for path in sorted(files_in(str(self._folder))):
            try:
                status = Path(path).stat()
            except FileNotFoundError:
                continue
            name = f"{path}\0{status.st_size}\0{status.st_mtime_ns}"
            digest = hashlib.sha256(name.encode()).hexdigest()[:32]
            if digest not in self._found:
                yield path, digest

    def _take(self, path: str, digest: str) -> None:
        entries = list(plan_entries(path, self._config))
        plan = {
            "digest": digest,
            "first": self._journal.end,
            "entries": [([asdict(split) for split in splits], records) for splits, records in entries],
        }
        write_durably(self._journal.folder / FINDING, json.dumps(plan))
        self._finish()

    def _finish(self) -> None:
        """Append what is missing of the file that was being taken, and remember that it was."""
        found = self._journal.folder / FOUND
        if not self._found and found.exists():
            self._found = set(found.read_text().split())
        try:
            plan = json.loads((self._journal.folder / FINDING).read_text())
        except FileNotFoundError:
            return
        if plan["digest"] in self._found:
            return
        for splits, records in plan["entries"][self._journal.end - plan["first"] :]:
            self._journal.append([Split(**split) for split in splits], records)
        with found.open("a") as file:
            file.write(plan["digest"] + "\n")
        self._found.add(plan["digest"])


def plan_entries(path: str, config: InputConfig) -> Iterator[tuple[list[Split], int]]:
    """Yield the splits of a file and about how many records they hold, an entry at a time, in the order of the file."""
    splits = plan_splits([path], config)
    if not splits:
        return
    first = splits[0]
    if first.container == "parquet":
        yield from (([split], split.end - split.start) for split in splits)
    elif first.container == "jsonl" and not first.compression:
        for start, end, lines in cut_lines(path, config.split_rows):
            yield [replace(first, part=0, parts=1, start=start, end=end)], lines
    else:
        plain_bytes = Path(path).stat().st_size * (TYPICAL_RATIO if first.compression else 1)
        yield splits, plain_bytes // TYPICAL_RECORD_BYTES


def cut_lines(path: str, most: int) -> Iterator[tuple[int, int, int]]:
    """Yield byte ranges of a file that hold `most` lines each, the last one fewer: start, end, lines."""
    start = position = lines = 0
    with open(path, "rb") as file:  # noqa: PTH123
        while chunk := file.read(CHUNK_BYTES):
            ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) + position + 1
            position += len(chunk)
            while lines + len(ends) >= most:
                end = int(ends[most - lines - 1])
                yield start, end, most
                ends, start, lines = ends[most - lines :], end, 0
            lines += len(ends)
    if position > start:
        yield start, position, lines + 1  # at most: the last line may end with a newline or not
