"""Fit the language model: a softmax per script over stretches of words, settled by other texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.kernels.characters import SCRIPTS
from filters.kernels.letter_grams import gram_rows
from filters.kernels.readable import readable
from filters.kernels.softmax import descend
from filters.kernels.utf8 import utf8_buffers
from filters.labelled import FIT, TUNE
from filters.language_model import NARROW, LanguageModel, Table
from schemas.errors import ConfigError

EPOCHS, RATE, LAST_RATE = 5, 0.5, 0.1  # the step of Adagrad falls evenly from epoch to epoch
ROOT = 0.5  # a sum over n features counts n ** -ROOT
MOST_BITS, LATIN_BITS = 15, 17  # log2 of a script's rows at most
LEAST_TEXTS, LEAST_SHARE = 20, 0.05  # texts of a language in a script, and share of its texts, to have a column there
MOST_WEIGHT = 40.0  # a rare cell is lifted so far and no further: a handful of texts must not rule
CLIP = 0.9995  # share of weights that keep their size when squeezed into a byte
LOWEST, HIGHEST = 0.3, 0.9  # bounds of a threshold
PRECISION = 0.5  # share of the stretches told to be in a language that shall be: more likely right than wrong
POSTS_COUNT, EXAMPLES_COUNT = 12.0, 1.0  # what a set counts in a language beside the others: posts are what is to come
EXAMPLE_SETS = frozenset(("tatoeba_laser", "lingua_ngrams"))
OFTEN = dict.fromkeys(("ar", "de", "en", "es", "fr", "hi-Latn", "it", "pt", "ru"), 8.0)  # beside 1 of another
SURER = {"hi-Latn": 0.6}
"""Lowest confidence by language. Romanised Hindi shares words with English, of which platforms see far more."""

WHOLE, FEW = 0, 3  # words of a stretch: all, or three to six
EXAMPLE_STRETCHES, POST_STRETCHES = (WHOLE, 1, 1, 2, 2, FEW, FEW), (WHOLE, WHOLE, WHOLE, FEW, FEW)
SHARPNESSES = np.arange(0.4, 2.01, 0.05)

Names = npt.NDArray[np.str_]


class Lessons(NamedTuple):
    """Cleaned texts with their language, set and part (FIT, TUNE or VALIDATION). Shapes: (rows,)."""

    texts: pa.Array
    truth: Names
    sets: Names
    parts: npt.NDArray[np.int8]

    def where(self, rows: npt.NDArray[np.bool_]) -> Lessons:
        """Return the rows for which `rows` is true."""
        return Lessons(self.texts.filter(pa.array(rows)), self.truth[rows], self.sets[rows], self.parts[rows])


class _Cut(NamedTuple):
    """The texts of one script as features: see `gram_rows`. `rows` are their places in the lessons."""

    ids: npt.NDArray[np.int32]
    words: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]


class _Stretches(NamedTuple):
    spans: npt.NDArray[np.int64]  # (n, 2): where its features begin and end
    columns: npt.NDArray[np.int64]  # (n,): its language
    sets: npt.NDArray[np.int64]  # (n,)


def fit(lessons: Lessons, seed: int = 0) -> LanguageModel:
    """Fit a table for each script that two languages or more are written in; raise ConfigError where there is none."""
    data, offsets, letters = readable(*utf8_buffers(lessons.texts))
    main = np.where(letters.sum(axis=1) > 0, letters.argmax(axis=1), -1)
    taught = lessons.parts == FIT
    names = tuple(np.unique(lessons.truth[taught]).tolist())
    tables, needed = {}, np.full(len(names), LOWEST, np.float32)
    for script in np.unique(main[main >= 0]).tolist():
        shares = _shares(lessons.truth[taught], main[taught] == script)
        if len(shares) < 2:
            continue
        scripts = np.where((main == script) & np.isin(lessons.truth, list(shares)), main, -1)
        table, thresholds = _fit_script((data, offsets, scripts), lessons, shares, seed)
        places = [names.index(name) for name in shares]
        padded = np.full(len(table.bias), -1, np.int32)
        padded[: len(places)] = places
        tables[SCRIPTS[script]] = table._replace(languages=padded)
        needed[places] = np.maximum(needed[places], thresholds)
        needed[places] = np.maximum(needed[places], [SURER.get(name, LOWEST) for name in shares])
    if not tables:
        raise ConfigError("train language: no script in which two languages are written: give texts of more languages")
    return LanguageModel(names, needed, tables)


def _shares(truth: Names, here: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Return the languages written in a script, and which share of their texts is."""
    names, counts = np.unique(truth[here], return_counts=True)
    shares = {name: count / np.sum(truth == name) for name, count in zip(names.tolist(), counts.tolist(), strict=True)}
    return {
        name: float(share)
        for (name, share), count in zip(shares.items(), counts.tolist(), strict=True)
        if count >= LEAST_TEXTS and share >= LEAST_SHARE
    }


def _fit_script(
    texts: tuple[Any, Any, Any], lessons: Lessons, shares: Mapping[str, float], seed: int
) -> tuple[Table, npt.NDArray[np.float32]]:
    """Return the table of one script, and the confidence that each of its languages needs."""
    data, offsets, scripts = texts
    script = int(scripts.max())
    bits = np.zeros(len(SCRIPTS), np.int64)
    bits[script] = LATIN_BITS if SCRIPTS[script] == "Latn" else MOST_BITS
    cut = _Cut(*gram_rows(data, offsets, scripts, bits), np.flatnonzero(scripts >= 0))
    width = -(-len(shares) // NARROW) * NARROW
    weights, bias = np.zeros((1 << bits[script], width), np.float32), np.zeros(width, np.float32)
    bias[len(shares) :] = -1e4
    squares = np.zeros(len(weights), np.float32)
    random = np.random.default_rng((seed, script))
    for epoch in range(EPOCHS):
        stretches = _stretches(cut, lessons, list(shares), FIT, random)
        loads = _loads(stretches, lessons, shares)
        order = random.permutation(len(loads))
        targets = (stretches.columns[order], loads[order])
        rate = RATE + (LAST_RATE - RATE) * epoch / max(EPOCHS - 1, 1)
        descend(cut.ids, stretches.spans[order], targets, (weights, squares, bias), (rate, ROOT))
    scale = float(np.quantile(np.abs(weights[weights != 0]), CLIP)) / 127
    squeezed = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    sharpness, thresholds = _settle(cut, (lessons, shares, random), (squeezed, scale, bias))
    return Table(squeezed, bias, np.zeros(width, np.int32), scale, sharpness), thresholds


def _settle(cut: _Cut, taught: Any, table: tuple[Any, float, Any]) -> tuple[float, npt.NDArray[np.float32]]:
    """Return how sharp the softmax must be for its answers on other texts to be probabilities, and the thresholds."""
    lessons, shares, random = taught
    tune = _stretches(cut, lessons, list(shares), TUNE, random)
    loads = _loads(tune, lessons, shares)
    sums = _sums(cut.ids, tune.spans, table)
    sharpness = float(SHARPNESSES[np.argmin([_loss(sums * value, tune.columns, loads) for value in SHARPNESSES])])
    odds = np.exp(sharpness * (sums - sums.max(axis=1, keepdims=True)))
    confidence, best = 1 / odds.sum(axis=1), sums.argmax(axis=1)
    rows = [best == column for column in range(len(shares))]
    found = [_threshold(confidence[here], tune.columns[here] == at, loads[here]) for at, here in enumerate(rows)]
    return sharpness, np.array(found, np.float32)


def _stretches(cut: _Cut, lessons: Lessons, names: list[str], part: int, random: np.random.Generator) -> _Stretches:
    """Draw stretches of words of every text: of example sentences more short ones, of posts more whole ones."""
    column = {name: at for at, name in enumerate(names)}
    _, sets = np.unique(lessons.sets, return_inverse=True)
    rows = cut.rows[lessons.parts[cut.rows] == part]
    examples = np.isin(lessons.sets[rows], list(EXAMPLE_SETS))
    found: list[tuple[Any, Any]] = []
    for chosen, lengths in ((rows[examples], EXAMPLE_STRETCHES), (rows[~examples], POST_STRETCHES)):
        first, last = cut.starts[chosen], cut.starts[chosen + 1]
        count = last - first
        for length in lengths:
            drawn = random.integers(FEW, 2 * FEW + 1, len(chosen)) if length == FEW else length
            size = np.minimum(count, drawn) if length else count
            begin = first + (random.random(len(chosen)) * (count - size + 1)).astype(np.int64)
            spans = np.stack([cut.words[begin], cut.words[begin + size]], axis=1)
            found.append((spans[count > 0], chosen[count > 0]))
    places = np.concatenate([places for _, places in found])
    columns = np.array([column[name] for name in lessons.truth[places].tolist()], np.int64)
    return _Stretches(np.concatenate([spans for spans, _ in found]), columns, sets[places])


def _loads(stretches: _Stretches, lessons: Lessons, shares: Mapping[str, float]) -> npt.NDArray[np.float32]:
    """Weigh stretches so that languages count as they should, and in each language its sets. Mean about 1."""
    counts = np.array([EXAMPLES_COUNT if name in EXAMPLE_SETS else POSTS_COUNT for name in np.unique(lessons.sets)])
    priors = np.array([share * OFTEN.get(name, 1.0) for name, share in shares.items()])
    cell = stretches.columns * len(counts) + stretches.sets
    sizes = np.bincount(cell, minlength=len(priors) * len(counts)).reshape(len(priors), len(counts))
    told = ((sizes > 0) * counts).sum(axis=1)
    each = priors[:, None] * counts / np.maximum(told, 1e-9)[:, None] / np.maximum(sizes, 1)
    loads = each[stretches.columns, stretches.sets] * len(cell) / len(priors)
    return np.minimum(loads, MOST_WEIGHT).astype(np.float32)


def _sums(ids: Any, spans: Any, table: tuple[Any, float, Any]) -> npt.NDArray[np.float32]:
    weights, scale, bias = table
    out = np.empty((len(spans), len(bias)), np.float32)
    for row, (first, last) in enumerate(spans.tolist()):
        out[row] = weights[ids[first:last]].sum(axis=0, dtype=np.int32) * (scale * (last - first) ** -ROOT) + bias
    return out


def _loss(sums: Any, columns: Any, loads: Any) -> float:
    top = sums.max(axis=1, keepdims=True)
    logs = (sums - top)[np.arange(len(sums)), columns] - np.log(np.exp(sums - top).sum(axis=1))
    return float(-(logs * loads).sum() / loads.sum())


def _threshold(confidence: Any, right: Any, loads: Any) -> float:
    """Return the lowest confidence from which on PRECISION of the answers of one language are right, within bounds."""
    order = np.argsort(-confidence, kind="stable")
    precise = np.cumsum((right * loads)[order]) >= PRECISION * np.cumsum(loads[order])
    lowest = confidence[order[precise]][-1] if precise.any() else HIGHEST
    return float(np.clip(lowest, LOWEST, HIGHEST))
