"""Read a swarm file, and hold what it names to what there is: members, languages, domains, topics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
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
    shares = member.mix.shares if member.mix else ()
    places = [("languages", member.languages, "languages"), ("domains", member.domains, "domains")]
    places += [("mix.shares", tuple(shares), f"{member.mix.by}s")] if member.mix else []
    for key, words, what in places:
        found = set(there[what])
        if what == "languages" and not set(words) <= found:
            _check(f"members.{name}.{key}", "language", words, (found, known_languages()))
        else:
            _check(f"members.{name}.{key}", what.removesuffix("s"), words, (found, found))


def _check(where: str, what: str, words: Iterable[str], legal: tuple[Collection[str], Collection[str]]) -> None:
    """Raise ConfigError for a word that is in neither of the two; of the first the nearest is named, if any is near."""
    there, possible = legal
    for one in words:
        if one not in there and one not in possible:
            close = get_close_matches(one, sorted(there), n=1)
            raise ConfigError(f"{where}: no {what} {one!r}: {nearest(one, close or possible)}")


def known_languages() -> set[str]:
    """Return every language that the stage of that name can tell."""
    ours = language_model.load(language_model.read_weights(language_model.SHIPPED)).languages
    return {*ours, *map(bcp47, language_lid.names()), *ONE_LANGUAGE.values(), UNKNOWN}
