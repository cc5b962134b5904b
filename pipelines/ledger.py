"""One epoch becomes visible at once: a redo record is written first, then every table is committed from it.

The record's atomic rename is the commit point. Before it nothing of the epoch can be seen; after it a crash is mended
by reading the record again (`recover`), because each of its actions may be repeated without effect.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.index import STATE, Index
from pipelines.tables import Commit, DataFile, commit_files
from schemas.errors import ConfigError

STAGING = "staging"
REDO = "redo.json"
RESERVE = "reserve"
REPORT_BYTES = 1 << 20  # room for the table logs' own frames and the report


@dataclass(frozen=True)
class EpochRecord:
    """Everything that has to happen for an epoch to be visible; paths are relative to the output folder,
    and to the staging folder until they are moved.
    """

    epoch: int
    at: datetime
    metadata: Mapping[str, str]
    files: tuple[DataFile, ...]
    folders: tuple[str, ...]  # what else is staged whole: a token set, a report
    index: Mapping[str, Any] | None = None  # what the duplicate index learns

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps(
            {
                "epoch": self.epoch,
                "at": self.at.isoformat(),
                "metadata": dict(self.metadata),
                "files": [file.to_dict() for file in self.files],
                "folders": list(self.folders),
                "index": self.index,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> EpochRecord:
        """Read a record written by `to_json`."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            epoch=data["epoch"],
            at=datetime.fromisoformat(data["at"]),
            metadata=data["metadata"],
            files=tuple(DataFile(**file) for file in data["files"]),
            folders=tuple(data["folders"]),
            index=data.get("index"),
        )


@contextlib.contextmanager
def claim(root: Path, schemas: Mapping[str, pa.Schema], index: Index | None = None) -> Iterator[Path]:
    """Hold the output folder for one run at a time, finish what a crash left, and hand out an empty staging folder.

    Everything a run writes goes to the staging folder, which mirrors the output folder; a failed run leaves nothing.
    Raises ConfigError when another run holds the folder or it cannot be written.
    """
    state = root / STATE
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("a")
    except OSError as error:
        raise ConfigError(f"--out {root}: cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"--out {root}: another run is writing there; wait for it or choose another") from None
        recover(root, schemas, index)
        staging = state / STAGING
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
        finally:
            if not (state / REDO).exists():  # past the commit point the staged files are needed to recover
                shutil.rmtree(staging, ignore_errors=True)


def publish(root: Path, record: EpochRecord, schemas: Mapping[str, pa.Schema], index: Index | None = None) -> None:
    """Make an epoch visible: write its redo record, then do what it says.

    Room for what follows the redo record is set aside first: a disk that is full says so while nothing has happened.
    """
    path, reserve = root / STATE / REDO, root / STATE / RESERVE
    pending = path.with_suffix(".tmp")
    text = record.to_json()
    try:
        with reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, REPORT_BYTES + 2 * len(text))  # the logs repeat what the record says
        with pending.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        pending.replace(path)
    finally:
        _remove(pending, reserve)
    recover(root, schemas, index)


def recover(root: Path, schemas: Mapping[str, pa.Schema], index: Index | None = None) -> int | None:
    """Do what the redo record says, wherever a crash left it, and drop it; return its epoch, or None without one."""
    path = root / STATE / REDO
    if not path.exists():
        return None
    _remove(root / STATE / RESERVE)  # a crash may have left it
    record = EpochRecord.from_json(path.read_text())
    moves = [*(f"{file.table}/{file.path}" for file in record.files), *record.folders]
    for name in moves:
        source, target = root / STATE / STAGING / name, root / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    commit = Commit(record.epoch, record.at, record.metadata, schemas)
    for table in sorted(schemas, key=lambda name: name == "posts"):  # posts last: a reader of posts finds the rest
        commit_files(root, table, [file for file in record.files if file.table == table], commit)
    if record.index is not None and index is not None:
        index.apply(record.index, root / STATE / STAGING)
    path.unlink()
    return record.epoch


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)  # noqa: PTH107
