"""Tokenizers pinned by config: the shipped one, a tokenizer.json, a SentencePiece model or a .tiktoken file.

A `Tokenizer` carries the bytes of its file, so that its sha256 is that of what was used, and a worker gets it by pickle
and reads nothing. User text is only ever text: "<|endoftext|>" in a post is encoded letter by letter, whatever special
pieces the file declares. The one special id in a token set is the end of document, where the file declares one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.tokens.engines import Engine, HuggingFaceEngine, SentencePieceEngine, TiktokenEngine
from schemas.errors import ConfigError, SetupError
from schemas.tokens import TokenizerCard

Kind = Literal["json", "sentencepiece", "tiktoken"]

DEFAULT = "default"
TOKENIZER_FILE = "tokenizer.json"
TOKENS = pa.list_(pa.int32())

_KINDS: dict[str, Kind] = {".json": "json", ".model": "sentencepiece", ".tiktoken": "tiktoken"}
_ENGINES: dict[Kind, type[Engine]] = {
    "json": HuggingFaceEngine,
    "sentencepiece": SentencePieceEngine,
    "tiktoken": TiktokenEngine,
}


@dataclass(frozen=True)
class Tokenizer:
    """Turn texts into token ids and back; equal to every other one made of the same bytes."""

    name: str
    kind: Kind
    sha256: str  # of the file's bytes
    data: bytes = field(repr=False, compare=False)

    @classmethod
    def from_bytes(cls, name: str, kind: Kind, data: bytes) -> Tokenizer:
        """Wrap the bytes of a tokenizer file; raise ValueError when they are not one of that kind."""
        tokenizer = cls(name, kind, hashlib.sha256(data).hexdigest(), data)
        _engine(tokenizer)
        return tokenizer

    @property
    def vocabulary(self) -> int:
        """Return the number of rows an embedding needs: the highest id and one."""
        return _engine(self).vocabulary

    @property
    def end_of_document(self) -> int | None:
        """Return the id that stands after each document of a token set, None where the file declares none."""
        return _engine(self).end_of_document

    def encode(self, texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
        """Return the ids of each text, without special ids; null for null. Shape: (rows,) strings in, (rows,) out."""
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        rows = texts.fill_null("").to_pylist() if texts.null_count else texts.to_pylist()
        values, offsets = flatten(_engine(self).encode(rows))
        mask = texts.is_null() if texts.null_count else None
        return pa.ListArray.from_arrays(offsets.astype(np.int32), values, TOKENS, mask=mask)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text that ids spell; the end of document and other special ids spell nothing.

        Byte-level vocabularies give back exactly what was encoded; a SentencePiece model what its normaliser kept.
        """
        return _engine(self).decode([int(one) for one in ids])

    def card(self) -> TokenizerCard:
        """Return what a manifest says of this tokenizer."""
        return TokenizerCard(
            name=self.name, sha256=self.sha256, vocabulary=self.vocabulary, end_of_document=self.end_of_document
        )


def load_tokenizer(name_or_path: str) -> Tokenizer:
    """Read the shipped tokenizer ("default"), a file, or the tokenizer.json of a folder.

    The kind is told by the suffix: .json, .model (SentencePiece) or .tiktoken. Raises ConfigError when there is no such
    file or it is not what its suffix says.
    """
    if name_or_path == DEFAULT:
        return _shipped()
    path = Path(name_or_path)
    if path.is_dir():
        path = path / TOKENIZER_FILE
    kind = _KINDS.get(path.suffix)
    if kind is None:
        raise ConfigError(
            f"tokens.tokenizer: '{name_or_path}': expected '{DEFAULT}' or a file that ends in {', '.join(_KINDS)}"
        )
    try:
        return Tokenizer.from_bytes(path.name, kind, path.read_bytes())
    except OSError as error:
        raise ConfigError(f"tokens.tokenizer: cannot read '{path}': {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"tokens.tokenizer: '{path}': {error}") from None


def flatten(rows: list[list[int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return all ids in one array and the rows' n + 1 offsets.

    >>> values, offsets = flatten([[5, 6], [], [7]])
    >>> values.tolist(), offsets.tolist()
    ([5, 6, 7], [0, 2, 2, 3])
    """
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=offsets[1:])
    return np.fromiter(chain.from_iterable(rows), np.int32, int(offsets[-1])), offsets


def _shipped() -> Tokenizer:
    source = resources.files("filters.models") / "tokenizer" / TOKENIZER_FILE
    try:
        return Tokenizer.from_bytes(DEFAULT, "json", source.read_bytes())
    except (OSError, ValueError) as error:
        raise SetupError(f"the shipped tokenizer cannot be read ({error}): install swarmfeed again") from None


@lru_cache(maxsize=4)
def _engine(tokenizer: Tokenizer) -> Engine:
    """Build a tokenizer's engine, once per process. Raise ValueError with one line on what is wrong with its bytes."""
    try:
        return _ENGINES[tokenizer.kind](tokenizer.data)
    except Exception as error:  # each library has its own exceptions, most of them bare Exception
        reason: Any = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"not a {_WHAT[tokenizer.kind]}: {reason[0]}") from None


_WHAT: dict[Kind, str] = {
    "json": "tokenizer.json of the tokenizers library",
    "sentencepiece": "SentencePiece model",
    "tiktoken": "file of base64 tokens and ranks",
}
