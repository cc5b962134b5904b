"""Where a stream's posts come from, by the word the user gave: `kafka://BROKERS/TOPIC`, `files://DIR` and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession

from pipelines.index import STATE
from pipelines.journal import Journal
from pipelines.step import Intake
from pipelines.telemetry.figures import SourceFigures
from schemas.config import Config
from schemas.errors import ConfigError, SwarmfeedError, nearest

SCHEMES = ("kafka", "files", "jetstream", "mastodon", "x")


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


@dataclass(frozen=True)
class Address:
    """The word that names a source, taken apart: `SCHEME://PLACE`."""

    scheme: str
    place: str

    @classmethod
    def parse(cls, word: str) -> Address:
        """Take a word apart; raise ConfigError for what names no source.

        >>> Address.parse("kafka://localhost:9092/posts").place
        'localhost:9092/posts'
        """
        scheme, mark, place = word.partition("://")
        if not mark or not place:
            raise ConfigError(
                f"{word!r}: expected a source such as kafka://BROKERS/TOPIC, files://DIR, jetstream://HOST"
            )
        if scheme not in SCHEMES:
            raise ConfigError(f"{scheme}://: no such kind of source: {nearest(scheme, SCHEMES)}")
        return cls(scheme, str(Path(place).absolute()) if scheme == "files" else place)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}"


def open_feed(address: Address, config: Config, out: Path, notice: Callable[[str], None]) -> Feed:
    """Return the feed of a source: it remembers below the output folder, and tells `notice` what it stumbles over.

    Raises ConfigError for a source that cannot be.
    """
    if address.scheme == "kafka":
        from pipelines.stream.kafka import KafkaFeed

        return KafkaFeed.parse(address.place, config)
    from pipelines.stream.journal_feed import JOURNAL, JournalFeed

    journal = Journal(out / STATE / JOURNAL)
    if address.scheme == "files":
        return JournalFeed(_watch(address, journal, config, notice), journal, config)
    return JournalFeed(_receive(address, journal, config), journal, config)


def _watch(address: Address, journal: Journal, config: Config, notice: Callable[[str], None]) -> Finder:
    from pipelines.stream.folder import FolderWatch

    folder, out = Path(address.place).resolve(), journal.folder.parents[1].resolve()
    if folder == out or folder in out.parents or out in folder.parents:
        raise ConfigError(
            f"--out {out}: {address} and it must not lie in each other: a stream must not read its output"
        )
    return FolderWatch(folder, journal, config, notice)


def _receive(address: Address, journal: Journal, config: Config) -> Finder:
    from pipelines.receivers import open_receiver, read_token
    from pipelines.stream.live import Live

    token = read_token(config.stream.token_file, config.stream.token_variable)
    return Live(address.scheme, open_receiver(str(address), journal, token))
