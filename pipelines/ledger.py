"""A change becomes visible at once: a redo record is written first, then every table is committed from it.

The record's atomic rename is the commit point. Before it nothing of the change can be seen; after it a crash is mended
by reading the record again (`recover`), because each of its actions may be repeated without effect. An epoch adds; what
forgets, replaces or compacts also takes files away.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.index import STATE, Index
from pipelines.tables import EPOCHS, Commit, DataFile, commit_files
from schemas.errors import ConfigError

STAGING = "staging"
UPKEEP_STAGING = "upkeep"  # where what is rewritten beside the epochs waits
REDO = "redo.json"
RESERVE = "reserve"
REPORT_BYTES = 1 << 20  # room for the table logs' own frames and the report


@dataclass(frozen=True)
class Change:
    """Everything that has to happen for a change to be visible; paths are relative to the output folder,
    and to its staging folder until they are moved.

    `transactions` numbers the change for each application it is one of (see tables.EPOCHS): a table that has them all
    is not committed again.
    """

    transactions: Mapping[str, int]
    at: datetime
    metadata: Mapping[str, str]
    files: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()  # files that leave their tables
    folders: tuple[str, ...] = ()  # what else is staged whole: a token set, a report
    gone: tuple[str, ...] = ()  # files and folders to delete once everything is committed
    index: Mapping[str, Any] | None = None  # what the duplicate index learns
    data_change: bool = True  # whether a reader finds other rows than before
    staging: str = STAGING  # name of the folder, beside the record, that holds what is staged

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps({**asdict(self), "at": self.at.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> Change:
        """Read a record written by `to_json`."""
        data: dict[str, Any] = json.loads(text)
        data["at"] = datetime.fromisoformat(data["at"])
        for name in ("files", "removed"):
            data[name] = tuple(DataFile(**file) for file in data[name])
        return cls(**{name: tuple(value) if type(value) is list else value for name, value in data.items()})


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
        shutil.rmtree(state / UPKEEP_STAGING, ignore_errors=True)
        staging = empty(state / STAGING)
        try:
            yield staging
        finally:
            if not (state / REDO).exists():  # past the commit point the staged files are needed to recover
                shutil.rmtree(staging, ignore_errors=True)


def is_held(root: Path) -> bool:
    """Tell whether a run or a stream holds the output folder right now."""
    try:
        with (root / STATE / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def empty(folder: Path) -> Path:
    """Make a folder, or make it anew when it is there, and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def publish(root: Path, change: Change, schemas: Mapping[str, pa.Schema], index: Index | None = None) -> None:
    """Make a change visible: write its redo record, then do what it says.

    Room for what follows the redo record is set aside first: a disk that is full says so while nothing has happened.
    """
    path, reserve = root / STATE / REDO, root / STATE / RESERVE
    pending = path.with_suffix(".tmp")
    text = change.to_json()
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


def unfinished(root: Path) -> Change | None:
    """Return the change that a crash, or a failure past its commit point, left to be finished."""
    path = root / STATE / REDO
    return Change.from_json(path.read_text()) if path.exists() else None


def recover(root: Path, schemas: Mapping[str, pa.Schema], index: Index | None = None) -> bool:
    """Do what the redo record says, wherever a crash left it, and drop it; tell whether there was one."""
    change = unfinished(root)
    if change is None:
        return False
    _remove(root / STATE / RESERVE)  # a crash may have left it
    staging = root / STATE / change.staging
    for name in [*(f"{file.table}/{file.path}" for file in change.files), *change.folders]:
        source, target = staging / name, root / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    for table in sorted(schemas, key=lambda name: name == "posts"):  # posts last: a reader of posts finds the rest
        commit(root, table, change, schemas[table])
    if change.index is not None and index is not None:
        index.apply(change.index, staging)
    for name in change.gone:
        _delete(root / name)
    (root / STATE / REDO).unlink()
    return True


def commit(root: Path, table: str, change: Change, schema: pa.Schema) -> None:
    """Commit to one table what a change says of it."""
    added, removed = ([file for file in files if file.table == table] for files in (change.files, change.removed))
    if added or removed or EPOCHS in change.transactions:  # the first epoch makes all tables
        said = Commit(change.transactions, change.at, change.metadata, change.data_change)
        commit_files(root, table, schema, (added, removed), said)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove(*paths: Path) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)  # noqa: PTH107
