"""Say of one post what every stage found, which threshold it met, what it duplicates and why it was rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
from rich.console import Console
from rich.table import Table

import filters
from filters.stage import configure
from filters.verdict import Finding, Verdict
from pipelines.tables import open_table
from schemas.config import Config
from schemas.errors import ConfigError

SHOWN = ("id", "author_id", "created_at", "source", "repost_of", "reply_to_id", "duplicate_of", "epoch", "route")


def find_posts(out: Path, post_id: str) -> list[dict[str, Any]]:
    """Return every delivery of a post in the newest version of the posts table, oldest epoch first.

    File statistics prune what need not be read. Raises ConfigError without a table or without the post.
    """
    delta = open_table(out, "posts")
    if delta is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    found = delta.to_pyarrow_dataset().to_table(filter=pc.equal(ds.field("id"), post_id)).to_pylist()
    if not found:
        raise ConfigError(f"{out}: no post with id {post_id!r} (it may be in quarantine/, or was never read)")
    return sorted(found, key=lambda row: (row["epoch"], row["route"]))


def findings(row: dict[str, Any], config: Config) -> list[Finding]:
    """Return what each rule of the verdict found in a post, under the thresholds of `config`."""
    verdict = configure(filters.STAGES, config.stages)[-1]
    assert isinstance(verdict, Verdict)
    return verdict.explain(row)


def print_post(row: dict[str, Any], found: list[Finding], console: Console) -> None:
    """Print one post, its stage columns and the rules that looked at them."""
    head = Table(show_header=False, box=None)
    for name in SHOWN:
        if row.get(name) is not None:
            head.add_row(name, str(row[name]))
    for name, answer in row.items():
        if isinstance(answer, dict) and name not in ("sketch", "clean_text"):
            head.add_row(name, _short(answer))
    console.print(head)
    console.print("\n" + row["text"] + "\n", markup=False, highlight=False)
    rules = Table("reason", "measure", "measured", "rule", "", title="What the verdict looked at")
    for one in found:
        if one.measured is None and one.passed:
            continue
        mark = "" if one.passed else "rejects"
        rules.add_row(one.reason, one.measure, _number(one.measured), f"{one.bound} {_number(one.threshold)}", mark)
    console.print(rules)
    verdict = row["verdict"] or {"keep": False, "reasons": []}
    reasons = ", ".join(verdict["reasons"] or [])
    console.print("kept" if verdict["keep"] else f"rejected: {reasons}", style="bold")


def _short(answer: dict[str, Any]) -> str:
    return "  ".join(f"{name}={_number(value)}" for name, value in answer.items() if name != "redacted")


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)
