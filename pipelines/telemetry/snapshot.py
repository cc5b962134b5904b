"""What a stream is at one moment: the one thing that metrics, health and status line read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.telemetry.figures import DeletionFigures, Resources, SourceFigures

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)  # seconds of a phase, upper bounds
HISTORY_SECONDS = 600.0  # how far back a snapshot can look
RATE_SECONDS = 60.0


@dataclass(frozen=True)
class Histogram:
    """How often something took how long; `counts` has one more than BUCKETS, for whatever is longer."""

    counts: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    total_seconds: float = 0.0

    def observe(self, seconds: float) -> Histogram:
        """Return the histogram with one more time in it.

        >>> Histogram().observe(0.2).observe(999).counts
        (0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
        """
        place = next((place for place, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        counts = tuple(count + (place == number) for number, count in enumerate(self.counts))
        return Histogram(counts, self.total_seconds + seconds)


@dataclass(frozen=True)
class Counts:
    """Posts and what came of them since the stream started."""

    read: int = 0
    kept: int = 0
    rejected: int = 0
    quarantined: int = 0
    tokens: int = 0
    tombstones: int = 0


@dataclass(frozen=True)
class Commit:
    """The stream as it was when an epoch was committed."""

    at: float
    counts: Counts
    lag_seconds: float | None = None
    lag_records: int | None = None


@dataclass(frozen=True)
class Look:
    """What the machine had at a time."""

    at: float
    resources: Resources


@dataclass(frozen=True)
class Snapshot:
    """A stream at one moment; times are Unix seconds, counts are since it started."""

    at: float
    started_at: float
    progress_at: float  # when it last began or ended an epoch or a phase
    stopping: bool
    epoch: int | None  # the one at work, or the last one
    phase: str
    epochs: int
    counts: Counts
    faults: Mapping[str, int]
    failures: Mapping[str, int]
    restarts_at: Sequence[float]  # of the query, within HISTORY_SECONDS
    restarts: int
    epoch_seconds: Sequence[float]  # the last ones, newest last
    phases: Mapping[str, Histogram]
    lag_seconds: float | None
    lag_records: int | None
    index_posts: int | None
    index_bytes: int | None
    source: SourceFigures | None
    source_lost_at: float | None  # None while it is up
    deletions: DeletionFigures | None
    commits: Sequence[Commit]  # within HISTORY_SECONDS and the last one before
    looks: Sequence[Look]  # likewise

    @property
    def resources(self) -> Resources | None:
        """Return what the machine has now."""
        return self.looks[-1].resources if self.looks else None

    @property
    def mean_epoch_seconds(self) -> float | None:
        """Return how long an epoch usually takes."""
        return sum(self.epoch_seconds) / len(self.epoch_seconds) if self.epoch_seconds else None

    @property
    def kept_share(self) -> float | None:
        """Return the part of the posts that was kept: of the last minute, or of all when there were none in it."""
        _, recent = self.since(RATE_SECONDS)
        counts = recent if recent.read else self.counts
        return counts.kept / counts.read if counts.read else None

    def rates(self, seconds: float | None = RATE_SECONDS) -> tuple[float, float]:
        """Return posts read and posts kept a second, over the last seconds or, when None, since the start."""
        passed, counts = self.since(seconds)
        return (counts.read / passed, counts.kept / passed) if passed > 0 else (0.0, 0.0)

    def since(self, seconds: float | None) -> tuple[float, Counts]:
        """Return the time and the counts since the last commit that is so old, or since the start.

        A window that begins at a commit holds whole epochs, so a rate is right even where they are long.
        """
        old = [commit for commit in self.commits if seconds is not None and commit.at <= self.at - seconds]
        begin = old[-1] if old else Commit(self.started_at, Counts())
        return self.at - begin.at, _difference(self.counts, begin.counts)


def _difference(now: Counts, before: Counts) -> Counts:
    return Counts(*(getattr(now, name) - getattr(before, name) for name in Counts.__dataclass_fields__))
