"""Keep the stream's query at work: start it again when its source or a worker fails, give up on what will not pass."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from pipelines import failures
from pipelines.stream.epochs import Epochs
from pipelines.stream.feed import Feed
from pipelines.telemetry import Telemetry
from pipelines.telemetry.figures import SourceStatus
from pipelines.telemetry.logs import Entry, Event
from schemas.errors import SwarmfeedError

POLL_SECONDS = 0.5
LOOK_SECONDS = 2.0  # at the source
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
MOST_TRIES = 5  # of one micro-batch that fails, before the stream gives up


class Supervisor:
    """Keeps a query at work until the stream is done, told to stop, or cannot go on."""

    def __init__(self, spark: SparkSession, feed: Feed, epochs: Epochs, telemetry: Telemetry, checkpoint: Path) -> None:
        self._spark, self._feed, self._epochs = spark, feed, epochs
        self._telemetry, self._checkpoint = telemetry, checkpoint
        self._tries = 0  # in a row, without an epoch

    def run(self, trigger_seconds: float | None) -> None:
        """Run queries until none is wanted any more; without a trigger, until all that is there is read.

        Raises a SwarmfeedError when the stream cannot go on.
        """
        while not self._epochs.stopping.is_set():
            done = self._epochs.totals.epochs
            query = self._start(trigger_seconds)
            try:
                self._watch(query)
                if not self._epochs.stopping.is_set():
                    return  # all that was there is read
            except StreamingQueryException as error:
                self._tries = 0 if self._epochs.totals.epochs > done else self._tries + 1
                self._judge(error, once=trigger_seconds is None)
                self._pause()
            finally:
                self._halt(query)

    def _start(self, trigger_seconds: float | None) -> StreamingQuery:
        once = trigger_seconds is None
        trigger: dict[str, Any] = {"availableNow": True} if once else {"processingTime": f"{trigger_seconds} seconds"}
        writer = self._feed.frame(self._spark).writeStream.foreachBatch(self._epochs)
        return writer.option("checkpointLocation", str(self._checkpoint)).trigger(**trigger).start()

    def _watch(self, query: StreamingQuery) -> None:
        """Wait for the end of a query; raise what it failed of, or what its feed did."""
        look_at = 0.0  # by the monotonic clock
        while not self._epochs.stopping.is_set():
            if query.awaitTermination(POLL_SECONDS):
                return
            if time.monotonic() >= look_at:
                self._telemetry.state.source(self._feed.figures(query.lastProgress))
                look_at = time.monotonic() + LOOK_SECONDS
            if self._feed.failure is not None:
                self._epochs.stopping.set()
                raise self._feed.failure

    def _judge(self, error: StreamingQueryException, once: bool) -> None:
        """Raise what no further try will mend."""
        cause = self._epochs.failure
        if self._epochs.stopping.is_set():
            return
        if isinstance(cause, SwarmfeedError):
            raise cause
        message = f"{type(cause).__name__}: {cause}" if cause else str(error)
        explained = failures.explain(message)
        if self._feed.lost(message) and not once:
            self._say(Event.SOURCE_LOST, SourceStatus.DOWN)
        elif failures.may_pass(message) and self._tries < MOST_TRIES:
            self._say(Event.QUERY_RESTARTED, SourceStatus.CONNECTING)
        else:
            raise explained from (cause or error)

    def _say(self, event: Event, status: SourceStatus) -> None:
        """Say that the query ended and will be started again, and how its source is until then."""
        self._telemetry.state.failure(event)
        self._telemetry.state.source(replace(self._feed.figures(None), status=status))
        self._telemetry.log.warning(Entry(event, counts={"tries": self._tries}))

    def _pause(self) -> None:
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(self._tries, 10))
        self._epochs.stopping.wait(wait)

    def _halt(self, query: StreamingQuery) -> None:
        """Stop a query behind the epoch that is under way; none begins once the stream is to stop."""
        with self._epochs.exclusive:
            pass
        try:
            query.stop()
        except Py4JError:  # the JVM has gone
            return
