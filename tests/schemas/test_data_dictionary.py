"""docs/data-dictionary.md says what the schemas say, column for column."""

from __future__ import annotations

from pathlib import Path

from schemas.dictionary import data_dictionary

ROOT = Path(__file__).parents[2]


def test_documented_columns_are_the_real_ones() -> None:
    written = (ROOT / "docs" / "data-dictionary.md").read_text()
    assert written == data_dictionary(), "run: python -m schemas.dictionary > docs/data-dictionary.md"


def test_every_column_is_explained() -> None:
    rows = [line for line in data_dictionary().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert all(line.split("|")[3].strip() for line in rows)
