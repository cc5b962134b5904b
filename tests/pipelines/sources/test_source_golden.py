"""Golden records: one event of a platform in, exactly these posts, tombstones, notices and faults out."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import parse_values
from schemas.post import POST, QUARANTINE, TOMBSTONE

GOLDEN = Path(__file__).parents[2] / "golden" / "sources.jsonl"
CASES = [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def _raw(given: Any) -> bytes:
    if isinstance(given, dict) and "repeat" in given:
        opening, count, closing = given["repeat"]
        return (opening * count + closing * count).encode()
    return given.encode() if isinstance(given, str) else json.dumps(given).encode()


def _shown(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _agrees(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Compare the columns a golden line names, row by row."""
    named = [{key: _shown(row[key]) for key in want} for row, want in zip(rows, expected, strict=True)]
    assert named == expected


@pytest.mark.parametrize("case", CASES, ids=[f"{case['format']}: {case['why']}" for case in CASES])
def test_record(case: dict[str, Any]) -> None:
    records = parse_values([_raw(case["input"])], case["format"])
    quarantine = records.quarantine.to_pylist()
    assert [row["fault"] for row in quarantine] == case["faults"], quarantine
    _agrees(records.posts.to_pylist(), case["posts"])
    _agrees(records.tombstones.to_pylist(), case["tombstones"])
    assert records.notices == case["notices"]
    assert (records.posts.schema, records.tombstones.schema, records.quarantine.schema) == (POST, TOMBSTONE, QUARANTINE)
    assert all(row["file"] is None and row["line"] is None and row["stage"] == "read" for row in quarantine)
