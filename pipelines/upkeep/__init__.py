"""What an output folder needs after its epochs: to forget what must go, to put edits in place, to stay in few files.

Each of these rewrites files into a staging folder of its own, beside the epochs, and publishes one ledger.Change that
adds the new files and takes the old ones away. Epochs only ever add files, so a rewrite that began before an epoch is
still right after it; what must not run beside one (a change of the duplicate index) asks for `exclusive`.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable

from pipelines.exchange import Run, in_groups
from pipelines.index import STATE, Index
from pipelines.ledger import UPKEEP_STAGING, Change, empty, publish, recover, unfinished
from pipelines.tables import UPKEEP, open_table
from schemas.config import Config
from schemas.errors import RunError

TASK_BYTES = 16 << 20  # of files that a task reads; a larger one has a task to itself
OPEN_BYTES = 256 << 10  # what opening a file costs, as if read

T = TypeVar("T")


@dataclass(frozen=True)
class Upkeep:
    """The folder that is kept up, whose tables have `schemas`, and what the work is done with."""

    root: Path
    schemas: Mapping[str, pa.Schema]
    config: Config
    index: Index
    run: Run
    exclusive: AbstractContextManager[Any] = field(default_factory=threading.RLock)  # held by each epoch

    @property
    def staging(self) -> Path:
        """Return the folder whose content a change moves into place; it mirrors the output folder."""
        return self.root / STATE / UPKEEP_STAGING

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Hand out the staging folder, empty, for one pass, and remove it afterwards.

        Finishes first what the last pass left half done. Raises RunError while an epoch has to be finished.
        """
        with self.exclusive:
            self.finish()
            empty(self.staging)
        try:
            yield self.staging
        finally:
            with self.exclusive:
                if unfinished(self.root) is None:  # past the commit point the staged files are needed to recover
                    shutil.rmtree(self.staging, ignore_errors=True)

    def each(self, sizes: Sequence[int], work: Callable[[int], T]) -> list[T]:
        """Do the task of each file, given the sizes of all in bytes, and return what each says, in order."""
        return in_groups(self.run, [size + OPEN_BYTES for size in sizes], TASK_BYTES, work)

    def publish(self, **parts: Any) -> None:
        """Publish a change of the given parts (fields of ledger.Change) in between two epochs."""
        with self.exclusive:
            self.finish()
            tables = [table for name in self.schemas if (table := open_table(self.root, name)) is not None]
            number = 1 + max((_last(table) for table in tables), default=-1)
            at = datetime.now(UTC)
            change = Change({UPKEEP: number}, at, staging=UPKEEP_STAGING, **{"metadata": {}, **parts})
            publish(self.root, change, self.schemas, self.index)

    def finish(self) -> None:
        """Finish what the last pass left half published; raise RunError while an epoch has to be finished."""
        change = unfinished(self.root)
        if change is not None and change.staging != UPKEEP_STAGING:
            raise RunError(f"{self.root}: an epoch failed while it was published; it has to be finished first")
        recover(self.root, self.schemas, self.index)


def _last(table: DeltaTable) -> int:
    version = table.transaction_version(UPKEEP)
    return -1 if version is None else version
