"""What a stream says of itself: one state, which metrics, health, status line and log show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pipelines.telemetry.figures import EpochFigures
from pipelines.telemetry.logs import StreamLog, epoch_entry, open_log
from pipelines.telemetry.resources import watch_resources
from pipelines.telemetry.server import serve
from pipelines.telemetry.state import StreamState
from pipelines.telemetry.status_line import show
from schemas.config import StreamConfig


@dataclass(frozen=True)
class Telemetry:
    """Where a stream says what it does: the state is what is so now, the log what has happened."""

    state: StreamState
    log: StreamLog

    def epoch_done(self, figures: EpochFigures) -> None:
        """Say that an epoch is committed."""
        self.state.epoch_done(figures)
        self.log.info(epoch_entry(figures))


@contextmanager
def open_telemetry(config: StreamConfig, out: Path, console: Console) -> Iterator[Telemetry]:
    """Log, answer on the metrics port, and draw a status line on a terminal, for as long as the context is open.

    Raises ConfigError when the port or the log file cannot be had.
    """
    state = StreamState(time.time, watch_resources(out))
    with ExitStack() as held:
        log = held.enter_context(open_log(console, Path(config.log_file) if config.log_file else None))
        if config.metrics_port is not None:
            held.enter_context(serve(state.snapshot, config.metrics_port))
        held.enter_context(show(state.snapshot, console))
        yield Telemetry(state, log)
