"""One bounded step over posts: annotate, find duplicates, decide, write. A batch run is one; a stream is many.

    stage       executors read their part, run the record stages over it, stage the result as an Arrow file
    duplicates  executors compare keys, then records, off the staged files and the index (pipelines.duplicates)
    decide      executors take a staged part and what it duplicates, give the verdict, write tables and tokens
    index       what later epochs must know is merged into what the index holds (pipelines.index)

Nothing a step writes can be seen until its record is published (see pipelines.ledger).
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from filters.authorship import FEWEST_POSTS
from filters.stage import Stage
from pipelines.authors import Weighing, find_evidence, model_of
from pipelines.deciding import DecidedPart, DecisionPlan, decide_part
from pipelines.deletions import learn_events
from pipelines.duplicates import Expiry, Findings, Search, addresses_for, find_duplicates
from pipelines.duplicates.history import NoHistory, RunFile
from pipelines.duplicates.records import Numbering, StagedRecords
from pipelines.exchange import ANSWER, Run, answer, collect, give_back, in_this_process, on_executors, read_box
from pipelines.index import STAGED, Index, Learnt
from pipelines.sources import Records
from pipelines.staging import StagedPart, Workplan, stage_part
from pipelines.tokens.tokenizer import Tokenizer
from schemas.config import Config
from schemas.errors import RunError
from schemas.post import POST, QUARANTINE, TOMBSTONE

SAMPLE = "@you Caf&#233; &amp; cake: call +44 20 7946 0018 or mail a@b.example, see https://x.example #now"

PHASES = ("annotate", "duplicates", "decide", "index")

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
    index: Index
    root: Path
    staging: Path
    phase: Callable[[str], None] = lambda name: None  # told what the step is at: see PHASES

    @property
    def run(self) -> Run:
        """Return what does tasks on the executors."""
        return on_executors(self.spark)


@dataclass
class StepResult:
    """What a step did, part by part, and how long each part of it took in seconds."""

    epoch: int
    token_set: str
    staged: list[StagedPart] = field(default_factory=list)
    decided: list[DecidedPart] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    index: dict[str, Any] | None = None  # the change it makes to the duplicate index


def step(intake: Intake, shop: Workshop, epoch: int, token_set: str) -> StepResult:
    """Take the whole input of one epoch through every stage; `token_set` is its folder below the output folder.

    Raises RunError when more rows than the error budget allows made a stage fail.
    """
    result = StepResult(epoch, token_set)
    started = time.monotonic()
    shop.phase("annotate")
    result.staged = stage_posts(intake, shop, epoch)
    _check_budget(result.staged, shop.config.error_budget)
    result.seconds["annotate"] = time.monotonic() - started
    (shop.staging / token_set).mkdir(parents=True, exist_ok=True)
    finish(result, shop)
    return result


def finish(result: StepResult, shop: Workshop) -> None:
    """Compare the staged posts, decide them, and plan what the index learns."""
    if any(part.posts for part in result.staged):
        _compare_and_decide(result, shop)
    else:
        expiry = Expiry.of(shop.index.days, shop.config.duplicates.horizon_days)
        learnt = Learnt(result.epoch, shop.index.days, expiry, _learn_events(result, shop))
        result.index = shop.index.plan(shop.run, learnt, shop.staging)


def _compare_and_decide(result: StepResult, shop: Workshop) -> None:
    started = time.monotonic()
    shop.phase("duplicates")
    search = lay_out_search(result, shop, shop.spark.sparkContext.defaultParallelism)
    findings = find_duplicates(shop.run, search)
    authors = tuple(part.authors for part in result.staged if part.file)
    evidence = find_evidence(shop.run, Weighing(search, authors, model_of(shop.stages)))
    events = _learn_events(result, shop)
    compared = time.monotonic()
    shop.phase("decide")
    result.decided = _decide((findings, evidence), events, result, (search, shop))
    decided = time.monotonic()
    shop.phase("index")
    days = {day: posts for day, posts in _days(result, shop).items() if search.expiry.holds(np.array(day))}
    records = [part.records for part in result.decided if part.records is not None]
    learnt = Learnt(result.epoch, days, search.expiry, (*findings.entries, *records, *findings.copies, *events))
    result.index = shop.index.plan(shop.run, learnt, shop.staging)
    indexed = time.monotonic()
    result.seconds |= {"duplicates": compared - started, "decide": decided - compared, "index": indexed - decided}


def warm_up(shop: Workshop) -> None:
    """Start a Python worker per core and load what it will need; kernels compile on a machine's first run.

    It is part of starting up: the clock of a run begins when its workers are ready.
    """
    rehearsal = partial(rehearse, shop.stages, shop.tokenizer, shop.config)
    shop.run(shop.spark.sparkContext.defaultParallelism, lambda _: rehearsal())


def rehearse(stages: tuple[Stage, ...], tokenizer: Tokenizer, config: Config) -> None:
    """Take a few posts through a whole step, here and for nothing: what it loads is loaded then."""
    with tempfile.TemporaryDirectory(prefix="swarmfeed-") as folder:
        search, authors = rehearse_search(stages, config, folder)
        said = read_box(find_duplicates(in_this_process, search).decisions, 0)
        evidence = find_evidence(in_this_process, Weighing(search, (authors,), model_of(stages)))
        plan = DecisionPlan(stages, tokenizer, folder, folder, config.tokens.shard_tokens, search, evidence=evidence)
        decide_part(0, 0, said, plan)


def rehearse_search(stages: tuple[Stage, ...], config: Config, folder: str) -> tuple[Search, str]:
    """Stage a few posts of one author, copies of each other, lay out the search over them; return also the author."""
    texts = [SAMPLE + " again", *[SAMPLE] * FEWEST_POSTS]
    rows = [{"id": str(at), "author_id": "0", "text": text} for at, text in enumerate(texts)]
    nothing = [pa.RecordBatch.from_pylist([], schema=schema) for schema in (TOMBSTONE, QUARANTINE)]
    records = Records(pa.RecordBatch.from_pylist(rows, schema=POST), *nothing)
    staged = stage_part(0, "", [records], Workplan(stages[:-1], folder))
    search = Search(
        staged=StagedRecords((staged.file,), Numbering.of([0], [staged.posts])),
        keys=(staged.keys,),
        history=NoHistory(),
        config=config.duplicates,
        expiry=Expiry.of(staged.days, config.duplicates.horizon_days),
        addresses=1,
        folder=folder,
        index_folder=folder,
    )
    return search, staged.authors


def stage_posts(intake: Intake, shop: Workshop, epoch: int) -> list[StagedPart]:
    """Read and annotate the whole input; return what became of each part, in order."""
    plan = Workplan(shop.stages[:-1], str(shop.staging), epoch)
    parts = intake.parts

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, origin, records in parts(batches):
            yield answer(number, stage_part(number, origin, records, plan))
        give_back()

    return collect(intake.frame.mapInArrow(work, ANSWER))


def _check_budget(staged: list[StagedPart], budget: float) -> None:
    failed = sum(part.stage_failures for part in staged)
    rows = failed + sum(part.posts for part in staged)
    if failed > budget * rows:
        raise RunError(
            f"stages failed on {failed} of {rows} posts, more than error_budget = {budget:g} allows: "
            "this looks like a bug or a broken model, not bad data; nothing was written"
        )


def lay_out_search(result: StepResult, shop: Workshop, cores: int) -> Search:
    """Lay out the search over the parts that have posts."""
    parts = [part for part in result.staged if part.file]
    posts = [part.posts for part in parts]
    return Search(
        staged=StagedRecords(tuple(part.file for part in parts), Numbering.of([result.epoch] * len(parts), posts)),
        keys=tuple(part.keys for part in parts),
        history=shop.index.history(),
        config=shop.config.duplicates,
        expiry=Expiry.of(_days(result, shop), shop.config.duplicates.horizon_days),
        addresses=addresses_for(sum(posts), cores),
        folder=str(shop.staging / "search"),
        index_folder=str(shop.staging / STAGED),
    )


def _days(result: StepResult, shop: Workshop) -> Counter[int]:
    """Count the posts of each day that the index holds and this epoch adds."""
    return sum((Counter(part.days) for part in result.staged), Counter(shop.index.days))


def _learn_events(result: StepResult, shop: Workshop) -> tuple[RunFile, ...]:
    """Write what the epoch's tombstones say for the index, and for whoever decides its posts."""
    tombstones = [str(shop.staging / part.tombstones) for part in result.staged if part.tombstones]
    return learn_events(shop.run, tombstones, str(shop.staging / STAGED))


def _decide(
    found: tuple[Findings, tuple[str, ...]],
    events: tuple[RunFile, ...],
    result: StepResult,
    work: tuple[Search, Workshop],
) -> list[DecidedPart]:
    """Decide every part that has posts by what was found of them and of their authors."""
    (findings, evidence), (search, shop) = found, work
    numbers = [part.part for part in result.staged if part.file]
    plan = DecisionPlan(
        stages=shop.stages,
        tokenizer=shop.tokenizer,
        staging=str(shop.staging),
        token_set=str(shop.staging / result.token_set),
        shard_tokens=shop.config.tokens.shard_tokens,
        search=search,
        events=events,
        edits=findings.edits,
        evidence=evidence,
    )
    return shop.run(len(numbers), lambda box: decide_part(box, numbers[box], read_box(findings.decisions, box), plan))
