"""Kafka as a feed, read by Spark's own connector: `kafka://BROKERS/TOPIC`, any platform's messages in the values.

The offsets of an epoch are in Spark's checkpoint; executors get the values as Arrow batches and read them as they read
the lines of a file. A quarantined record says in `file` and `line` which partition and offset it had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import TaskContext
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from pipelines.sources import Records, parse_values
from pipelines.sources.guess import guess_format
from pipelines.step import Intake, Part
from pipelines.telemetry.figures import SourceFigures, SourceStatus
from schemas.config import Config, InputConfig
from schemas.errors import ConfigError, RunError, SetupError

CONNECTOR = "org.apache.spark:spark-sql-kafka-0-10_2.13"
PATIENCE_MILLIS = 15_000  # how long a broker may take to answer at the start


@dataclass
class KafkaFeed:
    """Feeds a stream from a topic; its offsets are Kafka's own."""

    address: str
    brokers: str
    topic: str
    config: Config
    failure = None  # a broker may always come back

    @classmethod
    def parse(cls, place: str, config: Config) -> KafkaFeed:
        """Take `BROKERS/TOPIC` apart; raise ConfigError when it is something else."""
        brokers, _, topic = place.partition("/")
        if not brokers or not topic or "/" in topic:
            raise ConfigError(f"kafka://{place}: expected kafka://HOST:PORT[,HOST:PORT...]/TOPIC")
        return cls(f"kafka://{place}", brokers, topic, config)

    def open(self, spark: SparkSession, once: bool) -> None:
        """Look whether connector, brokers and topic are there: Spark itself would wait minutes to say so."""
        try:
            spark.readStream.format("kafka").options(**self._options()).load()
        except AnalysisException:
            raise SetupError(
                f"Spark's Kafka connector is missing: --set 'spark.packages=[{CONNECTOR}:{spark.version}]' lets Spark "
                "fetch it, --set 'spark.jars=[...]' names its files; with spark-submit: --packages"
            ) from None
        if self.topic not in self._topics(spark):
            raise ConfigError(f"{self.address}: no topic '{self.topic}' there; create it first")

    def frame(self, spark: SparkSession) -> DataFrame:
        """Return the messages, epoch by epoch: a task for each core, more where an epoch is large.

        A topic of a hundred partitions would otherwise leave as many small files in every table, epoch after epoch.
        """
        cores = spark.sparkContext.defaultParallelism
        tasks = max(cores, -(-self.config.stream.max_posts_per_epoch // self.config.input.split_rows))
        messages = spark.readStream.format("kafka").options(**self._options(), minPartitions=str(cores)).load()
        return messages.select("value", "partition", "offset").coalesce(tasks)

    def intake(self, batch: DataFrame) -> Intake:
        """Return the messages of a micro-batch, a part for each Spark partition."""
        where, config = self.address, self.config.input

        def parts(batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
            first = next(batches, None)
            if first is not None:
                context = TaskContext.get()
                number = context.partitionId() if context else 0
                yield number, where, read_messages(first, batches, where, config)

        return Intake(batch, parts)

    def published(self) -> None:
        """Do nothing: how long messages stay is the broker's affair."""

    def close(self) -> None:
        """Do nothing."""

    def lost(self, message: str) -> bool:
        """Tell whether the brokers are away. Raises RunError when messages are gone that were not read yet."""
        if "failOnDataLoss" in message:
            raise RunError(
                f"{self.address}: the brokers have dropped messages that were not read yet; to go on behind the gap: "
                "--set stream.skip_lost_messages=true"
            )
        return "org.apache.kafka" in message

    def figures(self, progress: Mapping[str, Any] | None) -> SourceFigures:
        """Count the messages that wait, over all partitions."""
        if progress is None:
            return SourceFigures("kafka", SourceStatus.CONNECTING)
        waiting = None
        for source in progress["sources"]:
            ends, latest = (_offsets(source[name]).get(self.topic, {}) for name in ("endOffset", "latestOffset"))
            waiting = sum(latest[partition] - ends.get(partition, 0) for partition in latest)
        return SourceFigures("kafka", SourceStatus.STREAMING, lag_records=waiting)

    def _options(self) -> dict[str, str]:
        return {
            "subscribe": self.topic,
            "startingOffsets": "earliest",
            "maxOffsetsPerTrigger": str(self.config.stream.max_posts_per_epoch),
            "failOnDataLoss": str(not self.config.stream.skip_lost_messages).lower(),
            "kafkaConsumer.pollTimeoutMs": str(2 * PATIENCE_MILLIS),
            **{f"kafka.{key}": value for key, value in self._settings().items()},
        }

    def _settings(self) -> dict[str, str]:
        """Return the settings of a Kafka client; what the user's file says comes last."""
        return {
            "default.api.timeout.ms": str(PATIENCE_MILLIS),
            "request.timeout.ms": str(PATIENCE_MILLIS - 5_000),
            **read_properties(self.config.stream.kafka_properties),
            "bootstrap.servers": self.brokers,
        }

    def _topics(self, spark: SparkSession) -> set[str]:
        """Return the topics there are. Raises ConfigError when no broker answers."""
        java: Any = spark.sparkContext._jvm
        settings = java.java.util.HashMap()
        for key, value in self._settings().items():
            settings.put(key, value)
        try:
            client = java.org.apache.kafka.clients.admin.AdminClient.create(settings)
        except Py4JJavaError:
            raise ConfigError(
                f"{self.address}: no Kafka client can be made for {self.brokers}: is the host known, and are the "
                "settings of stream.kafka_properties right?"
            ) from None
        try:
            return set(client.listTopics().names().get())
        except Py4JError:
            raise ConfigError(
                f"{self.address}: no Kafka broker answered at {self.brokers} within {PATIENCE_MILLIS // 1000} seconds"
            ) from None
        finally:
            client.close()


def read_properties(file: str | None) -> dict[str, str]:
    """Read `key=value` lines, as Kafka's own tools do; nothing without a file.

    Raises ConfigError naming file and line, never what stands there.
    """
    if file is None:
        return {}
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"stream.kafka_properties {file}: cannot be read: {type(error).__name__}") from None
    settings = {}
    for number, line in enumerate(lines, 1):
        key, equals, value = line.strip().partition("=")
        if not key or key.startswith(("#", "!")):
            continue
        if not equals:
            raise ConfigError(f"stream.kafka_properties {file}: line {number}: expected key=value")
        settings[key.strip()] = value.strip()
    return settings


def _offsets(said: Any) -> Mapping[str, Mapping[str, int]]:
    """Return offsets by topic and partition, which Spark gives as JSON or as what that stands for."""
    return (json.loads(said) if isinstance(said, str) else said) or {}  # the JSON of none, before the first epoch


def read_messages(
    first: pa.RecordBatch, rest: Iterator[pa.RecordBatch], where: str, config: InputConfig
) -> Iterator[Records]:
    """Yield what messages hold, a batch at a time; columns are value, partition and offset.

    A format that nobody named is told from the first messages; where none fits, all are quarantined as canonical ones.
    """
    values, format = first.column("value").to_pylist(), str(config.format)
    if format == "auto":
        format = _guess([value for value in values if value is not None], where)
    for batch in chain([first], rest):
        partitions = np.asarray(batch.column("partition"))
        changes = np.flatnonzero(np.diff(partitions, prepend=-1))  # none where the batch is empty
        for start, end in pairwise([*changes.tolist(), len(partitions)]):
            some = batch.slice(start, end - start)
            messages, offsets = some.column("value").to_pylist(), some.column("offset").to_pylist()
            yield parse_values(messages, format, f"{where}/{partitions[start]}", offsets, config.max_record_bytes)


def _guess(values: list[bytes], where: str) -> str:
    try:
        return guess_format(iter(values), where)
    except ConfigError:
        return "canonical"
