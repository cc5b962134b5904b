"""Say of one post what every stage found, which threshold it met, what it duplicates and why it was rejected."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from filters.sketch import estimate_jaccard
from filters.stage import configure
from filters.verdict import Finding, Verdict
from pipelines.report import DATA_FILE, report_folder
from pipelines.report.figures import File
from pipelines.report.samples import find_ids, read_rows
from pipelines.tables import open_table, table_files
from schemas.config import Config
from schemas.errors import ConfigError

FACTS = ("author_id", "created_at", "source", "lang_hint", "reply_to_id", "repost_of", "quote_of", "epoch")
SCORES = ("quality", "spam", "toxicity", "ai_text")
SNIPPET_CHARS = 200


@dataclass(frozen=True)
class Explanation:
    """One delivery of a post: its row, what the rules found, and the post it duplicates where that is in the table."""

    row: dict[str, Any]
    findings: list[Finding]
    original: dict[str, Any] | None
    jaccard: float | None  # estimated, with the original
    config: str  # whose thresholds these are

    @property
    def kept(self) -> bool:
        """Tell what was decided when the post was read."""
        return bool((self.row["verdict"] or {}).get("keep"))

    @property
    def against(self) -> list[str]:
        """Return the reasons that hold under the thresholds looked at."""
        return list(dict.fromkeys(one.reason for one in self.findings if not one.passed))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "post": _plain(self.row),
            "findings": [asdict(one) for one in self.findings],
            "original": _plain(self.original),
            "jaccard": self.jaccard,
            "thresholds_of": self.config,
        }


def explain(out: Path, post_id: str, config: Config | None = None) -> list[Explanation]:
    """Explain every delivery of a post, oldest epoch first, under the thresholds of `config`, else of its own run.

    Raises ConfigError without a table, and without the post, saying where quarantine mentions it.
    """
    rows = find_posts(out, [post_id])
    if not rows:
        raise ConfigError(f"{out}: no post with id {post_id!r}{_in_quarantine(out, post_id)}")
    targets = sorted({row["duplicate_of"] for row in rows if row["duplicate_of"]})
    originals = find_posts(out, targets) if targets else []
    return [_explain(out, row, originals, config) for row in rows]


def find_posts(out: Path, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return every delivery of some posts in the newest version of the posts table, oldest epoch first.

    The statistics and the column `id` of each row group tell which few to read. Raises ConfigError without a table.
    """
    files = _files(out)
    places = find_ids([file.path for file in files], ids)
    found = read_rows([file.path for file in files], [place for at in places.values() for place in at], None)
    rows = [{**row, "route": files[number].route} for (number, _), row in found.items()]
    return sorted(rows, key=lambda row: (row["epoch"], row["route"]))


def _files(out: Path) -> list[File]:
    delta = open_table(out, "posts")
    if delta is None:
        raise ConfigError(f"{out}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    return [
        File(out / "posts" / unquote(action["path"]), action["partition.route"], action["num_records"])
        for action in actions
    ]


def _explain(out: Path, row: dict[str, Any], originals: list[dict[str, Any]], config: Config | None) -> Explanation:
    ran = _config_of(out, row["epoch"])
    used, name = (config, "the settings given") if config else (ran, f"the run of epoch {row['epoch']}")
    if used is None:
        used, name = Config(), "the defaults (the report of its run is missing)"
    original = next((one for one in originals if one["id"] == row["duplicate_of"] and one is not row), None)
    if original is not None and _same_delivery(original, row):
        original = None
    return Explanation(row, findings(row, used), original, _jaccard(row, original), name)


def _same_delivery(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("id", "epoch", "text", "created_at"))


def findings(row: Mapping[str, Any], config: Config) -> list[Finding]:
    """Return what each rule of the verdict found in a post, under the thresholds of `config`."""
    (verdict,) = configure((Verdict,), {"verdict": config.stages.get("verdict", {})})
    assert isinstance(verdict, Verdict)
    return verdict.explain(row)


def _config_of(out: Path, epoch: int) -> Config | None:
    try:
        told = json.loads((report_folder(out, epoch) / DATA_FILE).read_text(encoding="utf-8"))
        return Config.parse(told["config"])
    except (OSError, ValueError, KeyError, ConfigError):
        return None


def _jaccard(row: Mapping[str, Any], original: Mapping[str, Any] | None) -> float | None:
    sketches = [one["sketch"] for one in (row, original) if one and one["sketch"] and one["sketch"]["signature"]]
    if len(sketches) < 2:
        return None
    left, right = (pa.array([sketch["signature"]], pa.binary()) for sketch in sketches)
    estimate = float(estimate_jaccard(left, right)[0])
    return None if math.isnan(estimate) else round(estimate, 3)


def _in_quarantine(out: Path, post_id: str) -> str:
    """Say where quarantined records mention an id."""
    for path in table_files(out, "quarantine"):
        rows = pq.read_table(path, columns=["raw", "file", "line", "fault"])
        hits = rows.filter(pc.match_substring(rows.column("raw").cast(pa.binary()), json.dumps(post_id)))
        for hit in hits.select(["file", "line", "fault"]).slice(0, 1).to_pylist():
            return f"; a quarantined record mentions it: {hit['file']}:{hit['line']}, {hit['fault']}"
    return ": it was never read into this folder"


def print_explanation(one: Explanation, console: Console) -> None:
    """Print one delivery of a post: the verdict first, then the post, what it duplicates, and every rule."""
    row = one.row
    reasons = (row["verdict"] or {}).get("reasons") or []
    verdict = ("kept", "bold cyan") if one.kept else (f"rejected: {', '.join(reasons)}", "bold yellow")
    console.print(Text.assemble((row["id"], "bold"), "  ", verdict), soft_wrap=True)
    _print_facts(row, console)
    console.print()
    console.print(Text(row["text"] or "(no text is held)"), soft_wrap=True)
    redacted = (row["pii"] or {}).get("redacted")
    if (row["pii"] or {}).get("spans"):
        console.print(Text.assemble(("redacted: ", "dim"), redacted or ""), soft_wrap=True)
    console.print()
    for words in _kinship(one):
        console.print(words, soft_wrap=True)
    console.print(_rules(one))
    if bool(one.against) == one.kept:
        now = f"rejected: {', '.join(one.against)}" if one.against else "kept"
        console.print(Text(f"Under {one.config} it would be {now}.", "bold"), soft_wrap=True)


def _print_facts(row: Mapping[str, Any], console: Console) -> None:
    facts = Table.grid(padding=(0, 2))
    for name in FACTS:
        if row.get(name) is not None:
            facts.add_row(Text(f"  {name}", "dim"), Text(str(row[name])))
    language = row["language"] or {}
    told = f"{language.get('lang', '-')} ({_number(language.get('confidence'))})"
    scores = "  ".join(f"{name} {_number((row[name] or {}).get('score'))}" for name in SCORES)
    facts.add_row(Text("  language", "dim"), Text(told))
    facts.add_row(Text("  scores", "dim"), Text(scores))
    overlap = row.get("contamination") or {}
    if overlap.get("item") is not None:
        facts.add_row(Text("  holds", "dim"), Text(f"{overlap['item']} (share of words: {_number(overlap['score'])})"))
    if shown := _shown(row.get("credibility") or {}):
        facts.add_row(Text("  shows", "dim"), Text(shown))
    console.print(facts)


def _shown(credibility: Mapping[str, Any]) -> str:
    """Say what a post shows of where its words come from.

    >>> _shown({"kind": "claim", "figure": True, "links": [{"host": "bbc.co.uk", "kind": "news"}]})
    'claim, figure, bbc.co.uk (news)'
    """
    signs = [name.replace("_", " ") for name in ("figure", "quote", "named_source") if credibility.get(name)]
    links = [f"{link['host']} ({link['kind']})" for link in credibility.get("links") or []]
    return ", ".join([*filter(None, [credibility.get("kind")]), *signs, *links])


def _kinship(one: Explanation) -> Iterable[Text]:
    """Say what a post duplicates, or how many duplicate it."""
    about = one.row["duplicates"] or {}
    size, authors = about.get("cluster_size") or 1, about.get("cluster_authors") or 0
    if about.get("kind"):
        estimate = "" if one.jaccard is None else f", estimated Jaccard {one.jaccard:.2f}"
        yield Text.assemble((f"{about['kind']} of ", "bold"), (str(one.row["duplicate_of"]), "bold"), estimate)
        if one.original is None:
            yield Text("  the original is not in the table any more", "dim")
        else:
            state = "kept" if (one.original["verdict"] or {}).get("keep") else "rejected"
            author = one.original["author_id"] or "unknown"
            yield Text(f"  {state}, by {author}, {one.original['created_at']}", "dim")
            yield Text(f"  {_snippet(one.original['text'])}")
        yield Text(f"  {_many(size, 'post')} by {_many(authors, 'author')} share that original\n", "dim")
    elif size > 1:
        yield Text(f"{_many(size - 1, 'duplicate')} of this post; {_many(authors, 'author')} in all\n")


def _rules(one: Explanation) -> Table:
    rules = Table("reason", "measure", "measured", "wants", "", box=None, padding=(0, 2, 0, 0), header_style="dim")
    rules.columns[2].justify = "right"
    for found in one.findings:
        silent = found.threshold is None or found.measured is None or found.measure == "duplicates.kind"
        if silent and found.passed:
            continue
        style = "" if found.passed else "bold yellow"
        wants = f"{found.bound} {_number(found.threshold)}"
        mark = "" if found.passed else "rejects"
        cells = (found.reason, found.measure, _number(found.measured), wants, mark)
        rules.add_row(*(Text(cell) for cell in cells), style=style)
    return rules


def _plain(value: Any) -> Any:
    """Return a row with its bytes in hexadecimal, which JSON can hold."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value.hex() if isinstance(value, bytes) else value


def _many(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> _many(1, "author"), _many(1200, "author")
    ('1 author', '1,200 authors')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _snippet(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SNIPPET_CHARS else line[:SNIPPET_CHARS] + "…"


def _number(value: Any) -> str:
    """Return a measure or a threshold with three digits that count, a larger count with all of its digits.

    >>> _number(0.98765), _number(12.0), _number(1234.0), _number(None)
    ('0.988', '12', '1,234', '-')
    """
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return "-" if value is None else str(value)
