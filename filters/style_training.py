"""Fit the style model of `ai_text`: trees on labelled posts and babble, a calibration, the weight of a timeline.

Every row is learnt twice, as it came and with its marks masked, so that neither reading leans on the other. A tenth of
the rows, by a hash of the text, calibrates and makes timelines. The same files and seed give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.authorship import Timelines, measure_timelines
from filters.babble import babble
from filters.card import describe, write_model
from filters.clean_text import clean_strings
from filters.evaluation import evaluate, masked, measure
from filters.fitting import calibrate, ridge_logistic
from filters.kernels.style import MAX_CHARS, style_rows
from filters.kernels.style_features import STYLE_FEATURES
from filters.kernels.timelines import TIMELINE_FEATURES
from filters.kernels.trees import boost, tree_margins
from filters.kernels.utf8 import utf8_buffers
from filters.labelled import FIT, RECIPES, Examples, Recipe, blurred, read_examples, with_positive
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


HOW = (
    f"{TREES} boosted oblivious trees of depth {DEPTH} over {len(STYLE_FEATURES)} numbers of style: rates of marks, "
    "kinds of words and endings, capitals, regularity of words and sentences; no word or n-gram of the text itself. "
    "Every row is learnt as it came and masked, and beside the labelled rows stands babble: text that word and "
    "character chains make of the human rows, as machine text. A text of fewer than {min_words} words, or of more than "
    f"{MAX_CHARS} characters without blanks, gets no score. Seed {{seed}}. A score is a probability under even odds. "
    "`evidence` is a logistic regression over what the posts of an author show together; the times of the timelines "
    "it was learnt from are invented."
)


class _Rows(NamedTuple):
    """Rows to learn from. Shapes: styles (rows, k), the others (rows,)."""

    styles: npt.NDArray[np.float32]
    labels: Flags
    weights: Floats


def train(
    stage: str, files: Sequence[Path], folder: Path, seed: int = 0, positive: str | None = None
) -> dict[str, Any]:
    """Fit, calibrate, measure and write the model; return its card. Raise ConfigError for files that cannot teach it.

    `positive` is a label that a high score stands for; without it the labels are those of the stage's recipe.
    """
    recipe = with_positive(RECIPES[stage], positive)
    examples = read_examples(stage, recipe, files)
    makers = makers_of(examples)
    model = fit(stage, recipe, examples, makers, seed)
    figures: dict[str, Any] = {"how": HOW.format(min_words=recipe.min_words, seed=seed), "seed": seed}
    figures["features"] = {"style": list(STYLE_FEATURES), "timeline": list(TIMELINE_FEATURES)}
    figures["calibration"] = {"method": "Platt, on a tenth of the rows that the trees had not seen, under even odds"}
    figures["validation"] = evaluate(model, examples)
    figures |= leave_one_set_out(recipe, examples, makers, seed)
    card = describe(model, recipe, examples, figures)
    write_model(model, card, folder)
    return card


def fit(stage: str, recipe: Recipe, examples: Examples, makers: Names, seed: int = 0) -> StyleModel:
    """Fit the model on the FIT rows; `makers` says of each row who or what wrote it. Shapes: (rows,).

    Calibration and the weight of timelines come from a tenth that a first growth of trees has not seen; the trees that
    are kept are grown on all rows.
    """
    keep = examples.parts == FIT
    rows, makers = examples.where(keep), makers[keep]
    held = np.array([slot_of(text) for text in rows.texts.to_pylist()], np.int64) == 0
    learn, tune = rows.where(~held), rows.where(held)
    if len(set(learn.labels.tolist())) < 2 or len(set(tune.labels.tolist())) < 2:
        raise ConfigError(f"train {stage}: {len(rows.labels)} rows to learn from: give more rows of both classes")
    languages = tuple(sorted(set(rows.languages.drop_null().to_pylist())))
    flat = np.zeros((3, len(TIMELINE_FEATURES) + 1))
    trees = _grow(_with_babble(_twice(learn), _babble(learn, seed)), seed)
    both = _twice(tune)
    line = np.array(calibrate(tree_margins(both.styles, trees), both.labels, both.weights))
    first = StyleModel(stage, languages, trees, line, flat, recipe.min_words, "")
    timeline = _weigh_timelines(first, tune, makers[held], seed)
    trees = _grow(_with_babble(_twice(rows), _babble(rows, seed)), seed)
    model = StyleModel(stage, languages, trees, line, timeline, recipe.min_words, "")
    return StyleModel.from_bytes(model.to_bytes())


def leave_one_set_out(recipe: Recipe, examples: Examples, makers: Names, seed: int) -> dict[str, dict[str, Any]]:
    """Return the figures of each set of both classes under a model of all rows of the others: as they came, masked."""
    found: dict[str, dict[str, Any]] = {"leave_one_set_out": {}, "leave_one_set_out_masked": {}}
    paired = [name for name in np.unique(examples.sets) if len(set(examples.labels[examples.sets == name])) == 2]
    for name in paired if len(paired) > 1 else []:
        here = examples.sets == name
        left, rest = examples.where(here), examples.where(~here)
        rest = replace(rest, parts=np.full(len(rest.labels), FIT, np.int8))
        model = fit("left out", recipe, rest, makers[~here], seed)
        for key, texts in zip(found, (left.texts, masked(left.texts)), strict=True):
            scores = model.score(texts).to_numpy(zero_copy_only=False).astype(np.float64)
            found[key][str(name)] = measure(scores, left.labels)
    return found


def slot_of(text: str) -> int:
    """Return which tenth of the rows a text is in, from its words alone."""
    return hashlib.blake2b(blurred(text), digest_size=4).digest()[1] % 10


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
    """Read every row as it came and masked; sets weigh the same, and so do the classes of one, and of all together.

    Sets of people alone weigh together what babble does.
    """
    texts = pa.concat_arrays([rows.texts, masked(rows.texts)])
    styles, _, _ = style_rows(*utf8_buffers(texts))
    weights = np.ones(len(rows.labels))
    plain = _plain(rows)
    for name in np.unique(rows.sets):
        for label in (True, False):
            cell = (rows.sets == name) & (rows.labels == label)
            weights[cell] = 1 / max(1, cell.sum())
    if plain.any():
        weights[plain] *= BABBLE_SHARE * weights[~plain].sum() / weights[plain].sum()
    return _even(_Rows(styles, np.tile(rows.labels, 2), np.tile(weights, 2)))


def _plain(rows: Examples) -> Flags:
    """Tell which rows are of sets that hold people alone."""
    return ~np.isin(rows.sets, np.unique(rows.sets[rows.labels]))


def _even(rows: _Rows) -> _Rows:
    """Let both classes weigh the same; the mean weight is 1."""
    weights = rows.weights.copy()
    for label in (True, False):
        weights[rows.labels == label] *= len(weights) / 2 / weights[rows.labels == label].sum()
    return rows._replace(weights=weights)


def _babble(rows: Examples, seed: int) -> list[str]:
    """Make babble of the people of sets that have machines, and as much of those of sets that have none."""
    made = []
    plain = _plain(rows)
    for part in (rows.where(~plain), rows.where(plain)):
        sets = part.sets[~part.labels]
        texts = masked(part.texts.filter(pa.array(~part.labels))).to_pylist()
        draws = np.random.RandomState(seed)
        picked: list[str] = []
        for name in np.unique(sets):
            here = draws.permutation(np.flatnonzero(sets == name))[: BABBLED_FROM // len(np.unique(sets))]
            picked += [texts[at] for at in here]
        made += babble(picked, BABBLED_FROM, seed) if picked else []
    return made


def _with_babble(rows: _Rows, made: Sequence[str]) -> _Rows:
    """Add babble as machine text, and even out the classes."""
    styles, _, _ = style_rows(*utf8_buffers(pa.array(made, pa.string())))
    labels = np.append(rows.labels, np.ones(len(made), np.bool_))
    weights = np.append(rows.weights, np.full(len(made), BABBLE_SHARE * rows.weights.sum() / max(1, len(made))))
    return _even(_Rows(np.concatenate([rows.styles, styles]), labels, weights))


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
    weights = ridge_logistic(inputs, labels, np.ones(len(labels)))
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
