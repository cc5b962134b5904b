"""Boosted trees: they learn what a line cannot, the same every time."""

from __future__ import annotations

import numpy as np

from filters.kernels.trees import boost, tree_margins

BINS = 16


def grown(seed: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    draws = np.random.RandomState(seed)
    values = draws.rand(2000, 3).astype(np.float32)
    labels = (values[:, 0] > 0.5) != (values[:, 1] > 0.5)  # an exclusive or; the third column is noise
    edges = np.linspace(0, 1, BINS + 1)[1:-1].astype(np.float32)
    bins = np.searchsorted(edges, values).astype(np.uint8)
    asked = np.tile(np.arange(3), (30, 1))
    features, cuts, leaves = boost(bins, (labels.astype(np.float64), np.ones(2000)), asked, (3, BINS, 0.3, 1.0))
    return values, labels, (features, edges[np.minimum(cuts, BINS - 2)], leaves.astype(np.float32))


def test_an_exclusive_or_is_learnt() -> None:
    values, labels, trees = grown(0)
    assert ((tree_margins(values, trees) > 0) == labels).mean() > 0.97


def test_the_same_rows_grow_the_same_trees() -> None:
    first, second = grown(1), grown(1)
    for left, right in zip(first[2], second[2], strict=True):
        assert left.tobytes() == right.tobytes()


def test_a_margin_is_the_sum_of_the_leaves() -> None:
    features = np.array([[0, 1], [1, 1]], np.int16)
    thresholds = np.array([[0.5, 0.5], [0.2, 0.8]], np.float32)
    leaves = np.array([[1, 2, 4, 8], [16, 32, 64, 128]], np.float32)
    rows = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.5]], np.float32)
    assert tree_margins(rows, (features, thresholds, leaves)).tolist() == [4 + 16, 2 + 128, 4 + 64]
