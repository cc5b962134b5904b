"""What a step reads: splits of files, as a batch run plans them and a stream finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql import SparkSession

from pipelines.sources import Split, read_split
from pipelines.step import Intake, Part
from schemas.config import InputConfig


def read_splits(spark: SparkSession, groups: Sequence[Sequence[Split]], config: InputConfig) -> Intake:
    """Make one partition of each group of splits: executors read the files themselves, the JVM never sees a text."""

    def parts(batches: Iterator[pa.RecordBatch]) -> Iterator[Part]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                group = groups[number]
                yield number, group[0].path, (records for split in group for records in read_split(split, config))

    return Intake(spark.range(0, len(groups), 1, max(1, len(groups))), parts)
