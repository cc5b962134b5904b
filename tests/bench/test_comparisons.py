"""What the whole pipeline and the search are held to, and that `make bench` asks for just that."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from bench import classifiers, crashes, duplicates, run, scale, soak, stream

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def line(speed: float, wall: float = 10.0, posts: int = 100, kept: int = 90) -> dict[str, float]:
    return {
        "posts_per_second": speed,
        "wall_seconds": wall,
        "cpu_seconds": 5.0,
        "peak_bytes": 100.0,
        "posts": posts,
        "kept": kept,
    }


def asked(**bounds: float | None) -> argparse.Namespace:
    return argparse.Namespace(**{"at_least": None, "at_least_with_startup": None, **bounds})


def test_targets_compare_with_the_peer_and_the_floor_stands_beside() -> None:
    found = run.compared({"peer": line(900, wall=340), "swarmfeed": line(27_000, wall=20), "floor": line(270_000)})
    assert found["ratio"] == 30.0
    assert found["ratio with start-up"] == 17.0
    assert found["times the floor"] == 10.0
    assert [target.reached for target in run.targets(found, asked())] == [True, False, True]


def test_a_bound_that_was_asked_for_takes_the_place_of_the_usual_one() -> None:
    found = run.compared({"peer": line(900, wall=340), "swarmfeed": line(27_000, wall=20)})
    bounds = [target.bound for target in run.targets(found, asked(at_least=31.0, at_least_with_startup=18.0))]
    assert bounds == [31.0, run.STRETCH, 18.0]


def test_one_side_alone_has_no_ratio_and_no_target() -> None:
    assert run.compared({"swarmfeed": line(1.0)}) == {}
    assert run.targets({}, asked(at_least=20.0)) == []


def test_what_each_side_calls_a_duplicate() -> None:
    found = duplicates.duplicates({"peer": line(1.0, posts=200, kept=150)})
    assert found == {"peer": {"posts": 50, "share": 0.25}}


@pytest.mark.parametrize(
    ("module", "option", "bound"),
    [
        ("run", "--at-least", run.TIMES),
        ("run", "--at-least-with-startup", run.TIMES_WITH_STARTUP),
        ("duplicates", "--at-least", duplicates.TIMES),
        ("classifiers", "--at-least", classifiers.TIMES),
        ("scale", "--cpu-at-most", scale.CPU_TIMES),
        ("scale", "--memory-at-most", scale.MEMORY_TIMES),
        ("scale", "--gib-at-most", scale.PEAK_GIB),
    ],
)
def test_make_bench_asks_for_every_target(module: str, option: str, bound: float) -> None:
    text = MAKEFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    (calls,) = re.findall(r"^BENCH := (.*)$", text, re.MULTILINE)
    words = {call.split()[0]: call.split()[1:] for call in shlex.split(calls)}[module]
    assert float(words[words.index(option) + 1]) == bound


@pytest.mark.parametrize("module", [stream, crashes, soak])
def test_the_makefile_calls_what_is_there(module: ModuleType) -> None:
    text = MAKEFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    (words,) = re.findall(rf"-m {module.__name__} (.*)$", text, re.MULTILINE)
    asked = module.options().parse_args(shlex.split(words))
    bounds = {name: value for name, value in vars(asked).items() if name.endswith(("at_least", "at_most"))}
    assert all(value is not None for value in bounds.values()), bounds
    assert len(bounds) == (5 if module is stream else 0)
