"""Slices of English posts on which a classifier of abuse is known to go wrong: groups that are named, and dialect."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.contrasts import names_group

Flags = npt.NDArray[np.bool_]

_SPELLINGS = (
    *("ain't", "aint", "bout", "cuz", "dat", "dem", "dey", "dis", "doe", "finna", "gon", "gonna", "ima", "imma", "lil"),
    *("ion", "nah", "naw", "outta", "tho", "tryna", "wanna", "wit", "ya", "y'all", "yall", "yo"),
)
_DIALECT = re.compile(rf"\b({'|'.join(map(re.escape, _SPELLINGS))})\b|\b\w+in'", re.IGNORECASE)


def spells_dialect(text: str) -> bool:
    """Tell whether a text has a spelling of spoken English, African-American English most of all.

    A proxy, and a rough one: it says nothing of who wrote the text. The words are our choice, made before any figure.

    >>> spells_dialect("She ain't goin' nowhere"), spells_dialect("She is not going anywhere")
    (True, False)
    """
    return _DIALECT.search(text.replace("’", "'")) is not None


def slices(texts: pa.Array, languages: pa.Array) -> dict[str, Flags]:
    """Return which rows belong to each slice; English alone, each slice beside the rest of English."""
    english = np.array([language == "en" for language in languages.to_pylist()], np.bool_)
    named = np.array([names_group(text) for text in texts.to_pylist()], np.bool_)
    spelt = np.array([spells_dialect(text) for text in texts.to_pylist()], np.bool_)
    return {
        "a group is named": english & named,
        "no group is named": english & ~named,
        "dialect spelling": english & spelt,
        "no dialect spelling": english & ~spelt,
    }
