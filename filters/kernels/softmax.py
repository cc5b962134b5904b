"""Fit a softmax over hashed features, one stretch of words at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _probabilities(weights: Any, bias: Any, ids: Any, power: float, scores: Any) -> Any:
    """Write the softmax of one example; return what its sum was scaled by."""
    scores[:] = 0
    for k in ids:
        for column in range(len(scores)):
            scores[column] += weights[k, column]
    scale: Any = np.float32(len(ids) ** -power)
    top: Any = np.float32(-1e30)
    for column in range(len(scores)):
        scores[column] = scores[column] * scale + bias[column]
        top = max(top, scores[column])
    total: Any = np.float32(0)
    for column in range(len(scores)):
        scores[column] = math.exp(scores[column] - top)
        total += scores[column]
    for column in range(len(scores)):
        scores[column] /= total
    return scale


@njit(cache=True, nogil=True)
def descend(ids: Any, examples: Any, targets: Any, model: Any, step: Any) -> Any:
    """Take one Adagrad step per example, in order; return the mean loss.

    `examples` (n, 2) are stretches of `ids`; `targets` (label, weight); `model` (weights (rows, labels), squares
    (rows,), bias (labels,)); `step` (rate, power of the feature count that a sum is divided by). One squared sum a row.
    Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 2011.
    """
    weights, squares, bias = model
    labels, loads = targets
    rate, power = step
    scores = np.zeros(weights.shape[1], np.float32)
    loss: Any = 0.0
    mass: Any = 0.0
    for number in range(len(examples)):
        own = ids[examples[number, 0] : examples[number, 1]]
        if len(own) == 0:
            continue
        load = np.float32(loads[number])
        scale = _probabilities(weights, bias, own, power, scores)
        loss -= load * math.log(max(scores[labels[number]], 1e-9))
        mass += load
        scores[labels[number]] -= np.float32(1)
        norm: Any = np.float32(0)
        for column in range(len(scores)):
            scores[column] *= load
            norm += scores[column] * scores[column]
            bias[column] -= np.float32(0.002) * scores[column]
        for k in own:
            squares[k] += norm * scale * scale
            pace = np.float32(rate * scale / math.sqrt(squares[k] + 1e-6))
            for column in range(len(scores)):
                weights[k, column] -= pace * scores[column]
    return loss / max(mass, 1e-9)
