"""Packed token sets of invented tokens, small enough to read whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.tokens import packed, sets
from pipelines.tokens.packed import Published, finish_packed, write_packed
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from schemas.tokens import DOCUMENT, Manifest

CONTEXT = 512


def documents(sizes: Sequence[int], first: int = 0) -> pa.RecordBatch:
    """Make a document of about so many tokens each; no two say the same."""
    rows = [
        {
            "document_id": f"d{first + at}",
            "text": f"document {first + at} " + " ".join(f"w{first + at}" for _ in range(size // 4)),
            "post_ids": [f"p{first + at}", f"q{first + at}"],
            "author_count": 2,
            "language": "en",
            "domain": "x",
            "created_at": None,
        }
        for at, size in enumerate(sizes)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT)


def add_version(root: Path, member: str = "news", shards: Sequence[int] = (40, 25), **settings: Any) -> Manifest:
    """Write the next version of a member, with about so many sequences in each shard, four in a row group.

    `tokenizer`, `context_tokens`, `first`, the number of the first document, and the `sizes` of documents may be set.
    """
    tokenizer: Tokenizer = settings.get("tokenizer") or load_tokenizer("default")
    context = settings.get("context_tokens", CONTEXT)
    folder = root / sets.next_version(root, member)
    before, packed.GROUP_TOKENS = packed.GROUP_TOKENS, 4 * context
    try:
        summaries = []
        first = settings.get("first", 0)
        for number, count in enumerate(shards):
            drawn = np.random.default_rng(first).integers(8, 2 * context // 3, 3 * count).tolist()
            sizes = settings.get("sizes", drawn)
            summaries += write_packed([documents(sizes, first)], tokenizer, folder, f"{number:06d}", context)
            first += len(sizes)
        origin = sets.Origin("c0ffee", {"toxicity": "aa"}, tokenizer)
        return finish_packed(folder, summaries, origin, Published(context, swarm={"seed": 1}))
    finally:
        packed.GROUP_TOKENS = before
