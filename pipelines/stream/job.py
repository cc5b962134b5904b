"""The stream job: hold the output folder, start the query, start it again when its source fails, stop it cleanly."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

import filters
from filters.stage import configure
from pipelines import failures, report, session, tables
from pipelines.index import STATE, open_index
from pipelines.index.rebuild import catch_up
from pipelines.ledger import claim
from pipelines.step import Workshop, warm_up
from pipelines.stream import identity
from pipelines.stream.epochs import Epochs, Stopping
from pipelines.stream.feed import Feed, open_feed
from pipelines.summary import model_hashes
from pipelines.telemetry.state import StreamState
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.config import Config
from schemas.errors import SwarmfeedError

POLL_SECONDS = 0.5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 60.0
MOST_TRIES = 5  # of one micro-batch that fails, before the stream gives up


@dataclass(frozen=True)
class StreamOrder:
    """What was asked for: the source, where the result goes, the configuration, whether to stop when all is read."""

    source: str
    out: Path
    config: Config
    once: bool = False
    accept_config: bool = False  # go on although the folder's stream ran with another one


def stream(order: StreamOrder) -> dict[str, Any]:
    """Curate a stream into the output folder until it is told to stop, and return what was done.

    Raises ConfigError when the call is wrong, SetupError when the machine lacks something, RunError when the stream
    cannot go on; in each case the folder holds whole epochs, and the next start goes on behind the last of them.
    """
    began = time.monotonic()
    config, out = order.config, order.out.absolute()  # executors have folders of their own
    stages = configure(filters.STAGES, config.stages)
    tokenizer = load_tokenizer(config.tokens.tokenizer)
    schemas = tables.table_schemas(stages)
    state = StreamState(time.time, lambda: None)
    with failures.explained(), ExitStack() as held:
        staging = held.enter_context(claim(out, schemas, index := open_index(out, config.duplicates)))
        tables.check_tables(out, schemas)
        asked = identity.new(order.source, config.deciding(), model_hashes(stages))
        who = identity.settle(out / STATE, asked, order.accept_config)
        feed = open_feed(order.source, config, out / STATE, lambda _: state.failure("input_refused"))
        spark = session.start(config.spark)
        feed.open(spark, order.once)
        held.callback(feed.close)
        shop = Workshop(spark, config, stages, tokenizer, index, out, staging)
        warm_up(shop)
        catch_up(shop.run, index, out, config.duplicates)
        epochs = Epochs(shop, schemas, feed, who, state)
        with stop_on_signals(epochs):
            Supervisor(spark, feed, epochs, state, order).run()
        return _report(out, epochs, time.monotonic() - began)


def _report(out: Path, epochs: Epochs, seconds: float) -> dict[str, Any]:
    """Write the report of the last epoch and return what all epochs add up to."""
    totals = epochs.totals
    where = report.write(out, totals.last)["report"] if totals.last else None
    return {
        "epochs": totals.epochs,
        "posts": dict(totals.posts),
        "reasons": dict(totals.reasons),
        "tokens": {"kept": totals.tokens},
        "seconds": round(seconds, 3),
        "report": where,
    }


@contextmanager
def stop_on_signals(epochs: Epochs) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C stop the stream behind the epoch that is under way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: epochs.stopping.set()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


class Supervisor:
    """Keeps a query at work until the stream is done, told to stop, or cannot go on."""

    def __init__(self, spark: SparkSession, feed: Feed, epochs: Epochs, state: StreamState, order: StreamOrder) -> None:
        self._spark, self._feed, self._epochs, self._state, self._order = spark, feed, epochs, state, order
        self._tries = 0  # in a row, without an epoch

    def run(self) -> None:
        """Run queries until none is wanted any more."""
        while not self._epochs.stopping.is_set():
            done = self._epochs.totals.epochs
            query = self._start()
            try:
                self._watch(query)
                if not self._epochs.stopping.is_set():
                    return  # all that was there is read
            except StreamingQueryException as error:
                self._tries = 0 if self._epochs.totals.epochs > done else self._tries + 1
                self._judge(error)
                self._pause()
            finally:
                self._halt(query)

    def _start(self) -> StreamingQuery:
        trigger: dict[str, Any] = (
            {"availableNow": True}
            if self._order.once
            else {"processingTime": f"{self._order.config.stream.trigger_seconds} seconds"}
        )
        checkpoint = self._order.out.absolute() / STATE / identity.CHECKPOINT
        writer = self._feed.frame(self._spark).writeStream.foreachBatch(self._epochs)
        return writer.option("checkpointLocation", str(checkpoint)).trigger(**trigger).start()

    def _watch(self, query: StreamingQuery) -> None:
        """Wait for the end of a query; raise what it failed of, or what its feed did."""
        while not self._epochs.stopping.is_set():
            if query.awaitTermination(POLL_SECONDS):
                return
            if self._feed.failure is not None:
                self._epochs.stopping.set()
                raise self._feed.failure

    def _judge(self, error: StreamingQueryException) -> None:
        """Raise what no further try will mend."""
        cause = self._epochs.failure
        if isinstance(cause, Stopping):
            return
        if cause is None:  # the query failed outside of an epoch: its source did
            self._state.failure("source_down")
            if self._order.once:
                raise failures.explain(str(error))
            return
        if isinstance(cause, SwarmfeedError):
            raise cause
        explained = failures.explain(f"{type(cause).__name__}: {cause}")
        if not failures.may_pass(str(cause)) or self._tries >= MOST_TRIES:
            raise explained from cause
        self._state.failure("epoch_failed")

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
