"""Fit the style model of `ai_text`: trees on labelled posts and babble, a calibration, the weight of a timeline.

Every row is learnt twice, as it came and with its marks masked, so that neither reading leans on the other. A tenth of
the rows, by a hash of the text, calibrates and makes timelines. The same files and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.authorship import Timelines, measure_timelines
from filters.babble import babble
from filters.clean_text import clean_strings
from filters.evaluation import masked
from filters.fitting import calibrate, fold_of
from filters.kernels.style import STYLE_FEATURES, style_rows
from filters.kernels.timelines import TIMELINE_FEATURES
from filters.kernels.trees import boost, tree_margins
from filters.kernels.utf8 import utf8_buffers
from filters.labelled import FIT, Examples, Recipe
from filters.style_model import StyleModel
from schemas.errors import ConfigError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]

TREES, DEPTH, RATE, RIDGE, BINS = 300, 6, 0.15, 1.0, 255
ASKED_SHARE = 0.5  # of the features, that one tree may ask
BABBLE_SHARE = 0.15  # of the weight of the labelled rows
BABBLED_FROM = 4000  # texts of each of the two kinds of sets that babble is made of, and how many it makes
TIMELINES, POSTS = 1200, (5, 60)  # how many timelines of each class weigh the evidence, and how long they are


class _Rows(NamedTuple):
    """Rows to learn from. Shapes: styles (rows, k), the others (rows,)."""

    styles: npt.NDArray[np.float32]
    labels: Flags
    weights: Floats


def fit(stage: str, recipe: Recipe, examples: Examples, makers: Names, seed: int = 0) -> StyleModel:
    """Fit the model on the FIT rows; `makers` says of each row who or what wrote it. Shapes: (rows,)."""
    keep = examples.parts == FIT
    rows, makers = examples.where(keep), makers[keep]
    paired = np.isin(rows.sets, [name for name in np.unique(rows.sets) if rows.labels[rows.sets == name].any()])
    held = paired & (np.array([fold_of(text) for text in rows.texts.to_pylist()]) == 0)
    learn, tune = rows.where(paired & ~held), rows.where(held)
    if len(set(learn.labels.tolist())) < 2 or len(set(tune.labels.tolist())) < 2:
        raise ConfigError(f"train {stage}: {len(rows.labels)} rows to learn from: expected both classes, give more data")
    made = _babble(learn, rows.where(~paired), seed)
    trees = _grow(_with_babble(_twice(learn), made), seed)
    both = _twice(tune)
    slope, intercept = calibrate(tree_margins(both.styles, trees), both.labels, both.weights)
    languages = tuple(sorted(set(rows.languages.drop_null().to_pylist())))
    constants = np.array([slope, intercept])
    flat = np.stack([np.zeros(len(TIMELINE_FEATURES) + 1), np.ones(len(TIMELINE_FEATURES) + 1)] + [np.zeros(10)])
    model = StyleModel(stage, languages, trees, constants, flat, recipe.min_words, "")
    timeline = _weigh_timelines(model, tune, makers[held], seed)
    model = StyleModel(stage, languages, trees, constants, timeline, recipe.min_words, "")
    return StyleModel.from_bytes(model.to_bytes())


def makers_of(examples: Examples) -> Names:
    """Say of each row who or what wrote it, as far as the files tell: their `author`, else their `label_fine`."""
    named: dict[str, str] = {}
    for file in examples.files:
        table = pq.read_table(file)
        column = next((name for name in ("author", "label_fine") if name in table.column_names), "label")
        texts, _ = clean_strings(table["text"].combine_chunks().cast(pa.string()))
        named |= dict(zip(texts.to_pylist(), table[column].cast(pa.string()).to_pylist(), strict=True))
    known = [named.get(text) or "?" for text in examples.texts.to_pylist()]
    labels = np.where(examples.labels, "machine", "person")
    return np.array([f"{name}/{label}/{who}" for name, label, who in zip(examples.sets, labels, known, strict=True)])


def _twice(rows: Examples) -> _Rows:
    """Read every row as it came and masked; sets and classes weigh the same."""
    texts = pa.concat_arrays([rows.texts, masked(rows.texts)])
    styles, _, _ = style_rows(*utf8_buffers(texts))
    weights = np.ones(len(rows.labels))
    for name in np.unique(rows.sets):
        for label in (True, False):
            cell = (rows.sets == name) & (rows.labels == label)
            weights[cell] = 1 / max(1, cell.sum())
    return _Rows(styles, np.tile(rows.labels, 2), np.tile(weights / weights.mean(), 2))


def _babble(learn: Examples, plain: Examples, seed: int) -> list[str]:
    """Make babble of the human rows of the labelled sets, and as much of the sets that have no machine rows."""
    made = []
    for rows in (learn, plain):
        texts = masked(rows.texts.filter(pa.array(~rows.labels))).to_pylist()
        draw = np.random.RandomState(seed).permutation(len(texts))[:BABBLED_FROM]
        made += babble([texts[at] for at in draw], BABBLED_FROM, seed) if len(texts) else []
    return made


def _with_babble(rows: _Rows, made: Sequence[str]) -> _Rows:
    """Add babble as machine text, and even out the classes."""
    styles, _, _ = style_rows(*utf8_buffers(pa.array(made, pa.string())))
    each = BABBLE_SHARE * rows.weights.sum() / len(made)
    labels = np.append(rows.labels, np.ones(len(made), np.bool_))
    weights = np.append(rows.weights, np.full(len(made), each))
    for label in (True, False):
        weights[labels == label] /= weights[labels == label].sum()
    return _Rows(np.concatenate([rows.styles, styles]), labels, weights * len(weights) / 2)


def _grow(rows: _Rows, seed: int) -> tuple[Any, Any, Any]:
    """Grow the trees on features cut into bins at their quantiles."""
    marks = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = [np.unique(np.quantile(column, marks)).astype(np.float32) for column in rows.styles.T]
    bins = np.stack([np.searchsorted(edge, column) for edge, column in zip(edges, rows.styles.T, strict=True)], axis=1)
    asked = np.flatnonzero(bins.max(axis=0) > 0)
    draws = np.random.RandomState(seed)  # its stream is frozen across NumPy versions
    count = max(1, int(len(asked) * ASKED_SHARE))
    chosen = np.array([np.sort(draws.choice(asked, count, replace=False)) for _ in range(TREES)])
    targets = (rows.labels.astype(np.float64), rows.weights)
    features, cuts, leaves = boost(bins.astype(np.uint8), targets, chosen, (DEPTH, BINS, RATE, RIDGE))
    cuts = np.minimum(cuts, np.array([len(edge) - 1 for edge in edges])[features])
    thresholds = np.array([edges[feature][cut] for feature, cut in zip(features.ravel(), cuts.ravel(), strict=True)])
    return features, thresholds.reshape(features.shape).astype(np.float32), leaves.astype(np.float32)


def _weigh_timelines(model: StyleModel, rows: Examples, makers: Names, seed: int) -> Floats:
    """Fit how much each feature of a timeline weighs, on timelines of one maker each."""
    draws = np.random.RandomState(seed)
    lines, labels = draw_timelines(rows.texts, makers, (TIMELINES, POSTS), draws)
    found = measure_timelines(model, lines)
    means, deviations = found.mean(axis=0), found.std(axis=0) + 1e-6
    inputs = np.column_stack([np.clip((found - means) / deviations, -4, 4), np.ones(len(found))])
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):  # Newton steps for ridge logistic regression
        chance = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (labels - chance) - weights
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + np.eye(len(weights))
        weights += np.linalg.solve(curve, slope)
    return np.stack([np.append(means, 0), np.append(deviations, 1), weights])


def draw_timelines(
    texts: pa.Array, makers: Names, size: tuple[int, tuple[int, int]], draws: np.random.RandomState
) -> tuple[Timelines, Flags]:
    """Draw timelines of one maker each, as many of machines as of people; return them and which are of machines.

    `size` is how many of each class, and the fewest and most posts. Times are invented: people post in bursts, half of
    the machines and a tenth of the people by the clock.
    """
    count, (fewest, most) = size
    kinds = {machine: [m for m in np.unique(makers) if ("/machine/" in m) == machine] for machine in (True, False)}
    at, micros, lengths = [], [], []
    for machine in (True, False):
        pools = [np.flatnonzero(makers == maker) for maker in kinds[machine]]
        pools = [pool for pool in pools if len(pool) >= fewest]
        for _ in range(count if pools else 0):
            pool = pools[draws.randint(len(pools))]
            length = min(draws.randint(fewest, most + 1), len(pool))
            at.append(draws.choice(pool, length, replace=False))
            clockwork = draws.rand() < (0.5 if machine else 0.1)
            gaps = 3600 * (1 + 0.01 * draws.rand(length)) if clockwork else np.exp(draws.normal(8, 1.8, length))
            micros.append(1 + np.cumsum(gaps * 1e6).astype(np.int64))
            lengths.append(length)
    starts = np.append(0, np.cumsum(lengths)).astype(np.int64)
    labels = np.arange(len(lengths)) < sum("/machine/" in makers[rows[0]] for rows in at)
    return Timelines(starts, pc.take(texts, pa.array(np.concatenate(at))), np.concatenate(micros)), labels
