"""Train a stage's classifier from labelled Parquet files and write it with its card, by one call.

The rows of the training files are split by a hash of their text: most fit the weights, a tenth decides when to stop
and calibrates the probabilities, and, for a set that brings no validation file, another tenth is kept for the card's
figures. The same files and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.card import describe, write_model
from filters.classifier import Classifier
from filters.evaluation import evaluate, measure
from filters.kernels.logistic import adagrad_epoch, margins
from filters.kernels.ngrams import STYLE, character_tables, feature_rows
from filters.kernels.utf8 import utf8_buffers
from filters.labelled import FIT, RECIPES, TUNE, Examples, Recipe, languages_taught, read_examples
from schemas.errors import ConfigError, nearest

Floats = npt.NDArray[np.float64]
_MAX_ROW_WEIGHT = 8.0  # a rare class is lifted this far and no further: a handful of rows must not rule
_CLIP = 0.9995  # share of weights that keep their size when squeezed into a byte


def train(stage: str, files: Sequence[Path], folder: Path, seed: int = 0) -> dict[str, Any]:
    """Fit, calibrate, measure and write the classifier of a stage; return its card. Raise ConfigError for bad files."""
    if stage not in RECIPES:
        raise ConfigError(f"train: stage '{stage}' has no classifier: {nearest(stage, RECIPES)}")
    recipe = RECIPES[stage]
    examples = read_examples(stage, recipe, [Path(file) for file in files])
    model = fit(stage, recipe, examples, seed)
    figures = {"seed": seed, "validation": evaluate(model, examples)}
    figures["leave_one_set_out"] = leave_one_set_out(stage, recipe, examples, seed)
    card = describe(model, recipe, examples, figures)
    write_model(model, card, Path(folder))
    return card


def leave_one_set_out(stage: str, recipe: Recipe, examples: Examples, seed: int) -> dict[str, dict[str, float | int]]:
    """Return the figures of each set of both classes under a model trained on the others, where they can teach it."""
    out = {}
    for name in np.unique(examples.sets).tolist():
        here = examples.sets == name
        rest, left = examples.where(~here), examples.where(here)
        taught = languages_taught(left)
        if taught and set(taught) <= set(languages_taught(rest)):
            model = fit(stage, recipe, rest, seed)
            scores = model.score(left.texts).to_numpy(zero_copy_only=False).astype(np.float64)
            out[name] = measure(scores, left.labels)
    return out


class _Part(NamedTuple):
    """The readable rows of one part: their labels, weights and features. Shapes: (rows,), (rows,), see kernels."""

    labels: npt.NDArray[np.bool_]
    weights: Floats
    features: tuple[Any, Any, Any]
    languages: tuple[str, ...]


def fit(stage: str, recipe: Recipe, examples: Examples, seed: int = 0) -> Classifier:
    """Fit the weights on the FIT rows, stop and calibrate by the TUNE rows, and squeeze the weights into bytes."""
    learn, tune = _part(stage, recipe, examples, FIT), _part(stage, recipe, examples, TUNE)
    weights, style = _descend(recipe, learn, tune, seed)
    scale = float(np.quantile(np.abs(weights[weights != 0]), _CLIP)) / 127
    table = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    style = style.astype(np.float32)
    slope, intercept = _calibrate(margins(*tune.features, (table * scale, style.astype(np.float64))), tune)
    constants = np.array([scale, style[-1], slope, intercept], np.float64)
    arrays = (table, style[:-1].astype(np.float32), constants)
    settings = (recipe.bits, recipe.drop, recipe.min_words)
    model = Classifier(stage, learn.languages, *arrays, settings, recipe.fold_case, sha256="")
    return Classifier.from_bytes(model.to_bytes())


def _part(stage: str, recipe: Recipe, examples: Examples, part: int) -> _Part:
    """Hash the rows of one part and weigh those that have something to read."""
    rows = examples.where(examples.parts == part)
    data, offsets = utf8_buffers(rows.texts)
    cut = (*character_tables(recipe.fold_case), recipe.bits, recipe.drop, recipe.min_words)
    ids, starts, style = feature_rows(data, offsets, cut)
    counts = np.diff(starts)
    rows = rows.where(counts > 0)
    if len(set(rows.labels.tolist())) < 2:
        use = "learn from" if part == FIT else "stop and calibrate by"
        raise ConfigError(f"train {stage}: {len(rows.labels)} rows to {use}: expected both classes, give more data")
    features = (ids, np.append(0, counts[counts > 0].cumsum()), style[counts > 0])
    languages = tuple(sorted(set(rows.languages.drop_null().to_pylist())))
    return _Part(rows.labels, row_weights(rows, recipe.single_share), features, languages)


def row_weights(examples: Examples, single_share: float) -> Floats:
    """Weigh rows so that the classes count the same in each set and language. Shape: (rows,), mean 1.

    Otherwise the model would learn how often each collection holds the class, which says nothing about posts. Sets
    of one class together count `single_share` times as much as the others; at last each language is evened out.
    """
    languages = np.array(examples.languages.fill_null("").to_pylist())
    weights = np.ones(len(languages))
    single = np.zeros(len(languages), np.bool_)
    for name in np.unique(examples.sets):
        for language in np.unique(languages[examples.sets == name]):
            cell = (examples.sets == name) & (languages == language)
            single |= cell & (len(set(examples.labels[cell].tolist())) == 1)
            _even_out(weights, cell, examples.labels)
    for language in np.unique(languages):
        cell = languages == language
        alone, paired = weights[cell & single].sum(), weights[cell & ~single].sum()
        if alone and paired:
            weights[cell & single] *= single_share * paired / alone
        _even_out(weights, cell, examples.labels)
    return weights / weights.mean()


def _even_out(weights: Floats, cell: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]) -> None:
    """Scale the weights of a cell's rows, in place, until both classes count the same, as far as the limit allows."""
    total = weights[cell].sum()
    for label in (True, False):
        part = cell & (labels == label)
        if 0 < weights[part].sum() < total:
            weights[part] *= min(_MAX_ROW_WEIGHT, 0.5 * total / weights[part].sum())


def _descend(recipe: Recipe, learn: _Part, tune: _Part, seed: int) -> tuple[Floats, Floats]:
    """Run AdaGrad for the recipe's epochs and return the weights of the one with the least loss on the TUNE rows."""
    weights, squares = np.zeros(1 << recipe.bits), np.full(1 << recipe.bits, 1e-4)
    style, style_squares = np.zeros(len(STYLE) + 1), np.zeros(len(STYLE) + 1)
    model = (weights, squares, style, style_squares)
    targets = (learn.labels.astype(np.float64), learn.weights)
    shuffle = np.random.RandomState(seed)  # its stream is frozen across NumPy versions
    best, least = (weights.copy(), style.copy()), np.inf
    for _ in range(recipe.epochs):
        order = shuffle.permutation(len(learn.labels))
        adagrad_epoch(order, learn.features, targets, model, (recipe.rate, recipe.decay))
        loss = _loss(margins(*tune.features, (weights, style)), tune.labels, tune.weights)
        if loss < least:
            best, least = (weights.copy(), style.copy()), loss
    return best


def _loss(scores: Floats, targets: npt.NDArray[Any], weights: Floats) -> float:
    """Return the mean weighted logistic loss against targets in [0, 1]."""
    return float(np.average(np.logaddexp(0, scores) - targets * scores, weights=weights))


def _calibrate(scores: Floats, tune: _Part) -> tuple[float, float]:
    """Return slope and intercept of the sigmoid that fits the raw scores best, both classes counting the same.

    Platt's method by damped Newton steps, with his smoothed targets. Source: Platt, "Probabilistic outputs for support
    vector machines", 1999.
    """
    inputs = np.stack([scores, np.ones(len(scores))], axis=1)
    positive = int(tune.labels.sum())
    targets = np.where(tune.labels, (positive + 1) / (positive + 2), 1 / (len(scores) - positive + 2))
    line = np.array([1.0, 0.0])
    for _ in range(100):
        probability = _sigmoid(inputs @ line)
        gradient = inputs.T @ (tune.weights * (probability - targets))
        curvature = inputs.T @ (inputs * (tune.weights * probability * (1 - probability))[:, None])
        step = np.linalg.solve(curvature + 1e-6 * np.eye(2), gradient)
        now = _loss(inputs @ line, targets, tune.weights)
        while _loss(inputs @ (line - step), targets, tune.weights) > now and np.abs(step).max() > 1e-9:
            step = step / 2
        line = line - step
        if np.abs(step).max() < 1e-9:
            break
    return max(0.0, float(line[0])), float(line[1])


def _sigmoid(margin: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -margin))
