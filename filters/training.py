"""Train a stage's classifier from labelled Parquet files and write it with its card, by one call.

All rows of the training files fit the weights, save that of a set which brings no validation file a tenth, by a hash
of the text, is kept for the card's figures. The same files and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from filters.card import describe, write_model
from filters.evaluation import evaluate, measure
from filters.fitting import Settings, fit
from filters.labelled import RECIPES, Examples, Recipe, languages_taught, read_examples, with_positive
from schemas.errors import ConfigError, nearest


def train(
    stage: str, files: Sequence[Path], folder: Path, seed: int = 0, positive: str | None = None
) -> dict[str, Any]:
    """Fit, calibrate, measure and write the classifier of a stage; return its card. Raise ConfigError for bad files.

    `positive` is a label that a high score stands for; without it the labels are those of the stage's recipe.
    """
    if stage not in RECIPES:
        raise ConfigError(f"train: stage '{stage}' has no classifier: {nearest(stage, RECIPES)}")
    recipe = with_positive(RECIPES[stage], positive)
    examples = read_examples(stage, recipe, [Path(file) for file in files])
    model, settings = fit(stage, recipe, examples, seed)
    figures = {"fit": settings._asdict(), "seed": seed, "validation": evaluate(model, examples, recipe.sliced)}
    figures["leave_one_set_out"] = leave_one_set_out(recipe, examples, seed, settings)
    card = describe(model, recipe, examples, figures)
    write_model(model, card, Path(folder))
    return card


def leave_one_set_out(
    recipe: Recipe, examples: Examples, seed: int, settings: Settings
) -> dict[str, dict[str, float | int]]:
    """Return the figures of each set of both classes under a model trained on the others, where they can teach it.

    The settings and the calibration are those of the whole.
    """
    out = {}
    for name in np.unique(examples.sets).tolist():
        here = examples.sets == name
        rest, left = examples.where(~here), examples.where(here)
        taught = languages_taught(left)
        if taught and set(taught) <= set(languages_taught(rest)):
            model, _ = fit("left out", recipe, rest, seed, settings)
            scores = model.score(left.texts).to_numpy(zero_copy_only=False).astype(np.float64)
            out[name] = measure(scores, left.labels)
    return out
