"""Delays and lag are what the broker's and the tables' own records say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from bench import stream
from bench.delays import Epochs, delays, lag


def a_stream(out: Path, ends: list[dict[str, int]], committed: dict[int, float]) -> Epochs:
    """The records of a stream: where each micro-batch ends, and when those that left rows were committed."""
    checkpoint, log = out / ".swarmfeed" / "checkpoint", out / "posts" / "_delta_log"
    for folder in (checkpoint / "offsets", checkpoint / "commits", log):
        folder.mkdir(parents=True)
    for number, end in enumerate(ends):
        (checkpoint / "offsets" / str(number)).write_text(f"v1\n{{}}\n{json.dumps({'topic': end})}")
        (checkpoint / "offsets" / f".{number}.crc").write_bytes(b"")
    for version, (number, at) in enumerate(committed.items()):
        path = log / f"{version:020d}.json"
        lines = [{"commitInfo": {}}, {"txn": {"appId": "swarmfeed", "version": 70 + number}}]
        lines += [{"txn": {"appId": "swarmfeed.stream.a1b2", "version": number}}]
        path.write_text("\n".join(map(json.dumps, lines)))
        os.utime(path, (at, at))
        (checkpoint / "commits" / str(number)).write_text("v1\n{}")
    return Epochs(out)


def test_a_post_is_committed_with_the_micro_batch_that_took_it(tmp_path: Path) -> None:
    seen = a_stream(tmp_path, [{"0": 1, "1": 0}, {"0": 1, "1": 2}, {"0": 3, "1": 2}], {0: 11.0, 2: 15.0})
    assert seen.committed() == [(11.0, {0: 1, 1: 0}), (15.0, {0: 3, 1: 2})]  # the second left no rows
    sent, took = delays({0: np.array([10.0, 12.0, 14.0]), 1: np.array([11.0, 13.0])}, seen.committed())
    assert sorted(zip(sent.tolist(), took.tolist(), strict=True)) == [
        (10.0, 1.0),
        (11.0, 4.0),
        (12.0, 3.0),
        (13.0, 2.0),
        (14.0, 1.0),
    ]


def test_done_is_what_spark_holds_for_done_not_what_has_begun(tmp_path: Path) -> None:
    seen = a_stream(tmp_path, [{"0": 5}, {"0": 9}], {0: 1.0})
    assert seen.done() == {0: 5}


def test_micro_batches_that_spark_forgets_are_remembered_and_half_written_ones_wait(tmp_path: Path) -> None:
    seen = a_stream(tmp_path, [{"0": 5}, {"0": 9}], {0: 1.0, 1: 2.0})
    offsets = tmp_path / ".swarmfeed" / "checkpoint" / "offsets"
    whole = (offsets / "1").read_text()
    (offsets / "1").write_text(whole.partition("\n")[0])
    assert seen.committed() == [(1.0, {0: 5})]
    (offsets / "1").write_text(whole)
    (offsets / "0").unlink()
    assert seen.committed() == [(1.0, {0: 5}), (2.0, {0: 9})]


def test_lag_is_what_was_sent_and_not_yet_committed() -> None:
    times = {0: np.array([1.0, 2.0]), 1: np.array([1.5])}
    assert lag(times, [(3.0, {0: 1, 1: 1})], np.array([0.5, 2.5, 3.5])).tolist() == [0, 3, 1]


def test_growth_compares_whole_minutes() -> None:
    at = [float(second) for second in range(300)]
    values = [100.0] * 120 + [200.0] * 120 + [300.0] * 60
    minutes = stream.by_minute(at, values, (0.0, 299.5))
    assert minutes == [100.0, 100.0, 200.0, 200.0]
    assert stream.growth([*minutes, 300.0]) == pytest.approx(1.5)
    assert stream.growth(minutes[:3]) is None
