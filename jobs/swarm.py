"""The commands of the swarm: plan what members would get, publish their token sets, keep the rota."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from jobs.command import AsJson, Debug, Folder, Master, app, notes, print_json, read_config, say
from schemas.errors import ConfigError

SwarmFile = Annotated[Path, typer.Option("--swarm", metavar="FILE", help="The swarm file: members and what they read.")]
Members = Annotated[list[str], typer.Option("--member", metavar="NAME", help="Only this member; repeatable.")]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="Last day of rolling windows; the data's newest if unset.")
]


@app.command()
def plan(
    out: Folder,
    swarm: SwarmFile,
    members: Members = [],  # noqa: B006 (typer copies it)
    until: Until = None,
    master: Master = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what each member would get, in tokens by day, language and domain, and what cannot be met."""
    from pipelines.swarm.planning import make_plan, print_plan

    order = _order(out, swarm, members, until, master)
    with notes.status(f"counting posts of {out}"):
        planned = make_plan(order)
    if as_json:
        print_json({name: one.to_dict() for name, one in planned.items()})
    else:
        print_plan(planned, Console(highlight=False))


@app.command()
def publish(
    out: Folder,
    swarm: SwarmFile,
    members: Members = [],  # noqa: B006
    until: Until = None,
    master: Master = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Publish the next version of each member's token set: days that changed are made, all others are linked."""
    from pipelines.swarm.publishing import run_publish

    order = _order(out, swarm, members, until, master)
    with notes.status(f"publishing from {out}"):
        done = run_publish(order)
    if as_json:
        print_json(done)
        return
    for name, one in done["members"].items():
        _say_published(name, one)


@app.command()
def rota(
    out: Folder,
    swarm: Annotated[Path | None, typer.Option("--swarm", metavar="FILE", help="The swarm file.")] = None,
    take: Annotated[
        str | None, typer.Option("--take", metavar="MEMBER", help="Build its set and mark it out; `next`: who is due.")
    ] = None,
    done: Annotated[str | None, typer.Option("--done", metavar="MEMBER", help="Mark it back.")] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Who was trained on posts that were forgotten.")] = False,
    until: Until = None,
    master: Master = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say which member is due and why; take one out to be trained, mark it back; never two at once."""
    if done is not None:
        _mark_back(out, done, as_json)
    elif retrain:
        _name_retrained(out, as_json)
    elif swarm is None:
        raise ConfigError("--swarm: expected the swarm file; only --done and --retrain go without")
    elif take is not None:
        _take(_order(out, swarm, [], until, master), take, as_json)
    else:
        _list(_order(out, swarm, [], until, master), as_json)


def _mark_back(out: Path, name: str, as_json: bool) -> None:
    from pipelines.swarm.rota import mark_done

    turn = mark_done(out, name)
    _tell(vars(turn), as_json, f"{name} is back with {turn.version}")


def _name_retrained(out: Path, as_json: bool) -> None:
    from pipelines.swarm.taking import retrain, trained_words

    found = retrain(out)
    _tell([one.to_dict() for one in found], as_json, *map(trained_words, found))


def _take(order: Any, name: str, as_json: bool) -> None:
    from pipelines.swarm.taking import take

    with notes.status(f"publishing {name} from {order.out}"):
        given = take(order, name)
    where = f"{order.out}/{given['folder']}"
    _tell(given, as_json, f"{given['member']} is out until {given['until']} with {where}: {given['tokens']:,} tokens")


def _list(order: Any, as_json: bool) -> None:
    from pipelines.swarm.taking import list_due, print_due

    listed = list_due(order)
    if as_json:
        print_json([one.to_dict() for one in listed])
    else:
        print_due(listed, Console(highlight=False))


def _order(out: Path, swarm: Path, members: list[str], until: str | None, master: str | None) -> Any:
    from pipelines.remembered import remembered
    from pipelines.swarm.days import parse_until
    from pipelines.swarm.publishing import PublishOrder
    from pipelines.swarm.settings import load_swarm

    words = [f"spark.master={master}"] if master else []
    config = read_config(remembered(out), words)
    return PublishOrder(out, load_swarm(swarm), config, tuple(members), parse_until(until))


def _say_published(name: str, one: dict[str, Any]) -> None:
    what = (
        f"{one['tokens']:,} tokens in {one['sequences']:,} sequences ({one['fill']:.1%} full) of {one['days']:,} days"
    )
    made = f"{one['days_made']:,} of them made now" if one["new"] else "nothing changed, no new version"
    say(f"{name}: {one['version']}, {what}, {made}")
    if one["short"]:
        say(f"{name}: the budget of {one['budget_tokens']:,} tokens is missed by {one['short']:,}")


def _tell(data: Any, as_json: bool, *lines: str) -> None:
    if as_json:
        print_json(data)
        return
    for line in lines or ("nothing",):
        say(line)
