"""Load a shipped or trained classifier and score whole Arrow columns with it.

A model is a folder with two files: `weights.npz`, everything that decides a score, and `card.json`, which says where
it came from and carries the sha256 of the weights. Nothing in it is code, and nothing is read after `load`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.ngrams import LANES, ROWS, score_rows
from filters.kernels.normal_form import STYLE, character_tables
from filters.kernels.utf8 import utf8_buffers
from schemas.errors import SetupError

SHIPPED = "shipped"
WEIGHTS_FILE, CARD_FILE = "weights.npz", "card.json"
CUT = 2
"""The cut of texts into features that a model is trained for: raised whenever a feature comes to mean another thing."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A linear model over hashed n-grams; plain arrays, so that a driver loads it and workers get it by pickle."""

    stage: str
    languages: tuple[str, ...]  # empty: every language
    table: npt.NDArray[np.int8]  # (ROWS,): character n-grams first, words after them
    style: npt.NDArray[np.float32]  # (len(STYLE),)
    constants: npt.NDArray[np.float64]  # scale of the n-grams' weights, scale of the words', bias
    min_words: int  # a text of fewer words gets no score
    scripts: int  # a bit for each of characters.SCRIPTS that it has learnt: what it reads when no language is told
    reads_marks: bool  # hashtags, emoji, and how many links, mentions, hashtags and emoji there are
    sha256: str

    @classmethod
    def load(cls, stage: str, folder: str = SHIPPED) -> Classifier:
        """Read the model of a stage; raise SetupError when it is missing, damaged or another stage's."""
        weights, where = read_weights(stage, folder)
        try:
            model = cls.from_bytes(weights)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SetupError(f"{where}: {WEIGHTS_FILE} cannot be read: {error}") from None
        if model.stage != stage:
            raise SetupError(f"{where}: it is a model of stage '{model.stage}'")
        return model

    @classmethod
    def from_bytes(cls, weights: bytes) -> Classifier:
        """Rebuild a classifier from the bytes of its weights file."""
        with np.load(io.BytesIO(weights), allow_pickle=False) as file:
            settings = [int(value) for value in file["settings"]]
            table, style, constants = file["table"], file["style"], file["constants"]
            names = [str(name) for name in file["names"]]
        if len(settings) != 4 or settings[0] != CUT:
            raise ValueError("it was trained for the features of another version: train it again")
        shapes = (table.shape, style.shape, constants.shape)
        if shapes != ((ROWS,), (len(STYLE),), (3,)) or table.dtype != np.int8:
            raise ValueError(f"expected {ROWS} int8 weights, {len(STYLE)} style weights and 3 constants")
        digest = hashlib.sha256(weights).hexdigest()
        min_words, scripts, reads_marks = settings[1:]
        arrays = (table, style, constants)
        return cls(names[0], tuple(names[1:]), *arrays, min_words, scripts, bool(reads_marks), digest)

    def to_bytes(self) -> bytes:
        """Return the weights file: the same bytes for the same model."""
        out = io.BytesIO()
        arrays: dict[str, Any] = {
            "names": np.array([self.stage, *self.languages]),
            "settings": np.array([CUT, self.min_words, self.scripts, self.reads_marks], np.int64),
            "constants": self.constants,
            "style": self.style,
            "table": self.table,
        }
        np.savez_compressed(out, **arrays)
        return out.getvalue()

    def score(self, texts: pa.Array, languages: pa.Array | None = None) -> pa.Array:
        """Return the calibrated probability of the positive class as float32. Shape: (rows,) in, (rows,) out.

        Null for a null text, for a text with too little to read, and, where `languages` (BCP 47) are given, outside
        the languages the model has learnt; an unknown one (`und`) is read if it is in a script the model has learnt.
        """
        return score_together([self], texts, languages)[0]


def score_together(models: Sequence[Classifier], texts: pa.Array, languages: pa.Array | None = None) -> list[pa.Array]:
    """Return what each model's `score` returns, to the bit, from one pass over the texts for every LANES models."""
    out: list[pa.Array] = []
    data, offsets = utf8_buffers(texts)
    for at in range(0, len(models), LANES):
        lanes = tuple(models[at : at + LANES])
        wanted = np.zeros(len(texts), np.uint8)
        for lane, model in enumerate(lanes):
            known = knows(model.languages, languages) if languages is not None and model.languages else True
            wanted |= np.uint8(1 << lane) * np.asarray(known, np.uint8)
        wanted |= np.uint8(1 << LANES) * _unknown(texts, languages)
        if texts.null_count:
            wanted *= np.asarray(texts.is_valid(), np.uint8)
        scores = score_rows(data, offsets, wanted, character_tables(), _side_by_side(lanes))[: len(lanes)]
        out.extend(pa.array(column, pa.float32(), mask=np.isnan(column)) for column in scores)
    return out


def _unknown(texts: pa.Array, languages: pa.Array | None) -> npt.NDArray[np.uint8]:
    """Tell for each text whether its language could not be told."""
    if languages is None:
        return np.zeros(len(texts), np.uint8)
    return np.asarray(pc.fill_null(pc.equal(languages.cast(pa.string()), "und"), False), np.uint8)


@lru_cache(maxsize=16)
def _side_by_side(models: tuple[Classifier, ...]) -> tuple[npt.NDArray[Any], ...]:
    """Lay the weights of up to LANES models side by side, as `score_rows` reads them; a free lane holds zeros."""
    table, styles = np.zeros((ROWS, LANES), np.int8), np.zeros((LANES, len(STYLE)), np.float32)
    constants, settings = np.zeros((LANES, 3)), np.zeros((LANES, 3), np.int64)
    for lane, model in enumerate(models):
        table[:, lane] = model.table
        styles[lane], constants[lane] = model.style, model.constants
        settings[lane] = model.min_words, model.reads_marks, model.scripts
    return table, styles, constants, settings


def knows(languages: Sequence[str], column: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell for each row whether its language, or the language its tag narrows ("en-GB"), is one of `languages`."""
    pattern = "^(" + "|".join(re.escape(lang) for lang in languages) + ")(-|$)"
    column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    known = pc.match_substring_regex(column.dictionary, pattern)
    return np.asarray(pc.fill_null(known.take(column.indices), False), dtype=np.bool_)


def read_weights(stage: str, folder: str) -> tuple[bytes, str]:
    """Return the weights file of a model and how to call the model in a message; raise SetupError unless its card
    promises these very bytes."""
    weights, card = _read(stage, folder, WEIGHTS_FILE), _read(stage, folder, CARD_FILE)
    where = f"model of stage '{stage}' in {folder}"
    try:
        promised = str(json.loads(card)["sha256"])
    except (ValueError, KeyError, TypeError):
        raise SetupError(f"{where}: {CARD_FILE} is not a model card with a sha256: train it again") from None
    sha256 = hashlib.sha256(weights).hexdigest()
    if sha256 != promised:
        raise SetupError(f"{where}: {WEIGHTS_FILE} has sha256 {sha256[:12]}, the card says {promised[:12]}")
    return weights, where


def _read(stage: str, folder: str, file: str) -> bytes:
    """Read one file of a model from a folder, or from the package itself, which may lie inside a zip."""
    where = resources.files("filters.models") / stage if folder == SHIPPED else Path(folder)
    try:
        return (where / file).read_bytes()
    except (OSError, KeyError, ValueError):
        raise SetupError(f"no model for stage '{stage}': expected {file} in {folder} ({where})") from None
