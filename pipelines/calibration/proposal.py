"""Propose thresholds: for a share of posts to keep, or for what single rules may cost at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.verdict import Verdict
from pipelines.calibration.curves import Counts, Curves, measure
from pipelines.calibration.scales import moved
from pipelines.calibration.scored import Scored
from schemas.errors import ConfigError

MIN_POSTS = 1000  # of a language, for thresholds of its own: of fewer a quantile near the end says little
STEPS = 2000  # of strictness
NEVER = 2.0  # a strictness that nothing reaches
UNMOVED = "as it is"

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wish:
    """What is wanted: a kept share with the thresholds that may move for it, and the most that some may cost."""

    keep: float | None
    move: tuple[str, ...]
    costs: Mapping[str, float]
    each_language: bool


def propose(scored: Scored, verdict: Verdict, wish: Wish) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict that grants a wish, and the languages that could not have it as thresholds of their own.

    Raises ConfigError where the thresholds that may move cannot reach the kept share.
    """
    if wish.costs:
        curves = measure(scored, verdict)
        for key, most in wish.costs.items():
            verdict = _cheaper(curves, verdict, key, (most, wish.each_language))
    return _keep_share(scored, verdict, wish) if wish.keep is not None else (verdict, ())


def _cheaper(curves: Curves, verdict: Verdict, key: str, wanted: tuple[float, bool]) -> Verdict:
    """Move one threshold to the strictest value at which its rule alone rejects at most a share of the posts."""
    most, each_language = wanted
    values = curves.scales[key].values

    def value(kept: Counts, posts: int, present: float | None) -> float | None:
        within = np.flatnonzero((kept[-1] - kept[:-1]) <= most * posts)
        if not len(within):
            return None  # off: even the most lenient one costs more
        return values[int(within[0])] if within[0] else present  # it says too little here to cost so much anywhere

    of_languages = {
        tag: {key: value(curves.kept_at_of(key, tag), int(curves.posts[row].sum()), verdict.threshold(key, tag))}
        for tag, row in ((tag, curves.tags[tag]) for tag in (curves.languages(MIN_POSTS) if each_language else ()))
    }
    common = value(curves.kept_at(key), int(curves.posts.sum()), verdict.threshold(key, None))
    return moved(verdict, {key: common}, of_languages)


def _keep_share(scored: Scored, verdict: Verdict, wish: Wish) -> tuple[Verdict, tuple[str, ...]]:
    """Move some thresholds by one strictness until the wanted share of posts is kept, or a little more.

    At strictness s each of them rejects at most the share s of the posts that no other rule rejects, so none of them is
    led by how its score is scaled. Two passes: what each rejects at each place, and at which strictness each post goes.
    """
    assert wish.keep is not None
    tags = list(measure(scored, verdict).languages(MIN_POSTS)) if wish.each_language else []
    off = dict.fromkeys(wish.move)
    loose = measure(scored, moved(verdict, off, dict.fromkeys(tags, off)))
    groups = np.array([tags.index(tag) + 1 if tag in tags else 0 for tag in loose.tags], np.int64)
    rejecting = {key: _rejecting(loose, key, groups) for key in wish.move}
    kept = _kept_by_strictness(scored, loose, groups, rejecting)
    posts = np.bincount(groups, loose.posts.sum(axis=1), minlength=len(kept))
    if not tags:
        _check_reach(wish, kept[0] / posts[0])
    chosen: dict[str | None, dict[str, float | None]] = {}
    for group, tag in enumerate([None, *tags]):
        present = {key: verdict.threshold(key, tag) for key in wish.move}
        reached = np.flatnonzero(kept[group] >= wish.keep * posts[group])
        if not tags or (len(reached) and reached[-1] <= STEPS):
            step = int(reached[-1]) - 1  # the first place is that of the rules off
            own = {key: _value_at(loose, key, rejecting[key][groups == group], step) for key in wish.move}
            chosen[tag] = {key: present[key] if isinstance(value, str) else value for key, value in own.items()}
    return moved(verdict, chosen.pop(None, {}), chosen), tuple(tag for tag in tags if tag not in chosen)


def _rejecting(loose: Curves, key: str, groups: Counts) -> Shares:
    """Return by language the share of its group that a rule rejects at each place of its scale; NEVER where it may not.

    A language with a threshold of its own, and too few posts for another, keeps it.
    """
    counts = loose.by_language[key]
    table = np.full((len(groups), counts.shape[1] - 1), NEVER)
    free = loose.common(key) | (groups > 0)
    for group in np.unique(groups[free]):
        rows = free & (groups == group)
        passing = np.cumsum(counts[rows].sum(axis=0))
        table[rows] = 1 - passing[:-1] / max(int(passing[-1]), 1)
    return table


def _kept_by_strictness(scored: Scored, loose: Curves, groups: Counts, rejecting: Mapping[str, Shares]) -> Counts:
    """Return how many posts of each group are kept with the rules off and at each step, shape (groups, STEPS + 2)."""
    gone = np.zeros((int(groups.max(initial=0)) + 1, STEPS + 2), np.int64)
    for batch in scored.batches():
        languages, steps = _goes_at(loose, batch, rejecting)
        places = groups[languages] * gone.shape[1] + np.minimum(steps, STEPS + 1)
        gone += np.bincount(places, minlength=gone.size).reshape(gone.shape)
    total = gone.sum(axis=1, keepdims=True)
    return np.hstack([total, total - np.cumsum(gone[:, :-1], axis=1)])


def _goes_at(loose: Curves, batch: pa.RecordBatch, rejecting: Mapping[str, Shares]) -> tuple[Counts, Counts]:
    """Return the language of each post that the other rules keep, and the step of strictness from which on it goes."""
    seen = loose.look(batch)
    least = np.full(batch.num_rows, NEVER)
    for key, table in rejecting.items():
        places = loose.scales[key].places(seen.measured[key])
        share = table[seen.languages, np.maximum(places - 1, 0)]  # of the most lenient value that rejects it
        least = np.minimum(least, np.where(places > 0, share, NEVER))
    left = seen.against == 0
    return seen.languages[left], np.ceil(least[left] * STEPS).astype(np.int64)


def _value_at(loose: Curves, key: str, tables: Shares, step: int) -> float | str | None:
    """Return the strictest value of a threshold that rejects no more than the share of a step; None where it is off.

    UNMOVED where it rejects nothing at any place: it says nothing about those posts.
    """
    free = tables[tables[:, 0] < NEVER]
    if not len(free) or free[0][0] <= 0:
        return UNMOVED
    if step < 0:
        return None
    within = np.flatnonzero(np.ceil(free[0] * STEPS) <= step)
    return loose.scales[key].values[int(within[0])] if len(within) else None


def _check_reach(wish: Wish, shares: Shares) -> None:
    """Raise ConfigError where the wanted share is out of reach; shares run from the rules off to their strictest."""
    assert wish.keep is not None
    names = ", ".join(wish.move)
    if shares[0] < wish.keep:
        raise ConfigError(
            f"--keep {wish.keep:g}: without {names} the other rules leave {shares[0]:.1%} of the posts; let more "
            "thresholds move (--move), or switch some off (--set stages.verdict.KEY=null)"
        )
    if shares[-1] > wish.keep:
        raise ConfigError(
            f"--keep {wish.keep:g}: {names} at their strictest still leave {shares[-1]:.1%}, of posts they say nothing "
            "about, most of them; let more thresholds move (--move)"
        )


def check_wish(keep: float | None, costs: Mapping[str, float], move: Sequence[str]) -> None:
    """Raise ConfigError for shares that are none, and thresholds that may not move so."""
    for option, share in (("--keep", keep), *((f"--cost {key}", share) for key, share in costs.items())):
        if share is not None and not 0 <= share <= 1:
            raise ConfigError(f"{option}: expected a share from 0 to 1, got {share:g}")
    if "keep_copies" in (*move, *costs):
        raise ConfigError("keep_copies is a count of copies, of which no strictness can be asked; give it with --set")
