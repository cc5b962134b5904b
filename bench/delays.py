"""How long posts take from Kafka to a committed table, and how far a stream is behind, from what both sides wrote down.

The broker knows when each message was handed over (its timestamp), Spark's checkpoint up to which offset a micro-batch
reaches, and the log of the posts table when that micro-batch was committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, Message, TopicPartition

from bench.prepare import BenchError
from pipelines.index import STATE
from pipelines.stream.identity import CHECKPOINT

APPLICATION = "swarmfeed.stream."  # what the names of the transactions begin with that number micro-batches
WAIT_SECONDS = 30.0
READ_MESSAGES = 20_000

Offsets = dict[int, int]  # by partition: the offset behind the last one
Times = npt.NDArray[np.float64]  # Unix seconds


@dataclass
class Epochs:
    """The micro-batches of a stream: where each ends and when it was committed. Spark forgets old ones: look often."""

    out: Path
    ends: dict[int, Offsets] = field(default_factory=dict)

    def look(self) -> None:
        """Take note of the micro-batches that have begun since the last look."""
        for path in _numbered(self._checkpoint / "offsets"):
            if int(path.name) not in self.ends and (offsets := _read_offsets(path)):
                self.ends[int(path.name)] = offsets

    def done(self) -> Offsets:
        """Return where the last micro-batch that Spark holds for done ends."""
        self.look()
        finished = [int(path.name) for path in _numbered(self._checkpoint / "commits")]
        return self.ends.get(max(finished, default=-1), {})

    def committed_at(self) -> dict[int, float]:
        """Return when each micro-batch that left rows was committed to the posts table, the last table of an epoch."""
        found = {}
        for path in sorted((self.out / "posts" / "_delta_log").glob("*.json")):
            for line in path.read_text().splitlines():
                said = json.loads(line).get("txn", {})
                if str(said.get("appId", "")).startswith(APPLICATION):
                    found[int(said["version"])] = path.stat().st_mtime
        return found

    def committed(self) -> list[tuple[float, Offsets]]:
        """Return when each micro-batch was committed and where it ends, in order."""
        self.look()
        return [(at, self.ends[number]) for number, at in sorted(self.committed_at().items()) if number in self.ends]

    @property
    def _checkpoint(self) -> Path:
        return self.out / STATE / CHECKPOINT


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _read_offsets(path: Path) -> Offsets:
    """Read one entry of Spark's log of offsets: its version, settings, and a line for the source. Empty: gone."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    if len(lines) < 3:  # still being written
        return {}
    (topic,) = json.loads(lines[2]).values()
    return {int(partition): int(offset) for partition, offset in topic.items()}


def end_offsets(broker: str, topic: str) -> Offsets:
    """Return where each partition of a topic ends."""
    consumer = _consumer(broker)
    try:
        partitions = consumer.list_topics(topic, timeout=WAIT_SECONDS).topics[topic].partitions
        ends = {one: consumer.get_watermark_offsets(TopicPartition(topic, one), WAIT_SECONDS)[1] for one in partitions}
    finally:
        consumer.close()
    return ends


def messages(broker: str, topic: str) -> Iterator[Message]:
    """Yield every message that a topic holds now, in the order of their offsets within a partition."""
    ends = end_offsets(broker, topic)
    left = sum(ends.values())
    consumer = _consumer(broker)
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
        while left > 0:
            some = consumer.consume(min(left, READ_MESSAGES), timeout=WAIT_SECONDS)
            if not some:
                raise BenchError(f"{left:,} messages of {topic} cannot be read back")
            yield from some
            left -= len(some)
    finally:
        consumer.close()


def sent_at(broker: str, topic: str) -> dict[int, Times]:
    """Return when each message of a topic was handed over, by partition and offset."""
    times = {partition: np.zeros(end) for partition, end in end_offsets(broker, topic).items()}
    for message in messages(broker, topic):
        times[message.partition()][message.offset()] = message.timestamp()[1] / 1000
    return times


def _consumer(broker: str) -> Consumer:
    settings = {"bootstrap.servers": broker, "group.id": "bench", "enable.auto.commit": False, "log_level": 0}
    return Consumer(settings)


def delays(times: Mapping[int, Times], epochs: list[tuple[float, Offsets]]) -> tuple[Times, Times]:
    """Return, for every message of committed micro-batches, when it was sent and how many seconds its commit took.

    >>> sent, took = delays({0: np.array([1.0, 2.0, 3.0])}, [(4.0, {0: 2}), (9.0, {0: 3})])
    >>> took.tolist()
    [3.0, 2.0, 6.0]
    """
    sent, took = [np.zeros(0)], [np.zeros(0)]
    start: Offsets = {}
    for at, end in epochs:
        for partition, offset in end.items():
            some = times[partition][start.get(partition, 0) : offset]
            sent.append(some)
            took.append(at - some)
        start = end
    return np.concatenate(sent), np.concatenate(took)


def lag(times: Mapping[int, Times], epochs: list[tuple[float, Offsets]], at: Times) -> Times:
    """Return how many messages were sent and not yet committed at some moments.

    >>> lag({0: np.array([1.0, 2.0, 3.0])}, [(2.5, {0: 2})], np.array([2.2, 2.7, 3.5])).tolist()
    [2.0, 0.0, 1.0]
    """
    sent = np.sort(np.concatenate(list(times.values())))
    moments = np.array([moment for moment, _ in epochs])
    reached = np.array([0, *(sum(end.values()) for _, end in epochs)])
    there = np.searchsorted(sent, at, side="right")
    return (there - np.minimum(there, reached[np.searchsorted(moments, at, side="right")])).astype(np.float64)
