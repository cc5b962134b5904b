"""Read a supervised fastText model, `.bin` or `.ftz`, into arrays that a compiled loop can use.

    magic, version    two int32
    settings          twelve int32 and a double; dim, wordNgrams, loss, model, bucket, minn and maxn count here
    dictionary        its sizes; words, then labels, each with its count; the pairs that pruning left
    matrices          of features, then of labels: float32, or a byte for each few columns of a row (product
                      quantisation, Joulin et al. 2016, "FastText.zip")

All of it little-endian, as fastText 0.9 writes it.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.utf8 import Bytes
from schemas.errors import SetupError

MAGIC = 793712314
VERSION, OLD_VERSION = 12, 11  # of the file; supervised models of the old one have no character n-grams
KINDS = {1: "cbow", 2: "skip-gram", 3: "supervised"}
SUPERVISED = 3
HIERARCHICAL_SOFTMAX, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
LABEL_PREFIX = "__label__"
LINE_END = b"</s>"
EMPTY, LABEL = -1, -2  # in place of a feature: no such word; a label, which is no feature
CENTROIDS = 256
_WORD_START, _WORD_PRIME = 0x51ED270B, 0x100000001B3
_ENTRY_END = 10  # bytes behind a word: the zero that ends it, its count, its kind

Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]


class Shape(NamedTuple):
    """What is a feature of a text."""

    minn: int  # characters of the shortest n-gram, brackets of the word counted
    maxn: int  # of the longest; 0 for none
    word_ngrams: int  # words of the longest run that is a feature
    buckets: int  # that n-grams and runs of words are hashed into
    pruned: bool  # only some buckets are features
    words: int  # the first feature that is none
    line_end: int  # feature of the line end, or EMPTY
    summed: bool  # the vector of a word is the sum of those of all its features


class Features(NamedTuple):
    """Everything that turns a text into the mean of its features' vectors."""

    vectors: Floats  # (features, dim): of words, then of n-grams
    counts: Ids  # (words,): how many features the vector of a word stands for
    words: Keys  # (slots, 2): hash and feature of each word, LABEL for the labels
    buckets: Keys  # (slots, 2): bucket and feature, where pruning left some
    shape: Shape


class Outputs(NamedTuple):
    """Everything that turns that mean into labels; `weights` is (labels, dim) for a tree, else (dim, labels)."""

    weights: Floats
    scales: Floats  # (labels,): what a product with the weights is multiplied by
    children: Ids  # (2 * labels - 1, 2): children of each tree node, EMPTY for leaves; the root is last
    loss: int


class Model(NamedTuple):
    """A classifier ready to run."""

    labels: tuple[str, ...]  # without their prefix
    features: Features
    outputs: Outputs


class _Matrix(NamedTuple):
    rows: Floats  # (rows, dim)
    norms: Floats  # (rows,): what each row is yet to be multiplied by


class _Dictionary(NamedTuple):
    bounds: Keys  # (words, then labels; 2): where the bytes of each lie in the file
    keys: Keys  # of the words, then of the labels
    labels: tuple[str, ...]
    counts: list[int]  # of the labels
    pruned: Ids | None  # (buckets left, 2): bucket and feature, counted from the last word; None where all are left


class _Reader:
    def __init__(self, content: bytes | memoryview) -> None:
        self.content = memoryview(content)
        self.at = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self._take(struct.calcsize("<" + layout)))

    def array(self, dtype: Any, count: int) -> Any:
        """Return a copy, aligned as compiled loops want it."""
        return np.array(np.frombuffer(self._take(count * np.dtype(dtype).itemsize), dtype))

    def _take(self, size: int) -> memoryview:
        left = len(self.content) - self.at
        if not 0 <= size <= left:
            raise SetupError(f"it is cut off or damaged: expected {size} bytes from byte {self.at} on, got {left}")
        self.at += size
        return self.content[self.at - size : self.at]


def read_file(content: bytes | memoryview) -> tuple[Model, Keys]:
    """Return the model in the bytes of a file, and where its words stand there: first and one past the last byte.

    A quantised matrix is written out: in memory it is as large as it was before. Raises SetupError saying what was
    expected and what came.
    """
    reader = _Reader(content)
    dim, loss, shape = _read_settings(reader)
    known = _read_dictionary(reader)
    words = len(known.keys) - len(known.labels)
    ends = np.flatnonzero(known.keys[:words] == word_key(np.frombuffer(LINE_END, np.uint8)))
    shape = shape._replace(words=words, line_end=int(ends[0]) if len(ends) else EMPTY, pruned=known.pruned is not None)
    (quantised,) = reader.values("?")
    vectors = _read_matrix(reader, dim, quantised=quantised)
    (both,) = reader.values("?")
    outputs = _read_matrix(reader, dim, quantised=quantised and both)
    if reader.at != len(content):
        raise SetupError(f"expected a file of {reader.at} bytes, got {len(content)}: fastText did not write it")
    buckets = np.empty((0, 2), np.int32) if known.pruned is None else known.pruned
    behind = int(buckets[:, 1].max(initial=-1)) + 1 if shape.pruned else shape.buckets
    if buckets.min(initial=0) < 0 or len(vectors.rows) < words + behind or len(outputs.rows) != len(known.labels):
        raise SetupError("it is damaged: its matrices do not fit its dictionary")
    features = Features(
        vectors=vectors.rows * vectors.norms[:, None] if quantised else vectors.rows,
        counts=np.ones(words, np.int32),
        words=_hash_table(known.keys, np.append(np.arange(words), np.full(len(known.labels), LABEL))),
        buckets=_hash_table(buckets[:, 0].astype(np.int64), buckets[:, 1] + np.int64(words)),
        shape=shape,
    )
    return Model(known.labels, features, _outputs(outputs, known.counts, loss)), known.bounds[:words]


def _read_settings(reader: _Reader) -> tuple[int, int, Shape]:
    """Return the columns of both matrices, the loss, and what is known so far of the features."""
    magic, version = reader.values("ii") if len(reader.content) >= 8 else (None, None)
    if magic != MAGIC:
        raise SetupError(f"expected a fastText model (it begins with {MAGIC}), got a file that begins with {magic}")
    if version not in (VERSION, OLD_VERSION):
        raise SetupError(f"expected a fastText model of version {OLD_VERSION} or {VERSION}, got version {version}")
    dim, _, _, _, _, word_ngrams, loss, kind, buckets, minn, maxn, _, _ = reader.values("12id")
    if kind != SUPERVISED:
        raise SetupError(f"expected a supervised fastText model, got {KINDS.get(kind, 'a damaged one')}: no labels")
    if loss not in (HIERARCHICAL_SOFTMAX, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL):
        raise SetupError(f"expected a loss from 1 to 4 (hs, ns, softmax, ova), got {loss}")
    longest = 0 if version == OLD_VERSION else maxn
    if dim < 1 or buckets < (longest > 0 or word_ngrams > 1):
        raise SetupError(f"it is damaged: expected columns, and buckets for its n-grams, got {dim} and {buckets}")
    return dim, loss, Shape(minn, longest, word_ngrams, buckets, pruned=False, words=0, line_end=EMPTY, summed=False)


def _read_dictionary(reader: _Reader) -> _Dictionary:
    size, words, labels, _, left = reader.values("iiiqq")
    content = np.frombuffer(reader.content, np.uint8)
    bounds, counts, kinds = _entries(content, reader.at, min(max(size, 0), len(content) // _ENTRY_END))
    if len(bounds) < size or size != words + labels or labels < 1 or kinds[:words].any() or not kinds[words:].all():
        raise SetupError(f"it is cut off or damaged: expected {words} words and {labels} labels, got {len(bounds)}")
    reader.at = int(bounds[-1, 1]) + _ENTRY_END
    names = [bytes(content[start:end]).decode(errors="replace") for start, end in bounds[words:].tolist()]
    return _Dictionary(
        bounds=bounds,
        keys=_entry_keys(content, bounds),
        labels=tuple(name.removeprefix(LABEL_PREFIX) for name in names),
        counts=counts[words:].tolist(),
        pruned=None if left < 0 else reader.array(np.int32, 2 * left).reshape(left, 2),
    )


def _read_matrix(reader: _Reader, dim: int, *, quantised: bool) -> _Matrix:
    """Return a matrix of `dim` columns; of one that is not quantised all norms are 1."""
    if not quantised:
        rows, columns = reader.values("qq")
        if columns != dim or rows < 0:
            raise SetupError(f"it is damaged: expected a matrix of {dim} columns, got {rows} x {columns}")
        return _Matrix(reader.array(np.float32, rows * dim).reshape(rows, dim), np.ones(rows, np.float32))
    has_norms, rows, columns, size = reader.values("?qqi")
    codes = reader.array(np.uint8, size)
    width, centroids = _read_quantiser(reader, dim)
    parts = -(-dim // width)
    if columns != dim or rows < 0 or size != rows * parts:
        raise SetupError(f"it is damaged: expected {rows} x {parts} codes, got {size}")
    norms = np.ones(rows, np.float32)
    if has_norms:
        norm_codes = reader.array(np.uint8, rows)
        norms = _read_quantiser(reader, 1)[1][norm_codes]
    return _Matrix(_written_out(codes.reshape(rows, parts), dim, width, centroids), norms)


def _read_quantiser(reader: _Reader, dim: int) -> tuple[int, Floats]:
    """Return for how many columns a code stands (the last part has what is left), and the centroids, part by part."""
    columns, parts, width, last_width = reader.values("4i")
    if columns != dim or width < 1 or not 0 < last_width <= width or (parts - 1) * width + last_width != dim:
        raise SetupError(f"it is damaged: expected centroids of {dim} columns, got {columns} in {parts} parts")
    return width, reader.array(np.float32, columns * CENTROIDS)


def _written_out(codes: Bytes, dim: int, width: int, centroids: Floats) -> Floats:
    rows = np.empty((len(codes), dim), np.float32)
    for part, start in enumerate(range(0, dim, width)):
        wide = min(width, dim - start)
        table = centroids[start * CENTROIDS : (start + wide) * CENTROIDS].reshape(CENTROIDS, wide)
        rows[:, start : start + wide] = table[codes[:, part]]
    return rows


def _outputs(matrix: _Matrix, counts: list[int], loss: int) -> Outputs:
    tree = loss == HIERARCHICAL_SOFTMAX
    children = _tree(counts) if tree else np.full((1, 2), EMPTY, np.int32)
    return Outputs(np.ascontiguousarray(matrix.rows if tree else matrix.rows.T), matrix.norms, children, loss)


def _tree(counts: list[int]) -> Ids:
    """Build the Huffman tree over labels sorted by falling count; the root is the last node."""
    leaves = len(counts)
    children = np.full((2 * leaves - 1, 2), EMPTY, np.int32)
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
def _entries(content: Any, at: int, size: int) -> Any:
    """Return bounds of the bytes, count and kind of each entry of the dictionary, of fewer where the file ends."""
    bounds = np.empty((size, 2), np.int64)
    counts = np.empty(size, np.int64)
    kinds = np.empty(size, np.uint8)
    for entry in range(size):
        end = at
        while end < len(content) and content[end] != 0:
            end += 1
        if end + _ENTRY_END > len(content):
            return bounds[:entry], counts[:entry], kinds[:entry]
        bounds[entry, 0] = at
        bounds[entry, 1] = end
        count = np.int64(0)
        for byte in range(8):
            count |= np.int64(content[end + 1 + byte]) << (8 * byte)
        counts[entry] = count
        kinds[entry] = content[end + 9]
        at = end + _ENTRY_END
    return bounds, counts, kinds


@njit(cache=True, nogil=True)
def _entry_keys(content: Any, bounds: Any) -> Any:
    keys = np.empty(len(bounds), np.int64)
    for entry in range(len(bounds)):
        keys[entry] = word_key(content[bounds[entry, 0] : bounds[entry, 1]])
    return keys


@njit(cache=True, nogil=True, inline="always")
def word_key(word: Any) -> Any:
    """Return the 64 bits a word is looked up by."""
    key = np.int64(_WORD_START)
    for byte in word:
        key = (key ^ np.int64(byte)) * _WORD_PRIME
    return key ^ (key >> 31)


@njit(cache=True, nogil=True)
def _hash_table(keys: Any, ids: Any) -> Any:
    """Return an open-addressing table (slots, 2) of key and id, a third full at most."""
    slots = 8
    while slots < 3 * len(keys):
        slots *= 2
    table = np.full((slots, 2), EMPTY, np.int64)
    for key, number in zip(keys, ids):  # noqa: B905 (compiled: zip takes no keyword)
        slot = key & (slots - 1)
        while table[slot, 1] != EMPTY:
            slot = (slot + 1) & (slots - 1)
        table[slot, 0] = key
        table[slot, 1] = number
    return table
