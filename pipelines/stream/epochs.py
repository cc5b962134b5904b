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
from pipelines.ledger import Change, empty, publish
from pipelines.step import StepResult, Workshop, step
from pipelines.stream.feed import Feed
from pipelines.stream.identity import Identity
from pipelines.tables import EPOCHS, newest_epoch, open_table
from pipelines.telemetry.state import EpochFigures, StreamState
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
        self, shop: Workshop, schemas: Mapping[str, pa.Schema], feed: Feed, identity: Identity, state: StreamState
    ) -> None:
        self._shop = replace(shop, phase=state.phase)
        self._schemas, self._feed, self._identity, self._state = schemas, feed, identity, state
        self.exclusive: AbstractContextManager[Any] = threading.RLock()
        self.stopping = threading.Event()
        self.failure: Exception | None = None  # of the last micro-batch
        self.totals = Totals()
        newest = newest_epoch(shop.root)
        self._next = 0 if newest is None else newest + 1
        posts = open_table(shop.root, "posts")
        self._done = -1 if posts is None else _version(posts.transaction_version(identity.application))

    def __call__(self, batch: DataFrame, number: int) -> None:
        """Take micro-batch `number` of the stream."""
        with self.exclusive:
            if self.stopping.is_set():
                raise Stopping
            self.failure = None
            try:
                if number > self._done:
                    self._take(batch, number)
            except Exception as error:
                self.failure = error
                raise
            finally:
                self._state.phase("idle")

    def _take(self, batch: DataFrame, number: int) -> None:
        began = time.monotonic()
        self._state.epoch_began(self._next, "annotate")
        empty(self._shop.staging)
        token_set = sets.next_version(self._shop.root, MEMBER)
        result = step(self._feed.intake(batch), self._shop, self._next, token_set)
        totals = summary.summarise(result, self._shop)
        if totals["posts"]["read"] or totals["tombstones"]:
            self._state.phase("commit")
            publish(self._shop.root, self._change(result, totals, number), self._schemas, self._shop.index)
            self._done, self._next = number, self._next + 1
            self._note(totals, time.monotonic() - began)
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

    def _note(self, totals: dict[str, Any], seconds: float) -> None:
        totals["seconds"], totals["startup_seconds"] = round(seconds, 3), 0.0
        totals["posts_per_second"] = round(totals["posts"]["read"] / seconds, 1)
        self.totals.add(totals)
        posts = totals["posts"]
        self._state.epoch_done(
            EpochFigures(
                epoch=totals["epoch"],
                read=posts["read"],
                kept=posts["kept"],
                rejected=posts["rejected"],
                quarantined=posts["quarantined"],
                tokens=totals["tokens"]["kept"],
                tombstones=totals["tombstones"],
                seconds=totals["phases"],
                faults=totals["faults"],
            )
        )


def _version(number: int | None) -> int:
    return -1 if number is None else number
