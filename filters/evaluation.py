"""Measure a model on labelled rows: as they came, and with the marks masked that vanish elsewhere."""

from __future__ import annotations

import re
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.labelled import VALIDATION, Examples
from filters.slices import slices

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_LENGTH_EDGES = (50, 100, 200)  # characters
_LENGTHS = ("under 50 characters", "50 to 99", "100 to 199", "200 and more")
_MARKS = re.compile(r"https?\S*|www\.\S+|@\w+|[#＃]\w+|[\u2600-\u27bf\U0001f000-\U0001fbff\ufe0f\ufffd]")


class Scorer(Protocol):
    """Whatever gives each text a score from 0 to 1, null where it cannot say."""

    def score(self, texts: pa.Array, languages: pa.Array | None = None) -> pa.Array:
        """Return a float32 for each text. Shape: (rows,) in and out."""
        ...


def masked(texts: pa.Array) -> pa.Array:
    """Take links, mentions, hashtags and emoji out of each text.

    >>> masked(pa.array(["so good 😀 #win https://x.y @bob"])).to_pylist()
    ['so good']
    """
    return pa.array([" ".join(_MARKS.sub(" ", text).split()) for text in texts.to_pylist()], pa.string())


def evaluate(model: Scorer, examples: Examples, sliced: bool = False) -> dict[str, Any]:
    """Return the figures of the VALIDATION rows, raw and masked: over all, by set, language, length and slice."""
    rows = examples.where(examples.parts == VALIDATION)
    languages = np.array(rows.languages.fill_null("und").to_pylist(), np.str_)
    lengths = np.array(_LENGTHS)[np.digitize(pc.utf8_length(rows.texts).to_numpy(), _LENGTH_EDGES)]
    out: dict[str, Any] = {}
    for name, texts in (("raw", rows.texts), ("masked", masked(rows.texts))):
        scores = model.score(texts, rows.languages).to_numpy(zero_copy_only=False).astype(np.float64)
        figures: dict[str, Any] = {"all": measure(scores, rows.labels)}
        for kind, groups in (("by_set", rows.sets), ("by_language", languages), ("by_length", lengths)):
            order = _LENGTHS if kind == "by_length" else np.unique(groups).tolist()
            cells = {group: groups == group for group in order if (groups == group).any()}
            figures[kind] = {group: measure(scores[cell], rows.labels[cell]) for group, cell in cells.items()}
        if sliced:
            cells = {name: cell for name, cell in slices(rows.texts, rows.languages).items() if cell.any()}
            figures["by_slice"] = {name: measure(scores[cell], rows.labels[cell]) for name, cell in cells.items()}
        out[name] = figures
    return out


def measure(scores: Floats, labels: Flags) -> dict[str, float | int]:
    """Return the figures of one group of rows; a NaN score says nothing and counts only in `rows`.

    A group of one class has no AUC.
    """
    known = ~np.isnan(scores)
    scores, labels = scores[known], labels[known]
    figures: dict[str, float | int] = {"rows": len(known), "scored": int(known.sum())}
    if not len(scores):
        return figures
    figures |= {"positive_share": labels.mean()}
    if not labels.all():
        figures["false_positive_rate"] = (scores[~labels] >= 0.5).mean()
    figures["accuracy"] = ((scores >= 0.5) == labels).mean()
    if 0 < labels.sum() < len(labels):
        figures["macro_f1"] = macro_f1(scores >= 0.5, labels)
        figures["roc_auc"] = roc_auc(scores, labels)
        figures["tpr_at_fpr_1_percent"] = tpr_at_fpr(scores, labels, 0.01)
        figures["calibration_error"] = calibration_error(scores, labels)
    return {name: value if isinstance(value, int) else round(float(value), 4) for name, value in figures.items()}


def macro_f1(guesses: Flags, labels: Flags) -> float:
    """Return the mean F1 of both classes.

    >>> macro_f1(np.array([True, True, False, False]), np.array([True, False, False, False]))
    0.7333333333333334
    """
    f1 = []
    for guess, label in ((guesses, labels), (~guesses, ~labels)):
        both = guess.sum() + label.sum()
        f1.append(2 * float((guess & label).sum()) / float(both) if both else 0.0)
    return sum(f1) / 2


def roc_auc(scores: Floats, labels: Flags) -> float:
    """Return the chance that a positive row scores higher than a negative one, ties counting half.

    >>> roc_auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
    0.875
    """
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]  # a tie shares the mean of its ranks
    positive, negative = int(labels.sum()), int((~labels).sum())
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def tpr_at_fpr(scores: Floats, labels: Flags, rate: float) -> float:
    """Return the share of positive rows above the lowest threshold that at most `rate` of the negative rows pass.

    >>> tpr_at_fpr(np.array([0.9, 0.5, 0.6, 0.1]), np.array([True, True, False, False]), 0.01)
    0.5
    """
    negatives = np.sort(scores[~labels])[::-1]
    threshold = negatives[int(rate * len(negatives))]
    return float((scores[labels] > threshold).mean())


def calibration_error(scores: Floats, labels: Flags, bins: int = 10) -> float:
    """Return the mean gap between score and share of positives over score bins, both classes weighing the same.

    Source: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    weights = np.where(labels, 0.5 / labels.sum(), 0.5 / (~labels).sum())
    slots = np.minimum((scores * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(slots, weights * (labels - scores), minlength=bins)
    return float(np.abs(gaps).sum())
