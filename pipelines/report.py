"""The report of a run: report.json for machines, index.html for people, a few lines for the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console


def write(out: Path, totals: dict[str, Any]) -> dict[str, Any]:
    """Write OUT/reports/epoch-N/report.json and return what it says."""
    folder = out / "reports" / f"epoch-{totals['epoch']:06d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(totals, indent=2) + "\n")
    return {**totals, "report": str(folder / "index.html")}


def print_summary(report: dict[str, Any], console: Console) -> None:
    """Print what a person wants to know first."""
    posts = report["posts"]
    console.print(
        f"{posts['read']:,} posts read = {posts['kept']:,} kept + {posts['rejected']:,} rejected "
        f"+ {posts['quarantined']:,} quarantined",
        markup=False,
    )
