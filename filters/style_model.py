"""A model over a post's style: boosted trees, their calibration, and what the posts of one author weigh together."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.classifier import WEIGHTS_FILE, knows, read_weights
from filters.kernels.style import style_rows
from filters.kernels.style_features import STYLE_FEATURES
from filters.kernels.timelines import TIMELINE_FEATURES
from filters.kernels.trees import tree_margins
from filters.kernels.utf8 import utf8_buffers
from schemas.errors import SetupError

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
        count, depth = features.shape
        if thresholds.shape != (count, depth) or leaves.shape != (count, 1 << depth):
            raise ValueError("features, thresholds and leaves are not of the same trees")
        if features.min() < 0 or int(settings[1]) != len(STYLE_FEATURES) or features.max() >= len(STYLE_FEATURES):
            raise ValueError(f"expected trees over {len(STYLE_FEATURES)} features of style")
        if timeline.shape != (3, len(TIMELINE_FEATURES) + 1) or constants.shape != (2,):
            raise ValueError(f"expected weights for {len(TIMELINE_FEATURES)} features of a timeline, and 2 constants")
        digest = hashlib.sha256(weights).hexdigest()
        trees = (features, thresholds, leaves)
        return cls(names[0], tuple(names[1:]), trees, constants, timeline, int(settings[0]), digest)

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

    @classmethod
    def load(cls, stage: str, folder: str) -> StyleModel:
        """Read the model of a stage; raise SetupError when it is missing, damaged or another stage's."""
        weights, where = read_weights(stage, folder)
        try:
            model = cls.from_bytes(weights)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SetupError(f"{where}: {WEIGHTS_FILE} cannot be read: {error}") from None
        if model.stage != stage:
            raise SetupError(f"{where}: it is a model of stage '{model.stage}'")
        return model

    def score(self, texts: pa.Array, languages: pa.Array | None = None) -> pa.Array:
        """Return the calibrated probability that a machine wrote each text, as float32. Shape: (rows,) in and out.

        Null for a text with few words or of more than the kernel reads, and, where `languages` (BCP 47) are given,
        outside the languages the model has learnt.
        """
        rows = np.arange(len(texts))
        if languages is not None:
            rows = np.flatnonzero(knows(self.languages, languages))
        styles, words, _ = style_rows(*utf8_buffers(texts.take(pa.array(rows))))
        said = words >= self.min_words  # a null has no words
        scores = np.full(len(texts), np.nan, np.float32)
        scores[rows[said]] = 1 / (1 + np.exp(-self.margins(styles[said])))
        return pa.array(scores, mask=np.isnan(scores))

    def margins(self, styles: npt.NDArray[np.float32]) -> Floats:
        """Return the logit of the score of each style. Shape: (rows, k) in, (rows,) out."""
        slope, intercept = self.constants
        return np.asarray(slope * tree_margins(styles, self.trees) + intercept)

    def evidence(self, timelines: Floats) -> npt.NDArray[np.float32]:
        """Return the probability that a machine wrote each timeline. Shape: (groups, TIMELINE_FEATURES), (groups,)."""
        means, deviations, weights = self.timeline
        scaled = np.clip((timelines - means[:-1]) / deviations[:-1], -4, 4)
        return np.asarray(1 / (1 + np.exp(-(scaled @ weights[:-1] + weights[-1]))), np.float32)
