"""A stream's state as Prometheus reads it: each metric stands once, with kind, labels and how it is read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from pipelines.telemetry.health import Alarm, raised
from pipelines.telemetry.snapshot import BUCKETS, Histogram, Snapshot

Value = float | Histogram
Samples = Iterable[tuple[Sequence[str], Value | None]]  # values of the labels, and what is measured; None is left out
FAMILIES: Mapping[str, Callable[..., Any]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


@dataclass(frozen=True)
class Measure:
    """One metric: how it is called, what it is and how to read it from a snapshot."""

    name: str
    kind: str
    documentation: str
    read: Callable[[Snapshot], Samples]
    labels: tuple[str, ...] = ()

    def family(self, snapshot: Snapshot | None = None) -> Metric:
        """Return the metric, with its samples where there is a snapshot."""
        family = FAMILIES[self.kind](self.name, self.documentation, labels=self.labels)
        for labels, value in self.read(snapshot) if snapshot else ():
            if isinstance(value, Histogram):
                family.add_metric(labels, _cumulative(value), value.total_seconds)
            elif value is not None:
                family.add_metric(labels, value)
        return family  # type: ignore[no-any-return]


def _one(read: Callable[[Snapshot], float | None]) -> Callable[[Snapshot], Samples]:
    return lambda snapshot: [((), read(snapshot))]


def _by_key(read: Callable[[Snapshot], Mapping[str, Value]]) -> Callable[[Snapshot], Samples]:
    return lambda snapshot: [((key,), value) for key, value in read(snapshot).items()]


def _of_source(name: str) -> Callable[[Snapshot], Samples]:
    return lambda snapshot: [((snapshot.source.kind,), getattr(snapshot.source, name))] if snapshot.source else []


def _of_deletions(name: str) -> Callable[[Snapshot], Samples]:
    return lambda snapshot: [((), getattr(snapshot.deletions, name))] if snapshot.deletions else []


def _routes(snapshot: Snapshot) -> Samples:
    counts = snapshot.counts
    return [(("kept",), counts.kept), (("rejected",), counts.rejected), (("quarantine",), counts.quarantined)]


def _source_up(snapshot: Snapshot) -> Samples:
    return [((snapshot.source.kind,), float(snapshot.source.status.up))] if snapshot.source else []


def _oldest(snapshot: Snapshot) -> Samples:
    return [((), snapshot.deletions.oldest_seconds or 0.0)] if snapshot.deletions else []


def _alarms(snapshot: Snapshot) -> Samples:
    up = {alarm.alarm for alarm in raised(snapshot)}
    return [((alarm.value,), float(alarm in up)) for alarm in Alarm]


MEASURES = (
    Measure("swarmfeed_posts_total", "counter", "Posts of committed epochs, by where they went.", _routes, ("route",)),
    Measure(
        "swarmfeed_quarantined_total",
        "counter",
        "Records that are no posts, by what is wrong with them.",
        _by_key(lambda snapshot: snapshot.faults),
        ("fault",),
    ),
    Measure("swarmfeed_tokens_total", "counter", "Tokens of kept posts.", _one(lambda s: s.counts.tokens)),
    Measure("swarmfeed_tombstones_total", "counter", "Deletions that arrived.", _one(lambda s: s.counts.tombstones)),
    Measure("swarmfeed_epochs_total", "counter", "Epochs committed.", _one(lambda s: s.epochs)),
    Measure("swarmfeed_epoch_number", "gauge", "The epoch at work, or the last one.", _one(lambda s: s.epoch)),
    Measure(
        "swarmfeed_epoch_seconds",
        "histogram",
        "How long each phase of an epoch took; an epoch is the sum.",
        _by_key(lambda snapshot: snapshot.phases),
        ("phase",),
    ),
    Measure(
        "swarmfeed_progress_timestamp_seconds",
        "gauge",
        "When an epoch or a phase last began or ended.",
        _one(lambda s: s.progress_at),
    ),
    Measure("swarmfeed_start_timestamp_seconds", "gauge", "When the stream started.", _one(lambda s: s.started_at)),
    Measure(
        "swarmfeed_lag_seconds",
        "gauge",
        "Age of the newest committed record; stands still while nothing waits.",
        _one(lambda s: s.lag_seconds),
    ),
    Measure(
        "swarmfeed_lag_records",
        "gauge",
        "Records that wait in the source.",
        _one(lambda s: s.lag_records),
    ),
    Measure("swarmfeed_source_up", "gauge", "1 while posts can arrive.", _source_up, ("source",)),
    Measure(
        "swarmfeed_source_received_total",
        "counter",
        "Records received.",
        _of_source("received"),
        ("source",),
    ),
    Measure(
        "swarmfeed_source_reconnects_total",
        "counter",
        "Connections opened again.",
        _of_source("reconnects"),
        ("source",),
    ),
    Measure(
        "swarmfeed_source_gap_seconds_total",
        "counter",
        "Stretches of time that nobody listened to, which the source does not send again.",
        _of_source("gap_seconds"),
        ("source",),
    ),
    Measure(
        "swarmfeed_source_lag_seconds",
        "gauge",
        "How far the receiver is behind the platform.",
        _of_source("lag_seconds"),
        ("source",),
    ),
    Measure(
        "swarmfeed_spool_bytes",
        "gauge",
        "Received and not yet in an epoch, on disk.",
        _of_source("spool_bytes"),
        ("source",),
    ),
    Measure("swarmfeed_open_tombstones", "gauge", "Deletions not yet done.", _of_deletions("open")),
    Measure(
        "swarmfeed_oldest_open_tombstone_seconds",
        "gauge",
        "Age of the oldest deletion not yet done; 0 when there is none.",
        _oldest,
    ),
    Measure(
        "swarmfeed_deletion_deadline_seconds",
        "gauge",
        "How old a deletion may become before it is done.",
        _of_deletions("deadline_seconds"),
    ),
    Measure("swarmfeed_deletions_total", "counter", "Deletions done.", _of_deletions("done")),
    Measure("swarmfeed_index_posts", "gauge", "Posts in the duplicate index.", _one(lambda s: s.index_posts)),
    Measure("swarmfeed_index_bytes", "gauge", "Size of the duplicate index.", _one(lambda s: s.index_bytes)),
    Measure("swarmfeed_query_restarts_total", "counter", "Restarts of the query.", _one(lambda s: s.restarts)),
    Measure(
        "swarmfeed_failures_total",
        "counter",
        "Failures, by kind; the stream lived on.",
        _by_key(lambda snapshot: snapshot.failures),
        ("kind",),
    ),
    Measure(
        "swarmfeed_memory_bytes",
        "gauge",
        "Resident memory of the driver, the JVM and the Python workers.",
        _by_key(lambda snapshot: snapshot.resources.memory if snapshot.resources else {}),
        ("process",),
    ),
    Measure(
        "swarmfeed_memory_limit_bytes",
        "gauge",
        "Memory that the machine or the container has.",
        _one(lambda s: s.resources.memory_limit if s.resources else None),
    ),
    Measure(
        "swarmfeed_disk_free_bytes",
        "gauge",
        "Room left where the output is.",
        _one(lambda s: s.resources.disk_free if s.resources else None),
    ),
    Measure("swarmfeed_alarm_raised", "gauge", "1 while the alarm is raised, as in /health.", _alarms, ("alarm",)),
)


class SnapshotCollector:
    """Let Prometheus read one snapshot at each scrape, so that its metrics agree with each other."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def describe(self) -> Iterator[Metric]:
        """Yield every metric without its samples."""
        return (measure.family() for measure in MEASURES)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; one that is not known yet has no sample."""
        snapshot = self._take()
        return (measure.family(snapshot) for measure in MEASURES)


def registry(take: Callable[[], Snapshot]) -> CollectorRegistry:
    """Return a registry of its own that holds nothing but the stream's metrics."""
    own = CollectorRegistry()
    own.register(SnapshotCollector(take))
    return own


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
    return list(zip(bounds, itertools.accumulate(histogram.counts), strict=True))
