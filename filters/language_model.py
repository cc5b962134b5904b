"""The language model: for each script, a table of hashed letter n-grams with a weight per language."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.kernels.characters import SCRIPTS
from filters.kernels.letter_scores import Model
from schemas.errors import SetupError

SHIPPED = "shipped"
WEIGHTS_FILE, CARD_FILE = "weights.npz", "card.json"
NARROW = 16  # columns are padded to a multiple of this, so that sums are made of whole vectors


class Table(NamedTuple):
    """What is known of one script. Shapes: (rows, columns), (columns,), (columns,)."""

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.float32]
    languages: npt.NDArray[np.int32]  # place of each column's language among all, -1 for columns that pad
    scale: float  # what a weight of 1 stands for
    sharpness: float  # what scores are multiplied by before the softmax


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """Every table by ISO 15924 code, with the names of all languages and the confidence each needs."""

    languages: tuple[str, ...]
    needed: npt.NDArray[np.float32]  # (languages,)
    tables: Mapping[str, Table]

    @classmethod
    def from_bytes(cls, content: bytes) -> LanguageModel:
        """Rebuild a model from the bytes of its weights file; raise ValueError or KeyError where something is wrong."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            languages = tuple(str(name) for name in arrays["languages"])
            needed = arrays["needed"]
            tables = {
                script: Table(
                    arrays[f"{script}.weights"],
                    arrays[f"{script}.bias"],
                    arrays[f"{script}.languages"],
                    *map(float, arrays[f"{script}.scale"]),
                )
                for script in map(str, arrays["scripts"])
            }
        if needed.shape != (len(languages),) or not set(tables) <= set(SCRIPTS):
            raise ValueError("expected a threshold per language and scripts by their ISO 15924 codes")
        for table in tables.values():
            _check(table, len(languages))
        return cls(languages, needed, tables)

    def to_bytes(self) -> bytes:
        """Return the weights file: the same bytes for the same model."""
        arrays: dict[str, Any] = {
            "languages": np.array(self.languages),
            "needed": self.needed,
            "scripts": np.array(list(self.tables)),
        }
        for script, table in self.tables.items():
            arrays[f"{script}.weights"], arrays[f"{script}.bias"] = table.weights, table.bias
            arrays[f"{script}.languages"] = table.languages
            arrays[f"{script}.scale"] = np.array([table.scale, table.sharpness], np.float64)
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)
        return out.getvalue()

    def compiled(self) -> tuple[Model, npt.NDArray[np.int32]]:
        """Return the tables as the kernel takes them, and the place of each (script, column)'s language."""
        count = len(SCRIPTS)
        widest = max(len(table.bias) for table in self.tables.values())
        starts, bits, widths = np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
        scales, sharpness = np.zeros(count, np.float32), np.zeros(count, np.float32)
        bias, places = np.zeros((count, widest), np.float32), np.full((count, widest), -1, np.int32)
        start = 0
        for script, table in self.tables.items():
            at, width = SCRIPTS.index(script), len(table.bias)
            starts[at], bits[at], widths[at] = start, len(table.weights).bit_length() - 1, width
            scales[at], sharpness[at] = table.scale, table.sharpness
            bias[at, :width], places[at, :width] = table.bias, table.languages
            start += table.weights.size
        padded = [np.where(table.languages >= 0, table.weights, np.int8(-127)) for table in self.tables.values()]
        weights = np.concatenate([table.ravel() for table in padded])  # a column that pads explains no word
        return Model(weights, starts, bits, widths, scales, bias, sharpness), places


def _check(table: Table, languages: int) -> None:
    rows, columns = table.weights.shape
    good = rows == 1 << rows.bit_length() - 1 and table.weights.dtype == np.int8 and columns % NARROW == 0
    fitting = table.bias.shape == table.languages.shape == (columns,) and int(table.languages.max()) < languages
    if not (good and fitting and table.scale > 0 and table.sharpness > 0):
        raise ValueError("expected for each script 2^n rows of int8, and a bias and a language for each column")


def read_weights(folder: str) -> bytes:
    """Return the weights file of a folder; raise SetupError when it is missing, damaged or not of its card."""
    place = resources.files("filters.models") / "language" if folder == SHIPPED else Path(folder)
    try:
        content = (place / WEIGHTS_FILE).read_bytes()
        promised = str(json.loads((place / CARD_FILE).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise SetupError(
            f"language: no good {WEIGHTS_FILE} with its {CARD_FILE} in {folder}: run `swarmfeed train language`"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != promised:
        raise SetupError(
            f"language: {WEIGHTS_FILE} in {folder} has sha256 {found[:12]}, its card says {promised[:12]}: one of them "
            "is of another model, or cut short; run `swarmfeed train language`"
        )
    load(content)
    return content


@functools.lru_cache(maxsize=2)
def load(content: bytes) -> LanguageModel:
    """Return the model of a weights file, once per process; raise SetupError when it is none."""
    try:
        return LanguageModel.from_bytes(content)
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SetupError(f"language: {WEIGHTS_FILE} cannot be read: {error}: run `swarmfeed train language`") from None
