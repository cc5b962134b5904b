"""Watch a Spark job from the driver: which half of the step is at work and how many of its tasks are done."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from pyspark.sql import SparkSession
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Watch:
    """Say nothing; the one to use where nobody looks."""

    @contextlib.contextmanager
    def over(self, spark: SparkSession) -> Iterator[None]:
        """Watch the session's jobs for as long as the context is open."""
        yield


class ProgressBar(Watch):
    """Draw a bar on stderr with the tasks of the stages that are running."""

    def __init__(self, poll_seconds: float = 0.25) -> None:
        self._poll_seconds = poll_seconds

    @contextlib.contextmanager
    def over(self, spark: SparkSession) -> Iterator[None]:
        """Poll Spark's status tracker from a thread; it costs nothing on executors."""
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        stop = threading.Event()
        with bar:
            task = bar.add_task("starting", total=None)
            thread = threading.Thread(target=self._poll, args=(spark, bar, task, stop), daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    def _poll(self, spark: SparkSession, bar: Progress, task: int, stop: threading.Event) -> None:
        tracker = spark.sparkContext.statusTracker()
        while not stop.wait(self._poll_seconds):
            stages = [info for info in map(tracker.getStageInfo, tracker.getActiveStageIds()) if info is not None]
            if stages:
                done = sum(stage.numCompletedTasks for stage in stages)
                total = sum(stage.numTasks for stage in stages)
                bar.update(task, description=f"{len(stages)} Spark stages", completed=done, total=total)  # type: ignore[arg-type]
