"""Whoever is killed at whichever moment, a stream ends with the tables of one that nobody disturbed."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import pytest

from bench import crashes
from bench.stream_process import Target


@pytest.mark.timeout(900)
def test_killed_streams_end_with_the_tables_of_an_undisturbed_one(tmp_path: Path) -> None:
    asked = argparse.Namespace(kills=3, posts=6000, max_posts_per_epoch=1000, seed=7, cores=2)
    found = crashes.trial(tmp_path, asked)
    assert Counter(hit.target for hit in found.hits) == Counter(Target)
    assert found.rows["posts"] > 5000
    assert all(found.rows[table] for table in ("quarantine", "tombstones", "documents", "tokens"))
    assert found.equal, f"lost {found.lost}, more {found.more}, killed {found.hits}"
    assert found.left_behind == 0


def test_thirty_blows_fall_on_every_part_in_every_phase_twice() -> None:
    blows = crashes.plan(30, seed=1)
    assert Counter((blow.target, blow.phase) for blow in blows) == dict.fromkeys(
        ((target, phase) for target in Target for phase in crashes.PHASES), 2
    )
    assert [blow.target for blow in blows[:3]] == list(Target)
    assert crashes.plan(30, seed=1) == blows != crashes.plan(30, seed=2)


def test_a_row_that_is_missing_doubled_or_changed_is_seen(tmp_path: Path) -> None:
    rows = {"posts": Counter({b"a": 1, b"b": 2}), "documents": Counter[bytes]()}
    other = {"posts": Counter({b"a": 2, b"c": 1}), "documents": Counter({b"d": 1})}
    assert crashes.missing(rows, other) == {"posts": 2, "documents": 0}
    assert crashes.missing(other, rows) == {"posts": 2, "documents": 1}
