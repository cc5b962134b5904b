"""Calibrate the verdict on scored posts: what each threshold costs, thresholds for what is wanted, a policy file.

Scores stand beside the text, so nothing is scored again and Spark is not needed; deciding again by the policy written
gives what a run with it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filters.stage import configure
from filters.verdict import RULES, Verdict
from pipelines.calibration import page
from pipelines.calibration.curves import measure
from pipelines.calibration.figures import Figures, figures_of
from pipelines.calibration.labels import judge, read_labels
from pipelines.calibration.policy import check_new, policy_text
from pipelines.calibration.proposal import Wish, check_wish, propose
from pipelines.calibration.scales import KEYS, check_keys
from pipelines.calibration.scored import open_scored
from pipelines.calibration.summary import print_calibration
from schemas.config import Config
from schemas.errors import ConfigError, RunError

__all__ = ["CalibrationOrder", "calibrate", "print_calibration", "wish_of"]

SCORES = ("min_quality", "max_spam", "max_toxicity")  # what moves for a kept share unless something else is named


@dataclass(frozen=True)
class CalibrationOrder:
    """What was asked for: which posts, under which settings, what is wanted of thresholds, and where it goes."""

    scored: Path
    config: Config = field(default_factory=Config)
    wish: Wish = field(default_factory=lambda: Wish(None, SCORES, {}, False))
    labels: Path | None = None
    policy: Path | None = None
    page: Path | None = None


def wish_of(keep: float | None, move: list[str], costs: list[str], each_language: bool) -> Wish:
    """Return what is wanted from the words of a call; raise ConfigError for those that are none."""
    parsed: dict[str, float] = {}
    for word in costs:
        key, _, share = word.partition("=")
        try:
            parsed[key] = float(share)
        except ValueError:
            raise ConfigError(f"--cost {word!r}: expected KEY=SHARE, as in max_toxicity=0.002") from None
    check_keys("--move", move, KEYS)
    check_keys("--cost", parsed, KEYS)
    check_wish(keep, parsed, move)
    if each_language and keep is None and not parsed:
        raise ConfigError("--each-language: expected with --keep or --cost, which say what for")
    if move and keep is None:
        raise ConfigError("--move: expected with --keep, which says how far")
    if both := [key for key in move if key in parsed]:
        raise ConfigError(f"--move {both[0]}: it stands where --cost puts it; name it once")
    moving = tuple(dict.fromkeys(move)) or tuple(key for key in SCORES if key not in parsed)
    return Wish(keep, moving, parsed, each_language)


def calibrate(order: CalibrationOrder) -> Figures:
    """Measure a verdict's thresholds, or those that grant a wish, and write what was asked for.

    Returns the figures: of `figures_of`, with what moved and where the files are. Raises ConfigError for a call that
    cannot be followed, RunError where a file cannot be written.
    """
    check_new("--out", order.policy)
    check_new("--page", order.page)
    scored = open_scored(order.scored)
    labels = read_labels(order.labels, scored.folder) if order.labels else None
    (verdict,) = configure((Verdict,), {"verdict": order.config.stages.get("verdict", {})})
    assert isinstance(verdict, Verdict)
    chosen, missed = propose(scored, verdict, order.wish)
    judged = judge(scored, chosen, labels) if labels else None
    figures = figures_of(measure(scored, chosen), judged)
    figures |= {"moved": _moved(verdict, chosen), "not_reached": list(missed)}
    if order.policy:
        _write("--out", order.policy, policy_text(chosen, order.config, figures))
    if order.page:
        _write("--page", order.page, page.render(figures))
    return figures | {"policy": order.policy and str(order.policy), "page": order.page and str(order.page)}


def _moved(before: Verdict, after: Verdict) -> list[dict[str, Any]]:
    """Return the thresholds that differ: setting, language (null: the common one), from and to."""
    changes = [(rule.key, None, getattr(before, rule.key), getattr(after, rule.key)) for rule in RULES]
    changes += [
        (key, tag, before.threshold(key, tag), after.threshold(key, tag))
        for tag, own in _differing(before.per_language, after.per_language).items()
        for key in own
    ]
    return [{"key": key, "language": tag, "from": old, "to": new} for key, tag, old, new in changes if old != new]


def _differing(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {tag: own for tag, own in after.items() if own != before.get(tag)}


def _write(option: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{option} {path}: cannot be written: {error.strerror or error}") from None
