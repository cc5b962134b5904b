"""Fit a linear classifier on hashed features: logistic loss, AdaGrad steps, one thread, the same bytes every time."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def margins(ids, starts, style, model):  # type: ignore[no-untyped-def]
    """Return the raw linear score of each row. Shapes: ids (n,), starts (rows + 1,), style (rows, k); out (rows,).

    `model` is (weights, style weights with the bias last). The sum over a row's ids is divided by the root of their
    number, so that a long post does not outshout a short one.
    """
    weights, style_weights = model
    out = np.zeros(len(starts) - 1, np.float64)
    for row in range(len(out)):
        total = 0.0
        for k in range(starts[row], starts[row + 1]):
            total += weights[ids[k]]
        total = total / math.sqrt(max(1, starts[row + 1] - starts[row])) + style_weights[-1]
        for k in range(style.shape[1]):
            total += style[row, k] * style_weights[k]
        out[row] = total
    return out


@njit(cache=True, nogil=True)
def _descend(weights, squares, touched, gradient, step):  # type: ignore[no-untyped-def]
    """Take one AdaGrad step along the features of one row, each shrunk a little towards 0 (L2)."""
    rate, decay = step
    for k in touched:
        slope = gradient + decay * weights[k]
        squares[k] += slope * slope
        weights[k] -= rate * slope / math.sqrt(squares[k])


@njit(cache=True, nogil=True)
def adagrad_epoch(order, rows, targets, model, step):  # type: ignore[no-untyped-def]
    """Go once through the rows in `order`, changing `model` in place.

    `rows` is (ids, starts, style), `targets` (label 0 or 1, weight of the row), `model` (weights, their summed
    squares, style weights, their summed squares), `step` (learning rate, L2).
    Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 2011, diagonal form.
    """
    ids, starts, style = rows
    labels, row_weights = targets
    weights, squares, style_weights, style_squares = model
    everything = np.arange(len(style_weights))
    inputs = np.ones(len(style_weights))
    for row in order:
        touched = ids[starts[row] : starts[row + 1]]
        if len(touched) == 0:
            continue
        root = math.sqrt(len(touched))
        margin = 0.0
        for k in touched:
            margin += weights[k]
        margin /= root
        inputs[:-1] = style[row]
        for k in everything:
            margin += inputs[k] * style_weights[k]
        error = (1 / (1 + math.exp(-margin)) - labels[row]) * row_weights[row]
        _descend(weights, squares, touched, error / root, step)
        for k in everything:
            slope = error * inputs[k]
            style_squares[k] += slope * slope
            style_weights[k] -= 0.1 * step[0] * slope / math.sqrt(style_squares[k] + 1e-8)
