"""A model over a post's style: boosted trees, their calibration, and what the posts of one author weigh together."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.kernels.style import STYLE_FEATURES, style_rows
from filters.kernels.timelines import TIMELINE_FEATURES
from filters.kernels.trees import tree_margins
from filters.kernels.utf8 import utf8_buffers

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StyleModel:
    """Plain arrays, so that a driver loads it and workers get it by pickle."""

    stage: str
    languages: tuple[str, ...]
    trees: tuple[npt.NDArray[np.int16], npt.NDArray[np.float32], npt.NDArray[np.float32]]  # see kernels/trees.py
    constants: Floats  # slope and intercept of the calibration
    timeline: Floats  # (3, len(TIMELINE_FEATURES) + 1): means, deviations, weights with the bias last
    min_words: int
    sha256: str

    @classmethod
    def from_bytes(cls, weights: bytes) -> StyleModel:
        """Rebuild a model from the bytes of its weights file; raise ValueError when its shapes do not fit."""
        with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
            names = [str(name) for name in arrays["names"]]
            features, thresholds, leaves = arrays["features"], arrays["thresholds"], arrays["leaves"]
            constants, timeline, settings = arrays["constants"], arrays["timeline"], arrays["settings"]
        trees, depth = features.shape
        if thresholds.shape != (trees, depth) or leaves.shape != (trees, 1 << depth):
            raise ValueError("features, thresholds and leaves are not of the same trees")
        if features.min() < 0 or int(settings[1]) != len(STYLE_FEATURES) or features.max() >= len(STYLE_FEATURES):
            raise ValueError(f"expected trees over {len(STYLE_FEATURES)} features of style")
        if timeline.shape != (3, len(TIMELINE_FEATURES) + 1) or constants.shape != (2,):
            raise ValueError(f"expected weights for {len(TIMELINE_FEATURES)} features of a timeline, and 2 constants")
        digest = hashlib.sha256(weights).hexdigest()
        arrays = (features, thresholds, leaves)
        return cls(names[0], tuple(names[1:]), arrays, constants, timeline, int(settings[0]), digest)

    def to_bytes(self) -> bytes:
        """Return the weights file: the same bytes for the same model."""
        out = io.BytesIO()
        arrays: dict[str, Any] = {
            "names": np.array([self.stage, *self.languages]),
            "settings": np.array([self.min_words, len(STYLE_FEATURES)], np.int64),
            "features": self.trees[0],
            "thresholds": self.trees[1],
            "leaves": self.trees[2],
            "constants": self.constants,
            "timeline": self.timeline,
        }
        np.savez_compressed(out, **arrays)
        return out.getvalue()

    def score(self, texts: pa.Array) -> pa.Array:
        """Return the calibrated probability that a machine wrote each text, float32, null for one with few words.

        Shape: (rows,) in, (rows,) out. English is taken for granted.
        """
        styles, words, _ = style_rows(*utf8_buffers(texts))
        margins = self.constants[0] * tree_margins(styles, self.trees) + self.constants[1]
        unsaid = words < self.min_words
        if texts.null_count:
            unsaid |= ~np.asarray(texts.is_valid())
        return pa.array((1 / (1 + np.exp(-margins))).astype(np.float32), mask=unsaid)

    def evidence(self, timelines: Floats) -> npt.NDArray[np.float32]:
        """Return the probability that a machine wrote each timeline. Shape: (groups, TIMELINE_FEATURES), (groups,)."""
        means, deviations, weights = self.timeline
        scaled = np.clip((timelines - means[:-1]) / deviations[:-1], -4, 4)
        return np.asarray(1 / (1 + np.exp(-(scaled @ weights[:-1] + weights[-1]))), np.float32)
