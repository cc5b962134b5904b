"""Growth is measured without start-up, against the smallest run, and bytes on disk are seen while they are there."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pytest

from bench import disk, scale

MIB = 1 << 20


def line(posts: int, cpu: float, peak: float) -> dict[str, Any]:
    return {
        "posts": posts,
        "cpu_seconds": cpu,
        "peak_bytes": peak,
        "tokens": posts * 30,
        "bytes": {"tables": posts * 700},
        "said": {"duplicates": {"exact": posts // 10, "near": posts // 10}},
    }


def bounds(**given: float) -> argparse.Namespace:
    return argparse.Namespace(**{"cpu_at_most": None, "memory_at_most": None, "gib_at_most": None, **given})


def test_cost_is_told_with_and_without_start_up() -> None:
    found = scale.per_million(line(101_000, 30.0, 1.0), startup=20.0)
    assert found["CPU s"] == pytest.approx(100.0)  # 10 s for the 100,000 posts beyond the start-up run
    assert found["CPU s with start-up"] == pytest.approx(30.0 / 0.101)
    assert found["tokens"] == pytest.approx(30_000_000)
    assert found["tables MB"] == pytest.approx(700.0)  # 700 bytes a post are as many megabytes a million


def test_linear_growth_reaches_its_targets_and_more_than_linear_does_not() -> None:
    few, startup = line(251_000, 40.0, 2.0 * scale.GIBIBYTE), 20.0  # 80 CPU seconds a million beyond start-up
    linear, steep = line(1_001_000, 100.0, 2.5 * scale.GIBIBYTE), line(1_001_000, 113.0, 7.0 * scale.GIBIBYTE)
    assert [target.reached for target in scale.targets([few, linear], startup, bounds())] == [True, True, True]
    cost, memory, peak = scale.targets([few, steep], startup, bounds())
    assert (cost.value, memory.value, peak.value) == pytest.approx((1.1625, 3.5, 7.0))
    assert [target.reached for target in (cost, memory, peak)] == [False, False, False]
    assert scale.targets([few, steep], startup, bounds(cpu_at_most=1.2))[0].reached


def test_the_share_of_duplicates_counts_every_kind() -> None:
    assert scale.duplicate_share(line(1000, 1.0, 1.0)) == 0.2


def test_bytes_that_are_gone_in_the_end_were_seen(tmp_path: Path) -> None:
    with disk.watched({"here": tmp_path, "nowhere": tmp_path / "absent"}) as most:
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "file").write_bytes(b"x" * MIB)
        while not most["here"]:  # until the watch has come round
            time.sleep(0.01)
        (tmp_path / "below" / "file").unlink()
    assert most == {"here": MIB, "nowhere": 0}
    assert disk.folder_bytes(tmp_path) == 0
