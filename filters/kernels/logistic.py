"""Fit a linear classifier to sparse rows: logistic loss, coordinate descent on the dual, one thread, no chance left.

A matrix is (ids, values, starts): the columns and values of all rows one after the other, and where each row begins.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_EDGE = 1e-8  # how near to its bounds, in shares of a row's cost, a dual variable may come: the logarithm lives inside
_NEWTON_STEPS = 20


@njit(cache=True, nogil=True)
def margins(matrix, weights):  # type: ignore[no-untyped-def]
    """Return the product of each row with the weights. Shape: (rows,)."""
    ids, values, starts = matrix
    out = np.zeros(len(starts) - 1, np.float64)
    for row in range(len(out)):
        for k in range(starts[row], starts[row + 1]):
            out[row] += weights[ids[k]] * values[k]
    return out


@njit(cache=True, nogil=True)
def take_rows(matrix, rows):  # type: ignore[no-untyped-def]
    """Return the matrix of the given rows, in their order."""
    ids, values, starts = matrix
    ends = np.zeros(len(rows) + 1, np.int64)
    for place in range(len(rows)):
        ends[place + 1] = ends[place] + starts[rows[place] + 1] - starts[rows[place]]
    new_ids, new_values = np.zeros(ends[-1], ids.dtype), np.zeros(ends[-1], values.dtype)
    for place in range(len(rows)):
        begin = starts[rows[place]]
        for k in range(ends[place + 1] - ends[place]):
            new_ids[ends[place] + k] = ids[begin + k]
            new_values[ends[place] + k] = values[begin + k]
    return new_ids, new_values, ends


@njit(cache=True, nogil=True)
def class_weights(matrix, labels, row_weights, columns):  # type: ignore[no-untyped-def]
    """Return what the positive and the negative rows that hold each column weigh. Shape: (2, columns)."""
    ids, _, starts = matrix
    out = np.zeros((2, columns))
    seen = np.full(columns, -1, np.int64)
    for row in range(len(starts) - 1):
        for k in range(starts[row], starts[row + 1]):
            column = ids[k]
            if seen[column] != row:
                seen[column] = row
                out[0 if labels[row] else 1, column] += row_weights[row]
    return out


@njit(cache=True, nogil=True)
def start_dual(matrix, signs, costs, columns):  # type: ignore[no-untyped-def]
    """Return (weights, dual variables, squared norm of each row) to begin with: each row at a twentieth of its cost."""
    ids, values, starts = matrix
    weights, duals, squares = np.zeros(columns), 0.05 * costs, np.zeros(len(signs))
    for row in range(len(signs)):
        for k in range(starts[row], starts[row + 1]):
            squares[row] += np.float64(values[k]) * values[k]
            weights[ids[k]] += duals[row] * signs[row] * values[k]
    return weights, duals, squares


@njit(cache=True, nogil=True)
def _best_dual(dual, margin, square, cost):  # type: ignore[no-untyped-def]
    """Return the dual variable in (0, cost) that is best for one row while all others stay, by Newton's method."""
    low, high, best = _EDGE * cost, cost - _EDGE * cost, dual
    for _ in range(_NEWTON_STEPS):
        slope = square * (best - dual) + margin + math.log(best / (cost - best))
        step = best - slope / (square + cost / (best * (cost - best)))
        if step <= low:
            step = max(0.1 * best, low)
        elif step >= high:
            step = min(cost - 0.1 * (cost - best), high)
        moved, best = abs(step - best), step
        if moved < 1e-3 * min(best, cost - best):
            break
    return best


@njit(cache=True, nogil=True)
def dual_epoch(order, matrix, signs, costs, state):  # type: ignore[no-untyped-def]
    """Go once through the rows in `order`, improving `state` in place; return the largest move in shares of the cost.

    Minimises |weights|^2 / 2 + sum of costs * log(1 + exp(-sign * margin)). Source: Yu, Huang, Lin, "Dual coordinate
    descent methods for logistic regression and maximum entropy models", Machine Learning 85, 2011.
    """
    ids, values, starts = matrix
    weights, duals, squares = state
    largest = 0.0
    for row in order:
        margin = 0.0
        for k in range(starts[row], starts[row + 1]):
            margin += weights[ids[k]] * values[k]
        best = _best_dual(duals[row], signs[row] * margin, squares[row], costs[row])
        move = best - duals[row]
        duals[row] = best
        largest = max(largest, abs(move) / costs[row])
        for k in range(starts[row], starts[row + 1]):
            weights[ids[k]] += move * signs[row] * values[k]
    return largest
