"""Train what a stage can be trained for, by its name: a classifier, the language model, a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filters import curvature_training, style_training, training
from filters.curvature_training import Order
from filters.labelled import RECIPES
from pipelines.language_training import train_language
from pipelines.tokens.training import train_tokenizer
from schemas.errors import ConfigError, nearest

TRAINABLE = (*RECIPES, "language", "tokenizer")


def train(
    stage: str, files: Sequence[Path], folder: Path, seed: int = 0, positive: str | None = None
) -> dict[str, Any]:
    """Train the model of a stage on labelled Parquet files, write it with its card to a folder, return the card.

    `positive` is the label of a user's own that a classifier's high score stands for. The same files and seed give the
    same bytes. Raises ConfigError for a stage that cannot be trained and for files
    that cannot teach it, SetupError when the folder cannot be written.
    """
    paths = _checked(stage, files)
    if stage == "tokenizer":
        return train_tokenizer(paths, Path(folder))
    if stage == "language":
        return train_language(paths, Path(folder), seed)
    kind = style_training if stage == "ai_text" else training
    return kind.train(stage, paths, Path(folder), seed, positive)


def train_middle(stage: str, files: Sequence[Path], folder: Path, order: Order) -> dict[str, Any]:
    """Fit a local language model to the uncertain middle of `ai_text`, write it fitted to a folder, return the card.

    Raises what `train` does, and SetupError for a folder that holds no such model.
    """
    paths = _checked(stage, files)
    if stage != curvature_training.STAGE:
        raise ConfigError(f"train {stage}: --language-model is for stage '{curvature_training.STAGE}' alone")
    return curvature_training.train(paths, Path(folder), order)


def _checked(stage: str, files: Sequence[Path]) -> list[Path]:
    if stage not in TRAINABLE:
        raise ConfigError(f"train: nothing to train for stage '{stage}': {nearest(stage, TRAINABLE)}")
    paths = [Path(file) for file in files]
    if not paths:
        raise ConfigError(f"train {stage}: no --data given: expected Parquet files")
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"train {stage}: {path}: no such file")
    return paths
