"""The batch job: plan the input, take one step over it, publish tables, token set and report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filters
from filters.stage import configure
from pipelines import failures, report, session, summary, tables
from pipelines.index import open_index
from pipelines.index.rebuild import catch_up
from pipelines.intake import read_splits
from pipelines.ledger import Change, claim, publish
from pipelines.progress import Watch
from pipelines.remembered import remember
from pipelines.sources import Split, plan_splits
from pipelines.step import StepResult, Workshop, step, warm_up
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep import Upkeep
from pipelines.upkeep.forgetting import forget, pending
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.version import VERSION

MEMBER = "default"  # the token set of a run without a swarm file


@dataclass(frozen=True)
class Order:
    """What was asked for: the input files or folders, where the result goes, and the configuration."""

    inputs: tuple[str, ...]
    out: Path
    config: Config


def run(order: Order, watch: Watch | None = None) -> dict[str, Any]:
    """Curate the input into the output folder as its next epoch and return what report.json says.

    Raises ConfigError when the call is wrong or the input was curated into this folder before, SetupError when the
    machine lacks something, RunError when the run failed; in each case the folder shows what it showed before.
    """
    began = time.monotonic()
    config, out = order.config, order.out.absolute()  # executors have folders of their own
    stages = configure(filters.STAGES, config.stages)
    tokenizer = load_tokenizer(config.tokens.tokenizer)
    splits = plan_splits(order.inputs, config.input)
    _refuse_own_output(splits, out)
    schemas = tables.table_schemas(stages)
    with failures.explained(), claim(out, schemas, index := open_index(out, config.duplicates)) as staging:
        tables.check_tables(out, schemas)
        identity = input_identity(splits)
        epoch = next_epoch(out, identity)
        spark = session.start(config.spark)
        shop = Workshop(spark, config, stages, tokenizer, index, out, staging)
        with (watch or Watch()).over(spark):
            warm_up(shop)
            catch_up(shop.run, index, out, config.duplicates)
            started = time.monotonic()
            intake = read_splits(spark, [[split] for split in splits], config.input)
            result = step(intake, shop, epoch, sets.next_version(out, MEMBER))
        totals = summary.summarise(result, shop)
        remember(out, config)
        publish(out, _record(result, totals, identity), schemas, index)
        seconds = time.monotonic() - started
        if epoch and any(pending(out).values()):  # about earlier epochs; what is in this one has no text
            totals["forgotten"] = forget(Upkeep(out, schemas, config, index, shop.run)).to_dict()
    totals["seconds"] = round(seconds, 3)
    totals["startup_seconds"] = round(started - began, 3)
    totals["posts_per_second"] = round(totals["posts"]["read"] / seconds, 1)
    return report.write(out, totals)


def _refuse_own_output(splits: Sequence[Split], out: Path) -> None:
    for split in splits:
        if out.resolve() in Path(split.path).resolve().parents:
            raise ConfigError(f"--out {out}: {split.path} lies inside it; a run must not read what it writes")


def _record(result: StepResult, totals: dict[str, Any], identity: str) -> Change:
    return Change(
        transactions={tables.EPOCHS: result.epoch, _input_application(identity): result.epoch},
        at=datetime.now(UTC),
        metadata={
            "swarmfeed.epoch": str(result.epoch),
            "swarmfeed.input": identity,
            "swarmfeed.config": totals["config_hash"],
            "swarmfeed.version": VERSION,
        },
        files=tuple(file for part in (*result.staged, *result.decided) for file in part.files),
        folders=(result.token_set,) if totals["tokens"]["kept"] else (),
        index=result.index,
    )


def input_identity(splits: Sequence[Split]) -> str:
    """Return a digest of which files these are and whether they changed: path, size and time of change."""
    digest = hashlib.sha256()
    for path in sorted({split.path for split in splits}):
        status = Path(path).stat()
        digest.update(f"{Path(path).resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def next_epoch(out: Path, identity: str) -> int:
    """Return the number of the next epoch; raise ConfigError when this input is in the folder already."""
    posts = tables.open_table(out, "posts")
    if posts is None:
        return 0
    done = posts.transaction_version(_input_application(identity))
    if done is not None:
        raise ConfigError(
            f"--out {out}: this input was curated there already, as epoch {done}; choose another --out to curate it "
            "again"
        )
    newest = posts.transaction_version(tables.EPOCHS)
    return 0 if newest is None else newest + 1


def _input_application(identity: str) -> str:
    """Return the application whose one transaction is the epoch of an input: a log forgets all else it tells of it."""
    return f"{tables.EPOCHS}.input.{identity}"
