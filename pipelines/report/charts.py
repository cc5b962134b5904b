"""Turn counts into what a page can draw without a script: bins and marks in percent of a chart's width and height."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

MAX_TIME_BINS = 96
TIME_UNITS = (
    (1, "an hour"),
    (6, "six hours"),
    (24, "a day"),
    (24 * 7, "a week"),
    (24 * 28, "four weeks"),
    (24 * 364, "52 weeks"),
)
TRIM = 0.005  # share of posts at either end that may stand outside the time shown
EPOCH_YEAR = datetime(1970, 1, 1, tzinfo=UTC)
TABLE_ROWS = 13

Counts = npt.NDArray[np.int64]
Label = Callable[[int], str]


@dataclass(frozen=True)
class Bin:
    """One pair of bars: kept stands up, rejected hangs down. Places and heights in percent."""

    left: float
    width: float
    up: float
    down: float
    label: str
    kept: int
    rejected: int


@dataclass(frozen=True)
class Mark:
    """A threshold on a chart, or a tick below it, at a place in percent."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A mirrored histogram with its figures as a table."""

    title: str
    bins: tuple[Bin, ...]
    ticks: tuple[Mark, ...]
    thresholds: tuple[Mark, ...]
    rows: tuple[tuple[str, int, int], ...]
    note: str = ""


@dataclass(frozen=True)
class Axis:
    """What stands along a chart: the label of the bins from one to another, ticks, thresholds and a note."""

    label: Callable[[int, int], str]
    ticks: tuple[Mark, ...]
    thresholds: tuple[Mark, ...] = ()
    note: str = ""


def mirrored(title: str, counts: Counts, axis: Axis) -> Chart:
    """Draw counts of the shape (2, bins), kept first; heights are square roots, so that few posts can be seen."""
    roots = np.sqrt(counts)
    top = max(float(roots.max(initial=0)), 1.0)
    bins = counts.shape[1]
    width = 100 / bins
    drawn = tuple(
        Bin(
            left=round(number * width, 3),
            width=round(width, 3),
            up=round(100 * float(roots[0, number]) / top, 2),
            down=round(100 * float(roots[1, number]) / top, 2),
            label=axis.label(number, number + 1),
            kept=int(counts[0, number]),
            rejected=int(counts[1, number]),
        )
        for number in range(bins)
        if counts[:, number].any()
    )
    step = math.ceil(bins / TABLE_ROWS)
    rows = tuple(
        (axis.label(first, min(first + step, bins)), *(int(side[first : first + step].sum()) for side in counts))
        for first in range(0, bins, step)
    )
    return Chart(title, drawn, axis.ticks, axis.thresholds, rows, axis.note)  # type: ignore[arg-type]


def score_axis(bins: int, thresholds: tuple[Mark, ...], note: str) -> Axis:
    """Return the axis of a score, 0 to 1."""
    ticks = tuple(Mark(100 * tick, f"{tick:g}") for tick in (0, 0.25, 0.5, 0.75, 1))
    return Axis(lambda first, end: f"{first / bins:.2f}–{end / bins:.2f}", ticks, thresholds, note)


def length_axis(bins: int, threshold: float | None, note: str) -> Axis:
    """Return the axis of a length in two bins to a doubling, as figures.chars_bin counts them."""

    def start(number: int) -> int:
        return math.ceil(2 ** ((number - 1) / 2) - 1e-9) if number else 0

    def label(first: int, end: int) -> str:
        last = start(end) - 1
        return (
            f"{start(first):,} and more"
            if end >= bins
            else f"{start(first):,}–{last:,}"
            if last > start(first)
            else f"{start(first):,}"
        )

    def place(chars: float) -> float:
        return 100 * (2 * math.log2(chars) + 1) / bins

    ticks = tuple(Mark(place(2**power), f"{2**power:,}") for power in range(0, 13, 2) if place(2**power) < 100)
    marks = () if not threshold else (Mark(place(threshold), f"under {threshold:g}"),)
    return Axis(label, ticks, marks, note)


def over_time(kept: Mapping[int, int], rejected: Mapping[int, int]) -> Chart | None:
    """Draw posts by hour, day or longer, whatever fits; None without any time. Keys are hours from 1970."""
    together = Counter(kept) + Counter(rejected)
    if not together:
        return None
    first, last = _span(together)
    unit, name = next(
        ((hours, name) for hours, name in TIME_UNITS if (last - first) // hours < MAX_TIME_BINS), TIME_UNITS[-1]
    )
    first = first // unit * unit
    bins = (last - first) // unit + 1
    counts = np.zeros((2, bins), np.int64)
    for side, hours in enumerate((kept, rejected)):
        for hour, count in hours.items():
            if first <= hour <= last:
                counts[side, (hour - first) // unit] += count
    outside = sum(together.values()) - int(counts.sum())
    note = f"One pair of bars is {name}, UTC." + (f" Outside the time shown: {outside:,}." if outside else "")

    def label(start: int, end: int) -> str:
        return _date(first + start * unit, unit) + (f" to {_date(first + end * unit, unit)}" if end > start + 1 else "")

    ticks = tuple(Mark(100 * part / 3, _date(first + bins * unit * part // 3, unit)) for part in range(4))
    return mirrored("created_at", counts, Axis(label, ticks, (), note))


def _span(hours: Mapping[int, int]) -> tuple[int, int]:
    """Return the first and last hour worth showing: without the far ends when those would squeeze the rest."""
    order: Sequence[int] = sorted(hours)
    total = np.cumsum([hours[hour] for hour in order])
    low = order[int(np.searchsorted(total, TRIM * total[-1], side="right"))]
    high = order[int(np.searchsorted(total, (1 - TRIM) * total[-1]))]
    whole, middle = order[-1] - order[0], max(high - low, 24)
    return (low, high) if whole > 3 * middle else (order[0], order[-1])


def _date(hour: int, unit: int) -> str:
    try:
        when = EPOCH_YEAR + timedelta(hours=hour)
    except OverflowError:
        return "far off"
    return f"{when:%Y-%m-%d %H:00}" if unit < 24 else f"{when:%Y-%m-%d}"
