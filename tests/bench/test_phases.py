"""Costs are told for each million posts read, the index for each million it holds; a step's phases are all counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import phases
from pipelines.duplicates.keys import PER_POST
from pipelines.simulate import Simulation, write
from schemas.config import Config

POSTS = 400
PHASES = {"stage", "owners", "choice", "clusters", "decide"}


def test_costs_are_told_for_a_million_posts() -> None:
    cost = phases.Cost(
        posts=200_000,
        cpu_seconds={"stage": 4.0, "decide": 2.0},
        bytes={"keys": 100_000_000},
        counts={"tokens": 6_000_000},
        held=50_000,
        learnt_bytes={"entries": 25_000_000},
        learnt_rows={"entries": 1_250_000},
    )
    assert cost.per_million() == pytest.approx(
        {
            "CPU s, stage": 20.0,
            "CPU s, decide": 10.0,
            "CPU s, together": 30.0,
            "MB, keys": 500.0,  # 500 bytes a post are as many megabytes a million
            "tokens": 30_000_000,
            "index MB, entries": 500.0,  # of the posts held, a quarter of those read
            "index rows, entries": 25_000_000,
        }
    )


def test_every_phase_of_a_real_step_is_counted(tmp_path: Path) -> None:
    write(Simulation(posts=POSTS, seed=3), tmp_path / "posts.jsonl")
    cost, learnt, _ = phases.take_step([tmp_path / "posts.jsonl"], Config(), tmp_path / "step")
    assert set(cost.cpu_seconds) == PHASES
    assert 0.5 * POSTS < cost.posts <= POSTS  # some lines of a stream are no posts
    assert 0 < cost.counts["kept"] < cost.posts
    assert cost.counts["tokens"] > cost.counts["kept"]
    assert all(size > 0 for size in cost.bytes.values())
    assert cost.held <= cost.posts
    assert 2 * cost.held <= cost.learnt_rows["entries"] <= PER_POST * cost.held
    assert cost.learnt_rows["records"] == cost.held == sum(learnt.days.values())
