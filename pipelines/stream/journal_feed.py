"""A journal as a Spark source: its entries are the offsets, a micro-batch is a stretch of them.

Rows carry the numbers of entries and nothing else, so no post and no secret of a source is ever in Spark's plan; the
executors read the splits that the entries name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import ReadLimit, ReadMaxRows, SupportsTriggerAvailableNow

import pipelines
from pipelines.intake import read_splits
from pipelines.journal import Entry, Journal
from pipelines.sources import Split
from pipelines.step import Intake
from pipelines.stream.feed import Finder
from pipelines.telemetry.figures import SourceFigures
from schemas.config import Config
from schemas.errors import SwarmfeedError

JOURNAL = "journal"  # folder beside the tables' state


class JournalFeed:
    """Feeds a stream from the journal that a finder fills."""

    def __init__(self, finder: Finder, journal: Journal, config: Config) -> None:
        self._finder, self._journal, self._config = finder, journal, config
        self._end = journal.begin

    def open(self, spark: SparkSession, once: bool) -> None:
        """Begin to find input; with `once`, find what is there and no more."""
        register(spark)
        if once:
            self._finder.find_all()
        else:
            self._finder.start()

    def frame(self, spark: SparkSession) -> DataFrame:
        """Return the numbers of the entries, epoch by epoch."""
        options = {"journal": str(self._journal.folder), "records": self._config.stream.max_posts_per_epoch}
        return spark.readStream.format(JournalSource.name()).options(**options).load()

    def intake(self, batch: DataFrame) -> Intake:
        """Return the splits of a micro-batch's entries: small ones together, a part for each core."""
        numbers = [row.entry for row in batch.collect()]
        self._end = max(numbers) + 1
        released = self._journal.begin  # what is in front was published, or held nothing
        entries = [self._journal.entry(number) for number in numbers if number >= released]
        groups = share_out(entries, batch.sparkSession.sparkContext.defaultParallelism, self._config.input.split_rows)
        return read_splits(batch.sparkSession, groups, self._config.input)

    def published(self) -> None:
        """Release the entries of the last micro-batch."""
        self._journal.release(self._end)

    def lost(self, message: str) -> bool:
        """Return that it is not: a journal is a folder."""
        return False

    def figures(self, progress: Mapping[str, Any] | None) -> SourceFigures:
        """Say how the finder is and how much of the journal waits."""
        records = spooled = 0
        for number in range(self._end, self._journal.end):
            with suppress(FileNotFoundError):  # an epoch has released it in the meantime
                entry = self._journal.entry(number)
                records += entry.records
                spooled += sum(Path(name).stat().st_size for name in entry.owned)
        return replace(self._finder.figures, lag_records=records, spool_bytes=spooled)

    @property
    def failure(self) -> SwarmfeedError | None:
        """Return why nothing will ever be found again, None while it may."""
        return self._finder.failure

    def close(self) -> None:
        """Stop finding input."""
        self._finder.stop()


def register(spark: SparkSession) -> None:
    """Make the journal known to Spark as a source, its code included.

    The process in which Spark plans a source is not given the files of --py-files, so it cannot import ours.
    """
    cloudpickle.register_pickle_by_value(pipelines)
    try:
        spark.dataSource.register(JournalSource)
    finally:
        cloudpickle.unregister_pickle_by_value(pipelines)


def share_out(entries: Sequence[Entry], parts: int, most: int) -> list[list[Split]]:
    """Put the splits of entries, in order, into about `parts` groups of about as many records, of `most` at most.

    A split that holds more is a group of its own.
    """
    splits = [(split, entry.records / len(entry.splits)) for entry in entries for split in entry.splits]
    share = min(most, sum(records for _, records in splits) / parts)
    groups: list[list[Split]] = []
    held = share
    for split, records in splits:
        if held + records / 2 > share or held + records > most:
            groups.append([])
            held = 0.0
        groups[-1].append(split)
        held += records
    return groups


class JournalSource(DataSource):
    """The entries of a journal as rows of their numbers. Options: `journal`, its folder; `records`, most an epoch."""

    @classmethod
    def name(cls) -> str:
        """Return what Spark knows the source by."""
        return "swarmfeed_journal"

    def schema(self) -> str:
        """Return the one column."""
        return "entry long"

    def streamReader(self, schema: Any) -> JournalReader:  # noqa: N802  (Spark's name)
        """Return what reads the journal for a stream."""
        return JournalReader(self.options["journal"], int(self.options["records"]))


@dataclass
class Entries(InputPartition):
    """The entries from a number up to another."""

    start: int
    end: int


class JournalReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Says how far a journal reaches and which entries an epoch takes. Offsets are `{"entry": NUMBER}`."""

    def __init__(self, folder: str, records: int) -> None:
        self._folder, self._records = folder, records
        self._target: int | None = None  # where a run over what is there ends

    def initialOffset(self) -> dict[str, int]:  # noqa: N802
        """Begin with the first entry that was not released."""
        return {"entry": self._journal.begin}

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """Bound an epoch."""
        return ReadMaxRows(self._records)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Take note of where the journal ends now."""
        self._target = self._journal.end

    def latestOffset(self, start: dict[str, int], limit: ReadLimit) -> dict[str, int]:  # noqa: N802
        """Go on from `start` while the records of the entries stay below the bound; one entry always goes."""
        most = limit.max_rows if isinstance(limit, ReadMaxRows) else None
        end, records = start["entry"], 0
        for entry in self._journal.entries(start["entry"]):
            records += entry.records
            past = self._target is not None and entry.number >= self._target
            if past or (most is not None and records > most and end > start["entry"]):
                break
            end = entry.number + 1
        return {"entry": end}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> list[InputPartition]:
        """Name the entries of an epoch; one task can do that."""
        return [Entries(start["entry"], end["entry"])] if start != end else []

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield the numbers of some entries."""
        assert isinstance(partition, Entries)
        numbers = pa.array(range(partition.start, partition.end), pa.int64())
        yield pa.RecordBatch.from_arrays([numbers], names=["entry"])

    @property
    def _journal(self) -> Journal:
        return Journal(Path(self._folder))
