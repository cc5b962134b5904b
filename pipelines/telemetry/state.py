"""What a running stream knows of itself: the job says what happens, the views read all of it at one moment."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from pipelines.telemetry.figures import (
    QUERY_RESTARTED,
    DeletionFigures,
    EpochFigures,
    Phase,
    Resources,
    SourceFigures,
    SourceStatus,
)
from pipelines.telemetry.names import short_name
from pipelines.telemetry.snapshot import HISTORY_SECONDS, Commit, Counts, Histogram, Look, Snapshot

USUAL_EPOCHS = 20  # how many tell how long an epoch usually takes
LOOK_SECONDS = 5.0  # how often the machine is measured at most


class StreamState:
    """The state of one stream, from its start; any method may be called from any thread, or from a signal handler.

    `clock` returns Unix seconds and `measure` what the machine has; neither is called while the lock is held.
    """

    def __init__(self, clock: Callable[[], float], measure: Callable[[], Resources]) -> None:
        self._clock, self._measure = clock, measure
        self._lock = threading.RLock()  # a signal handler may call in while its own thread holds it
        self._started_at = self._progress_at = clock()
        self._stopping = False
        self._epoch: int | None = None
        self._phase: str = Phase.IDLE
        self._epochs = 0
        self._counts = Counts()
        self._faults: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._restarts_at: deque[float] = deque()
        self._epoch_seconds: deque[float] = deque(maxlen=USUAL_EPOCHS)
        self._phases: dict[str, Histogram] = {}
        self._newest: float | None = None  # Unix seconds of the newest record that is committed
        self._lag_records: int | None = None
        self._index: tuple[int, int] | None = None
        self._source: SourceFigures | None = None
        self._source_lost_at: float | None = None
        self._deletions: tuple[float, DeletionFigures] | None = None
        self._commits: deque[Commit] = deque()
        self._looks: deque[Look] = deque()

    def epoch_began(self, epoch: int, phase: str = Phase.ANNOTATE) -> None:
        """Note that an epoch is at work."""
        now = self._clock()
        with self._lock:
            self._epoch, self._phase, self._progress_at = epoch, short_name(phase), now

    def phase(self, name: str) -> None:
        """Note that the epoch is in another phase."""
        now = self._clock()
        with self._lock:
            self._phase, self._progress_at = short_name(name), now

    def epoch_done(self, figures: EpochFigures) -> None:
        """Note that an epoch is committed; the stream is idle then."""
        now = self._clock()
        with self._lock:
            self._epoch, self._phase, self._progress_at = figures.epoch, Phase.IDLE, now
            self._epochs += 1
            self._counts = _add(self._counts, figures)
            self._faults.update({short_name(fault): count for fault, count in figures.faults.items()})
            self._epoch_seconds.append(figures.total_seconds)
            for name, seconds in figures.seconds.items():
                phase = short_name(name)
                self._phases[phase] = self._phases.get(phase, Histogram()).observe(seconds)
            if figures.newest_source_time is not None:
                self._newest = figures.newest_source_time.timestamp()
            if figures.lag_records is not None:
                self._lag_records = figures.lag_records
            age = None if self._newest is None else max(0.0, now - self._newest)
            self._commits.append(Commit(now, self._counts, age, self._lag_records))
            _forget(self._commits, now)

    def source(self, figures: SourceFigures) -> None:
        """Note how the source is."""
        now = self._clock()
        with self._lock:
            self._source = replace(figures, kind=short_name(figures.kind), status=SourceStatus(figures.status))
            if self._source.status.up:
                self._source_lost_at = None
            elif self._source_lost_at is None:
                self._source_lost_at = now
            if figures.lag_records is not None:
                self._lag_records = figures.lag_records

    def index(self, posts: int, bytes: int) -> None:
        """Note how much the duplicate index holds."""
        with self._lock:
            self._index = posts, bytes

    def deletions(self, figures: DeletionFigures) -> None:
        """Note how far deletions are; an open one ages from here on by itself."""
        now = self._clock()
        with self._lock:
            self._deletions = now, figures

    def failure(self, kind: str) -> None:
        """Count a failure by its name; QUERY_RESTARTED is a restart."""
        now = self._clock()
        with self._lock:
            self._failures[short_name(kind)] += 1
            if kind == QUERY_RESTARTED:
                self._restarts_at.append(now)

    def stopping(self) -> None:
        """Note that the stream stops after the epoch at work."""
        with self._lock:
            self._stopping = True

    def snapshot(self) -> Snapshot:
        """Return the state at this moment; nothing in it changes afterwards."""
        now = self._clock()
        with self._lock:
            due = not self._looks or now - self._looks[-1].at >= LOOK_SECONDS
        look = Look(now, self._measure()) if due else None
        with self._lock:
            if look:
                self._looks.append(look)
                _forget(self._looks, now)
            while self._restarts_at and self._restarts_at[0] < now - HISTORY_SECONDS:
                self._restarts_at.popleft()
            return self._at(now)

    def _at(self, now: float) -> Snapshot:
        index_posts, index_bytes = self._index or (None, None)
        return Snapshot(
            at=now,
            started_at=self._started_at,
            progress_at=self._progress_at,
            stopping=self._stopping,
            epoch=self._epoch,
            phase=self._phase,
            epochs=self._epochs,
            counts=self._counts,
            faults=MappingProxyType(dict(self._faults)),
            failures=MappingProxyType(dict(self._failures)),
            restarts_at=tuple(self._restarts_at),
            restarts=self._failures[QUERY_RESTARTED],
            epoch_seconds=tuple(self._epoch_seconds),
            phases=MappingProxyType(dict(self._phases)),
            lag_seconds=self._lag(now),
            lag_records=self._lag_records,
            index_posts=index_posts,
            index_bytes=index_bytes,
            source=self._source,
            source_lost_at=self._source_lost_at,
            deletions=self._aged(now),
            commits=tuple(self._commits),
            looks=tuple(self._looks),
        )

    def _lag(self, now: float) -> float | None:
        """Return how old the newest committed record is.

        It stands still while nothing waits: a quiet source is no lag. Before the first epoch it is the source's.
        """
        if self._newest is None:
            return self._source.lag_seconds if self._source else None
        if self._lag_records == 0 and self._commits:
            return self._commits[-1].lag_seconds
        return max(0.0, now - self._newest)  # a clock in the future is no lag either

    def _aged(self, now: float) -> DeletionFigures | None:
        if self._deletions is None:
            return None
        then, figures = self._deletions
        if not figures.open or figures.oldest_seconds is None:
            return figures
        return replace(figures, oldest_seconds=figures.oldest_seconds + max(0.0, now - then))


def _add(counts: Counts, figures: EpochFigures) -> Counts:
    return Counts(*(getattr(counts, name) + getattr(figures, name) for name in Counts.__dataclass_fields__))


def _forget(series: deque[Commit] | deque[Look], now: float) -> None:
    """Drop what is too old, but for the last one: a window begins there."""
    while len(series) > 1 and series[1].at <= now - HISTORY_SECONDS:
        series.popleft()
