"""The uncertain middle of `ai_text`: posts whose style says too little, judged by style and curvature together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.curvature import FIT_FILE, Floats, LanguageModel
from filters.evaluation import masked
from filters.style_model import StyleModel
from schemas.errors import SetupError

MIDDLE = (0.2, 0.97)  # scores by style that are uncertain: above, a post is flagged by its style alone
INPUTS = ("style", "curvature", "bias")

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Joined:
    """A style model, how to ask for curvatures, and the weights of a logistic regression over both."""

    style: StyleModel
    curvature: Callable[[pa.Array], Floats]
    weights: Floats  # (len(INPUTS),)
    middle: Bounds

    def score(self, texts: pa.Array, languages: pa.Array | None = None) -> pa.Array:
        """Return the probability that a machine wrote each text, as float32: by style, in the middle by both.

        Null where style is. A text without a curvature keeps its score by style. Shape: (rows,) in and out.
        """
        scores = self.style.score(texts, languages)
        rows = np.flatnonzero(uncertain(scores, self.middle))
        if not len(rows):
            return scores
        found = self.curvature(masked(texts.take(pa.array(rows))))
        told = ~np.isnan(found)
        values = scores.to_numpy(zero_copy_only=False).copy()
        inputs = joint_inputs(values[rows[told]], found[told])
        values[rows[told]] = 1 / (1 + np.exp(-(inputs @ self.weights)))
        return pa.array(values, pa.float32(), mask=np.isnan(values))


def uncertain(scores: pa.Array, middle: Bounds) -> npt.NDArray[np.bool_]:
    """Tell which scores lie in the middle, its ends included; a null does not. Shape: (rows,)."""
    values = scores.to_numpy(zero_copy_only=False)
    return np.asarray((values >= np.float32(middle[0])) & (values <= np.float32(middle[1])))


def joint_inputs(scores: npt.NDArray[Any], curvatures: Floats) -> Floats:
    """Return what the logistic regression reads: logit of the score by style, curvature, 1. Shape: (rows, 3)."""
    near = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.column_stack([np.log(near / (1 - near)), curvatures, np.ones(len(near))])


def read_fit(style: StyleModel, model: LanguageModel) -> tuple[Floats, str]:
    """Return the weights in the language model's folder and the hash of their file.

    Raises SetupError when nothing was fitted, or something that was fitted on another language or style model.
    """
    where = Path(model.path) / FIT_FILE
    fit_it = "fit it: swarmfeed train ai_text --data FILE --language-model FOLDER --out FOLDER"
    try:
        content = where.read_bytes()
    except OSError:
        raise SetupError(f"ai_text: expected {FIT_FILE} in {model.path}: {fit_it}") from None
    try:
        card = json.loads(content)
        weights = np.array([card["weights"][name] for name in INPUTS], np.float64)
        fitted = {"language model": card["sha256"], "style model": card["style_sha256"]}
        if not np.isfinite(weights).all():
            raise ValueError("a weight is no number")
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(f"ai_text: {where} cannot be read: {type(error).__name__}: {error}: {fit_it}") from None
    for name, asked in (("language model", model.sha256), ("style model", style.sha256)):
        if fitted[name] != asked:
            told = f"was fitted on the {name} of sha256 {str(fitted[name])[:16]}, this one is {asked[:16]}"
            raise SetupError(f"ai_text: {where} {told}: {fit_it}")
    return weights, hashlib.sha256(content).hexdigest()
