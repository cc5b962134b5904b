"""A receiver as what fills a stream's journal."""

from __future__ import annotations

import time

from pipelines.receivers import Receiver
from pipelines.telemetry.figures import SourceFigures, SourceStatus
from schemas.errors import SwarmfeedError


class Live:
    """Lets a receiver find a stream's input."""

    def __init__(self, scheme: str, receiver: Receiver) -> None:
        self._scheme, self._receiver = scheme, receiver

    def find_all(self) -> None:
        """Receive what the source has up to now. Raises what the receiver failed of."""
        self._receiver.receive_until(time.time())
        if self._receiver.failure is not None:
            raise self._receiver.failure

    def start(self) -> None:
        """Go on receiving, in threads."""
        self._receiver.start()

    def stop(self) -> None:
        """Stop receiving; what has come is in the journal."""
        self._receiver.stop()

    @property
    def failure(self) -> SwarmfeedError | None:
        """Return why nothing will ever be received again, None while it may."""
        return self._receiver.failure

    @property
    def figures(self) -> SourceFigures:
        """Say how the connection is: one that waits to be made again, or for room on the disk, is down."""
        state = self._receiver.state
        status = {"streaming": SourceStatus.STREAMING, "connecting": SourceStatus.CONNECTING}
        return SourceFigures(
            self._scheme,
            status.get(state.status, SourceStatus.DOWN),
            received=state.received,
            reconnects=state.reconnects,
            gap_seconds=state.gap_seconds,
            lag_seconds=state.source_lag_seconds,
        )
