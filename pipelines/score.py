"""Run stages over a file without Spark or Java: one row out per post in, in input order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import filters
from filters.stage import Stage, annotate, configure
from pipelines.sources import Records, Split, plan_splits, read_split
from schemas.columns import DUPLICATES
from schemas.config import Config, InputConfig
from schemas.errors import ConfigError, RunError, nearest
from schemas.post import POST


@dataclass(frozen=True)
class Scored:
    """How many posts were scored, were left out as unreadable, and made a stage fail."""

    posts: int
    quarantined: int
    failed: int


def score(inputs: Sequence[str], names: Sequence[str], out: Path, config: Config) -> Scored:
    """Write `id` and one struct column per named stage; rows that make a stage fail have nulls in every column.

    Records that are no posts (see schemas.reasons.Fault) are left out and counted. Raises ConfigError for an unknown
    stage or an input that cannot be read, RunError when the output cannot be written.
    """
    stages = _needed(configure(filters.STAGES, config.stages), names)
    if out.is_dir():
        raise ConfigError(f"--out {out}: expected a file to write, got a folder")
    whole = config.model_copy(update={"input": config.input.model_copy(update={"split_bytes": sys.maxsize})})
    schema = pa.schema([POST.field("id"), *((stage.name, stage.output) for stage in stages if stage.name in names)])
    splits = _in_order(inputs, whole.input)
    posts = quarantined = failed = 0
    partial = out.with_name(f".{out.name}.partial")
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            for split in splits:
                for records in _read(split, whole.input):
                    batch, failures = _columns(records.posts, stages, schema)
                    writer.write_batch(batch)
                    posts += batch.num_rows
                    quarantined += records.quarantine.num_rows
                    failed += failures
        partial.replace(out)
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    return Scored(posts, quarantined, failed)


def _in_order(inputs: Sequence[str], config: InputConfig) -> list[Split]:
    """Plan the inputs in the order they are named, a file named twice where it stands first."""
    first: dict[tuple[str, int], Split] = {}
    for path in inputs:
        for split in plan_splits([path], config):
            first.setdefault((split.path, split.part), split)
    return list(first.values())


def _read(split: Split, config: InputConfig) -> Iterator[Records]:
    try:
        yield from read_split(split, config)
    except OSError as error:
        raise RunError(f"{split.path}: cannot be read any more: {error.strerror or error}") from None


def _needed(stages: Sequence[Stage], names: Sequence[str]) -> tuple[Stage, ...]:
    """Return the named stages and those whose columns they read, in running order."""
    by_name = {stage.name: stage for stage in stages}
    if not names:
        raise ConfigError(f"--stages: no stage named: {nearest('', by_name)}")
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in names and name not in by_name:
            raise ConfigError(f"--stages: unknown stage {name!r}: {nearest(name, by_name)}")
        if name in by_name and name not in wanted:
            wanted.add(name)
            pending.extend(by_name[name].reads)
    return tuple(stage for stage in stages if stage.name in wanted)


def _columns(posts: pa.RecordBatch, stages: Sequence[Stage], schema: pa.Schema) -> tuple[pa.RecordBatch, int]:
    """Annotate a batch and put the rows that failed back, as nulls, where they stood."""
    unseen = pa.nulls(posts.num_rows, DUPLICATES)  # without Spark nothing is known of other posts
    annotated, failures = annotate(posts.append_column(pa.field("duplicates", DUPLICATES), unseen), stages)
    if not failures:
        return annotated.select(schema.names), 0
    lost = {failure.row for failure in failures}
    places = iter(range(annotated.num_rows))
    index = pa.array([None if row in lost else next(places) for row in range(posts.num_rows)], pa.int64())
    columns = [annotated.column(name).take(index) for name in schema.names[1:]]
    return pa.RecordBatch.from_arrays([posts.column("id"), *columns], schema=schema), len(lost)
