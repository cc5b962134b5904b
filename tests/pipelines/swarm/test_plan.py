"""A plan writes nothing, tells the tokens that a publication then has, and says what cannot be met."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from simulated import MEMBERS, asked, newest, publish, swarm

from pipelines.swarm.days import newest_day, parse_until, window
from pipelines.swarm.planning import Planned, make_plan, notes, print_plan
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.errors import ConfigError
from schemas.swarm import Swarm

Copy = Callable[..., Path]


def plan(out: Path, file: Swarm | None = None, until: str | None = None) -> dict[str, Planned]:
    return make_plan(asked(out, file, parse_until(until)))


def everything(root: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder, with its size and when it was changed."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}


def words(planned: dict[str, Planned]) -> str:
    sink = io.StringIO()
    print_plan(planned, Console(file=sink, width=200))
    return sink.getvalue()


def test_a_plan_tells_what_is_published_and_writes_nothing(folder: Copy) -> None:
    out = folder()
    before = everything(out / "posts") | everything(out / "sets")
    names = {path for path in everything(out) if "/.swarmfeed" not in path}
    planned = plan(out, until="2026-01-06")
    assert everything(out / "posts") | everything(out / "sets") == before
    assert {path for path in everything(out) if "/.swarmfeed" not in path} == names
    assert not list((out / ".swarmfeed").glob("plan-*"))
    publish(out, until=parse_until("2026-01-06"))
    for member in MEMBERS:
        manifest = newest(out, member)
        told = planned[member].to_dict()
        assert told["estimated_tokens"] == 0
        for day, one in manifest.days.items():
            chosen, said = one["chosen"], told["days"][day]
            assert all(chosen[name] == said[name] for name in ("taken", "available", "languages", "domains"))
            if not one["replay"]:
                assert (said["tokens"], said["documents"]) == (one["tokens"], chosen["documents"])
        assert told["mix"] == manifest.mix
        assert told["tokens"] == pytest.approx(manifest.tokens, rel=0.05)
    again = plan(out, until="2026-01-06")
    assert all(day.there for one in again.values() for day in one.days)
    assert {name: one.tokens for name, one in again.items()} == {name: newest(out, name).tokens for name in MEMBERS}


def test_another_tokenizer_is_estimated_and_said_to_be(folder: Copy, tmp_path: Path) -> None:
    out = folder()
    other = tmp_path / "tokenizer.json"
    data = load_tokenizer("default").data
    other.write_bytes(data + b"\n")  # the same ids under another hash
    members = {"all": {"window": {"days": 3}, "context_tokens": 512}}
    counted, estimated = plan(out, swarm(members))["all"], plan(out, swarm(members, tokenizer=str(other)))["all"]
    assert (counted.estimated, estimated.estimated) == (0, estimated.tokens)
    assert estimated.tokens == pytest.approx(counted.tokens, rel=0.05)
    assert "are estimated from bytes" in words({"all": estimated})
    assert "estimated" not in words({"all": counted})


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"budget_tokens": 10**9}, "the budget of 1,000,000,000 tokens cannot be met"),
        ({"budget_tokens": 10**9}, "3 days with less than their part"),
        ({"budget_tokens": 3000, "caps": {"domain": 1}}, "3 days bound by caps or the mix"),
        ({"budget_tokens": 3000, "caps": {"day": 0.1}}, "caps.day allows less than an even part"),
        ({"window": {"from": "2026-01-01", "to": "2026-02-28"}, "budget_tokens": 10**5}, "days without posts"),
        ({"window": {"from": "2020-01-01", "to": "2020-01-02"}}, "member m: no posts from 2020-01-01 to 2020-01-02"),
        (
            {"budget_tokens": 3000, "mix": {"by": "language", "shares": {"en": 0.5, "ja": 0.5}}},
            "the mix by language, achieved of asked: en 50",
        ),
    ],
)
def test_what_cannot_be_met_is_said(folder: Copy, member: dict[str, Any], said: str) -> None:
    planned = plan(folder(), swarm({"m": {"window": {"days": 3}, **member}}), until="2026-01-06")
    assert said in "\n".join(notes("m", planned["m"]))


def test_a_member_that_is_not_there_is_named(folder: Copy) -> None:
    with pytest.raises(ConfigError, match=r"member 'smal': no such member: did you mean 'small'\?"):
        make_plan(replace(asked(folder()), members=("smal",)))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no posts table there; expected a folder that `swarmfeed run --out` wrote"):
        plan(tmp_path)


def test_the_clock_is_that_of_the_data() -> None:
    year = {day: 1000 for day in range(20_000, 20_365)}
    assert newest_day(year) == 20_364
    assert newest_day({**year, 20_365: 71, 47_000: 1}) == 20_365
    assert newest_day({**year, 20_365: 3, 47_000: 1}) == 20_364
    assert newest_day({0: 5}) == 0
    assert newest_day({}) is None


def test_windows_of_conversations_end_where_all_are_closed() -> None:
    members = swarm(
        {
            "posts": {"window": {"days": 3}},
            "trees": {"window": {"days": 3}, "template": "tree"},
            "slow": {"window": {"days": 3}, "template": "tree", "quiet_hours": 36},
            "fixed": {"window": {"from": "1970-01-03", "to": "1970-01-05"}, "template": "tree"},
        }
    ).members
    ends = {name: list(window(member, 100)) for name, member in members.items()}
    assert ends == {"posts": [98, 99, 100], "trees": [97, 98, 99], "slow": [96, 97, 98], "fixed": [2, 3, 4]}
