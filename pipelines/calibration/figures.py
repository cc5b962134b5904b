"""Turn counts into the figures of a calibration, as plain data: for the page, for programs and for documents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipelines.calibration.curves import BANDS, Counts, Curves
from pipelines.calibration.labels import Judgement
from pipelines.calibration.scales import Scale

LANGUAGES = 6  # named one by one, the most frequent first
POINTS = 60  # of a curve

Figures = dict[str, Any]


def figures_of(curves: Curves, judged: Mapping[str, Judgement] | None = None) -> Figures:
    """Return what a verdict keeps and what each of its thresholds and reasons costs; shares are of all posts there."""
    tags = list(curves.languages())[:LANGUAGES]
    rows = {tag: curves.tags[tag] for tag in tags}
    posts, kept = curves.posts, curves.kept
    lengths = range(len(BANDS))
    return {
        "posts": int(posts.sum()),
        "kept": int(kept.sum()),
        "languages": {tag: {"posts": int(posts[row].sum()), "kept": int(kept[row].sum())} for tag, row in rows.items()},
        "lengths": {BANDS[n]: {"posts": int(posts[:, n].sum()), "kept": int(kept[:, n].sum())} for n in lengths},
        "thresholds": [
            _threshold(curves, scale, tags, (judged or {}).get(key)) for key, scale in curves.scales.items()
        ],
        "reasons": {name: _reason(curves, name, rows) for name in curves.reasons},
    }


def _reason(curves: Curves, name: str, rows: Mapping[str, int]) -> Figures:
    alone = curves.alone[name]
    return {
        "posts": int(curves.reasons[name].sum()),
        "alone": int(alone.sum()),
        "languages": {tag: int(alone[row].sum()) for tag, row in rows.items()},
        "lengths": {band: int(alone[:, number].sum()) for number, band in enumerate(BANDS)},
    }


def _threshold(curves: Curves, scale: Scale, tags: list[str], judgement: Judgement | None) -> Figures:
    """Return where a threshold stands, what is kept there, with the rule off, and along its scale."""
    key, verdict = scale.key, curves.verdict
    threshold, posts = getattr(verdict, key), int(curves.posts.sum())
    common = curves.kept_at(key)
    chosen = _points(scale, common, threshold)
    found: Figures = {
        "key": key,
        "reason": scale.rule.reason.value,
        "measure": scale.rule.measure,
        "bound": scale.rule.bound,
        "threshold": threshold,
        "kept": _share(int(curves.kept.sum()), posts),
        "alone": _share(int(curves.without[key].sum() - curves.kept.sum()), posts),
        "values": [scale.values[place] for place in chosen],
        "curve": _shares(common[chosen], posts),
        "languages": {},
        "lengths": _lengths(curves, key, chosen),
    }
    for tag in tags:
        kept, read = curves.kept_at_of(key, tag), int(curves.posts[curves.tags[tag]].sum())
        there = _there(scale, kept, verdict.threshold(key, tag), read)
        found["languages"][tag] = there | {"curve": _shares(kept[chosen], read)}
    if judgement is not None:
        found["labels"] = _labels(scale, judgement, chosen, getattr(verdict, key))
    return found


def _lengths(curves: Curves, key: str, chosen: list[int]) -> Figures:
    at, sizes, kept = curves.kept_at_lengths(key), curves.posts.sum(axis=0), curves.kept.sum(axis=0)
    return {
        band: {
            "kept": _share(int(kept[n]), int(sizes[n])),
            "alone": _share(int(curves.without[key][n] - kept[n]), int(sizes[n])),
            "curve": _shares(at[n][chosen], int(sizes[n])),
        }
        for n, band in enumerate(BANDS)
    }


def _there(scale: Scale, kept: Counts, threshold: float | None, posts: int) -> Figures:
    place = scale.place(threshold)
    at = int(kept[-1] if place is None else kept[place])
    return {"threshold": threshold, "kept": _share(at, posts), "alone": _share(int(kept[-1]) - at, posts)}


def _labels(scale: Scale, judgement: Judgement, chosen: list[int], threshold: float | None) -> Figures:
    place = scale.place(threshold)
    off = place is None
    return {
        "mark": judgement.mark,
        "posts": judgement.posts,
        "deserving": _known(judgement.deserving),
        "rejected": 0 if off else int(judgement.rejected[place]),
        "precision": None if off else _known(float(judgement.precision[place])),
        "recall": None if off else _known(float(judgement.recall[place])),
        "precisions": [_known(float(value)) for value in judgement.precision[chosen]],
        "recalls": [_known(float(value)) for value in judgement.recall[chosen]],
    }


def _points(scale: Scale, kept: Counts, threshold: float | None) -> list[int]:
    """Return places to draw, by rising value: spread evenly up to where nothing changes any more, and that in force."""
    rising = scale.rule.bound == "at most"
    order = np.arange(len(scale.values)) if rising else np.arange(len(scale.values))[::-1]
    changing = np.flatnonzero(np.diff(kept[:-1][order])) + 1
    held = [] if threshold is None else [int(np.flatnonzero(order == scale.values.index(threshold))[0])]
    last = min(max([*changing.tolist(), *held, 1]) + 1, len(order) - 1)
    places = sorted({*np.linspace(0, last, POINTS).round().astype(int).tolist(), *held})
    return [int(order[place]) for place in places]


def _shares(counts: Counts, posts: int) -> list[float]:
    return [_share(int(count), posts) for count in counts]


def _share(count: int, posts: int) -> float:
    return round(count / posts, 6) if posts else 0.0


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
