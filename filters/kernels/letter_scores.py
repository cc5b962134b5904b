"""Score texts with the language model: one sum of weights per language, a softmax, and a path through two languages."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.characters import CLASS, SCRIPT
from filters.kernels.letter_grams import Scripts, hash_word, longest_of, word_end, write_words
from filters.kernels.utf8 import Bytes, Offsets

MOST_WORDS = 64  # words looked at for a second language
SWITCH = 2.0  # what going from one language to the other costs, in nats
LEAST_GAIN = 8.0  # nats by which two languages must explain the words better than one
LEAST_SHARE = 0.2  # of the letters

_NONE = -1

Floats = npt.NDArray[np.float32]


class Model(NamedTuple):
    """A linear model per script; weights of one byte, row after row. `S` scripts, `C` columns of the widest."""

    weights: npt.NDArray[np.int8]  # (all rows x columns of all scripts,)
    starts: Scripts  # (S,): where a script's weights begin, -1 for a script without
    bits: Scripts  # (S,): log2 of its rows
    widths: Scripts  # (S,): its columns
    scales: Floats  # (S,): what a weight of 1 stands for
    bias: Floats  # (S, C)
    sharpness: Floats  # (S,): what the scores are multiplied by before the softmax


class Scores(NamedTuple):
    """Columns of the script's model, -1 for none, with what they are worth. Shapes: (rows,)."""

    best: npt.NDArray[np.int32]
    confidence: Floats
    second: npt.NDArray[np.int32]
    share: Floats


@njit(cache=True, nogil=True)
def _add_word(weights: Any, start: int, width: int, ids: Any, sums: Any) -> None:
    """Write the sum of the weights of one word's rows."""
    sums[:width] = 0
    for k in ids:
        row = weights[start + np.int64(k) * width : start + np.int64(k) * width + width]
        for column in range(width):
            sums[column] += row[column]


@njit(cache=True, nogil=True)
def _softmax(scores: Any, sharpness: float) -> tuple[int, float]:
    """Return the best column and its probability."""
    best = int(np.argmax(scores))
    total = 0.0
    for column in range(len(scores)):
        total += math.exp(sharpness * (scores[column] - scores[best]))
    return best, 1.0 / total


@njit(cache=True, nogil=True)
def _gain(words: Any, best: int, other: int, path: Any) -> float:
    """Return how much better two languages explain the words than the best alone; `path` holds who came before.

    The best path through words in two states, a switch costing SWITCH. Source: Viterbi, "Error bounds for convolutional
    codes", IEEE Transactions on Information Theory 1967.
    """
    one, two = 0.0, -SWITCH
    for word in range(len(words)):
        path[word, 0] = two - SWITCH > one
        path[word, 1] = one - SWITCH <= two
        ahead = max(one, two - SWITCH)
        two = max(two, one - SWITCH) + words[word, other] - words[word, best]
        one = ahead
    path[len(words), 0] = two > one
    return max(one, two)


@njit(cache=True, nogil=True)
def _share(path: Any, letters: Any) -> float:
    """Return the share of letters on the second language's part of the path."""
    state = int(path[len(letters), 0])
    theirs, total = 0, 0
    for back in range(len(letters)):
        word = len(letters) - 1 - back
        total += letters[word]
        if state:
            theirs += letters[word]
        state = int(path[word, state])
    return theirs / max(total, 1)


@njit(cache=True, nogil=True)
def _second(words: Any, letters: Any, best: int, path: Any) -> tuple[int, float]:
    """Return the language that explains a good part of the words far better than the best does, and its share."""
    found, most = _NONE, LEAST_GAIN
    for other in range(words.shape[1]):
        hope = 0.0
        for word in range(len(words)):
            hope += max(0.0, words[word, other] - words[word, best])
        if hope > most and other != best:
            gain = _gain(words, best, other, path)
            if gain > most:
                found, most = other, gain
    if found == _NONE:
        return _NONE, 0.0
    _gain(words, best, found, path)
    share = _share(path, letters)
    return (found, share) if share >= LEAST_SHARE else (_NONE, 0.0)


@njit(cache=True, nogil=True)
def _sum_words(cells: Any, size: int, table: Any, work: Any) -> tuple[int, int]:
    """Write each word's scores and letters and the sum over all words; return how many words and features."""
    weights, start, bits, scale, bias = table
    ids, sums, total, words, letters = work
    width = len(bias)
    total[:width] = 0
    at, count, features = 0, 0, 0
    while at + 1 < size:
        stop = word_end(cells, at)
        n = hash_word(cells, at, stop, bits, ids)
        _add_word(weights, start, width, ids[:n], sums)
        for column in range(width):
            total[column] += sums[column]
        if count < MOST_WORDS:
            pace = np.float32(scale / math.sqrt(n))
            for column in range(width):
                words[count, column] = sums[column] * pace
            letters[count] = stop - at - 2
            count += 1
        features += n
        at = stop - 1
    return count, features


@njit(cache=True, nogil=True)
def _score(data: Any, offsets: Any, scripts: Any, tables: Any, model: Any, out: Any) -> None:
    weights, starts, bits, widths, scales, bias, sharpness = model
    best, confidence, second, share = out
    room, widest = longest_of(offsets) + 3, bias.shape[1]
    cells, ids = np.empty(room, np.int32), np.empty(6 * room, np.int32)
    sums, total, scores = np.zeros(widest, np.int32), np.zeros(widest, np.int32), np.zeros(widest, np.float32)
    words, letters = np.zeros((MOST_WORDS, widest), np.float32), np.zeros(MOST_WORDS, np.int64)
    path = np.zeros((MOST_WORDS + 1, 2), np.bool_)
    for row in range(len(offsets) - 1):
        script = scripts[row]
        if script < 0:
            continue
        width = widths[script]
        size = write_words(data, (offsets[row], offsets[row + 1]), script, tables, cells)
        table = (weights, starts[script], bits[script], scales[script], bias[script, :width])
        count, features = _sum_words(cells, size, table, (ids, sums, total, words, letters))
        if features == 0:
            continue
        pace = np.float32(scales[script] / math.sqrt(features))
        for column in range(width):
            scores[column] = total[column] * pace + bias[script, column]
        best[row], confidence[row] = _softmax(scores[:width], sharpness[script])
        second[row], share[row] = _second(words[:count, :width], letters[:count], best[row], path)


def score(data: Bytes, offsets: Offsets, scripts: Scripts, model: Model) -> Scores:
    """Score each text in the script given, -1 for none."""
    rows = len(offsets) - 1
    found = Scores(
        np.full(rows, _NONE, np.int32),
        np.zeros(rows, np.float32),
        np.full(rows, _NONE, np.int32),
        np.zeros(rows, np.float32),
    )
    _score(data, offsets, scripts, (CLASS, SCRIPT), tuple(model), tuple(found))
    return found
