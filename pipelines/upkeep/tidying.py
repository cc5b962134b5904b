"""Tidy an output folder: put together what is small, delete what was replaced; beside a stream, or on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import filters
from filters.stage import configure
from pipelines import failures, session, tables
from pipelines.exchange import on_executors
from pipelines.index import open_index
from pipelines.ledger import claim
from pipelines.upkeep import Upkeep
from pipelines.upkeep.cleaning import clean
from pipelines.upkeep.compaction import compact
from schemas.config import Config
from schemas.errors import ConfigError


def tidy(upkeep: Upkeep, halt: Callable[[], bool] = lambda: False, at_once: int = 1) -> dict[str, int]:
    """Compact and clean; stop at the next safe point once `halt` says so. Return what was done, in counts."""
    compacted = compact(upkeep, halt, at_once)
    cleaned = clean(upkeep)
    return {**asdict(compacted), "files_deleted": cleaned.files, "versions_deleted": cleaned.versions}


def tidy_folder(out: Path, config: Config) -> dict[str, int]:
    """Tidy a folder that no run is writing to, with all cores.

    Raises ConfigError when it is no output folder or a run holds it.
    """
    out = out.absolute()
    schemas = tables.table_schemas(configure(filters.STAGES, {}))  # columns do not depend on settings
    if tables.open_table(out, "posts") is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    with failures.explained(), claim(out, schemas, index := open_index(out, config.duplicates)):
        tables.check_tables(out, schemas)
        spark = session.start(config.spark)
        upkeep = Upkeep(out, schemas, config, index, on_executors(spark))
        return tidy(upkeep, at_once=spark.sparkContext.defaultParallelism)
