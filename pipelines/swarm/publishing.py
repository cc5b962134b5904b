"""Publish the next version of each member: link the days that are there, make those that changed, seal the list.

The folder is held for it, and deletions that are open are worked off first. All members' versions become visible in one
change, or none; a member whose days are those of its last version gets no new one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

import filters
from filters.stage import Stage, configure
from pipelines import failures, session, tables
from pipelines.exchange import Run, in_groups, on_executors
from pipelines.index import Index, open_index
from pipelines.index.rebuild import catch_up
from pipelines.ledger import Change, claim, publish
from pipelines.summary import config_hash, model_hashes
from pipelines.swarm.candidates import Gathered, Gathering, gather_posts
from pipelines.swarm.conversations import gather_conversations
from pipelines.swarm.days import name_of
from pipelines.swarm.inputs import keep
from pipelines.swarm.rota import read_rota
from pipelines.swarm.selection import Figures
from pipelines.swarm.settings import find_members
from pipelines.swarm.survey import Looking, Outlook, Survey, survey
from pipelines.swarm.units import Made, Making, Unit, Whole, make
from pipelines.tokens import sets
from pipelines.tokens.links import link_file
from pipelines.tokens.packed import Published, fill, finish_packed
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from pipelines.upkeep import Upkeep
from pipelines.upkeep.forgetting import forget, pending
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.swarm import Swarm
from schemas.tokens import Manifest

SCRATCH = "swarm"  # folder inside the staging folder
TASK_POSTS = 50_000  # of days that are made in one task


@dataclass(frozen=True)
class PublishOrder:
    """What was asked for: the folder, the swarm, which members (all without names), the last day that counts."""

    out: Path
    swarm: Swarm
    config: Config = field(default_factory=Config)
    members: tuple[str, ...] = ()
    until: int | None = None
    run: Run | None = None  # does the tasks, instead of Spark

    def start(self) -> Run:
        """Return what does the tasks; Spark starts for it."""
        return self.run or on_executors(session.start(self.config.spark))


@dataclass(frozen=True)
class Workplace:
    """What a held folder is worked on with; `staging` mirrors `root`."""

    root: Path
    staging: Path
    run: Run
    config: Config
    stages: tuple[Stage, ...]
    schemas: dict[str, pa.Schema]
    index: Index
    keep_versions: int

    @property
    def scratch(self) -> str:
        """Return the folder where tasks leave files for each other."""
        return str(self.staging / SCRATCH)


def open_workplace(out: Path, config: Config) -> tuple[Path, tuple[Stage, ...], dict[str, pa.Schema], Index]:
    """Return what `claim` needs of a folder; raise ConfigError where no run has written it."""
    root = out.absolute()
    if tables.open_table(root, "posts") is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    stages = configure(filters.STAGES, config.stages)
    return root, stages, tables.table_schemas(stages), open_index(root, config.duplicates)


def run_publish(order: PublishOrder) -> dict[str, Any]:
    """Publish what was asked for and return what became of each member.

    Raises ConfigError for a wrong call or swarm file, a member without posts or whose tokenizer changed, and where
    another run holds the folder; RunError when it failed. In each case no member has a new version.
    """
    began = time.monotonic()
    members = find_members(order.swarm, order.members)
    tokenizer = load_tokenizer(order.swarm.tokenizer)
    root, stages, schemas, index = open_workplace(order.out, order.config)
    with failures.explained(), claim(root, schemas, index) as staging:
        tables.check_tables(root, schemas)
        run = order.start()
        place = Workplace(root, staging, run, order.config, stages, schemas, index, order.swarm.keep_versions)
        forget_first(place)
        found = survey(Looking(root, run, place.scratch, order.until), members, tokenizer)
        told = publish_all(place, found, tokenizer)
    return {"members": told, "newest": name_of(found.newest), "seconds": round(time.monotonic() - began, 3)}


def forget_first(place: Workplace) -> None:
    """Take out of the folder what must go: no version may be made of it."""
    if any(pending(place.root).values()):
        upkeep = Upkeep(place.root, place.schemas, place.config, place.index, place.run)
        catch_up(upkeep.run, place.index, place.root, place.config.duplicates)
        forget(upkeep)


def publish_all(place: Workplace, found: Survey, tokenizer: Tokenizer) -> dict[str, Any]:
    """Make and publish the versions of a survey and return what became of each member."""
    for outlook in found.outlooks.values():
        if outlook.problem:
            raise ConfigError(outlook.problem)
    due = [outlook for outlook in found.outlooks.values() if not _same(outlook)]
    made = make_units(place, found, due, tokenizer)
    manifests = [_seal(place, found, outlook, made, tokenizer) for outlook in due]
    if manifests:
        folders = tuple(sets.folder_name(manifest) for manifest in manifests)
        gone = tuple(name for one in manifests for name in expired(place.root, one.member, place.keep_versions))
        change = Change({}, datetime.now(UTC), {}, folders=folders, gone=gone)
        publish(place.root, change, place.schemas, place.index)
    keep(place.root, found.inputs)
    new = {manifest.member: manifest for manifest in manifests}
    return {name: told_of(outlook, new.get(name)) for name, outlook in found.outlooks.items()}


def _same(outlook: Outlook) -> bool:
    """Tell whether a member's last version is what the next would be."""
    if outlook.last is None or outlook.missing or outlook.last.swarm != _settings(outlook):
        return False
    return outlook.there.keys() == {unit.key for unit in outlook.units} and len(outlook.last.days) == len(outlook.units)


def _settings(outlook: Outlook) -> dict[str, Any]:
    return outlook.member.model_dump(mode="json", by_alias=True)


def make_units(place: Workplace, found: Survey, due: Sequence[Outlook], tokenizer: Tokenizer) -> dict[str, Made]:
    """Write the shards of all days that are not there yet, and return these days by member and key."""
    units = [unit for outlook in due for unit in outlook.missing]
    wholes = {
        f"{outlook.name}/{made.key}": Whole(_paths(place.root, outlook, made), made.figures)
        for outlook in due
        for made in outlook.there.values()
        if not made.replay
    }
    folders = {outlook.name: _folder(place, outlook.name) for outlook in due}
    from_posts = [unit for unit in units if not (unit.replay and f"{unit.name}/{unit.whole_key}" in wholes)]
    scratch = place.scratch
    gathered = gather(place.root, place.run, found, from_posts, Gathering(scratch, tokenizer))
    order = Making(tuple(units), gathered, tokenizer, folders, scratch, wholes=wholes)
    sizes = [found.of_day(unit) for unit in units]
    made = in_groups(place.run, sizes, TASK_POSTS, lambda task: make(order, task))
    shutil.rmtree(scratch, ignore_errors=True)
    return {f"{unit.name}/{unit.key}": one for unit, one in zip(units, made, strict=True)}


def gather(root: Path, run: Run, found: Survey, units: Sequence[Unit], how: Gathering) -> dict[str, Gathered]:
    """Gather the documents that some units are chosen from, by recipe (see units.recipe).

    `how` says where to and what of; the days and members are those of the units.
    """
    by_recipe: dict[str, list[Unit]] = {}
    for unit in units:
        by_recipe.setdefault(unit.recipe, []).append(unit)
    gathered = {}
    for recipe, some in by_recipe.items():
        days = tuple(sorted({unit.day for unit in some}))
        members = tuple({unit.name: unit.member for unit in some}.values())
        order = replace(how, days=days, members=members)
        if recipe in found.told:
            gathered[recipe] = gather_conversations(run, found.inputs, root, found.told[recipe], order)
        else:
            files = found.inputs.of_days(days)
            paths = [str(root / "posts" / file) for file in files]
            gathered[recipe] = gather_posts(run, order, paths, [found.inputs.sizes[file] for file in files])
    return gathered


def _paths(root: Path, outlook: Outlook, made: Made) -> tuple[str, ...]:
    folder = root / sets.SETS / outlook.name / (outlook.last.version if outlook.last else "")
    return tuple(str(folder / one.shard.file) for one in made.shards)


def _folder(place: Workplace, name: str) -> str:
    folder = place.staging / sets.next_version(place.root, name)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _seal(place: Workplace, found: Survey, outlook: Outlook, made: dict[str, Made], tokenizer: Tokenizer) -> Manifest:
    """Link what is there, and write the manifest of a member's next version; raise ConfigError for one of nothing."""
    folder = Path(_folder(place, outlook.name))
    days: dict[str, Made] = {}
    for unit in outlook.units:
        one = made.get(f"{unit.name}/{unit.key}") or outlook.there[unit.key]
        if unit.key in outlook.there:
            for path in _paths(place.root, outlook, one):
                link_file(path, folder / Path(path).name)
        days[name_of(unit.day)] = one
    if not any(one.tokens for one in days.values()):
        raise ConfigError(
            f"member {outlook.name}: its filters leave nothing of the posts from {name_of(outlook.days.start)} to "
            f"{name_of(outlook.days[-1])}: see `swarmfeed plan`"
        )
    summaries = [summary for one in days.values() for summary in one.shards]
    published = Published(
        context_tokens=outlook.member.context_tokens,
        swarm=_settings(outlook),
        mix=mix_of(outlook, [one.figures for one in days.values() if not one.replay]),
        table_versions={"posts": found.inputs.version},
        days={day: one.to_dict() for day, one in days.items()},
    )
    return finish_packed(folder, summaries, _origin(place, tokenizer), published)


def expired(root: Path, name: str, keep_versions: int) -> list[str]:
    """Return the folders of a member's versions that go once a new one is there: not the last, not what is out."""
    out = read_rota(root).version_out(name)
    found = [one for one in sets.current(root, name) if out is None or out not in (one.version, one.sequences_of)]
    going = found[: max(0, len(found) + 1 - keep_versions)]
    return [sets.folder_name(one) for one in going]


def _origin(place: Workplace, tokenizer: Tokenizer) -> sets.Origin:
    """Say how the posts were curated: as the manifest of the newest epoch does."""
    newest = next(reversed(sets.current(place.root, "default")), None)
    if newest is not None:
        return sets.Origin(newest.config_hash, newest.models, tokenizer)
    return sets.Origin(config_hash(place.config, place.stages), model_hashes(place.stages), tokenizer)


def mix_of(outlook: Outlook, window: Sequence[Figures]) -> dict[str, Any]:
    """Say what shares the groups of the window have of its tokens, and were to have; empty where no mix is asked."""
    mix = outlook.member.mix
    if mix is None:
        return {}
    taken = sum(one.taken for one in window)
    weight = sum(one.quota or 0 for one in window if one.asked)
    groups: dict[str, int] = {}
    asked: dict[str, float] = {}
    for one in window:
        for name, tokens in one.groups.items():
            groups[name] = groups.get(name, 0) + tokens
        for name, share in one.asked.items():
            asked[name] = asked.get(name, 0.0) + share * (one.quota or 0) / max(1, weight)
    shares = {name: round(tokens / max(1, taken), 6) for name, tokens in sorted(groups.items())}
    return {"by": mix.by, "asked": {name: round(asked[name], 6) for name in sorted(asked)}, "achieved": shares}


def told_of(outlook: Outlook, manifest: Manifest | None) -> dict[str, Any]:
    """Return what became of a member, as plain data."""
    now = manifest or outlook.last
    if now is None:
        return {}
    budget = outlook.member.budget_tokens
    return {
        "version": now.version,
        "new": manifest is not None,
        "documents": now.documents,
        "tokens": now.tokens,
        "sequences": now.sequences,
        "fill": round(fill(now), 4),
        "days": len(outlook.units),
        "days_made": len(outlook.missing) if manifest is not None else 0,
        "budget_tokens": budget,
        "short": max(0, budget - now.tokens) if budget else 0,
        "mix": now.mix,
    }
