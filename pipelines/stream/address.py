"""Where a stream's posts come from, by the word the user gave: `kafka://BROKERS/TOPIC`, `files://DIR` and others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.index import STATE
from pipelines.journal import Journal
from pipelines.receivers import open_receiver, read_token
from pipelines.stream.feed import Feed, Finder
from pipelines.stream.folder import FolderWatch
from pipelines.stream.journal_feed import JOURNAL, JournalFeed
from pipelines.stream.kafka import KafkaFeed
from pipelines.stream.live import Live
from schemas.config import Config
from schemas.errors import ConfigError, nearest

SCHEMES = ("kafka", "files", "jetstream", "mastodon", "x")


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
        return KafkaFeed.parse(address.place, config)
    journal = Journal(out / STATE / JOURNAL)
    if address.scheme == "files":
        return JournalFeed(_watch(address, journal, config, notice), journal, config)
    return JournalFeed(_receive(address, journal, config), journal, config)


def _watch(address: Address, journal: Journal, config: Config, notice: Callable[[str], None]) -> Finder:
    folder, out = Path(address.place).resolve(), journal.folder.parents[1].resolve()
    if folder == out or folder in out.parents or out in folder.parents:
        raise ConfigError(
            f"--out {out}: {address} and it must not lie in each other: a stream must not read its output"
        )
    return FolderWatch(folder, journal, config, notice)


def _receive(address: Address, journal: Journal, config: Config) -> Finder:
    token = read_token(config.stream.token_file, config.stream.token_variable)
    return Live(address.scheme, open_receiver(str(address), journal, token))
