"""Telling a format from the shape of records: each golden event that yields something names its own format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.sources.guess import guess_format, shape_of

GOLDEN = Path(__file__).parents[2] / "golden" / "sources.jsonl"
CASES = [json.loads(line) for line in GOLDEN.read_text().splitlines()]


@pytest.mark.parametrize("format", sorted({case["format"] for case in CASES}))
def test_the_events_of_a_platform_name_it(format: str) -> None:
    lines = [
        json.dumps(case["input"]).encode()
        for case in CASES
        if case["format"] == format and (case["posts"] or case["tombstones"])
    ]
    assert guess_format(iter(lines), "f") == format
    wrong = {shape_of(json.loads(line)) for line in lines} - {format, ""}
    assert not wrong


def test_a_few_broken_lines_do_not_matter() -> None:
    lines = [b"\xff", b"{", b'{"id":"1","text":"a"}', b"[]", b""]
    assert guess_format(iter(lines), "f") == "canonical"
