"""What a stream takes its posts from: a feed with offsets, which for all but Kafka is a journal that a finder fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession

from pipelines.step import Intake
from pipelines.telemetry.figures import SourceFigures
from schemas.errors import SwarmfeedError


class Finder(Protocol):
    """Finds input and appends it to a journal."""

    def find_all(self) -> None:
        """Find what is there now, and return when that is in the journal."""
        ...

    def start(self) -> None:
        """Go on finding, in a thread."""
        ...

    def stop(self) -> None:
        """Stop finding."""
        ...

    @property
    def figures(self) -> SourceFigures:
        """Say how the source is."""
        ...

    @property
    def failure(self) -> SwarmfeedError | None:
        """Return why nothing will ever be found again, None while it may."""
        ...


class Feed(Protocol):
    """A source of posts with offsets that survive a restart."""

    def open(self, spark: SparkSession, once: bool) -> None:
        """Begin to find input; with `once`, find what is there and no more. Raises ConfigError when it cannot be."""
        ...

    def frame(self, spark: SparkSession) -> DataFrame:
        """Return the streaming frame whose micro-batches become epochs."""
        ...

    def intake(self, batch: DataFrame) -> Intake:
        """Return what a step reads of a micro-batch."""
        ...

    def published(self) -> None:
        """Let go of what was kept until the epoch of the last micro-batch was published."""
        ...

    def lost(self, message: str) -> bool:
        """Tell whether a query failed, as its error says, because the source is away: then it may come back."""
        ...

    def figures(self, progress: Mapping[str, Any] | None) -> SourceFigures:
        """Say how the source is; `progress` is what Spark says of its last micro-batch."""
        ...

    @property
    def failure(self) -> SwarmfeedError | None:
        """Return why no input will ever be found again, None while it may."""
        ...

    def close(self) -> None:
        """Stop finding input."""
        ...
