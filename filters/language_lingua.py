"""lingua, an optional package, for texts that our model doubts: slower by far, better on one word."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import SetupError


def version() -> str:
    """Return the version of lingua; raise SetupError when it is not installed."""
    try:
        import_module("lingua")
        return metadata.version("lingua-language-detector")
    except ImportError:
        raise SetupError("language: 'lingua: true' needs a package: pip install 'swarmfeed[lingua]'") from None


def ask(texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Return lingua's best guess for each text, `und` for none, and its confidence. Shapes: (rows,), (rows,)."""
    names, confidence = [], []
    for text in texts:
        values = _detector().compute_language_confidence_values(text)
        best = values[0] if values and values[0].value > 0 else None
        names.append(best.language.iso_code_639_1.name.lower() if best else "und")
        confidence.append(best.value if best else 0.0)
    return names, np.array(confidence, np.float32)


@functools.cache
def _detector() -> Any:
    """Build the detector of all languages once per process."""
    version()
    builder = import_module("lingua").LanguageDetectorBuilder.from_all_languages()
    return builder.with_preloaded_language_models().build()
