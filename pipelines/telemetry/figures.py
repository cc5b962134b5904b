"""What a stream tells of itself: figures of an epoch, of its source, of its deletions, and what the machine has left.

Numbers and names from closed lists alone: nothing here can hold a post's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

QUERY_RESTARTED = "query_restarted"  # the failure that counts as a restart of the query


class Phase(StrEnum):
    """What the stream is doing."""

    ANNOTATE = "annotate"
    DUPLICATES = "duplicates"
    DECIDE = "decide"
    INDEX = "index"
    COMMIT = "commit"
    IDLE = "idle"  # between epochs


class SourceStatus(StrEnum):
    """How a source is."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    WAITING = "waiting"  # reachable, and nothing new there
    DOWN = "down"

    @property
    def up(self) -> bool:
        """Tell whether posts would come if there were any."""
        return self in (SourceStatus.STREAMING, SourceStatus.WAITING)


@dataclass(frozen=True)
class EpochFigures:
    """One epoch that is committed: posts by route, and how long each phase took."""

    epoch: int
    read: int
    kept: int
    rejected: int
    quarantined: int
    tokens: int
    tombstones: int
    seconds: Mapping[str, float]  # by phase
    newest_source_time: datetime | None = None  # when its newest record was sent
    lag_records: int | None = None  # records that wait in the source behind this epoch
    faults: Mapping[str, int] = field(default_factory=dict)  # of the quarantined

    @property
    def total_seconds(self) -> float:
        """Return how long the epoch took."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class SourceFigures:
    """How the source is, by its last word; counts are since it was opened."""

    kind: str  # kafka, jetstream, mastodon, files, x
    status: SourceStatus
    received: int = 0
    reconnects: int = 0
    lag_seconds: float | None = None  # behind the platform
    lag_records: int | None = None  # found and not yet taken by an epoch
    spool_bytes: int | None = None  # received and kept on disk until an epoch has them
    gap_seconds: float = 0.0  # stretches of time that nobody listened to, and the source does not send again


@dataclass(frozen=True)
class DeletionFigures:
    """How far deletions are."""

    open: int  # tombstones not yet done
    oldest_seconds: float | None  # age of the oldest open one
    deadline_seconds: float
    done: int  # in total


@dataclass(frozen=True)
class Resources:
    """Memory in use by process, the most there is, and the room left where the output is; all in bytes."""

    memory: Mapping[str, int]  # driver, jvm, workers
    memory_limit: int
    disk_free: int

    @property
    def memory_share(self) -> float:
        """Return the part of the memory that is in use."""
        return sum(self.memory.values()) / self.memory_limit
