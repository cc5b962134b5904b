"""A stream's state under a hand-moved clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pipelines.telemetry.figures import EpochFigures, Resources
from pipelines.telemetry.health import health
from pipelines.telemetry.state import StreamState

START = 1_780_000_000.0
GIB = 1 << 30
WELL = Resources({"driver": GIB, "jvm": GIB, "workers": GIB}, 16 * GIB, 100 * GIB)
SECONDS = {"annotate": 2.0, "duplicates": 1.0, "decide": 0.5, "index": 0.25, "commit": 0.25}
EPOCH = EpochFigures(
    epoch=0, read=1000, kept=190, rejected=805, quarantined=5, tokens=19_000, tombstones=3, seconds=SECONDS
)


@dataclass
class Stream:
    """A state, the clock it reads and the machine it measures, both to be set by the test."""

    now: float = START
    resources: Resources = WELL
    measured: int = 0
    state: StreamState = field(init=False)

    def __post_init__(self) -> None:
        self.state = StreamState(lambda: self.now, self.measure)

    def measure(self) -> Resources:
        self.measured += 1
        return self.resources

    def epoch(self, after: float, lag: float | None = None, **figures: Any) -> None:
        """Commit an epoch some seconds from now; `lag` is how old its newest record is then."""
        self.now += after
        newest = None if lag is None else datetime.fromtimestamp(self.now - lag, UTC)
        number = self.state.snapshot().epochs
        self.state.epoch_done(replace(EPOCH, epoch=number, newest_source_time=newest, **figures))

    def alarms(self) -> Mapping[str, Any]:
        """Return the health's alarms by name."""
        return {alarm["name"]: alarm for alarm in health(self.state.snapshot())["alarms"]}
