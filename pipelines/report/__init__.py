"""The report of a run: report.json for programs, index.html for people, a few lines for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.report import page
from pipelines.report.clusters import describe
from pipelines.report.figures import Figures, epoch_files, measure, quarantine_examples
from pipelines.tables import find_epoch, newest_epoch, open_table
from pipelines.tokens import sets
from schemas.errors import ConfigError
from schemas.post import NOTES
from schemas.reasons import Reason
from schemas.version import VERSION

DATA_FILE = "report.json"
PAGE_FILE = "index.html"
TOP_REASONS = 8
TOP_LANGUAGES = 8
BAR_CHARS = 24
ALL_ROWS = 2**62
KINDS = ("exact", "near", "repost", "repeated_id", "superseded")


def write(out: Path, totals: Mapping[str, Any]) -> dict[str, Any]:
    """Write report.json and index.html to OUT/reports/epoch-N and return what report.json says, and where it is."""
    return _write(out, totals, measure(out, totals["epoch"]))


def rebuild(out: Path) -> dict[str, Any]:
    """Write the report of the newest epoch again; what no report.json says is counted in the tables.

    Raises ConfigError when `out` is no output folder.
    """
    epoch = newest_epoch(out)
    if epoch is None:
        raise ConfigError(f"{out}: no epoch there to report on; expected a folder that `swarmfeed run --out` wrote")
    totals = _read(report_folder(out, epoch) / DATA_FILE)
    if totals is not None:
        return write(out, totals)
    figures = measure(out, epoch)
    whole = measure(out, epoch, max_rows=ALL_ROWS) if figures.sampled else figures
    return _write(out, _recount(out, whole, epoch), figures)


def _write(out: Path, totals: Mapping[str, Any], figures: Figures) -> dict[str, Any]:
    epoch = totals["epoch"]
    folder = report_folder(out, epoch)
    folder.mkdir(parents=True, exist_ok=True)
    read = sum(figures.languages.values(), Counter[str]())
    found = {
        "languages_read": dict(sorted(read.items(), key=lambda item: (-item[1], item[0]))),
        "only_reasons": {reason.value: figures.alone[reason] for reason in Reason if figures.alone[reason]},
        "files": {"read": len(figures.files), "in_all": figures.files_in_all},
        "campaigns": [
            describe(cluster, figures.courses[cluster.original], whole=not figures.sampled)
            for cluster, _ in figures.clusters
        ],
    }
    report = {**totals, **found}
    _replace(folder / DATA_FILE, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    html = page.render(totals, figures, quarantine_examples(out, epoch), _committed_at(out, epoch))
    _replace(folder / PAGE_FILE, html)
    return {**report, "report": str(folder / PAGE_FILE)}


def report_folder(out: Path, epoch: int) -> Path:
    """Return where the report of an epoch stands."""
    return out / "reports" / f"epoch-{epoch:06d}"


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    pending = path.with_name(f".{path.name}.tmp")
    pending.write_text(text, encoding="utf-8")
    pending.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a report.json says; None where it is missing or was cut off."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and "posts" in data else None


def _committed_at(out: Path, epoch: int) -> datetime | None:
    entry = _logged(out, epoch)
    return datetime.fromtimestamp(entry["timestamp"] / 1000, UTC) if entry else None


def _logged(out: Path, epoch: int) -> dict[str, Any]:
    """Return what the log of the posts table tells of an epoch, nothing once it has been shortened."""
    delta = open_table(out, "posts")
    return (find_epoch(delta, epoch) if delta is not None else None) or {}


def _recount(out: Path, figures: Figures, epoch: int) -> dict[str, Any]:
    """Return the totals of an epoch as its tables have them: a run that died after its commit left no report.json."""
    entry = _logged(out, epoch)
    faults: Counter[str] = Counter()
    for file in epoch_files(out, "quarantine", epoch):
        faults.update(pq.read_table(file.path, columns=["fault"]).column("fault").to_pylist())
    posts, quarantined = figures.posts, faults.total()
    tokens, token_set = _newest_tokens(out, posts["kept"])
    return {
        "schema": 1,
        "version": entry.get("swarmfeed.version", VERSION),
        "epoch": epoch,
        "posts": {
            "read": posts.total() + quarantined,
            "kept": posts["kept"],
            "rejected": posts["rejected"],
            "quarantined": quarantined,
        },
        "reasons": {reason.value: figures.reasons[reason] for reason in Reason if figures.reasons[reason]},
        "languages": dict(figures.languages["kept"].most_common()),
        "duplicates": {kind: figures.kinds[kind] for kind in KINDS},
        "faults": dict(faults.most_common()),
        "tombstones": _tombstones(out, epoch),
        "tokens": tokens,
        "token_set": token_set,
        "config_hash": entry.get("swarmfeed.config"),
        "models": {},
        "seconds": None,
        "posts_per_second": None,
    }


def _tombstones(out: Path, epoch: int) -> int:
    """Count the tombstones that an epoch read."""
    count = 0
    for file in epoch_files(out, "tombstones", epoch):
        rows = pq.read_table(file.path, columns=["epoch", "kind"])
        read = pc.and_not(pc.equal(rows.column("epoch"), epoch), pc.is_in(rows.column("kind"), pa.array(NOTES)))
        count += pc.sum(read).as_py() or 0
    return count


def _newest_tokens(out: Path, documents: int) -> tuple[dict[str, int | None], str | None]:
    """Return the counts and the folder of the newest version, if it is the one with so many documents."""
    for manifest in sets.versions(out, "default")[-1:]:
        if manifest.documents == documents:
            counts = {"kept": manifest.tokens, "documents": documents, "shards": len(manifest.shards)}
            return counts, sets.folder_name(manifest)
    return {"kept": 0 if not documents else None}, None


def print_summary(report: Mapping[str, Any], console: Console) -> None:
    """Print what a person wants to know: the equation first, then why, what was kept, how fast and where it is."""
    posts = report["posts"]
    console.print(
        Text.assemble(
            (f"{posts['read']:,}", "bold"),
            " posts read = ",
            (f"{posts['kept']:,} kept", "bold cyan"),
            " + ",
            (f"{posts['rejected']:,} rejected", "bold yellow"),
            " + ",
            (f"{posts['quarantined']:,} quarantined", "bold"),
        )
    )
    if report["reasons"]:
        console.print()
        console.print(_reason_table(report))
    console.print()
    for name, words in _facts(report):
        console.print(Text.assemble((f"  {name:<12}", "dim"), words), soft_wrap=True)


def _reason_table(report: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    order = sorted(report["reasons"].items(), key=lambda item: -item[1])
    top = order[0][1]
    for name, count in order[:TOP_REASONS]:
        bar = "█" * max(1, round(BAR_CHARS * count / top))
        share = f"{100 * count / max(report['posts']['read'], 1):.1f}%"
        table.add_row(Text(f"  {name}"), Text(f"{count:,}"), Text(share, "dim"), Text(bar, "yellow"))
    if len(order) > TOP_REASONS:
        table.add_row(Text(f"  and {len(order) - TOP_REASONS} more reasons", "dim"))
    return table


def _facts(report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    languages = list(report["languages"].items())
    if languages:
        named = " · ".join(f"{tag} {count:,}" for tag, count in languages[:TOP_LANGUAGES])
        more = len(languages) - TOP_LANGUAGES
        yield "languages", named + (f" · {more} more" if more > 0 else "")
    kinds = [f"{count:,} {kind}" for kind, count in report["duplicates"].items() if count]
    yield "duplicates", " · ".join(kinds) or "none"
    if report["faults"]:
        yield "quarantine", " · ".join(f"{count:,} {fault}" for fault, count in report["faults"].items())
    tokens = report["tokens"]
    if tokens["kept"] is not None:
        documents, shards = tokens.get("documents", 0), tokens.get("shards", 0)
        yield "tokens", f"{tokens['kept']:,} in {documents:,} documents, {shards:,} shard{'' if shards == 1 else 's'}"
    if report["seconds"] is not None:
        phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report.get("phases", {}).items())
        speed = f"{report['posts_per_second']:,.0f} posts/s, {report['seconds']:.1f} s"
        yield "speed", speed + (f" ({phases})" if phases else "")
    if report.get("token_set"):
        yield "token set", str(Path(report["report"]).parents[2] / report["token_set"])
    yield "report", report["report"]
