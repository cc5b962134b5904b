"""Decide which documents share a sequence: none is cut unless it is longer than one, and few places stay empty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from filters.kernels.packing import best_fit
from schemas.errors import ConfigError
from schemas.tokens import LONGEST_CONTEXT, SHORTEST_CONTEXT

Longs = npt.NDArray[np.int64]


class Packing(NamedTuple):
    """Pieces in the order of their sequences, and inside one in the order of documents; each shape (pieces,)."""

    document: Longs  # row of the document
    start: Longs  # of the piece, in the document's tokens
    length: Longs
    sequence: Longs

    @property
    def sequences(self) -> int:
        """Return how many sequences there are."""
        return int(self.sequence[-1]) + 1 if len(self.sequence) else 0


def pack(lengths: npt.ArrayLike, context_tokens: int) -> Packing:
    """Pack documents of some lengths, in tokens, into sequences; the same lengths give the same packing.

    A document longer than a sequence is cut into pieces that fill one each, and a last one. One without tokens is in no
    sequence. Sequences are numbered in the order of their first documents. Raises ConfigError for a context length that
    is not supported.

    >>> packing = pack([300, 1100, 0, 200], 512)
    >>> [column.tolist() for column in packing]
    [[0, 3, 1, 1, 1], [0, 0, 0, 512, 1024], [300, 200, 512, 512, 76], [0, 0, 1, 2, 3]]
    """
    check_context(context_tokens)
    sizes = np.asarray(lengths, np.int64)
    pieces = -(-sizes // context_tokens)
    document = np.repeat(np.arange(len(sizes)), pieces)
    start = (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * context_tokens
    length = np.minimum(sizes[document] - start, context_tokens)
    sequence = best_fit(length, context_tokens)
    order = np.argsort(sequence, kind="stable")
    return Packing(document[order], start[order], length[order], sequence[order])


def check_context(context_tokens: int) -> None:
    """Raise ConfigError for a context length that is not supported."""
    if not SHORTEST_CONTEXT <= context_tokens <= LONGEST_CONTEXT:
        raise ConfigError(f"context_tokens: expected {SHORTEST_CONTEXT} to {LONGEST_CONTEXT:,}, got {context_tokens:,}")
