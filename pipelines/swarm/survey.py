"""What each member's next version would be made of: its days, which of them are there, what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.exchange import Run
from pipelines.swarm.conversations import Telling, Told, tell
from pipelines.swarm.days import name_of, newest_day, replayed, window
from pipelines.swarm.inputs import Inputs, look
from pipelines.swarm.settings import check_named
from pipelines.swarm.units import Made, Unit, recipe_of, unit_key
from pipelines.tables import open_table
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import Tokenizer
from schemas.errors import ConfigError
from schemas.swarm import Member
from schemas.tokens import Manifest


@dataclass(frozen=True)
class Outlook:
    """A member's next version: its units, those of them that the version before holds already, and that version."""

    name: str
    member: Member
    days: range  # of the window
    units: tuple[Unit, ...]  # by day; days without posts have none
    last: Manifest | None
    there: dict[str, Made] = field(default_factory=dict)  # by key
    problem: str | None = None  # why it cannot be made

    @property
    def missing(self) -> list[Unit]:
        """Return the units that have to be made."""
        return [unit for unit in self.units if unit.key not in self.there]


@dataclass(frozen=True)
class Survey:
    """The posts there are, and what members' next versions would be made of."""

    inputs: Inputs
    newest: int  # day the data's clock stands at, or the one asked for
    outlooks: dict[str, Outlook]
    told: dict[str, Told]  # what conversations there are, by recipe

    def of_day(self, unit: Unit) -> int:
        """Return how many posts, or conversations, a unit is chosen from."""
        found = self.told.get(unit.recipe, self.inputs)
        return found.posts[unit.day]


@dataclass(frozen=True)
class Looking:
    """Where to look, with what, where tasks may leave files for each other, and the last day that counts."""

    root: Path
    run: Run
    scratch: str
    until: int | None = None


def survey(at: Looking, members: Mapping[str, Member], tokenizer: Tokenizer) -> Survey:
    """Look at the posts and at what each member has; raise ConfigError for settings that name what is not there."""
    root, run, until = at.root, at.run, at.until
    table = open_table(root, "posts")
    if table is None:
        raise ConfigError(f"{root}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    inputs = look(root, table.version(), run)
    newest = until if until is not None else newest_day(inputs.posts)
    if newest is None:
        raise ConfigError(f"{root}: none of its kept posts has a time: there is no day for a window")
    named = {what: inputs.named(what) for what in ("languages", "domains", "topics")}
    for name, member in members.items():
        check_named(name, member, named)
    told = _told(at, members, newest)
    outlooks = {}
    for name, member in members.items():
        found = told.get(recipe_of(member), inputs)
        outlooks[name] = _outlook(root, (name, member), found, newest, tokenizer)
    return Survey(inputs, newest, outlooks, told)


def _told(at: Looking, members: Mapping[str, Member], newest: int) -> dict[str, Told]:
    """Build the conversations that members read, once for each recipe."""
    by_recipe: dict[str, list[Member]] = {}
    for member in members.values():
        if member.template != "post":
            by_recipe.setdefault(recipe_of(member), []).append(member)
    told = {}
    for recipe, some in by_recipe.items():
        spans = [range(*_span(member, newest)) for member in some]
        days = range(min(one.start for one in spans), max(one.stop for one in spans))
        told[recipe] = tell(at.root, at.run, Telling(some[0], days, newest), at.scratch)
    return told


def _span(member: Member, newest: int) -> tuple[int, int]:
    days = window(member, newest)
    return days.start - (member.replay.days if member.replay else 0), days.stop


def _outlook(
    root: Path, whose: tuple[str, Member], inputs: Inputs | Told, newest: int, tokenizer: Tokenizer
) -> Outlook:
    name, member = whose
    days = window(member, newest)
    units = [
        _unit(whose, day, replay, inputs, tokenizer.sha256)
        for some, replay in ((replayed(member, newest), True), (days, False))
        for day in some
        if inputs.posts.get(day)
    ]
    last = next(reversed(sets.current(root, name)), None)
    problem = _problem(name, last, tokenizer) or _no_posts(name, days, inputs)
    return Outlook(name, member, days, tuple(units), last, held(root, last), problem)


def _unit(whose: tuple[str, Member], day: int, replay: bool, inputs: Inputs | Told, tokenizer_sha256: str) -> Unit:
    about = (day, inputs.posts[day], inputs.digests[day])
    key, whole = (unit_key(whose[1], tokenizer_sha256, about, one) for one in (replay, False))
    return Unit(*whose, day, replay, key, whole)


def held(root: Path, manifest: Manifest | None) -> dict[str, Made]:
    """Return the units of a version by key: those whose shards are there, whole, and as they were made."""
    if manifest is None:
        return {}
    folder = root / sets.folder_name(manifest)
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    hashes = {shard.file: shard.sha256 for shard in manifest.shards}
    found = {}
    for data in manifest.days.values():
        try:
            made = Made.from_dict(data)
        except (KeyError, TypeError, ValueError):
            continue  # of another swarmfeed: it is made anew
        shards = [one.shard for one in made.shards]
        if all((hashes.get(one.file), sizes.get(one.file)) == (one.sha256, one.bytes) for one in shards):
            found[made.key] = made
    return found


def _problem(name: str, last: Manifest | None, tokenizer: Tokenizer) -> str | None:
    if last is None or last.tokenizer.sha256 == tokenizer.sha256:
        return None
    return (
        f"member {name}: its version {last.version} is of the tokenizer {last.tokenizer.name} "
        f"({last.tokenizer.sha256[:12]}), the swarm file names {tokenizer.name} ({tokenizer.sha256[:12]}): a model "
        f"cannot change its tokenizer; name the old one again, or give the member another name"
    )


def _no_posts(name: str, days: range, inputs: Inputs | Told) -> str | None:
    if any(inputs.posts.get(day) for day in days):
        return None
    last, first = newest_day(inputs.posts), newest_day({-day: posts for day, posts in inputs.posts.items()})
    there = "there are no posts"
    if last is not None and first is not None:
        there = f"posts are there from {name_of(-first)} to {name_of(last)}"
    return f"member {name}: no posts from {name_of(days.start)} to {name_of(days[-1])}; {there}"
