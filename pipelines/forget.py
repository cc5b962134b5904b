"""The command that forgets: does it where the folder is free, else asks whoever holds it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filters
from filters.stage import configure
from pipelines import failures, session, tables
from pipelines.exchange import on_executors
from pipelines.index import open_index
from pipelines.index.rebuild import catch_up
from pipelines.ledger import claim, is_held
from pipelines.tables import newest_epoch
from pipelines.upkeep import Upkeep, requests
from pipelines.upkeep.forgetting import Forgotten, forget
from pipelines.upkeep.requests import Request
from schemas.config import Config
from schemas.errors import ConfigError

LOOK_SECONDS = 0.5  # for the answer of whoever holds the folder


@dataclass(frozen=True)
class ForgetOrder:
    """What was asked for: the folder, what must go there (nothing: what is open), whether to wait for another."""

    out: Path
    request: Request = field(default_factory=Request)
    config: Config = field(default_factory=Config)
    wait: bool = True


def run(order: ForgetOrder) -> dict[str, Any]:
    """Take out of a folder what was asked for and what is open, and return what was done; `waiting` is true where
    whoever holds the folder has yet to do it.

    Raises ConfigError for a folder that no run has written, SetupError and RunError as `swarmfeed run` does.
    """
    out = order.out.absolute()
    if newest_epoch(out) is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    asks = bool(order.request.ids or order.request.authors)
    name = requests.leave(out, order.request) if asks else None
    while True:
        answer = requests.take_answer(out, name) if name else None
        if answer is not None:
            return {**answer, "waiting": False}
        if not is_held(out):
            done = _forget(out, order.config).to_dict()
            return {**done, **(requests.take_answer(out, name) or {} if name else {}), "waiting": False}
        if not order.wait or name is None:
            return {**Forgotten().to_dict(), "waiting": True}
        time.sleep(LOOK_SECONDS)


def _forget(out: Path, config: Config) -> Forgotten:
    """Hold the folder for one pass."""
    schemas = tables.table_schemas(configure(filters.STAGES, config.stages))
    index = open_index(out, config.duplicates)
    with failures.explained(), claim(out, schemas, index):
        tables.check_tables(out, schemas)
        upkeep = Upkeep(out, schemas, config, index, on_executors(session.start(config.spark)))
        catch_up(upkeep.run, index, out, config.duplicates)
        return forget(upkeep)
