"""Boosted oblivious trees: every tree asks the same question of all rows at each level, so a leaf is a number of bits.

Logistic loss, Newton steps, histograms of binned features, one thread, the same bytes every time.
Sources: Friedman, "Greedy function approximation", 2001; for the shape of a tree Prokhorenkova et al., "CatBoost:
unbiased boosting with categorical features", NeurIPS 2018.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BLOCK = 256  # rows that go through the trees together


@njit(cache=True, nogil=True)
def tree_margins(styles, trees):  # type: ignore[no-untyped-def]
    """Return the sum of the trees' leaves for each row. Shapes: styles (rows, k); out (rows,).

    `trees` is (features, thresholds), each (trees, depth), and leaves (trees, 2^depth). A block of rows goes through
    all trees column by column: so a question is asked of several rows in one instruction.
    """
    features, thresholds, leaves = trees
    out = np.zeros(len(styles), np.float64)
    block = np.zeros((styles.shape[1], BLOCK), np.float32)
    leaf = np.zeros(BLOCK, np.int32)
    for first in range(0, len(styles), BLOCK):
        rows = min(BLOCK, len(styles) - first)
        for row in range(rows):
            block[:, row] = styles[first + row]
        for tree in range(len(features)):
            leaf[:] = 0
            for level in range(features.shape[1]):
                column, threshold = block[features[tree, level]], thresholds[tree, level]
                for row in range(BLOCK):
                    leaf[row] = leaf[row] * 2 + (1 if column[row] > threshold else 0)
            for row in range(rows):
                out[first + row] += leaves[tree, leaf[row]]
    return out


@njit(cache=True, nogil=True)
def _histogram(bins, leaf, slopes, asked, sums):  # type: ignore[no-untyped-def]
    """Add up gradients and curvatures by leaf, feature and bin. Shapes: bins (rows, k), sums (leaves, k, bins, 2)."""
    sums[:] = 0
    for row in range(len(bins)):
        here = sums[leaf[row]]
        for feature in asked:
            cell = here[feature, bins[row, feature]]
            cell[0] += slopes[row, 0]
            cell[1] += slopes[row, 1]


@njit(cache=True, nogil=True)
def _best_cut(sums, asked, ridge):  # type: ignore[no-untyped-def]
    """Return the feature and the last bin on its left that gain most over all leaves together."""
    leaves, _, bins, _ = sums.shape
    best, chosen, cut = -1.0, asked[0], 0
    gains = np.zeros(bins)
    for feature in asked:
        gains[:] = 0
        for leaf in range(leaves):
            gradient, curvature = sums[leaf, feature, :, 0].sum(), sums[leaf, feature, :, 1].sum()
            left, weight = 0.0, 0.0
            for at in range(bins - 1):
                left += sums[leaf, feature, at, 0]
                weight += sums[leaf, feature, at, 1]
                right, rest = gradient - left, max(curvature - weight, 0.0)
                gains[at] += left * left / (weight + ridge) + right * right / (rest + ridge)
        at = int(np.argmax(gains[: bins - 1]))
        if gains[at] > best:
            best, chosen, cut = gains[at], feature, at
    return chosen, cut


@njit(cache=True, nogil=True)
def _slopes(margins, labels, weights):  # type: ignore[no-untyped-def]
    out = np.empty((len(margins), 2))
    for row in range(len(margins)):
        chance = 1 / (1 + math.exp(-margins[row]))
        out[row, 0] = weights[row] * (labels[row] - chance)
        out[row, 1] = weights[row] * chance * (1 - chance)
    return out


@njit(cache=True, nogil=True)
def boost(bins, targets, draws, settings):  # type: ignore[no-untyped-def]
    """Grow trees on binned rows; return (features, last bin on the left), each (trees, depth), and (trees, 2^depth).

    Shapes: bins (rows, k) of uint8, `targets` = labels and weights (rows,), `draws` (trees, m): the features that each
    tree may ask. `settings` = depth, number of bins, rate, ridge.
    """
    labels, weights = targets
    depth, width, rate, ridge = settings
    trees = len(draws)
    features, cuts = np.zeros((trees, depth), np.int16), np.zeros((trees, depth), np.int16)
    leaves = np.zeros((trees, 1 << depth))
    margins = np.zeros(len(bins))
    leaf = np.zeros(len(bins), np.int64)
    for tree in range(trees):
        slopes = _slopes(margins, labels, weights)
        leaf[:] = 0
        for level in range(depth):
            sums = np.zeros((1 << level, bins.shape[1], width, 2))
            _histogram(bins, leaf, slopes, draws[tree], sums)
            features[tree, level], cuts[tree, level] = _best_cut(sums, draws[tree], ridge)
            for row in range(len(bins)):
                leaf[row] = leaf[row] << 1 | (bins[row, features[tree, level]] > cuts[tree, level])
        totals = np.zeros((1 << depth, 2))
        for row in range(len(bins)):
            totals[leaf[row]] += slopes[row]
        leaves[tree] = rate * totals[:, 0] / (totals[:, 1] + ridge)
        for row in range(len(bins)):
            margins[row] += leaves[tree, leaf[row]]
    return features, cuts, leaves
