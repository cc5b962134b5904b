"""The thresholds that a policy can move: along which values each moves, and where on them each post stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from filters.verdict import RULES, Found, Rule, Verdict
from schemas.errors import ConfigError, nearest
from schemas.reasons import Reason

Numbers = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

COPIES = Rule(Reason.EXACT_DUPLICATE, "duplicates.copy", "keep_copies", "at most")
MOVABLE = (*RULES, COPIES)
KEYS = tuple(rule.key for rule in MOVABLE)

_COUNTS = tuple(dict.fromkeys([*range(129), *(round(128 * 2 ** (step / 8)) for step in range(137))]))  # to 2^24
_VALUES: Mapping[str, tuple[float, ...]] = {
    "quality.readable_chars": _COUNTS,
    "quality.words": _COUNTS,
    "quality.entropy": tuple(step / 50 for step in range(501)),  # bits; 10 are a text of a thousand different letters
    "duplicates.cluster_size": _COUNTS[1:],
    "duplicates.cluster_authors": _COUNTS[1:],
    "duplicates.copy": _COUNTS[1:],
}
_SHARES = tuple(step / 1000 for step in range(1001))


@dataclass(frozen=True)
class Scale:
    """The values that one threshold may take, the strictest first."""

    rule: Rule
    values: tuple[float, ...]

    @property
    def key(self) -> str:
        """Name the setting."""
        return self.rule.key

    def places(self, measured: Numbers) -> Places:
        """Return for each measure the first place at which it passes: the strictest value that lets it through.

        Null (NaN) passes everywhere: 0. What passes nowhere on the scale is at `len(values)`. In single precision, as
        the verdict compares.

        >>> scale = Scale(MOVABLE[0], (20.0, 16.0, 0.0))
        >>> scale.places(np.array([25, 16, 7, np.nan], np.float32)).tolist()
        [0, 1, 2, 0]
        """
        sign = np.float32(-1 if self.rule.bound == "at least" else 1)
        found = np.searchsorted(sign * np.array(self.values, np.float32), sign * measured, side="left")
        return np.where(np.isnan(measured), 0, found)

    def place(self, threshold: float | None) -> int | None:
        """Return where a threshold stands; None for one that is off."""
        return None if threshold is None else self.values.index(threshold)


def scales_of(verdict: Verdict) -> tuple[Scale, ...]:
    """Return the scale of each threshold; the values in force are on it."""
    return tuple(_scale(rule, verdict) for rule in MOVABLE)


def _scale(rule: Rule, verdict: Verdict) -> Scale:
    own = [thresholds.get(rule.key) for thresholds in verdict.per_language.values()]
    held = {float(value) for value in (getattr(verdict, rule.key), *own) if value is not None}
    values = held | {float(value) for value in _VALUES.get(rule.measure, _SHARES)}
    return Scale(rule, tuple(sorted(values, reverse=rule.bound == "at least")))


def check_keys(option: str, keys: Iterable[str], legal: Sequence[str] = KEYS) -> None:
    """Raise ConfigError for a threshold that there is not."""
    for key in keys:
        if key not in legal:
            raise ConfigError(f"{option}: unknown threshold {key!r}: {nearest(key, legal)}")


def measured_by(found: Iterable[Found], rows: int) -> dict[str, Numbers]:
    """Return what was measured for each threshold, NaN where nothing was."""
    measured: dict[str, Numbers] = {}
    for one in found:
        if one.key is not None:
            known = measured.get(one.key, np.full(rows, np.nan, np.float32))
            measured[one.key] = np.fmax(known, one.measured)  # copies are asked about once for each kind of copy
    return measured


def moved(verdict: Verdict, common: Mapping[str, Any], per_language: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Return a verdict with other thresholds: common ones, and some of single languages."""
    tags = {**verdict.per_language, **per_language}
    merged = {tag: {**verdict.per_language.get(tag, {}), **per_language.get(tag, {})} for tag in tags}
    whole = {key: int(value) if key == "keep_copies" else value for key, value in common.items()}
    return replace(verdict, **whole, per_language=merged)
