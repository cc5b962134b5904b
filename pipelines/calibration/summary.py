"""Say on a terminal what a calibration found: the kept share, then what each threshold alone costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

LANGUAGES = 3


def print_calibration(figures: Mapping[str, Any], console: Console) -> None:
    """Print the kept share, each threshold's cost in all and in the most frequent languages, and what was moved."""
    posts, kept = figures["posts"], figures["kept"]
    console.print(Text.assemble((f"{kept / posts:.1%} kept", "bold cyan"), f" of {posts:,} posts"))
    groups = [f"{name} {one['kept'] / max(one['posts'], 1):.1%}" for name, one in figures["languages"].items()]
    console.print(Text.assemble(("  languages  ", "dim"), " · ".join(groups)), soft_wrap=True)
    groups = [f"{name} {one['kept'] / max(one['posts'], 1):.1%}" for name, one in figures["lengths"].items()]
    console.print(Text.assemble(("  characters ", "dim"), " · ".join(groups)), soft_wrap=True)
    console.print()
    console.print(_thresholds(figures))
    for one in figures["moved"]:
        where = f"{one['language']}: " if one["language"] else ""
        console.print(Text.assemble(("  moved ", "dim"), f"{where}{one['key']} {_of(one['from'])} to {_of(one['to'])}"))
    if figures["not_reached"]:
        names = ", ".join(figures["not_reached"])
        console.print(Text(f"  no threshold that may move reaches it in {names}: left as they were", "dim"))
    for name in ("policy", "page"):
        if figures[name]:
            console.print(Text.assemble((f"  {name:<6}", "dim"), figures[name]), soft_wrap=True)


def _thresholds(figures: Mapping[str, Any]) -> Table:
    tags = list(figures["languages"])[:LANGUAGES]
    labelled = any("labels" in one for one in figures["thresholds"])
    heads = ["threshold", "at", "costs alone", *tags, *(("precision", "recall") if labelled else ())]
    table = Table(*heads, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in sorted(figures["thresholds"], key=lambda one: -one["alone"]):
        costs = [one["alone"], *(one["languages"][tag]["alone"] for tag in tags)]
        cells = [one["key"], _of(one["threshold"]), *(_share(cost) for cost in costs)]
        if labelled:
            cells += [_share(one.get("labels", {}).get(name)) for name in ("precision", "recall")]
        table.add_row(*(Text(cell) for cell in cells), style="dim" if one["threshold"] is None else None)
    return table


def _of(threshold: float | None) -> str:
    return "off" if threshold is None else f"{threshold:,.10g}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
