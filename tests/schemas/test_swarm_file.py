"""The swarm file: what it may say, and one clear line for what it may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import ConfigError
from schemas.swarm import Member, Swarm

File = dict[str, Any]


PAGE = Path(__file__).parents[2] / "docs" / "swarm.md"


def swarm_file(**member: Any) -> File:
    """A file of one member."""
    return {"members": {"en": {"window": {"days": 7}, "budget_tokens": 7000, **member}}}


def only(**member: Any) -> Member:
    """The one member of a file."""
    return Swarm.parse(swarm_file(**member)).members["en"]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"windw": 1}, "unknown key 'members.en.windw': did you mean 'window'?"),
        ({"caps": {"autor": 1}}, "unknown key 'members.en.caps.autor': did you mean 'author'?"),
        ({"template": "tre"}, "'members.en.template': no such choice: 'tre', did you mean 'tree'?"),
        ({"mix": {"by": "langage"}}, "'members.en.mix.by': no such choice: 'langage', did you mean 'language'?"),
        ({"caps": {"author": 1.5}}, "'members.en.caps.author': expected a number of documents such as 3, or a share"),
        ({"caps": {"author": True}}, "expected a number of documents such as 3, or a share"),
        ({"window": {"from": "2026-05-01"}}, "'members.en.window': expected {days: N} or {from: DATE, to: DATE}"),
        ({"window": {"days": 2, "from": "2026-05-01", "to": "2026-05-02"}}, "expected {days: N} or"),
        ({"window": {"from": "2026-05-02", "to": "2026-05-01"}}, "'members.en.window': ends before it begins"),
        ({"window": {"from": "soon", "to": "2026-05-01"}}, "'members.en.window.from': Input should be a valid date"),
        ({"quality": {"least": 0.9, "most": 0.1}}, "'members.en.quality': least is more than most"),
        ({"mix": {"by": "domain", "shares": {"x": 0.7, "y": 0.7}}}, "'members.en.mix': the shares add up to 1.4"),
        ({"mix": {"by": "domain", "temperature": 0}}, "'members.en.mix.temperature': Input should be greater than 0"),
        ({"mix": {"by": "topic"}, "budget_tokens": None}, "'members.en': mix needs budget_tokens"),
        ({"caps": {"day": 0.5}, "budget_tokens": None}, "caps.day is a share of budget_tokens, which is not set"),
        ({"context_tokens": 100}, "'members.en.context_tokens': Input should be greater than or equal to 512, got 100"),
        ({"replay": {"share": 1.0, "days": 3}}, "'members.en.replay.share': Input should be less than 1"),
        ({"budget_tokens": 0}, "'members.en.budget_tokens': Input should be greater than or equal to 1"),
    ],
)
def test_a_wrong_member_is_one_clear_line(member: File, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Swarm.parse(swarm_file(**member), "swarm x.yaml")
    assert str(refused.value).startswith("swarm x.yaml: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.pop("members"), "'members' is missing"),
        (lambda file: file.update(members={}), "'members': Dictionary should have at least 1 item"),
        (lambda file: file.update(tokeniser="x"), "unknown key 'tokeniser': did you mean 'tokenizer'?"),
        (lambda file: file["members"].update({"a b": file["members"]["en"]}), "String should match pattern"),
        (lambda file: file["members"].update(next=file["members"]["en"]), "no member can be called 'next'"),
        (lambda file: file["members"].update(default=file["members"]["en"]), "no member can be called 'default'"),
        (lambda file: file["members"]["en"].pop("window"), "'members.en.window' is missing"),
    ],
)
def test_a_wrong_file_is_one_clear_line(change: Callable[[File], None], said: str) -> None:
    file = swarm_file()
    change(file)
    with pytest.raises(ConfigError, match="swarm file: ") as refused:
        Swarm.parse(file)
    assert said in str(refused.value)


def test_what_a_day_may_give() -> None:
    assert only().day_tokens == 1000
    assert only(replay={"share": 0.1, "days": 3}).day_tokens == 900
    assert only(caps={"day": 0.1}).day_tokens == 700
    assert only(caps={"day": 1.0}).day_tokens == 1000  # never more than an even part
    assert only(budget_tokens=None).day_tokens is None
    assert only(window={"from": "2026-05-01", "to": "2026-05-02"}).day_tokens == 3500


def test_what_comes_back_of_a_day_makes_up_the_share_that_was_asked() -> None:
    member = only(replay={"share": 0.2, "days": 4})
    new, again = 7 * 100, 4 * 100 * member.replay_part
    assert again / (new + again) == pytest.approx(0.2)
    assert only(replay={"share": 0.9, "days": 1}).replay_part == 1


def test_another_choice_is_another_hash_and_the_same_choice_is_not() -> None:
    one = only().choosing("tokenizer")
    assert one == only(window={"from": "2026-05-01", "to": "2026-05-07"}).choosing("tokenizer")
    others = [
        only(seed=1).choosing("tokenizer"),
        only(languages=["en"]).choosing("tokenizer"),
        only(caps={"author": 1}).choosing("tokenizer"),
        only(caps={"author": 1.0}).choosing("tokenizer"),
        only(budget_tokens=14_000).choosing("tokenizer"),
        only(context_tokens=512).choosing("tokenizer"),
        only().choosing("another"),
    ]
    assert len({one, *others}) == 1 + len(others)


def test_the_documented_file_is_one_and_every_key_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    file = Swarm.parse(yaml.safe_load(example))
    assert list(file.members) == ["english", "conversations", "may"]
    assert file.members["may"].window.length == 31
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    documented = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert documented == set(Member.model_fields)
