"""Take a member out to be trained, and say who is due and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines import failures, tables
from pipelines.exchange import Run
from pipelines.ledger import claim
from pipelines.swarm.days import name_of, newest_day, window
from pipelines.swarm.inputs import look
from pipelines.swarm.publishing import PublishOrder, Workplace, forget_first, open_workplace, publish_all
from pipelines.swarm.rota import Rota, Turn, hold_rota, read_rota, until, write_rota
from pipelines.swarm.seen import Trained, remember_posts, trained_on_forgotten
from pipelines.swarm.settings import find_members
from pipelines.swarm.survey import Looking, survey
from pipelines.tables import open_table
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep.receipts import next_number, open_key
from schemas.errors import ConfigError, RunError

NEXT = "next"  # whoever is due first


@dataclass(frozen=True)
class Due:
    """Where a member stands in the rota."""

    member: str
    due: bool
    why: str
    last_day: str | None  # of the window it was last trained on
    version: str | None
    forgotten: int  # posts that were forgotten since, and that it was trained on
    out: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return dict(vars(self))


def list_due(order: PublishOrder) -> list[Due]:
    """Return every member of the swarm, who is due first: the oldest window, then what was forgotten."""
    root = order.out.absolute()
    newest = _newest(root, order)
    return rank(order, read_rota(root), trained_on_forgotten(root, read_rota(root)), newest)


def rank(order: PublishOrder, rota: Rota, forgotten: list[Trained], newest: int) -> list[Due]:
    """Put members in the order in which they are due."""
    pending = {one.member: one.pending for one in forgotten}
    out = rota.out(datetime.now(UTC))
    found = []
    for name, member in find_members(order.swarm).items():
        turn, posts = rota.last(name), pending.get(name, 0)
        end = name_of(window(member, newest)[-1])
        why = _why(turn, end, posts)
        if name in out:
            why = f"out since {out[name].taken}, until {out[name].until}"
        elif turn is not None and turn.done is None:
            why = f"out since {turn.taken}, its lease ran out at {turn.until}; {why}"
        behind = turn is None or turn.last_day < end
        due = name not in out and (behind or posts > 0)
        last = turn.last_day if turn else None
        found.append(Due(name, due, why, last, turn.version if turn else None, posts, name in out))
    return sorted(found, key=lambda one: (not one.due, one.last_day or "", -one.forgotten, one.member))


def _why(turn: Turn | None, end: str, posts: int) -> str:
    if turn is None:
        return "never trained"
    reasons = [f"trained up to {turn.last_day}, there is more up to {end}"] if turn.last_day < end else []
    reasons += [f"{posts:,} posts it was trained on were forgotten"] if posts else []
    return "; ".join(reasons) or f"up to date: trained up to {turn.last_day}"


def _newest(root: Path, order: PublishOrder) -> int:
    """Return the newest day of the data; Spark starts only where files were not read before."""
    table = open_table(root, "posts")
    if table is None:
        raise ConfigError(f"{order.out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    if order.until is not None:
        return order.until
    newest = newest_day(look(root, table.version(), _when_needed(order)).posts)
    if newest is None:
        raise ConfigError(f"{order.out}: none of its kept posts has a time: there is no day for a window")
    return newest


def _when_needed(order: PublishOrder) -> Run:
    """Return what starts Spark for the first task."""

    def run(count: int, work: Any, even: bool = False) -> list[Any]:
        return order.start()(count, work, even) if count else []

    return run


def take(order: PublishOrder, name: str) -> dict[str, Any]:
    """Publish a member's set, mark it out for the lease and remember what is in it; return what it is to read.

    `next` takes whoever is due first. Raises ConfigError while a member is out, where none is due, and as publishing
    does; RunError when it failed. In each case nobody is out who was not before.
    """
    if name != NEXT:
        find_members(order.swarm, (name,))
    tokenizer = load_tokenizer(order.swarm.tokenizer)
    root, stages, schemas, index = open_workplace(order.out, order.config)
    with failures.explained(), claim(root, schemas, index) as staging, hold_rota(root):
        tables.check_tables(root, schemas)
        _refuse_second(root, name)
        run = order.start()
        place = Workplace(root, staging, run, order.config, stages, schemas, index, order.swarm.keep_versions)
        forget_first(place)
        chosen = _chosen(root, order, name)
        members = find_members(order.swarm, (chosen,))
        found = survey(Looking(root, run, place.scratch, order.until), members, tokenizer)
        told = publish_all(place, found, tokenizer)[chosen]
        end = name_of(found.outlooks[chosen].days[-1])
        turn = _mark_out(place, chosen, order.swarm.lease_hours, end)
    folder = f"{sets.SETS}/{chosen}/{turn.version}"
    return {"member": chosen, "folder": folder, "until": turn.until, **told}


def _refuse_second(root: Path, name: str) -> None:
    """Raise ConfigError while any member is out: before anything is built for nothing."""
    read_rota(root).refuse_second(name, datetime.now(UTC))


def _chosen(root: Path, order: PublishOrder, name: str) -> str:
    if name != NEXT:
        return name
    rota = read_rota(root)
    first = rank(order, rota, trained_on_forgotten(root, rota), _newest(root, order))[0]
    if not first.due:
        raise ConfigError(f"no member is due; {first.member} is {first.why}")
    return first.member


def _mark_out(place: Workplace, name: str, lease_hours: float, end: str) -> Turn:
    manifest = next(reversed(sets.current(place.root, name)), None)
    if manifest is None:
        raise RunError(f"member {name}: no version was published")
    remember_posts(place.root, manifest, open_key(place.root), place.run)
    now = datetime.now(UTC)
    turn = Turn(
        version=manifest.version,
        taken=now.isoformat(timespec="seconds"),
        until=until(now, lease_hours),
        last_day=end,
        receipt=next_number(place.root) - 1,
        shards=tuple(shard.sha256 for shard in manifest.shards),
    )
    write_rota(place.root, read_rota(place.root).take(name, turn))
    return turn


def retrain(out: Path) -> list[Trained]:
    """Return the members that were trained on posts that were forgotten, most posts first."""
    root = out.absolute()
    if open_table(root, "posts") is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    return trained_on_forgotten(root, read_rota(root))


def trained_words(one: Trained) -> str:
    """Say of a member what it was trained on."""
    versions = ", ".join(one.versions)
    state = f"{one.pending:,} since its last turn: retrain it" if one.pending else "none since its last turn"
    return f"{one.member}: trained on {one.posts:,} posts that were forgotten ({versions}); {state}"


def print_due(listed: list[Due], console: Console) -> None:
    """Print a line for each member, who is due first."""
    table = Table(box=None, pad_edge=False)
    for head in ("member", "due", "last version", "why"):
        table.add_column(head)
    for one in listed:
        table.add_row(one.member, "yes" if one.due else "out" if one.out else "no", one.version or "-", one.why)
    console.print(table)
