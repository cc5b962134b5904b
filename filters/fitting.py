"""Fit one classifier: how strongly to hold its weights back is chosen on folds, and so is what its score means.

Every row of a fold is scored by a model that has not seen it. These scores choose the settings and calibrate; then all
rows fit the weights, which are squeezed into bytes. A weight may grow the more, the more its feature tells the classes
apart by counting alone. Source: Wang, Manning, "Baselines and Bigrams", ACL 2012, in a milder form (the root).
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.classifier import Classifier
from filters.kernels.logistic import class_weights, dual_epoch, margins, start_dual, take_rows
from filters.kernels.ngrams import CHAR_ROWS, ROWS, feature_rows, main_scripts
from filters.kernels.normal_form import STYLE, character_tables
from filters.kernels.utf8 import utf8_buffers
from filters.labelled import FIT, Examples, Recipe, blurred
from schemas.errors import ConfigError

Floats = npt.NDArray[np.float64]
Matrix = tuple[Any, Any, Any]

TRIED: dict[str, tuple[float, ...]] = {
    "cost": (1.0, 9.0, 27.0),
    "word_share": (0.5, 2.0),
    "style_share": (0.3, 3.0),
}
"""What is tried, one after the other, each in place of what was best until then."""
FOLDS = 5
_EPOCHS, _STILL = 30, 1e-2  # epochs at most; fewer when no row moved by this share of its cost
_MAX_ROW_WEIGHT = 8.0  # a rare class is lifted this far and no further: a handful of rows must not rule
_CLIP = 0.9998  # share of weights that keep their size when squeezed into a byte
_LEARNT = 0.05  # share of the rows from which on a script counts as learnt
_COLUMNS = ROWS + len(STYLE) + 1


class Settings(NamedTuple):
    """What was chosen on the folds, and the sigmoid that makes raw scores probabilities."""

    cost: float = 3.0  # of an error, beside that of large weights
    word_share: float = 1.0  # how freely words may weigh beside n-grams of characters
    style_share: float = 1.0  # and style
    slope: float = 1.0
    intercept: float = 0.0


class _Rows(NamedTuple):
    """The readable rows to learn from. Shapes: (rows,), (rows,), see kernels, (rows,)."""

    labels: npt.NDArray[np.bool_]
    weights: Floats
    matrix: Matrix
    folds: npt.NDArray[np.int64]

    def where(self, keep: npt.NDArray[np.bool_]) -> _Rows:
        """Return the rows for which `keep` is true."""
        matrix = take_rows(self.matrix, np.flatnonzero(keep))
        return _Rows(self.labels[keep], self.weights[keep], matrix, self.folds[keep])


def fit(
    stage: str, recipe: Recipe, examples: Examples, seed: int = 0, settings: Settings | None = None
) -> tuple[Classifier, Settings]:
    """Fit the weights on all FIT rows and return them with the settings, chosen on folds unless they are given."""
    rows, languages, scripts = _readable(stage, recipe, examples)
    chosen = settings or _choose(rows, seed)
    weights = _solve(rows, chosen, seed) * chosen.slope
    weights[-1] += chosen.intercept
    chars, words = weights[:CHAR_ROWS], weights[CHAR_ROWS:ROWS]
    scales = [_scale(chars), _scale(words)]
    table = np.concatenate([_squeeze(chars, scales[0]), _squeeze(words, scales[1])])
    style, constants = weights[ROWS:-1].astype(np.float32), np.array([*scales, weights[-1]])
    model = Classifier(
        stage, languages, table, style, constants, recipe.min_words, scripts, recipe.reads_marks, sha256=""
    )
    return Classifier.from_bytes(model.to_bytes()), chosen


def _readable(stage: str, recipe: Recipe, examples: Examples) -> tuple[_Rows, tuple[str, ...], int]:
    """Return the FIT rows that have something to read, their languages and scripts; refuse too few rows of a class."""
    kept = examples.where(examples.parts == FIT)
    data, offsets = utf8_buffers(kept.texts)
    matrix = feature_rows(data, offsets, character_tables(), (recipe.min_words, recipe.reads_marks))
    readable = np.diff(matrix[2]) > 0
    kept = kept.where(readable)
    for label in (True, False):
        found = int((kept.labels == label).sum())
        if found < 2 * FOLDS:
            raise ConfigError(
                f"train {stage}: {found} {'positive' if label else 'negative'} rows to learn from: expected both "
                f"classes, {2 * FOLDS} rows of each at least: give more data"
            )
    weights = row_weights(kept, recipe.single_share)
    folds = np.array([fold_of(text) for text in kept.texts.to_pylist()], np.int64)
    rows = _Rows(kept.labels, weights, take_rows(matrix, np.flatnonzero(readable)), folds)
    shares = np.bincount(main_scripts(data, offsets, character_tables())[readable], minlength=2)[1:] / len(kept.labels)
    scripts = sum(1 << number for number, share in enumerate(shares.tolist(), 1) if share >= _LEARNT)
    return rows, tuple(sorted(set(kept.languages.drop_null().to_pylist()))), scripts


def fold_of(text: str) -> int:
    """Return the fold of a text, by its words alone, so that near copies never stand in two."""
    return hashlib.blake2b(blurred(text), digest_size=4).digest()[1] % FOLDS


def row_weights(examples: Examples, single_share: float) -> Floats:
    """Weigh rows so that the odds of the classes are the root of what they are in each set and language. Mean 1.

    Half-way between how often a collection holds the class, which says little about posts, and even odds, under which
    a rare class is cried too often. Sets of one class count together `single_share` times as much as the others.
    """
    languages = np.array(examples.languages.fill_null("").to_pylist())
    weights = np.ones(len(languages))
    single = np.zeros(len(languages), np.bool_)
    for name in np.unique(examples.sets):
        for language in np.unique(languages[examples.sets == name]):
            cell = (examples.sets == name) & (languages == language)
            share = examples.labels[cell].mean()
            if share in (0, 1):
                single |= cell
                continue
            weights[cell & examples.labels] = min(_MAX_ROW_WEIGHT, ((1 - share) / share) ** 0.5)
            weights[cell] *= cell.sum() / weights[cell].sum()
    for language in np.unique(languages):
        cell = languages == language
        alone, paired = weights[cell & single].sum(), weights[cell & ~single].sum()
        if alone and paired:
            weights[cell & single] *= min(1.0, single_share * paired / alone)
    return weights / weights.mean()


def _choose(rows: _Rows, seed: int) -> Settings:
    """Return the settings whose calibrated scores of unseen rows lose least, one of them improved after the other."""
    best = _try(rows, Settings(), seed)
    for name, values in TRIED.items():
        best = min([best, *(_try(rows, best[1]._replace(**{name: value}), seed) for value in values)])
    return best[1]


def _try(rows: _Rows, settings: Settings, seed: int) -> tuple[float, Settings]:
    """Return the loss of calibrated scores under the settings, each row scored unseen, and the calibrated settings."""
    scores = np.zeros(len(rows.labels))
    for fold in range(FOLDS):
        unseen = rows.folds == fold
        weights = _solve(rows.where(~unseen), settings, seed)
        scores[unseen] = margins(rows.where(unseen).matrix, weights)
    slope, intercept = calibrate(scores, rows.labels, rows.weights)
    loss = _loss(slope * scores + intercept, rows.labels, rows.weights)
    return loss, settings._replace(slope=slope, intercept=intercept)


def _solve(rows: _Rows, settings: Settings, seed: int) -> Floats:
    """Return the weights that fit the rows. Shape: (ROWS + style + 1,)."""
    room = _room(rows, settings)
    ids, values, starts = rows.matrix
    order = np.argsort(-np.bincount(ids, minlength=_COLUMNS), kind="stable")  # side by side, the common fit a cache
    place = np.empty(_COLUMNS, np.int32)
    place[order] = np.arange(_COLUMNS, dtype=np.int32)
    matrix = (place[ids], values * room[ids], starts)
    signs, costs = np.where(rows.labels, 1.0, -1.0), settings.cost * rows.weights
    state = start_dual(matrix, signs, costs, _COLUMNS)
    shuffle = np.random.RandomState(seed)  # its stream is frozen across NumPy versions
    for _ in range(_EPOCHS):
        if dual_epoch(shuffle.permutation(len(signs)), matrix, signs, costs, state) < _STILL:
            break
    weights: Floats = state[0][place] * room
    return weights


def _room(rows: _Rows, settings: Settings) -> Floats:
    """Return how freely each weight may grow: by the root of its feature's log ratio between the classes."""
    counts = class_weights(rows.matrix, rows.labels, rows.weights, _COLUMNS)
    totals = np.array([rows.weights[rows.labels].sum(), rows.weights[~rows.labels].sum()])
    shares = (counts + 1) / (totals[:, None] + 2)
    room: Floats = np.sqrt(np.abs(np.log(shares[0] / shares[1]))) + 0.05
    room[CHAR_ROWS:ROWS] *= settings.word_share
    room[ROWS:] = settings.style_share
    return room


def _scale(weights: Floats) -> float:
    used = np.abs(weights[weights != 0])
    return max(float(np.quantile(used, _CLIP)) / 127, 1e-12) if len(used) else 1.0


def _squeeze(weights: Floats, scale: float) -> npt.NDArray[np.int8]:
    return np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)


def _loss(scores: Floats, targets: npt.NDArray[Any], weights: Floats) -> float:
    """Return the mean weighted logistic loss against targets in [0, 1]."""
    return float(np.average(np.logaddexp(0, scores) - targets * scores, weights=weights))


def calibrate(scores: Floats, labels: npt.NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """Return slope and intercept of the sigmoid that fits the raw scores best.

    Platt's method by damped Newton steps, with his smoothed targets. Source: Platt, "Probabilistic outputs for support
    vector machines", 1999.
    """
    inputs = np.stack([scores, np.ones(len(scores))], axis=1)
    positive = int(labels.sum())
    targets = np.where(labels, (positive + 1) / (positive + 2), 1 / (len(scores) - positive + 2))
    line = np.array([1.0, 0.0])
    for _ in range(100):
        probability = np.exp(-np.logaddexp(0, -(inputs @ line)))
        gradient = inputs.T @ (weights * (probability - targets))
        curvature = inputs.T @ (inputs * (weights * probability * (1 - probability))[:, None])
        step = np.linalg.solve(curvature + 1e-6 * np.eye(2), gradient)
        now = _loss(inputs @ line, targets, weights)
        while _loss(inputs @ (line - step), targets, weights) > now and np.abs(step).max() > 1e-9:
            step = step / 2
        line = line - step
        if np.abs(step).max() < 1e-9:
            break
    return max(0.0, float(line[0])), float(line[1])


def ridge_logistic(inputs: Floats, labels: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the coefficients of a logistic regression under a ridge of 1 on each, by Newton's steps. Shape: (k,)."""
    found = np.zeros(inputs.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ found))
        slope = inputs.T @ (weights * (labels - chance)) - found
        curve = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs + np.eye(len(found))
        found += np.linalg.solve(curve, slope)
    return found
