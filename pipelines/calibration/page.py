"""Draw a calibration as one HTML page: for each threshold the kept share along its scale, by language and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.report.charts import Mark
from pipelines.report.page import BOUNDS, load_template
from schemas.version import VERSION

COLOURS = ("#1f6f78", "#c2622d", "#7a4fa3", "#b08900", "#3b7dd8", "#a33b5c")
TICKS = 5
TABLE_ROWS = 12


@dataclass(frozen=True)
class Line:
    """One curve: points in percent of the plot's width and height, from its upper left."""

    name: str
    colour: str
    points: str


@dataclass(frozen=True)
class Plot:
    """Curves over one scale, the threshold in force, and the same figures as a table."""

    title: str
    lines: tuple[Line, ...]
    ticks: tuple[Mark, ...]
    thresholds: tuple[Mark, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Panel:
    """What the page shows of one threshold."""

    key: str
    reason: str
    rule: str
    off: bool
    kept: float
    alone: float
    own: tuple[str, ...]  # languages with a threshold of their own
    plots: tuple[Plot, ...]
    labels: Mapping[str, Any] | None


def render(figures: Mapping[str, Any]) -> str:
    """Return the page; the costliest threshold stands first, those that never reject anything are only named."""
    thresholds = sorted(figures["thresholds"], key=lambda one: -one["alone"])
    silent = [one["key"] for one in thresholds if min(one["curve"]) == max(one["curve"])]
    panels = [_panel(one) for one in thresholds if one["key"] not in silent]
    return load_template("pipelines.calibration", "calibrate.html").render(
        figures=figures, panels=panels, silent=silent, reasons=_reasons(figures), version=VERSION
    )


def _reasons(figures: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    given = [(name, one) for name, one in figures["reasons"].items() if one["posts"]]
    return sorted(given, key=lambda item: -item[1]["posts"])


def _panel(one: Mapping[str, Any]) -> Panel:
    threshold = one["threshold"]
    own = tuple(
        f"{tag}: {_number(there['threshold'])}"
        for tag, there in one["languages"].items()
        if there["threshold"] != threshold
    )
    plots = [
        _plot(one, "by language", one["languages"]),
        _plot(one, "by length, in readable characters", one["lengths"]),
    ]
    if one.get("labels"):
        found = {name: {"curve": one["labels"][f"{name}s"]} for name in ("precision", "recall")}
        plots.append(_plot(one | {"curve": None}, "against the labels", found))
    return Panel(
        key=one["key"],
        reason=one["reason"],
        rule=f"{one['measure']} {BOUNDS[one['bound']]} {_number(threshold)}",
        off=threshold is None,
        kept=100 * one["kept"],
        alone=100 * one["alone"],
        own=own,
        plots=tuple(plots),
        labels=one.get("labels"),
    )


def _plot(one: Mapping[str, Any], title: str, groups: Mapping[str, Any]) -> Plot:
    """Draw a curve for each group, and one for all posts where there is one; values stand at even distances."""
    values = one["values"]
    curves = [("all", "var(--mark)", one["curve"])] if one["curve"] else []
    curves += [(name, colour, group["curve"]) for (name, group), colour in zip(groups.items(), COLOURS, strict=False)]
    places = [100 * number / max(len(values) - 1, 1) for number in range(len(values))]
    threshold = one["threshold"]
    marks = () if threshold is None else (Mark(places[values.index(threshold)], _number(threshold)),)
    ticks = [round(part * (len(values) - 1) / (TICKS - 1)) for part in range(TICKS)]
    shown = sorted({round(part * (len(values) - 1) / (TABLE_ROWS - 1)) for part in range(TABLE_ROWS)})
    return Plot(
        title=title,
        lines=tuple(Line(name, colour, _points(places, curve)) for name, colour, curve in curves),
        ticks=tuple(Mark(places[at], _number(values[at])) for at in ticks),
        thresholds=marks,
        rows=tuple((_number(values[at]), *(_share(curve[at]) for _, _, curve in curves)) for at in shown),
    )


def _points(places: Sequence[float], shares: Sequence[float | None]) -> str:
    known = zip(places, shares, strict=True)
    return " ".join(f"{at:.2f},{100 - 100 * share:.2f}" for at, share in known if share is not None)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _number(value: float | None) -> str:
    """Return a threshold as it is written.

    >>> _number(0.02), _number(16.0), _number(4096), _number(None)
    ('0.02', '16', '4,096', 'off')
    """
    return "off" if value is None else f"{value:,.10g}"
