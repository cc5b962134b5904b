"""Figures are refused when they cannot be true, compared the right way round, and a missed target ends with 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import side
from bench.measure import Measurement
from bench.prepare import BenchError
from bench.record import Target


def seen(stdout: str, wall: float = 12.0, status: int = 0) -> Measurement:
    return Measurement(status, wall, 20.0, 1 << 30, 3, 60, stdout)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("what went wrong\n")
    return path


def test_start_up_is_what_a_side_did_not_count(log: Path) -> None:
    said = {"posts": {"read": 500, "kept": 400}, "tokens": {"kept": 9000}, "seconds": 2.5, "folder": "/some/where"}
    found = side.line("ours", seen("noise\n" + json.dumps(said)), log)
    assert (found["posts"], found["kept"], found["tokens"]) == (500, 400, 9000)
    assert (found["posts_per_second"], found["startup_seconds"]) == (200.0, 9.5)
    assert "folder" not in found["said"]


def test_a_side_that_failed_or_says_nothing_is_refused_with_its_log(log: Path) -> None:
    for measurement in (seen('{"posts": 1, "seconds": 1}', status=1), seen("")):
        with pytest.raises(BenchError, match="what went wrong"):
            side.line("ours", measurement, log)


def test_a_side_that_was_faster_than_its_command_is_refused(log: Path) -> None:
    with pytest.raises(BenchError, match="the whole command took 12"):
        side.line("ours", seen('{"posts": 1, "seconds": 12.5}'), log)


def test_a_side_that_read_other_posts_is_refused() -> None:
    assert side.checked({"name": "x", "posts": 10}, 10)["posts"] == 10
    with pytest.raises(BenchError, match="read 9 posts, it was given 10"):
        side.checked({"name": "x", "posts": 9}, 10)


def test_ratios_are_ours_over_theirs_where_more_is_better() -> None:
    ours = {"posts_per_second": 300.0, "wall_seconds": 10.0, "cpu_seconds": 5.0, "peak_bytes": 8.0}
    theirs = {"posts_per_second": 10.0, "wall_seconds": 120.0, "cpu_seconds": 100.0, "peak_bytes": 2.0}
    assert side.ratios(ours, theirs) == {
        "ratio": 30.0,
        "ratio with start-up": 12.0,
        "ratio per CPU second": 20.0,
        "memory ratio": 4.0,  # of memory less is better: this one is a cost
    }


def test_the_middle_run_counts_and_the_lower_of_two() -> None:
    lines = [{"posts_per_second": speed} for speed in (3.0, 1.0, 2.0)]
    assert side.middle(lines)["posts_per_second"] == 2.0
    assert side.middle(lines[:2])["posts_per_second"] == 1.0
    assert side.middle(lines)["all_posts_per_second"] == [3.0, 1.0, 2.0]


def test_sides_take_turns_and_the_warm_round_does_not_count() -> None:
    calls: list[tuple[str, str]] = []
    speeds: Iterator[float] = iter([99.0, 99.0, 1.0, 10.0, 3.0, 30.0, 2.0, 20.0])

    def runner(name: str) -> Callable[[Path], side.Line]:
        def run(folder: Path) -> side.Line:
            calls.append((name, folder.name))
            return {"name": name, "posts": 7, "posts_per_second": next(speeds), "seconds": 1.0}

        return run

    found = side.take_turns({"a": runner("a"), "b": runner("b")}, side.Rounds(Path("warm"), Path("posts"), 7, 3))
    assert calls == [("a", "warm"), ("b", "warm"), *[("a", "posts"), ("b", "posts")] * 3]
    assert (found["a"]["posts_per_second"], found["b"]["posts_per_second"]) == (2.0, 20.0)


def test_a_missed_target_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    side.finish(lambda: [Target("ratio", 20.0, 20)])
    with pytest.raises(SystemExit) as left:
        side.finish(lambda: [Target("ratio", 20.0, 20), Target("start-up", 11.0, 12)])
    assert left.value.code == 1
    assert "start-up: 11.00, at least 12: MISSED" in capsys.readouterr().err


def test_a_comparison_that_cannot_be_made_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    def compare() -> list[Target]:
        raise BenchError("no posts there")

    with pytest.raises(SystemExit) as left:
        side.finish(compare)
    assert left.value.code == 1
    assert "no posts there" in capsys.readouterr().err
