"""The commands of the swarm, called as a user calls them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from invented_output import curate
from pyspark.sql import SparkSession

from jobs import cli, publish_sets

Call = Callable[..., tuple[int, str, str]]

TEXTS = [
    "The ferry to the island leaves at seven from the old stone pier near the market.",
    "My grandmother bakes rye bread with caraway every Saturday before the sun comes up.",
    "Nobody in our street remembers who planted the walnut tree beside the bus stop.",
    "The library will stay open until nine this week because of the reading marathon.",
]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spark: SparkSession
) -> Call:
    """Call the command in this process, from a directory with an output folder and a swarm file."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": f"p{day}{row}",
            "author_id": f"a{row}",
            "text": f"{text} Day {day}.",
            "source": "x",
            "created_at": made(day),
        }
        for day in range(1, 4)
        for row, text in enumerate(TEXTS)
    ]
    curate(tmp_path / "curated", rows)
    file = {"members": {"en": {"window": {"days": 3}, "budget_tokens": 30_000, "context_tokens": 512}}}
    (tmp_path / "swarm.yaml").write_text(yaml.safe_dump(file))

    def run(*words: str, main: Callable[[], Any] | None = None) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(list(words)) if main is None else main()
        assert isinstance(left.value.code, int)
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def made(day: int) -> Any:
    return datetime(2026, 5, day, 12, tzinfo=UTC)


def test_plan_publish_and_rota(call: Call) -> None:
    status, out, _ = call("plan", "curated", "--swarm", "swarm.yaml")
    assert status == 0
    assert "en: 2026-05-01 to 2026-05-03" in out
    assert "the budget of 30,000 tokens cannot be met" in out
    status, out, _ = call("plan", "curated", "--swarm", "swarm.yaml", "--json")
    planned = json.loads(out)["en"]
    assert list(planned["days"]) == ["2026-05-01", "2026-05-02", "2026-05-03"]
    status, _, err = call("publish", "curated", "--swarm", "swarm.yaml", "--until", "2026-05-02")
    assert (status, err.splitlines()[-1].startswith("en: the budget of 30,000 tokens is missed by")) == (0, True)
    assert "2 days, 2 of them made now" in err
    status, out, _ = call("rota", "curated", "--swarm", "swarm.yaml")
    assert "never trained" in out
    status, _, err = call("rota", "curated", "--swarm", "swarm.yaml", "--take", "next")
    assert "en is out until" in err
    assert "curated/sets/en/v000002" in err
    status, _, err = call("rota", "curated", "--swarm", "swarm.yaml", "--take", "en")
    assert (status, "is out already" in err) == (2, True)
    assert call("rota", "curated", "--retrain")[2].strip() == "nothing"
    status, out, _ = call("rota", "curated", "--done", "en", "--json")
    assert json.loads(out)["version"] == "v000002"
    assert call("rota", "curated", "--done", "en")[0] == 2


def test_the_job_takes_the_same_arguments(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["publish_sets.py", "curated", "--swarm", "swarm.yaml", "--json"]
    monkeypatch.setattr(sys, "argv", words)
    status, out, _ = call(main=lambda: publish_sets.main(["publish", *sys.argv[1:]]))
    assert status == 0
    assert json.loads(out)["members"]["en"]["days_made"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("plan curated", "missing option '--swarm'"),
        ("plan curated --swarm none.yaml", "swarm none.yaml: cannot be read"),
        ("plan nowhere --swarm swarm.yaml", "no posts table there"),
        ("publish curated --swarm swarm.yaml --member fr", "member 'fr': no such member: expected one of: en"),
        ("publish curated --swarm swarm.yaml --until soon", "--until: expected a date such as 2026-05-04, got 'soon'"),
        ("publish curated --swarm swarm.yaml --until 2020-01-01", "member en: no posts from 2019-12-30 to 2020-01-01"),
        ("rota curated", "--swarm: expected the swarm file"),
        ("rota curated --swarm swarm.yaml --take fr", "member 'fr': no such member"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(call: Call, words: str, said: str) -> None:
    status, _, err = call(*words.split())
    assert status == 2
    (line,) = err.splitlines()
    assert said in line
