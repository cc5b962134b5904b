"""Results are the same in whatever order their rows come, a cell that differs is named, scaling divides speeds."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pytest

from bench import cluster, side
from bench.measure import process_table
from bench.record import Target

ROWS: list[dict[str, Any]] = [
    {
        "id": str(number),
        "route": "kept" if number else "rejected",
        "duplicate_of": None if number else "2",
        "duplicates": {"kind": None if number else "near", "copy": 1, "cluster_size": 1},
        "verdict": {"keep": bool(number), "reasons": [] if number else ["near_duplicate"]},
    }
    for number in range(3)
]
TOKENS: list[dict[str, Any]] = [{"document_id": "1", "tokens": [5, 6]}, {"document_id": "2", "tokens": [7]}]
PARTS = {"routes", "originals", "copies", "verdicts", "tokens"}


def result(rows: list[dict[str, Any]], tokens: list[dict[str, Any]]) -> dict[str, str]:
    return cluster.digests(pa.Table.from_pylist(rows), pa.Table.from_pylist(tokens))


def line(name: str, found: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"name": name, "result": found, **more}


def test_the_order_of_rows_does_not_matter() -> None:
    found = result(ROWS, TOKENS)
    assert set(found) == PARTS
    assert len(set(found.values())) == len(PARTS)
    assert result(ROWS[::-1], TOKENS[::-1]) == found


@pytest.mark.parametrize(
    ("column", "value", "part"),
    [
        ("route", "rejected", "routes"),
        ("duplicate_of", "0", "originals"),
        ("duplicates", {"kind": None, "copy": 2, "cluster_size": 1}, "copies"),
        ("verdict", {"keep": True, "reasons": ["too_short"]}, "verdicts"),
    ],
)
def test_one_changed_cell_is_seen_and_named(column: str, value: Any, part: str) -> None:
    changed = result([*ROWS[:2], {**ROWS[2], column: value}], TOKENS)
    same = line("local", result(ROWS, TOKENS))
    assert cluster.differences([same, line("cluster", changed)]) == [f"cluster and local differ in {part}"]
    assert cluster.differences([same, line("cluster", dict(same["result"]))]) == []


def test_changed_and_missing_tokens_are_seen() -> None:
    same = line("local", result(ROWS, TOKENS))
    for tokens in ([TOKENS[0], {"document_id": "2", "tokens": [8]}], TOKENS[:1], [*TOKENS, TOKENS[1]]):
        found = cluster.differences([same, line("one", same["result"]), line("two", result(ROWS, tokens))])
        assert found == ["two and local differ in tokens"]


def test_values_that_change_owners_are_seen() -> None:
    swapped = [{**ROWS[0], "route": "kept"}, ROWS[1], {**ROWS[2], "route": "rejected"}]
    assert result(swapped, TOKENS)["routes"] != result(ROWS, TOKENS)["routes"]
    assert result(swapped, TOKENS)["verdicts"] == result(ROWS, TOKENS)["verdicts"]


def test_a_part_that_one_run_lacks_is_a_difference() -> None:
    found = result(ROWS, TOKENS)
    lines = [line("local", found), line("cluster", {**found, "report": "x"})]
    assert cluster.differences(lines) == ["cluster and local differ in report"]


def test_a_difference_ends_the_command_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line("local", result(ROWS, TOKENS)), line("cluster", result(ROWS, TOKENS[:1]))]

    def compare() -> list[Target]:
        cluster.require_none(cluster.differences(lines))
        return []

    with pytest.raises(SystemExit) as stopped:
        side.finish(compare)
    assert stopped.value.code == 1
    assert "cluster and local differ in tokens" in capsys.readouterr().err
    lines.pop()
    side.finish(compare)


def test_scaling_compares_clusters_and_leaves_the_local_run_out() -> None:
    lines = [
        line("local[1]", {}, posts_per_second=9000.0),
        line("1 worker", {}, workers=1, posts_per_second=5000.0),
        line("2 workers", {}, workers=2, posts_per_second=8000.0),
    ]
    assert list(cluster.scaling(lines).values()) == pytest.approx([1.6, 0.8])
    assert cluster.scaling(lines[::-1]) == cluster.scaling(lines)


def test_executors_are_told_by_kind_and_counted_once() -> None:
    seen = cluster.Executors()
    (mine,) = [process for process in process_table() if process.pid == os.getpid()]
    for _ in range(2):
        seen.add([mine])
    assert seen.cpu_seconds == mine.ticks / os.sysconf("SC_CLK_TCK")
    assert seen.most_bytes["python"] > 1 << 20
    assert seen.most_bytes["java"] == 0
