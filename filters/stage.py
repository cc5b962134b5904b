"""The one abstraction: a stage looks at some columns and adds one struct column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from schemas.errors import ConfigError, SwarmfeedError, nearest
from schemas.post import POST


@runtime_checkable
class Stage(Protocol):
    """Look at some columns, add one struct column. Pure: no I/O, no memory of other rows.

    A stage is a frozen dataclass; its fields are its config keys. `name` is the column it adds, its module, its
    golden file and its model card. A null answer means "cannot say".
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    output: ClassVar[pa.StructType]

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one struct per row of `batch`, in order. Shape: (rows,) in, (rows,) out."""
        ...


@runtime_checkable
class Joint(Stage, Protocol):
    """A stage that is answered in one pass with its neighbours that are Joint and read the same columns."""

    @staticmethod
    def answer_together(stages: Sequence[Any], batch: pa.RecordBatch) -> Sequence[pa.Array]:
        """Return the column of each stage, to the bit what each returns alone."""
        ...


@dataclass(frozen=True)
class Failure:
    """A row that made a stage fail, by its position in the batch handed to `annotate`."""

    row: int
    stage: str
    error: str


def configure(kinds: Sequence[type[Any]], settings: Mapping[str, Mapping[str, Any]]) -> tuple[Stage, ...]:
    """Build one stage of each kind from its section of the config; raise ConfigError for an unknown stage or key."""
    names = [kind.name for kind in kinds]
    for name in settings:
        if name not in names:
            raise ConfigError(f"config: unknown stage 'stages.{name}': {nearest(name, names)}")
    return tuple(_configure_one(kind, settings.get(kind.name, {})) for kind in kinds)


def _configure_one(kind: type[Any], section: Mapping[str, Any]) -> Stage:
    legal = [field.name for field in fields(kind) if field.init]
    for key in section:
        if key not in legal:
            raise ConfigError(f"config: unknown key 'stages.{kind.name}.{key}': {nearest(key, legal)}")
    try:
        stage: Stage = kind(**section)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config: 'stages.{kind.name}': {error}") from None
    return stage


def annotated_schema(stages: Sequence[Stage]) -> pa.Schema:
    """Return the schema of a post followed by the column of each stage."""
    return pa.schema([*POST, *(pa.field(stage.name, stage.output) for stage in stages)])


def annotate(batch: pa.RecordBatch, stages: Sequence[Stage]) -> tuple[pa.RecordBatch, list[Failure]]:
    """Add the column of each stage, in order; rows that make a stage fail come back as failures, not in the batch.

    Our own errors (missing model, bad setting) are raised: they concern the run, not the row.
    """
    failures: list[Failure] = []
    rows = list(range(batch.num_rows))
    for group in neighbours(stages):
        columns = _together(group, batch)
        for stage, column in zip(group, columns, strict=True):
            if column is None:
                batch, rows = _alone(stage, batch, rows, failures)
            else:
                batch = batch.append_column(pa.field(stage.name, stage.output), column)
    return batch, failures


def neighbours(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Group stages that stand side by side and can be answered in one pass; any other stands alone."""
    groups: list[list[Stage]] = []
    for stage in stages:
        before = groups[-1][-1] if groups else None
        if isinstance(stage, Joint) and isinstance(before, Joint) and _alike(stage, before):
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def _alike(stage: Joint, other: Joint) -> bool:
    return stage.answer_together is other.answer_together and stage.reads == other.reads


def _together(group: Sequence[Stage], batch: pa.RecordBatch) -> Sequence[pa.Array | None]:
    """Return the columns of neighbours from one pass, or None for each where it must be asked alone."""
    alone = [None] * len(group)
    if len(group) == 1 or not isinstance(group[0], Joint):
        return alone
    try:
        columns = group[0].answer_together(group, batch.select(list(group[0].reads)))
    except SwarmfeedError:
        raise
    except Exception:  # some row makes one of them fail: alone, each finds its own
        return alone
    expected = [(batch.num_rows, stage.output) for stage in group]
    return columns if [(len(column), column.type) for column in columns] == expected else alone


def _alone(
    stage: Stage, batch: pa.RecordBatch, rows: list[int], failures: list[Failure]
) -> tuple[pa.RecordBatch, list[int]]:
    """Add the column of one stage; leave out the rows it fails on and note them. Return the batch and whose rows."""
    parts: list[pa.Array] = []
    bad: dict[int, str] = {}
    for start, answer in _isolate(stage, batch.select(list(stage.reads)), 0):
        if isinstance(answer, str):
            bad[start] = answer
        else:
            parts.append(answer)
    if bad:
        failures.extend(Failure(rows[position], stage.name, error) for position, error in sorted(bad.items()))
        keep = [position for position in range(batch.num_rows) if position not in bad]
        rows = [rows[position] for position in keep]
        batch = batch.take(pa.array(keep, pa.int64()))
    column = pa.concat_arrays(parts) if parts else pa.array([], stage.output)
    return batch.append_column(pa.field(stage.name, stage.output), column), rows


def _isolate(stage: Stage, batch: pa.RecordBatch, start: int) -> Iterator[tuple[int, pa.Array | str]]:
    """Yield (first row, answer) for stretches of the batch that work, and (row, error) for single rows that do not."""
    try:
        answer = stage(batch)
        if len(answer) != batch.num_rows or answer.type != stage.output:
            raise ValueError(f"expected {batch.num_rows} x {stage.output}, got {len(answer)} x {answer.type}")
        yield start, answer
        return
    except SwarmfeedError:
        raise
    except Exception as error:
        if batch.num_rows <= 1:
            yield start, f"{type(error).__name__} in stage {stage.name}"
            return
    half = batch.num_rows // 2
    yield from _isolate(stage, batch.slice(0, half), start)
    yield from _isolate(stage, batch.slice(half), start + half)
