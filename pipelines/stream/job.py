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

from rich.console import Console

import filters
from filters.stage import configure
from pipelines import failures, report, session, tables
from pipelines.index import STATE, open_index
from pipelines.index.rebuild import catch_up
from pipelines.ledger import claim
from pipelines.remembered import remember
from pipelines.step import Workshop, warm_up
from pipelines.stream import identity
from pipelines.stream.address import Address, open_feed
from pipelines.stream.caretaking import Housekeeping
from pipelines.stream.epochs import Epochs
from pipelines.stream.supervisor import Supervisor
from pipelines.summary import model_hashes
from pipelines.telemetry import Telemetry, open_telemetry
from pipelines.telemetry.logs import Entry, Event
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep import Upkeep
from schemas.config import Config


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
    address = Address.parse(order.source)
    config, out = order.config, order.out.absolute()  # executors have folders of their own
    stages = configure(filters.STAGES, config.stages)
    tokenizer = load_tokenizer(config.tokens.tokenizer)
    schemas = tables.table_schemas(stages)
    with failures.explained(), ExitStack() as held:
        staging = held.enter_context(claim(out, schemas, index := open_index(out, config.duplicates)))
        tables.check_tables(out, schemas)
        telemetry = held.enter_context(open_telemetry(config.stream, out, Console(stderr=True)))
        feed = open_feed(address, config, out, lambda _: telemetry.state.failure("input_refused"))
        asked = identity.new(str(address), config.deciding(), model_hashes(stages))
        who = identity.settle(out / STATE, asked, order.accept_config)
        remember(out, config)
        spark = session.start(config.spark)
        feed.open(spark, order.once)
        held.callback(feed.close)
        shop = Workshop(spark, config, stages, tokenizer, index, out, staging)
        warm_up(shop)
        catch_up(shop.run, index, out, config.duplicates)
        epochs = Epochs(shop, schemas, feed, who, telemetry)
        supervisor = Supervisor(spark, feed, epochs, telemetry, out / STATE / identity.CHECKPOINT)
        housekeeping = Housekeeping(spark, Upkeep(out, schemas, config, index, shop.run, epochs.exclusive), telemetry)
        with stop_on_signals(epochs, telemetry), housekeeping.beside():
            telemetry.log.info(Entry(Event.STARTED, names={"source": address.scheme, "stream": who.name}))
            supervisor.run(None if order.once else config.stream.trigger_seconds)
        if order.once:
            housekeeping.settle()
        telemetry.log.info(Entry(Event.STOPPED, counts={"epochs": epochs.totals.epochs}))
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
def stop_on_signals(epochs: Epochs, telemetry: Telemetry) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C stop the stream behind the epoch that is under way."""

    def stop(*_: Any) -> None:
        epochs.stopping.set()
        telemetry.state.stopping()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
