"""Read a swarm file, and hold what it names to what there is: members, languages, domains, topics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from filters import language_lid, language_model
from filters.language_names import ONE_LANGUAGE, UNKNOWN, bcp47
from pipelines.settings import read_settings
from schemas.errors import ConfigError, nearest
from schemas.swarm import Member, Swarm


def load_swarm(file: Path) -> Swarm:
    """Read a YAML or JSON swarm file; raise ConfigError naming the key and the file."""
    where = f"swarm {file}"
    return Swarm.parse(read_settings(file, where), where)


def find_members(swarm: Swarm, names: Sequence[str] = ()) -> dict[str, Member]:
    """Return the members of some names, all without names; raise ConfigError naming the nearest for others."""
    for name in names:
        if name not in swarm.members:
            raise ConfigError(f"member {name!r}: no such member: {nearest(name, swarm.members)}")
    return {name: swarm.members[name] for name in names or swarm.members}


def check_named(name: str, member: Member, there: Mapping[str, Collection[str]]) -> None:
    """Raise ConfigError for a language, domain or topic that cannot be, naming the nearest that can.

    `there` are the languages, domains and topics of the posts. A language that can be told needs no post.
    """
    legal = {**{what: set(names) for what, names in there.items()}}
    _check(f"members.{name}.domains", "domain", member.domains, legal["domains"])
    wanted = {"languages": list(member.languages)}
    if member.mix:
        wanted.setdefault(f"{member.mix.by}s", []).extend(member.mix.shares)
    for what, names in wanted.items():
        found = legal[what]
        if what == "languages" and not set(names) <= found:
            found = found | known_languages()
        _check(f"members.{name}", what.removesuffix("s"), names, found)


def _check(where: str, what: str, names: Iterable[str], legal: Collection[str]) -> None:
    for one in names:
        if one not in legal:
            raise ConfigError(f"{where}: no {what} {one!r}: {nearest(one, legal)}")


def known_languages() -> set[str]:
    """Return every language that the stage of that name can tell."""
    ours = language_model.load(language_model.read_weights(language_model.SHIPPED)).languages
    return {*ours, *map(bcp47, language_lid.names()), *ONE_LANGUAGE.values(), UNKNOWN}
