"""The tables of docs/policy.md are the figures of a folder, and stand where the page wants them."""

from __future__ import annotations

from pathlib import Path

from epochs import Output, post

from bench import policy
from pipelines.calibration.scales import KEYS


def test_tables_say_what_the_folder_says(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    output.epoch([post(f"p{n}", n, n) for n in range(8)] + [post("short", "Yes!", 9), post("copy", 0, 20)])
    figures = policy.measured(output.root)
    assert (figures["posts"], figures["kept"]) == (10, 8)
    copies = next(one for one in figures["thresholds"] if one["key"] == "keep_copies")
    assert copies["elsewhere"][:2] == [[1, 0.8], [2, 0.9]]
    made = policy.tables(figures, "today-policy.json")
    assert "[today-policy.json](../bench/results/today-policy.json)" in made
    assert "| `keep_copies` | **1: 80.0%** · 2: 90.0%" in made
    assert all(f"| `{key}` |" in made for key in KEYS)
    assert "| `exact_duplicate` | 10.0% | 10.0% |" in made
    page = policy.replaced(f"before\n{policy.BEGIN}\nold\n{policy.END}\nafter\n", made)
    assert page == f"before\n{made}\nafter\n"


def test_every_value_looked_at_is_on_its_scale() -> None:
    assert set(policy.OTHER_VALUES) <= set(KEYS)
