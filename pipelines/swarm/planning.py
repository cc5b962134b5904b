"""What each member would get, in tokens by day, language and domain, before anything is written.

Days that the last version holds are told from its manifest. For the others documents are chosen as a publication would,
by the tokens that the default token set has of them where it is of the same tokenizer, else by an estimate.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from pipelines import failures, tables
from pipelines.exchange import Run, in_groups
from pipelines.index import STATE
from pipelines.swarm.candidates import Gathering
from pipelines.swarm.counts import gather_counts
from pipelines.swarm.days import name_of
from pipelines.swarm.publishing import TASK_POSTS, PublishOrder, gather, mix_of
from pipelines.swarm.selection import Figures
from pipelines.swarm.settings import find_members
from pipelines.swarm.survey import Looking, Outlook, Survey, survey
from pipelines.swarm.units import Making, Unit, count
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from schemas.errors import ConfigError

NAMES_SHOWN = 6  # languages or domains of a day


class Day(NamedTuple):
    """What a unit would give."""

    unit: Unit
    figures: Figures  # of the whole day
    there: bool  # the last version has it
    tokens: int
    documents: int


@dataclass(frozen=True)
class Planned:
    """What a member would get."""

    outlook: Outlook
    days: tuple[Day, ...]

    @property
    def window(self) -> list[Day]:
        """Return the days of the window."""
        return [day for day in self.days if not day.unit.replay]

    @property
    def tokens(self) -> int:
        """Return how many tokens, those of replayed days included."""
        return sum(day.tokens for day in self.days)

    @property
    def estimated(self) -> int:
        """Return how many of them are an estimate."""
        return sum(int(day.tokens * day.figures.estimated) for day in self.days if not day.there)

    @property
    def short(self) -> int:
        """Return by how much the budget is missed; less than a thousandth is the rest that no document fits in."""
        budget = self.outlook.member.budget_tokens or 0
        missed = budget - self.tokens
        return missed if missed > budget / 1000 else 0

    @property
    def mix(self) -> dict[str, Any]:
        """Return the mix, as a manifest says it."""
        return mix_of(self.outlook, [day.figures for day in self.window])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        days = {
            name_of(day.unit.day): {
                **vars(day.figures),
                "replay": day.unit.replay,
                "there": day.there,
                "tokens": day.tokens,
                "documents": day.documents,
            }
            for day in self.days
        }
        return {
            "problem": self.outlook.problem,
            "tokens": self.tokens,
            "estimated_tokens": self.estimated,
            "budget_tokens": self.outlook.member.budget_tokens,
            "short": self.short,
            "from": name_of(self.outlook.days.start),
            "to": name_of(self.outlook.days[-1]),
            "mix": self.mix,
            "days": days,
        }


def make_plan(order: PublishOrder) -> dict[str, Planned]:
    """Return what each member would get; the folder need not be free, and nothing in it changes.

    Raises ConfigError for a wrong call or swarm file. That a member has no posts, or another tokenizer than its last
    version, is said of it.
    """
    members = find_members(order.swarm, order.members)
    tokenizer = load_tokenizer(order.swarm.tokenizer)
    root = order.out.absolute()
    if tables.open_table(root, "posts") is None:
        raise ConfigError(f"{order.out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    scratch = root / STATE / f"plan-{uuid.uuid4().hex}"
    try:
        with failures.explained():
            run = order.start()
            found = survey(Looking(root, run, str(scratch), order.until), members, tokenizer)
            figures = _figures(root, run, found, tokenizer, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {name: _planned(outlook, figures) for name, outlook in found.outlooks.items()}


def _figures(root: Path, run: Run, found: Survey, tokenizer: Tokenizer, scratch: Path) -> dict[str, Figures]:
    """Choose the documents of the days that have to be made, and return what was counted, by member and key."""
    units = [unit for outlook in found.outlooks.values() for unit in _uncounted(outlook)]
    gathered = gather(root, run, found, units, Gathering(str(scratch), tokenizer, estimate=True))
    counts = gather_counts(root, run, str(scratch), tokenizer, sorted({unit.day for unit in units}))
    order = Making(tuple(units), gathered, tokenizer, {}, str(scratch), counts=counts)
    sizes = [found.of_day(unit) for unit in units]
    told = in_groups(run, sizes, TASK_POSTS, lambda task: count(order, task))
    return {f"{unit.name}/{unit.key}": one for unit, one in zip(units, told, strict=True)}


def _uncounted(outlook: Outlook) -> list[Unit]:
    """Return the units whose day's figures no manifest tells."""
    return [unit for unit in outlook.units if _there(outlook, unit) is None]


def _there(outlook: Outlook, unit: Unit) -> Figures | None:
    made = outlook.there.get(unit.key) or outlook.there.get(unit.whole_key)
    return made.figures if made is not None else None


def _planned(outlook: Outlook, figures: dict[str, Figures]) -> Planned:
    days = []
    for unit in outlook.units:
        one = _there(outlook, unit) or figures[f"{unit.name}/{unit.key}"]
        made = outlook.there.get(unit.key)
        share = _share(unit, one)
        tokens = made.tokens if made else int(one.taken * share)
        days.append(Day(unit, one, made is not None, tokens, round(one.documents * share)))
    return Planned(outlook, tuple(days))


def _share(unit: Unit, figures: Figures) -> float:
    """Return what part of its day a unit gives: of one that comes back whole sequences, full ones as a rule."""
    if not unit.replay:
        return 1.0
    context = unit.member.context_tokens
    sequences = int(figures.taken * unit.member.replay_part / context)
    return sequences * context / max(1, figures.taken)


def print_plan(plan: dict[str, Planned], console: Console) -> None:
    """Print a table of days for each member, and below it what cannot be met and what mix comes out."""
    for name, planned in plan.items():
        console.print(_table(name, planned))
        for line in notes(name, planned):
            console.print(line, markup=False, soft_wrap=True)
        console.print()


def _table(name: str, planned: Planned) -> Table:
    outlook = planned.outlook
    span = f"{name_of(outlook.days.start)} to {name_of(outlook.days[-1])}"
    table = Table(title=f"{name}: {span}, {planned.tokens:,} tokens", title_justify="left", title_style="bold")
    table.add_column("day")
    for head in ("tokens", "documents", "there were"):
        table.add_column(head, justify="right")
    table.add_column("languages")
    table.add_column("domains")
    for day in planned.days:
        mark = " again" if day.unit.replay else " kept" if day.there else ""
        about = "~" if day.figures.estimated and not day.there else ""
        row = [f"{name_of(day.unit.day)}{mark}", f"{about}{day.tokens:,}", f"{day.documents:,}"]
        of_day = day.figures
        table.add_row(*row, f"{of_day.available:,}", _parts(of_day.languages), _parts(of_day.domains))
    return table


def _parts(sums: dict[str, int]) -> str:
    """Say the largest parts of a day's tokens.

    >>> _parts({"en": 900, "fi": 90, "und": 10, "xx": 0})
    'en 900, fi 90, und 10'
    """
    largest = sorted(((tokens, name) for name, tokens in sums.items() if tokens), key=lambda one: (-one[0], one[1]))
    said = [f"{name} {tokens:,}" for tokens, name in largest[:NAMES_SHOWN]]
    rest = sum(tokens for tokens, _ in largest[NAMES_SHOWN:])
    return ", ".join([*said, f"others {rest:,}"] if rest else said)


def notes(name: str, planned: Planned) -> Sequence[str]:
    """Say what speaks against a member's version, or of it."""
    said = [planned.outlook.problem] if planned.outlook.problem else []
    budget = planned.outlook.member.budget_tokens
    if planned.short:
        said.append(
            f"{name}: the budget of {budget:,} tokens cannot be met: {planned.short:,} are missing ({_why(planned)})"
        )
    if planned.estimated:
        said.append(f"{name}: {planned.estimated:,} tokens (~) are estimated from bytes, the others were counted")
    mix = planned.mix
    if mix:
        names = sorted({*mix["asked"], *mix["achieved"]}, key=lambda one: (-mix["asked"].get(one, 0), one))
        parts = [f"{one} {mix['achieved'].get(one, 0):.1%} of {mix['asked'].get(one, 0):.1%}" for one in names]
        said.append(f"{name}: the mix by {mix['by']}, achieved of asked: {', '.join(parts)}")
    return said


def _why(planned: Planned) -> str:
    """Say what the days lack."""
    window = [day.figures for day in planned.window]
    absent = len(planned.outlook.days) - len(window)
    quota = planned.outlook.member.day_tokens or 0
    thin = sum(one.available < quota for one in window)
    capped = sum(one.available >= quota and one.taken < 0.999 * quota for one in window)
    parts = [f"{absent} days without posts"] * bool(absent) + [f"{thin} days with less than their part"] * bool(thin)
    parts += [f"{capped} days bound by caps or the mix"] * bool(capped)
    most = planned.outlook.member.caps.day
    lowered = isinstance(most, float) and most * planned.outlook.member.window.length < planned.outlook.member.new_share
    parts += ["caps.day allows less than an even part"] * lowered
    return ", ".join(parts) or "replayed days have less than their part"
