"""Run a supervised fastText classifier over whole Arrow batches: the file is read once, a compiled loop does the rest.

The answers are those of fastText's own `predict` (tests compare them, and its rounding is kept, since a step of its
sigmoid table is worth .008), at several times its speed. Words are parted by white space; a line break is such, too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.fasttext_file import (
    EMPTY,
    HIERARCHICAL_SOFTMAX,
    LABEL,
    LABEL_PREFIX,
    LINE_END,
    SOFTMAX,
    Floats,
    Ids,
    Model,
    read_file,
    word_key,
)
from filters.kernels.utf8 import Bytes, Offsets

__all__ = ["Model", "predict", "predict_best", "read_model"]

_FNV_START, _FNV_PRIME = 2166136261, 16777619
_RUN_PRIME = 116049371  # of the hash of a run of words
_SIGMOID_STEPS, _SIGMOID_END = 512, 8  # of the table that negative sampling and one-vs-all read
_LEAST = 1e-5  # is added to a probability before its logarithm is taken
_LOWEST = math.log(_LEAST)  # a leaf below that is no answer
_PREFIX = np.frombuffer(LABEL_PREFIX.encode(), np.uint8)
_END = np.frombuffer(LINE_END, np.uint8)


def read_model(content: bytes | memoryview) -> Model:
    """Read the bytes of a supervised fastText model; raise SetupError saying what was expected and what came.

    The n-grams of a known word are the same in every post, so they are added up here. Not for the losses that read a
    table: there the last bit of a sum can be worth a step of it.
    """
    model, words = read_file(content)
    features = model.features
    if features.shape.maxn > 0 and model.outputs.loss in (HIERARCHICAL_SOFTMAX, SOFTMAX):
        features = features._replace(shape=features.shape._replace(summed=True))
        _sum_words(np.frombuffer(content, np.uint8), words, features)
    return model._replace(features=features)


def predict(data: Bytes, offsets: Offsets, wanted: npt.NDArray[np.bool_], model: Model) -> tuple[Ids, Floats]:
    """Return (label number, probability) of each wanted text, (-1, 0) for the others. Shapes: (rows,)."""
    labels, scores = predict_best(data, offsets, wanted, model, 1)
    return labels[:, 0], scores[:, 0]


def predict_best(
    data: Bytes, offsets: Offsets, wanted: npt.NDArray[np.bool_], model: Model, count: int
) -> tuple[Ids, Floats]:
    """Return the `count` likeliest labels of each wanted text and their probabilities, the likeliest first.

    Shapes: (rows, count); (-1, 0) where a text is not wanted or has no feature, and behind the last label. Of equal
    labels the later one in the model comes first.
    """
    return _predict(data, offsets, wanted, model.features, model.outputs, count)


@njit(cache=True, nogil=True)
def _predict(data: Any, offsets: Any, wanted: Any, features: Any, outputs: Any, count: int) -> Any:
    rows = len(offsets) - 1
    labels = np.full((rows, count), EMPTY, np.int32)
    scores = np.zeros((rows, count), np.float32)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    word = np.empty(longest + 2, np.uint8)
    word[0] = 0x3C
    hashes = np.empty(longest // 2 + 2 if features.shape.word_ngrams > 1 else 0, np.int32)
    tree = outputs.loss == HIERARCHICAL_SOFTMAX
    hidden = np.empty(outputs.weights.shape[1 if tree else 0], np.float32)
    spare = np.empty(len(outputs.scales), np.float32)
    stack = np.empty((len(outputs.children) + 1, 2), np.float64)
    best = np.empty(count, np.float64)
    for row in range(rows):
        if not wanted[row] or not _embed(data, (offsets[row], offsets[row + 1]), features, hidden, (word, hashes)):
            continue
        best[:] = -np.inf
        if tree:
            _descend(hidden, outputs, stack, labels[row], best)
        else:
            _multiply(hidden, outputs, spare)
            _rank(spare, labels[row], best)
        for place in range(count):
            if labels[row, place] != EMPTY:
                scores[row, place] = min(math.exp(best[place]), 1.0)
    return labels, scores


@njit(cache=True, nogil=True, inline="always")
def _embed(data: Any, bounds: tuple[int, int], features: Any, hidden: Any, spare: Any) -> int:
    """Average the vectors of all features of one text into `hidden`; return how many there are."""
    at, end = bounds
    vectors, counts, known, buckets, shape = features
    word, hashes = spare
    hidden[:] = 0
    found = 0
    words = 0
    while True:
        while at < end and _is_space(data[at]):
            at += 1
        size = 1
        while at < end and not _is_space(data[at]):
            word[size] = data[at]
            size += 1
            at += 1
        bare = word[1:size]
        if size == 1 or _is_line_end(bare):
            break
        row = _find(known, word_key(bare))
        if row >= 0:
            _add(hidden, vectors, row)
            found += counts[row]
        elif row == LABEL or _is_label(bare):
            continue
        if shape.word_ngrams > 1:
            hashes[words] = np.int32(_hash(bare))
            words += 1
        if shape.maxn > 0 and not (shape.summed and row >= 0):
            word[size] = 0x3E
            found += _add_grams(word[: size + 1], (vectors, buckets, shape), hidden)
    if shape.line_end >= 0:
        _add(hidden, vectors, shape.line_end)
        found += 1
    if shape.word_ngrams > 1:
        hashes[words] = np.int32(_hash(_END))
        found += _add_runs(hashes[: words + 1], (vectors, buckets, shape), hidden)
    if found:
        hidden *= np.float32(1.0 / found)
    return found


@njit(cache=True, nogil=True, inline="always")
def _add_grams(word: Any, features: Any, hidden: Any) -> int:
    """Add the vectors of a bracketed word's character n-grams; return how many are features."""
    vectors, table, shape = features
    found = 0
    size = len(word)
    for start in range(size):
        if word[start] & 0xC0 == 0x80:
            continue
        key = np.uint32(_FNV_START)
        at = start
        for chars in range(1, shape.maxn + 1):
            if at >= size:
                break
            first = True
            while at < size and (first or word[at] & 0xC0 == 0x80):
                key = np.uint32((key ^ np.uint32(np.int8(word[at]))) * np.uint32(_FNV_PRIME))
                at += 1
                first = False
            if chars < shape.minn or (chars == 1 and (start == 0 or at == size)):
                continue
            bucket = np.int64(key % np.uint32(shape.buckets))
            row = _feature(bucket, table, shape)
            if row >= 0:
                _add(hidden, vectors, row)
                found += 1
    return found


@njit(cache=True, nogil=True)
def _add_runs(hashes: Any, buckets: Any, hidden: Any) -> int:
    """Add the vectors of runs of two words and more, the line end being a word; return how many are features."""
    vectors, table, shape = buckets
    found = 0
    for start in range(len(hashes)):
        key = np.uint64(np.int64(hashes[start]))  # with its sign, as fastText has it
        for at in range(start + 1, min(len(hashes), start + shape.word_ngrams)):
            key = key * np.uint64(_RUN_PRIME) + np.uint64(np.int64(hashes[at]))
            row = _feature(np.int64(key % np.uint64(shape.buckets)), table, shape)
            if row >= 0:
                _add(hidden, vectors, row)
                found += 1
    return found


@njit(cache=True, nogil=True, inline="always")
def _feature(bucket: Any, table: Any, shape: Any) -> Any:
    return _find(table, bucket) if shape.pruned else shape.words + bucket


@njit(cache=True, nogil=True, inline="always")
def _add(hidden: Any, vectors: Any, row: int) -> None:
    for column in range(len(hidden)):
        hidden[column] += vectors[row, column]


@njit(cache=True, nogil=True)
def _sum_words(content: Any, bounds: Any, features: Any) -> None:
    """Add to the vector of each word those of its n-grams, and count them."""
    vectors, counts, _, buckets, shape = features
    longest = 0
    for number in range(len(bounds)):
        longest = max(longest, bounds[number, 1] - bounds[number, 0])
    word = np.empty(longest + 2, np.uint8)
    word[0] = 0x3C
    for number in range(len(bounds)):
        size = bounds[number, 1] - bounds[number, 0] + 1
        word[1:size] = content[bounds[number, 0] : bounds[number, 1]]
        word[size] = 0x3E
        if number != shape.line_end:
            counts[number] += _add_grams(word[: size + 1], (vectors, buckets, shape), vectors[number])


@njit(cache=True, nogil=True, inline="always")
def _find(table: Any, key: Any) -> Any:
    slot = key & (len(table) - 1)
    while table[slot, 1] != EMPTY and table[slot, 0] != key:
        slot = (slot + 1) & (len(table) - 1)
    return table[slot, 1]


@njit(cache=True, nogil=True, inline="always")
def _is_space(byte: Any) -> Any:
    return byte <= 0x20 and (byte == 0x20 or byte == 0 or 9 <= byte <= 13)


@njit(cache=True, nogil=True, inline="always")
def _is_line_end(word: Any) -> Any:
    return len(word) == len(_END) and word[0] == _END[0] and _starts(word, _END)


@njit(cache=True, nogil=True, inline="always")
def _is_label(word: Any) -> Any:
    return len(word) >= len(_PREFIX) and word[0] == _PREFIX[0] and _starts(word, _PREFIX)


@njit(cache=True, nogil=True)
def _starts(word: Any, prefix: Any) -> Any:
    for place in range(len(prefix)):  # noqa: SIM110 (compiled: no generators)
        if word[place] != prefix[place]:
            return False
    return True


@njit(cache=True, nogil=True)
def _hash(word: Any) -> Any:
    """Return the 32 bits of FNV-1a, each byte taken with its sign."""
    key = np.uint32(_FNV_START)
    for byte in word:
        key = np.uint32((key ^ np.uint32(np.int8(byte))) * np.uint32(_FNV_PRIME))
    return key


@njit(cache=True, nogil=True)
def _multiply(hidden: Any, outputs: Any, likely: Any) -> None:
    """Write the probability of each label into `likely`, columns added in fastText's order."""
    weights, scales, _, loss = outputs
    likely[:] = 0
    for column in range(len(hidden)):
        for label in range(len(likely)):
            likely[label] += weights[column, label] * hidden[column]
    for label in range(len(likely)):
        likely[label] *= scales[label]
    if loss == SOFTMAX:
        highest = likely.max()
        total = np.float32(0.0)
        for label in range(len(likely)):
            likely[label] = math.exp(likely[label] - highest)
            total += likely[label]
        for label in range(len(likely)):
            likely[label] /= total
        return
    for label in range(len(likely)):
        likely[label] = _sigmoid(likely[label])


@njit(cache=True, nogil=True)
def _sigmoid(value: Any) -> Any:
    """Read the logistic function off fastText's table: to the next lower 1/32."""
    if value < -_SIGMOID_END:
        return 0.0
    if value > _SIGMOID_END:
        return 1.0
    step = np.int64((value + np.float32(_SIGMOID_END)) * np.float32(_SIGMOID_STEPS) / np.float32(2 * _SIGMOID_END))
    return 1.0 / (1.0 + math.exp(-(step * 2.0 * _SIGMOID_END / _SIGMOID_STEPS - _SIGMOID_END)))


@njit(cache=True, nogil=True)
def _rank(likely: Any, labels: Any, best: Any) -> None:
    for label in range(len(likely)):
        _insert(label, math.log(likely[label] + _LEAST), labels, best)


@njit(cache=True, nogil=True)
def _insert(label: int, score: float, labels: Any, best: Any) -> None:
    """Put a label in its place among the best, before its equals."""
    if score < best[-1]:
        return
    place = len(best) - 1
    while place > 0 and score >= best[place - 1]:
        best[place] = best[place - 1]
        labels[place] = labels[place - 1]
        place -= 1
    best[place] = score
    labels[place] = label


@njit(cache=True, nogil=True)
def _descend(hidden: Any, outputs: Any, stack: Any, labels: Any, best: Any) -> None:
    """Find the likeliest leaves of the tree, leaving out branches that cannot win."""
    weights, scales, children, _ = outputs
    leaves = len(scales)
    stack[0, 0] = len(children) - 1
    stack[0, 1] = 0.0
    depth = 1
    while depth:
        depth -= 1
        node = int(stack[depth, 0])
        score = stack[depth, 1]
        if score < best[-1] or score < _LOWEST:
            continue
        if children[node, 0] < 0:
            _insert(node, score, labels, best)
            continue
        dot = np.float32(0.0)
        for column in range(len(hidden)):
            dot += weights[node - leaves, column] * hidden[column]
        right = 1.0 / (1.0 + math.exp(-dot * scales[node - leaves]))
        likely = 1 if right > 0.5 else 0
        for side in (1 - likely, likely):  # the likelier branch lies on top
            stack[depth, 0] = children[node, side]
            stack[depth, 1] = score + math.log((right if side else 1.0 - right) + _LEAST)
            depth += 1
