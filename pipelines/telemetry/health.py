"""Judge a snapshot of a stream: what is wrong, since when, by how much, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from statistics import linear_regression
from typing import Any

from pipelines.telemetry.figures import Phase
from pipelines.telemetry.snapshot import Commit, Look, Snapshot
from schemas.version import VERSION

WINDOW_SECONDS = 300.0  # for whatever is judged over time
WINDOW_COVERED = 0.8  # what part of the window commits must span to be a trend
TREND_COMMITS = 4  # fewer make no trend: where epochs are long, the window is


class Status(StrEnum):
    """How bad something is."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


class Alarm(StrEnum):
    """What can be wrong with a stream."""

    SOURCE_DOWN = "source_down"
    LAG_GROWING = "lag_growing"
    EPOCH_STUCK = "epoch_stuck"
    TOMBSTONE_OVERDUE = "tombstone_overdue"
    QUARANTINE_HIGH = "quarantine_high"
    DISK_LOW = "disk_low"
    MEMORY_HIGH = "memory_high"
    QUERY_RESTARTING = "query_restarting"


WHAT_TO_DO = {
    Alarm.SOURCE_DOWN: "look at the source and the network; the stream connects again by itself",
    Alarm.LAG_GROWING: "the stream reads less than arrives: give it more cores, or lower what comes in",
    Alarm.EPOCH_STUCK: "look at the log and the disk; a kill -9 is safe and the epoch is taken again at the next start",
    Alarm.TOMBSTONE_OVERDUE: "look at the log for why deletions wait; swarmfeed forget does what is open at once",
    Alarm.QUARANTINE_HIGH: "look at OUT/quarantine by fault: most often the format is not the one given by --format",
    Alarm.DISK_LOW: "make room or add disk; a stream whose disk is full stops cleanly and goes on at the next start",
    Alarm.MEMORY_HIGH: "lower --max-posts-per-epoch or spark.driver_memory, or use fewer cores",
    Alarm.QUERY_RESTARTING: "look at the failures in the log: the query dies and is started again",
}


@dataclass(frozen=True)
class Bounds:
    """From where on a value degrades the stream, and from where on the stream is failing; None: it never is."""

    degraded: float
    failing: float | None = None


@dataclass(frozen=True)
class Limits:
    """From where on each alarm is raised."""

    source_down_seconds: Bounds = Bounds(60, 3600)
    lag_growing_share: Bounds = Bounds(0.05)  # of what arrives that is not read in time
    lag_seconds: float = 30  # a shorter lag may grow
    epoch_stuck_times: Bounds = Bounds(5, 20)  # the usual time of an epoch
    epoch_stuck_seconds: float = 120  # the least that counts as usual times 5: the first epoch warms up
    tombstone_share: Bounds = Bounds(0.8, 1)  # of the deadline
    quarantine_share: Bounds = Bounds(0.01, 0.5)  # of what was read
    quarantine_read: int = 100  # fewer say nothing
    disk_free_bytes: Bounds = Bounds(5 << 30, 1 << 30)  # less is worse
    memory_share: Bounds = Bounds(0.85, 0.95)  # of what the machine or the container has
    query_restarts: Bounds = Bounds(3, 10)  # within the history of a snapshot


LIMITS = Limits()


@dataclass(frozen=True)
class Raised:
    """An alarm that is raised: since when in Unix seconds, the value and the limit that it passed."""

    alarm: Alarm
    status: Status
    since: float
    value: float
    limit: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, with what to do."""
        return {
            "name": self.alarm.value,
            "status": self.status.value,
            "since": _time(self.since),
            "value": round(self.value, 3),
            "limit": self.limit,
            "what_to_do": WHAT_TO_DO[self.alarm],
        }


def health(snapshot: Snapshot, limits: Limits = LIMITS) -> dict[str, Any]:
    """Return the health of a stream as plain data: its status, its alarms and the figures behind them."""
    alarms = raised(snapshot, limits)
    read, kept = snapshot.rates()
    source = snapshot.source
    return {
        "status": overall(alarms).value,
        "alarms": [alarm.to_dict() for alarm in alarms],
        "version": VERSION,
        "at": _time(snapshot.at),
        "started": _time(snapshot.started_at),
        "stopping": snapshot.stopping,
        "epoch": snapshot.epoch,
        "phase": snapshot.phase,
        "progress": _time(snapshot.progress_at),
        "posts_per_second": {"read": round(read, 1), "kept": round(kept, 1)},
        "lag_seconds": snapshot.lag_seconds,
        "lag_records": snapshot.lag_records,
        "source": None if source is None else {"kind": source.kind, "status": source.status.value},
    }


def overall(alarms: tuple[Raised, ...]) -> Status:
    """Return the worst status of the alarms that are raised."""
    order = list(Status)
    return max((alarm.status for alarm in alarms), key=order.index, default=Status.OK)


def raised(snapshot: Snapshot, limits: Limits = LIMITS) -> tuple[Raised, ...]:
    """Return the alarms that are raised, in the order of Alarm."""
    looks: tuple[Callable[[Snapshot, Limits], Raised | None], ...] = (
        _source_down,
        _lag_growing,
        _epoch_stuck,
        _tombstone_overdue,
        _quarantine_high,
        _disk_low,
        _memory_high,
        _query_restarting,
    )
    return tuple(alarm for look in looks if (alarm := look(snapshot, limits)) is not None)


def _source_down(snapshot: Snapshot, limits: Limits) -> Raised | None:
    if snapshot.source_lost_at is None:
        return None
    down = snapshot.at - snapshot.source_lost_at
    return _judge(Alarm.SOURCE_DOWN, down, limits.source_down_seconds, snapshot.source_lost_at)


def _lag_growing(snapshot: Snapshot, limits: Limits) -> Raised | None:
    """Judge what part of the input the stream falls behind: the slope of the lag at commits, which has no saw teeth."""
    commits = _trend(snapshot)
    if len(commits) < TREND_COMMITS or commits[-1].at - commits[0].at < WINDOW_SECONDS * WINDOW_COVERED:
        return None
    rate = snapshot.rates(WINDOW_SECONDS)[0]
    lags = [_lag(commit, rate) for commit in commits]
    known = [lag for lag in lags if lag is not None]
    if len(known) < len(lags) or known[-1] < limits.lag_seconds:
        return None
    slope = linear_regression([commit.at for commit in commits], known).slope
    return _judge(Alarm.LAG_GROWING, slope, limits.lag_growing_share, commits[0].at)


def _trend(snapshot: Snapshot) -> list[Commit]:
    recent = [commit for commit in snapshot.commits if commit.at >= snapshot.at - WINDOW_SECONDS]
    return recent if len(recent) >= TREND_COMMITS else list(snapshot.commits)[-TREND_COMMITS:]


def _lag(commit: Commit, rate: float) -> float | None:
    """Return a lag in seconds; where no times are known, of how many seconds of input it is."""
    if commit.lag_seconds is not None:
        return commit.lag_seconds
    return commit.lag_records / rate if commit.lag_records is not None and rate else None


def _epoch_stuck(snapshot: Snapshot, limits: Limits) -> Raised | None:
    if snapshot.phase == Phase.IDLE and not snapshot.lag_records:
        return None  # nothing to do is no standstill
    least = limits.epoch_stuck_seconds / limits.epoch_stuck_times.degraded
    usual = max(snapshot.mean_epoch_seconds or 0.0, least)
    times = (snapshot.at - snapshot.progress_at) / usual
    return _judge(Alarm.EPOCH_STUCK, times, limits.epoch_stuck_times, snapshot.progress_at)


def _tombstone_overdue(snapshot: Snapshot, limits: Limits) -> Raised | None:
    deletions = snapshot.deletions
    if deletions is None or not deletions.open or deletions.oldest_seconds is None:
        return None
    bounds, age = limits.tombstone_share, deletions.oldest_seconds
    since = snapshot.at - age + bounds.degraded * deletions.deadline_seconds
    return _judge(Alarm.TOMBSTONE_OVERDUE, age / deletions.deadline_seconds, bounds, since)


def _quarantine_high(snapshot: Snapshot, limits: Limits) -> Raised | None:
    passed, counts = snapshot.since(WINDOW_SECONDS)
    if counts.read < limits.quarantine_read:
        return None
    share = counts.quarantined / counts.read
    bounds, first = limits.quarantine_share, snapshot.at - passed
    commits = [commit for commit in snapshot.commits if commit.at > first]
    return _judge(Alarm.QUARANTINE_HIGH, share, bounds, commits[0].at if commits else first)


def _disk_low(snapshot: Snapshot, limits: Limits) -> Raised | None:
    if snapshot.resources is None:
        return None
    bounds = limits.disk_free_bytes
    since = _since(snapshot, lambda look: look.resources.disk_free < bounds.degraded)
    free = snapshot.resources.disk_free
    worse = None if bounds.failing is None else -bounds.failing
    alarm = _judge(Alarm.DISK_LOW, -free, Bounds(-bounds.degraded, worse), since)
    return alarm and Raised(alarm.alarm, alarm.status, alarm.since, free, -alarm.limit)


def _memory_high(snapshot: Snapshot, limits: Limits) -> Raised | None:
    if snapshot.resources is None:
        return None
    bounds = limits.memory_share
    since = _since(snapshot, lambda look: look.resources.memory_share > bounds.degraded)
    return _judge(Alarm.MEMORY_HIGH, snapshot.resources.memory_share, bounds, since)


def _query_restarting(snapshot: Snapshot, limits: Limits) -> Raised | None:
    times = snapshot.restarts_at
    return _judge(Alarm.QUERY_RESTARTING, len(times), limits.query_restarts, times[0]) if times else None


def _since(snapshot: Snapshot, bad: Callable[[Look], bool]) -> float:
    """Return when the machine was first seen as badly off as it has been ever since."""
    since = snapshot.at
    for look in reversed(snapshot.looks):
        if not bad(look):
            break
        since = look.at
    return since


def _judge(alarm: Alarm, value: float, bounds: Bounds, since: float) -> Raised | None:
    """Return the alarm if the value is past a bound: degraded from its first on, failing from its second."""
    if bounds.failing is not None and value >= bounds.failing:
        return Raised(alarm, Status.FAILING, since, value, bounds.failing)
    if value >= bounds.degraded:
        return Raised(alarm, Status.DEGRADED, since, value, bounds.degraded)
    return None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
