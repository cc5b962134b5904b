"""Lay out the page of a report: everything it shows as plain values, the template only places and escapes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from filters.verdict import RULES, Finding, Verdict
from pipelines.report.charts import Chart, Mark, length_axis, mirrored, over_time, score_axis
from pipelines.report.clusters import rate_words, span_words, top_shares
from pipelines.report.figures import CHARS_BINS, SCORE_BINS, SCORES, Figures
from schemas.reasons import Reason

SAMPLE_CHARS = 280
CLUSTER_CHARS = 140
LANGUAGES = 15
BOUNDS = {"at least": "≥", "at most": "≤", "one of": "one of", "not": "not"}
PHASES = {
    "annotate": "read and annotate",
    "duplicates": "find duplicates",
    "decide": "decide and write",
    "index": "prepare what the index learns",
}
SCORE_NOTES = {
    "quality.score": "Reads like something a person meant to say well.",
    "spam.score": "Probability of spam.",
    "toxicity.score": "Probability of abuse, in the languages the model knows.",
    "ai_text.score": "Probability of machine-written text, from the post alone.",
    "language.confidence": "Probability of the language told; each language has its own floor, under it a post is und.",
}


@dataclass(frozen=True)
class Sample:
    """A post as shown: its redacted text, cut, and what spoke against it."""

    id: str
    text: str
    about: str
    against: tuple[str, ...]


@dataclass(frozen=True)
class ReasonRow:
    """How often a reason was given, how often it was the only one, and by which rules."""

    name: str
    posts: int
    share: float
    bar: float
    alone: int | None
    alone_bar: float
    rules: tuple[str, ...]


def render(totals: Mapping[str, Any], figures: Figures, examples: Mapping[str, Any], at: datetime | None) -> str:
    """Return the page as HTML; every text in it is escaped by the template engine."""
    verdict = Verdict(**(totals.get("config") or {}).get("stages", {}).get("verdict", {}))
    template = load_template("pipelines.report", "report.html")
    time_chart = over_time(figures.hours["kept"], figures.hours["rejected"])
    return template.render(
        totals=totals,
        at=at,
        parts=_parts(totals["posts"]),
        reasons=_reasons(totals, figures, verdict),
        charts=[*_scores(figures, verdict), _lengths(figures, verdict)],
        time_chart=time_chart,
        languages=_languages(figures),
        clusters=_clusters(figures),
        kept=[_sample(row, verdict) for row in figures.kept],
        rejected={name: [_sample(row, verdict) for row in rows] for name, rows in figures.rejected.items()},
        examples={fault: [_example(row) for row in rows] for fault, rows in examples.items()},
        phases=_phases(totals),
        config=json.dumps(totals.get("config"), indent=2, ensure_ascii=False),
        thresholds=[(rule.key, getattr(verdict, rule.key)) for rule in RULES],
        figures=figures,
    )


def load_template(package: str, name: str) -> Template:
    """Return a page's template: it escapes every text, and `style` in it is the look that all pages share."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"count": _count, "percent": _percent, "short": _short_count, "clock": _clock}
    environment.globals["style"] = Markup(files(__package__).joinpath("page.css").read_text(encoding="utf-8"))
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def _parts(posts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    read = max(posts["read"], 1)
    return [(name, posts[name], 100 * posts[name] / read) for name in ("kept", "rejected", "quarantined")]


def _reasons(totals: Mapping[str, Any], figures: Figures, verdict: Verdict) -> list[ReasonRow]:
    """Return the reasons that were given, most frequent first."""
    rules: dict[str, list[str]] = {}
    for one in verdict.explain({}):
        if one.threshold is not None:
            rules.setdefault(one.reason, []).append(f"{one.measure} {BOUNDS[one.bound]} {_plain(one.threshold)}")
    read, top = max(totals["posts"]["read"], 1), max([1, *totals["reasons"].values()])
    order = sorted(totals["reasons"].items(), key=lambda item: (-item[1], list(Reason).index(Reason(item[0]))))
    return [
        ReasonRow(
            name=name,
            posts=posts,
            share=100 * posts / read,
            bar=100 * posts / top,
            alone=None if figures.sampled else figures.alone[name],
            alone_bar=100 * posts / top * figures.alone[name] / max(figures.reasons[name], 1),
            rules=tuple(rules.get(name, ())),
        )
        for name, posts in order
    ]


def _scores(figures: Figures, verdict: Verdict) -> list[Chart]:
    charts = []
    for name in SCORES:
        rules = [(rule, getattr(verdict, rule.key)) for rule in RULES if rule.measure == name]
        marks = tuple(
            Mark(100 * value, f"{'under' if rule.bound == 'at least' else 'over'} {value:g}")
            for rule, value in rules
            if value is not None
        )
        note = SCORE_NOTES[name]
        if rules and not marks:
            note += " No threshold is set: it rejects nothing."
        unscored = figures.unscored[name, "kept"] + figures.unscored[name, "rejected"]
        note += f" Without a score: {unscored:,}." if unscored else ""
        charts.append(mirrored(name, figures.scores[name], score_axis(SCORE_BINS, marks, note)))
    return charts


def _lengths(figures: Figures, verdict: Verdict) -> Chart:
    note = "Letters and digits outside links, mentions and hashtags. The least wanted is lower for dense scripts."
    return mirrored("readable characters", figures.chars, length_axis(CHARS_BINS, verdict.min_readable_chars, note))


def _languages(figures: Figures) -> dict[str, Any]:
    """Return the most frequent languages: read, kept, and bars in percent of the most frequent one."""
    kept = figures.languages["kept"]
    read = kept + figures.languages["rejected"]
    order = sorted(read.items(), key=lambda item: (-item[1], item[0]))
    top = max([1, *read.values()])
    rows = [(tag, posts, kept[tag], 100 * posts / top, 100 * kept[tag] / top) for tag, posts in order]
    rest = rows[LANGUAGES:]
    return {
        "rows": rows[:LANGUAGES],
        "more": len(rest),
        "more_read": sum(row[1] for row in rest),
        "more_kept": sum(row[2] for row in rest),
    }


def _clusters(figures: Figures) -> list[dict[str, Any]]:
    clusters = []
    for cluster, row in figures.clusters:
        original = row["id"] == cluster.original
        course = figures.courses[cluster.original]
        clusters.append(
            {
                "cluster": cluster,
                "span": None if course.span_seconds is None else span_words(course.span_seconds),
                "rate": None if figures.sampled or course.rate is None else rate_words(course.rate),
                "languages": {tag: 100 * share for tag, share in top_shares(course.languages).items()},
                "text": cut(_redacted(row), CLUSTER_CHARS),
                "state": ("kept" if row["verdict"]["keep"] else "rejected") if original else "not in this epoch",
            }
        )
    return clusters


def _sample(row: Mapping[str, Any], verdict: Verdict) -> Sample:
    language = (row["language"] or {}).get("lang")
    when = f"{row['created_at']:%Y-%m-%d %H:%M}" if row["created_at"] else None
    against = tuple(_finding(one, row) for one in verdict.explain(row) if not one.passed)
    about = " · ".join(part for part in (language, when) if part)
    return Sample(row["id"], cut(_redacted(row), SAMPLE_CHARS), about, against)


def _finding(one: Finding, row: Mapping[str, Any]) -> str:
    if one.reason == Reason.LANGUAGE_UNKNOWN:
        return f"{one.reason}: best guess at {_plain(row['language']['confidence'])}"
    if one.measure in ("duplicates.kind", "duplicates.copy"):
        return f"{one.reason} of {row['duplicate_of']}"
    return f"{one.reason}: {one.measure} {_plain(one.measured)}, wants {BOUNDS[one.bound]} {_plain(one.threshold)}"


def _redacted(row: Mapping[str, Any]) -> str:
    return (row["pii"] or {}).get("redacted") or ""


def cut(text: str, chars: int) -> str:
    """Return a text on one line and no longer than that.

    >>> cut("one\\ntwo   three", 8)
    'one two…'
    """
    line = " ".join(text[: 8 * chars].split())
    return line if len(line) <= chars and len(text) <= 8 * chars else line[:chars].rstrip("\u200d ") + "…"


def _example(row: Mapping[str, Any]) -> dict[str, str]:
    place = row["file"] or "?"
    line = "" if row["line"] is None else f":{row['line']}"
    return {
        "place": "/".join(place.replace("\\", "/").split("/")[-2:]) + line,
        "path": place + line,
        "stage": row["stage"] or "",
        "error": row["error"] or "",
    }


def _phases(totals: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    seconds: dict[str, float] = dict(totals.get("phases") or {})
    if totals.get("seconds"):
        seconds["publish"] = max(0.0, totals["seconds"] - sum(seconds.values()))
    top = max([1e-9, *seconds.values()])
    return [(PHASES.get(name, name), value, 100 * value / top) for name, value in seconds.items()]


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _percent(value: float) -> str:
    """Return a percentage with as many digits as say something.

    >>> [_percent(value) for value in (0, 0.004, 0.4, 12.345, 99.99, 100)]
    ['0%', '<0.01%', '0.40%', '12.3%', '>99.9%', '100%']
    """
    if value in (0, 100):
        return f"{value:.0f}%"
    if value < 0.01:
        return "<0.01%"
    if value > 99.9:
        return ">99.9%"
    return f"{value:.2f}%" if value < 1 else f"{value:.1f}%"


def _short_count(value: int | None) -> str:
    """Return a large count in three digits.

    >>> [_short_count(value) for value in (999, 12_345, 4_560_000, 7_000_000_000)]
    ['999', '12.3k', '4.56M', '7B']
    """
    if value is None:
        return "unknown"
    for size, unit in ((10**9, "B"), (10**6, "M"), (10_000, "k")):
        if value >= size:
            return f"{value / min(size, 10**3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:,}"


def _clock(seconds: float) -> str:
    """Return a duration as people say it.

    >>> [_clock(value) for value in (0.25, 41.26, 125, 7384)]
    ['0.2 s', '41.3 s', '2 min 5 s', '2 h 3 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
