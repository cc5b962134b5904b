"""One bounded step over posts: annotate, find duplicates, decide, write. A batch run is one; a stream is many.

    stage      executors read their part, run the record stages over it, write a staged Parquet file
    decide     executors compare keys and sketches, read by column from the staged files (pipelines.duplicates), then
               take a staged part and what it duplicates, give the verdict, write tables and tokens

Nothing a step writes can be seen until its record is published (see pipelines.ledger).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from filters.stage import Stage, annotate
from pipelines.deciding import DecidedPart, DecisionPlan, decide_part
from pipelines.deletions import find_deleted
from pipelines.duplicates import DECISION, Corpus, PartFile, find_duplicates, history, stretches
from pipelines.exchange import delivered, post, routed
from pipelines.sources import Records
from pipelines.staging import StagedPart, Workplan, stage_part
from pipelines.tables import table_files
from pipelines.tokens.tokenizer import Tokenizer
from schemas.config import Config
from schemas.errors import RunError
from schemas.post import POST

SAMPLE = "@you Caf&#233; &amp; cake: call +44 20 7946 0018 or mail a@b.example, see https://x.example #now"

Part = tuple[int, str, Iterator[Records]]  # number, origin, what it yields


@dataclass(frozen=True)
class Intake:
    """The raw input of a step: a frame whose partitions `parts` turns, on executors, into numbered parts."""

    frame: DataFrame
    parts: Callable[[Iterator[pa.RecordBatch]], Iterator[Part]]


@dataclass(frozen=True)
class Workshop:
    """What a step works with; `stages` ends with the verdict, `staging` mirrors `root`."""

    spark: SparkSession
    config: Config
    stages: tuple[Stage, ...]
    tokenizer: Tokenizer
    root: Path
    staging: Path


@dataclass
class StepResult:
    """What a step did, part by part, and how long each half took in seconds."""

    epoch: int
    token_set: str
    staged: list[StagedPart] = field(default_factory=list)
    decided: list[DecidedPart] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def step(intake: Intake, shop: Workshop, epoch: int, token_set: str) -> StepResult:
    """Take the whole input of one epoch through every stage; `token_set` is its folder below the output folder.

    Raises RunError when more rows than the error budget allows made a stage fail.
    """
    result = StepResult(epoch, token_set)
    started = time.monotonic()
    result.staged = _stage(intake, shop)
    _check_budget(result.staged, shop.config.error_budget)
    result.seconds["stage"] = time.monotonic() - started
    (shop.staging / token_set).mkdir(parents=True, exist_ok=True)
    if any(part.posts for part in result.staged):
        started = time.monotonic()
        result.decided = _decide(_compare(result.staged, shop, epoch), result, shop)
        result.seconds["decide"] = time.monotonic() - started
    return result


def warm_up(shop: Workshop) -> None:
    """Start a Python worker per core and load what it will need; kernels compile on a machine's first run.

    It is part of starting up: the clock of a run begins when its workers are ready.
    """
    stages, tokenizer = shop.stages[:-1], shop.tokenizer
    sample = pa.RecordBatch.from_pylist([{"id": "0", "text": SAMPLE}], schema=POST)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        annotate(sample, stages)
        tokenizer.encode(pa.array([SAMPLE]))
        yield from batches

    cores = shop.spark.sparkContext.defaultParallelism
    shop.spark.range(0, cores, 1, cores).mapInArrow(work, "id long").collect()


def _stage(intake: Intake, shop: Workshop) -> list[StagedPart]:
    plan = Workplan(shop.stages[:-1], str(shop.staging))
    parts = intake.parts

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, origin, records in parts(batches):
            yield pa.RecordBatch.from_pydict({"summary": [stage_part(number, origin, records, plan).to_json()]})

    rows = intake.frame.mapInArrow(work, "summary string").collect()
    return sorted((StagedPart.from_json(row.summary) for row in rows), key=lambda part: part.part)


def _check_budget(staged: list[StagedPart], budget: float) -> None:
    failed = sum(part.stage_failures for part in staged)
    rows = failed + sum(part.posts for part in staged)
    if failed > budget * rows:
        raise RunError(
            f"stages failed on {failed} of {rows} posts, more than error_budget = {budget:g} allows: "
            "this looks like a bug or a broken model, not bad data; nothing was written"
        )


def _compare(staged: list[StagedPart], shop: Workshop, epoch: int) -> DataFrame:
    """Return mail for each staged part with what there is to say of its posts (see duplicates.DECISION)."""
    spark = shop.spark
    current = [PartFile(str(shop.staging / part.file), epoch, part.posts, True) for part in staged if part.file]
    times = [part.times for part in staged]
    corpus = Corpus(
        parts=(*current, *history(shop.root, times, shop.config.duplicates.horizon_days)),
        clock=stretches(times, spark.sparkContext.defaultParallelism * 2),
        config=shop.config.duplicates,
    )
    mail = find_duplicates(spark, corpus)
    tombstones = [str(shop.staging / part.tombstones) for part in staged if part.tombstones]
    tombstones += table_files(shop.root, "tombstones")
    if tombstones:
        mail = mail.union(find_deleted(spark, corpus, tombstones))
    nothing = DECISION.empty_table()  # a part of which nothing is said still has to be decided
    return mail.union(post(spark, len(current), lambda part: [(part, nothing)]))


def _decide(decisions: DataFrame, result: StepResult, shop: Workshop) -> list[DecidedPart]:
    files = [(part.part, part.file) for part in result.staged if part.file]
    plan = DecisionPlan(
        stages=shop.stages,
        tokenizer=shop.tokenizer,
        staging=str(shop.staging),
        token_set=str(shop.staging / result.token_set),
        shard_tokens=shop.config.tokens.shard_tokens,
        epoch=result.epoch,
    )

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for address, said in delivered(batches):
            number, file = files[address]
            yield pa.RecordBatch.from_pydict({"summary": [decide_part(number, file, said, plan).to_json()]})

    rows = routed(decisions, len(files)).mapInArrow(work, "summary string").collect()
    return sorted((DecidedPart.from_json(row.summary) for row in rows), key=lambda part: part.part)
