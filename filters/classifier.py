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
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.ngrams import STYLE, character_tables, score_rows
from filters.kernels.utf8 import utf8_buffers
from schemas.errors import SetupError

SHIPPED = "shipped"
WEIGHTS_FILE, CARD_FILE = "weights.npz", "card.json"


@dataclass(frozen=True, eq=False)
class Classifier:
    """A linear model over hashed n-grams; plain arrays, so that a driver loads it and workers get it by pickle."""

    stage: str
    languages: tuple[str, ...]  # empty: every language
    table: npt.NDArray[np.int8]  # (2^bits,)
    style: npt.NDArray[np.float32]  # (len(STYLE),)
    constants: npt.NDArray[np.float64]  # scale of the table, bias, slope and intercept of the calibration
    settings: tuple[int, bool, int]  # bits, drop, min_words: see kernels/ngrams.py
    fold_case: bool
    sha256: str

    @classmethod
    def load(cls, stage: str, folder: str = SHIPPED) -> Classifier:
        """Read the model of a stage; raise SetupError when it is missing, damaged or another stage's."""
        weights, card = _read(stage, folder, WEIGHTS_FILE), _read(stage, folder, CARD_FILE)
        where = f"model of stage '{stage}' in {folder}"
        try:
            promised = str(json.loads(card)["sha256"])
        except (ValueError, KeyError, TypeError):
            raise SetupError(f"{where}: {CARD_FILE} is not a model card with a sha256: train it again") from None
        sha256 = hashlib.sha256(weights).hexdigest()
        if sha256 != promised:
            raise SetupError(f"{where}: {WEIGHTS_FILE} has sha256 {sha256[:12]}, the card says {promised[:12]}")
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
        with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
            bits, drop, min_words, fold_case = (int(value) for value in arrays["settings"])
            table, style, constants = arrays["table"], arrays["style"], arrays["constants"]
            names = [str(name) for name in arrays["names"]]
        shapes = (table.shape, style.shape, constants.shape)
        if shapes != ((1 << bits,), (len(STYLE),), (4,)) or table.dtype != np.int8:
            raise ValueError(f"expected 2^{bits} int8 weights, {len(STYLE)} style weights and 4 constants")
        digest = hashlib.sha256(weights).hexdigest()
        settings = (bits, bool(drop), min_words)
        return cls(names[0], tuple(names[1:]), table, style, constants, settings, bool(fold_case), digest)

    def to_bytes(self) -> bytes:
        """Return the weights file: the same bytes for the same model."""
        out = io.BytesIO()
        arrays: dict[str, Any] = {
            "names": np.array([self.stage, *self.languages]),
            "settings": np.array([*self.settings, self.fold_case], np.int64),
            "constants": self.constants,
            "style": self.style,
            "table": self.table,
        }
        np.savez_compressed(out, **arrays)
        return out.getvalue()

    def score(self, texts: pa.Array, languages: pa.Array | None = None) -> pa.Array:
        """Return the calibrated probability of the positive class as float32. Shape: (rows,) in, (rows,) out.

        Null for a null text, for a text with too little to read, and, where `languages` (BCP 47) are given, outside
        the languages the model has learnt.
        """
        data, offsets = utf8_buffers(texts)
        wanted = np.ones(len(texts), np.bool_)
        if texts.null_count:
            wanted &= np.asarray(texts.is_valid())
        if languages is not None and self.languages:
            wanted &= self._knows(languages)
        cut = (*character_tables(self.fold_case), *self.settings)
        scale, bias, slope, intercept = self.constants.tolist()
        model = (self.table, self.style, (scale, bias, slope, intercept))
        scores = score_rows(data, offsets, wanted, cut, model)
        return pa.array(scores, pa.float32(), mask=np.isnan(scores))

    def _knows(self, languages: pa.Array) -> npt.NDArray[np.bool_]:
        """Tell for each row whether its language, or the language its tag narrows ("en-GB"), was learnt."""
        pattern = "^(" + "|".join(re.escape(lang) for lang in self.languages) + ")(-|$)"
        column = languages if pa.types.is_dictionary(languages.type) else languages.dictionary_encode()
        known = pc.match_substring_regex(column.dictionary, pattern)
        return np.asarray(pc.fill_null(known.take(column.indices), False), dtype=np.bool_)


def _read(stage: str, folder: str, file: str) -> bytes:
    """Read one file of a model from a folder, or from the package itself, which may lie inside a zip."""
    where = resources.files("filters.models") / stage if folder == SHIPPED else Path(folder)
    try:
        return (where / file).read_bytes()
    except (OSError, KeyError, ValueError):
        raise SetupError(f"no model for stage '{stage}': expected {file} in {folder} ({where})") from None
