"""One micro-batch, one epoch: taken through the step and published, or passed over when it was published before.

The tables count micro-batches as transactions of the stream, in the commit that publishes their rows. So whatever
moment the driver, a worker or the JVM dies at, Spark offers the micro-batch again and it is either in the tables whole,
and passed over, or not at all, and taken again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from pipelines import summary
from pipelines.index import STATE
from pipelines.ledger import Change, empty, publish, recover, unfinished
from pipelines.step import StepResult, Workshop, step
from pipelines.stream.feed import Feed
from pipelines.stream.identity import Identity
from pipelines.tables import EPOCHS, newest_epoch, open_table
from pipelines.telemetry import Telemetry
from pipelines.telemetry.figures import EpochFigures
from pipelines.tokens import sets
from schemas.version import VERSION

MEMBER = "default"


class Stopping(Exception):  # noqa: N818  (an order, not an error)
    """Turns a micro-batch away once the stream is to stop."""


@dataclass
class Totals:
    """What all epochs since the start add up to."""

    epochs: int = 0
    posts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    last: Mapping[str, Any] | None = None  # the totals of the newest epoch, as its report has them

    def add(self, totals: Mapping[str, Any]) -> None:
        """Add an epoch."""
        self.epochs += 1
        self.posts.update(totals["posts"])
        self.reasons.update(totals["reasons"])
        self.tokens += totals["tokens"]["kept"]
        self.last = totals


class Epochs:
    """Takes micro-batches in order; what Spark calls for each one. `exclusive` is held while one is taken."""

    def __init__(
        self, shop: Workshop, schemas: Mapping[str, pa.Schema], feed: Feed, identity: Identity, telemetry: Telemetry
    ) -> None:
        self._shop = replace(shop, phase=telemetry.state.phase)
        self._schemas, self._feed, self._identity, self._telemetry = schemas, feed, identity, telemetry
        self.exclusive: AbstractContextManager[Any] = threading.RLock()
        self.stopping = threading.Event()
        self.failure: Exception | None = None  # of the last micro-batch
        self.totals = Totals()
        self._look_where_we_are()

    def __call__(self, batch: DataFrame, number: int) -> None:
        """Take micro-batch `number` of the stream."""
        with self.exclusive:
            if self.stopping.is_set():
                raise Stopping
            try:
                if self.failure is not None or unfinished(self._shop.root):  # an upkeep's change may be
                    self._look_where_we_are()
                    self.failure = None
                if number > self._done:
                    self._take(batch, number)
            except Exception as error:
                self.failure = error
                raise
            finally:
                self._telemetry.state.phase("idle")

    def _look_where_we_are(self) -> None:
        """Finish what a failure left half published, and read off the tables which micro-batch and epoch are next."""
        recover(self._shop.root, self._schemas, self._shop.index)
        newest = newest_epoch(self._shop.root)
        self._next = 0 if newest is None else newest + 1
        posts = open_table(self._shop.root, "posts")
        done = posts.transaction_version(self._identity.application) if posts is not None else None
        self._done = -1 if done is None else done

    def _take(self, batch: DataFrame, number: int) -> None:
        began = time.monotonic()
        self._telemetry.state.epoch_began(self._next, "annotate")
        empty(self._shop.staging)
        token_set = sets.next_version(self._shop.root, MEMBER)
        result = step(self._feed.intake(batch), self._shop, self._next, token_set)
        totals = summary.summarise(result, self._shop)
        if totals["posts"]["read"] or totals["tombstones"]:
            self._telemetry.state.phase("commit")
            publish(self._shop.root, self._change(result, totals, number), self._schemas, self._shop.index)
            self._done, self._next = number, self._next + 1
            self._note(totals, result, time.monotonic() - began)
        self._feed.published()

    def _change(self, result: StepResult, totals: Mapping[str, Any], number: int) -> Change:
        return Change(
            transactions={EPOCHS: result.epoch, self._identity.application: number},
            at=datetime.now(UTC),
            metadata={
                "swarmfeed.epoch": str(result.epoch),
                "swarmfeed.input": f"{self._identity.name}:{number}",
                "swarmfeed.config": totals["config_hash"],
                "swarmfeed.version": VERSION,
            },
            files=tuple(file for part in (*result.staged, *result.decided) for file in part.files),
            folders=(result.token_set,) if totals["tokens"]["kept"] else (),
            index=result.index,
        )

    def _note(self, totals: dict[str, Any], result: StepResult, seconds: float) -> None:
        totals["seconds"], totals["startup_seconds"] = round(seconds, 3), 0.0
        totals["posts_per_second"] = round(totals["posts"]["read"] / seconds, 1)
        self.totals.add(totals)
        state = self._shop.root / STATE
        held = sum(file.stat().st_size for file in (state / "index").glob("*"))
        self._telemetry.state.index(sum(self._shop.index.days.values()), held)
        posts = totals["posts"]
        newest = [part.newest for part in result.staged if part.newest is not None]
        self._telemetry.epoch_done(
            EpochFigures(
                epoch=totals["epoch"],
                read=posts["read"],
                kept=posts["kept"],
                rejected=posts["rejected"],
                quarantined=posts["quarantined"],
                tokens=totals["tokens"]["kept"],
                tombstones=totals["tombstones"],
                seconds={**totals["phases"], "commit": seconds - sum(totals["phases"].values())},
                newest_source_time=datetime.fromtimestamp(max(newest) / 1e6, UTC) if newest else None,
                faults=totals["faults"],
            )
        )
