"""The duplicate index: what an output folder remembers of the posts of its horizon, so that an epoch finds older ones.

One interface, two keepers: sorted files below the output folder (`embedded`, the default: no server), or Redis for a
cluster. An epoch's tasks write what the index must learn as sorted Arrow files; the driver plans the change, which
becomes part of the epoch's redo record and is applied when the epoch is published, however often that is tried. So an
epoch that was never published taught the index nothing, and one that is published twice taught it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipelines.duplicates.history import History, RunFile
from pipelines.duplicates.search import Expiry
from pipelines.exchange import Run
from schemas.config import DuplicatesConfig

EMBEDDED = "embedded"
STATE = ".swarmfeed"  # folder of an output folder that holds what is not a result
STAGED = "index"  # folder below the staging folder where what the index must learn waits


@dataclass(frozen=True)
class Learnt:
    """What an epoch teaches the index: sorted files in the staging folder, and the posts of each day held from now."""

    epoch: int
    days: Mapping[int, int]
    expiry: Expiry
    files: tuple[RunFile, ...]


class Index(Protocol):
    """Keeps the history of an output folder. Lives on the driver; `history` is what executors get."""

    @property
    def epoch(self) -> int | None:
        """Return the last epoch it learnt from, None before the first."""
        ...

    @property
    def days(self) -> Mapping[int, int]:
        """Return how many posts of each day, since 1970, it holds."""
        ...

    def history(self) -> History:
        """Return what it knows now, to look things up in."""
        ...

    def plan(self, run: Run, learnt: Learnt, staging: Path) -> dict[str, Any]:
        """Return, as plain JSON, the change that an epoch makes; nothing is changed yet."""
        ...

    def forget(self, run: Run, ids: Path, staging: Path) -> dict[str, Any]:
        """Return, as plain JSON, the change that takes posts out; `ids` is an Arrow file with a column `id`.

        What it stages lies below `staging`. No epoch may change the index between this and `apply`.
        """
        ...

    def apply(self, change: Mapping[str, Any], staging: Path) -> None:
        """Make a planned change; making it again does nothing."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


def open_index(root: Path, config: DuplicatesConfig) -> Index:
    """Open the index of an output folder; it may be empty.

    Raises SetupError when the server that keeps it cannot be reached.
    """
    if config.index == EMBEDDED:
        from pipelines.index.embedded import EmbeddedIndex

        return EmbeddedIndex(root)
    from pipelines.index.redis_server import RedisIndex

    return RedisIndex(root, config)
