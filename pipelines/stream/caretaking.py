"""Keep the output folder up beside the epochs: what must go goes, small files come together, in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from pipelines.telemetry import Telemetry
from pipelines.telemetry.figures import DeletionFigures
from pipelines.telemetry.logs import Entry, Event
from pipelines.upkeep import Upkeep, requests
from pipelines.upkeep.compaction import compact
from pipelines.upkeep.doomed import OpenTombstones, count_open
from pipelines.upkeep.forgetting import forget
from pipelines.upkeep.schedule import COMPACT, FORGET, Caretaker, Job, Schedule
from pipelines.upkeep.tidying import tidy

LOOK_SECONDS = 5.0
LEAVE_SECONDS = 2.0  # for the job at work to come to a safe point, once the stream is to stop
POOL = "upkeep"  # of Spark's fair scheduler: an epoch's tasks do not wait behind those of a long rewrite


class Housekeeping:
    """The jobs of a stream's caretaker, and what the stream says of them."""

    def __init__(self, spark: SparkSession, upkeep: Upkeep, telemetry: Telemetry) -> None:
        self._spark, self._upkeep, self._telemetry = spark, upkeep, telemetry
        self._done = 0  # tombstones
        self._open = OpenTombstones(0, None)
        self._looked = -LOOK_SECONDS  # by the monotonic clock

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Do what is due in a thread for as long as the context is open; what is half done then is dropped."""
        root = self._upkeep.root
        schedule = Schedule(
            root, self._upkeep.config.upkeep, lambda: datetime.now(UTC), oldest_open=lambda: self._open.oldest
        )

        def forget_due() -> bool:
            self._look()
            return self._upkeep.index.epoch is not None and schedule.forget_due()

        jobs = (Job(FORGET, forget_due, self._forget), Job(COMPACT, schedule.compact_due, self._compact))
        caretaker = Caretaker(schedule, jobs, self._failed)
        caretaker.start()
        try:
            yield
        finally:
            while not caretaker.stop(LEAVE_SECONDS):  # a pass may take minutes, and may be dropped at any moment
                self._drop_tasks()

    def _drop_tasks(self) -> None:
        """Take its tasks from the job at work: the epochs have ended, so there are no others."""
        with suppress(Py4JError, ConnectionError):  # the JVM has gone, and the tasks with it
            self._spark.sparkContext.cancelAllJobs()

    def settle(self) -> None:
        """Do at once what tombstones and requests ask for."""
        if count_open(self._upkeep.root).count or requests.waiting(self._upkeep.root):
            self._forget(lambda: False)

    def _look(self) -> None:
        """Say, now and then, how many tombstones are open, and since when the oldest is."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked, self._open = time.monotonic(), count_open(self._upkeep.root)
        oldest = self._open.oldest
        age = None if oldest is None else max(0.0, time.time() - oldest.timestamp())
        deadline = self._upkeep.config.upkeep.deadline_hours * 3600
        self._telemetry.state.deletions(DeletionFigures(self._open.count, age, deadline, self._done))

    def _forget(self, halt: Callable[[], bool]) -> None:
        began = time.monotonic()
        self._spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
        compact(self._upkeep, halt)  # a pass looks into every file, and a stream leaves thousands
        if halt():
            return
        done = forget(self._upkeep)
        self._done += done.tombstones
        counts = {name: count for name, count in asdict(done).items() if isinstance(count, int)}
        self._say(Event.DELETIONS_DONE, counts, began)

    def _compact(self, halt: Callable[[], bool]) -> None:
        began = time.monotonic()
        self._spark.sparkContext.setLocalProperty("spark.scheduler.pool", POOL)
        self._say(Event.COMPACTED, tidy(self._upkeep, halt), began)

    def _say(self, event: Event, counts: dict[str, int], began: float) -> None:
        self._telemetry.log.info(Entry(event, counts=counts, seconds={"total": time.monotonic() - began}))

    def _failed(self, job: str, error: Exception) -> None:
        self._telemetry.state.failure(f"{job}_failed")
        self._telemetry.log.error(Entry(Event.FAILED, names={"job": job, "error": type(error).__name__}))
