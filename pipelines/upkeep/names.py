"""The names that must not be said any more, as executors look for them: in columns of ids, in texts, in raw records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.needles import Needles, find_needles, mask_needles
from filters.kernels.utf8 import string_array, utf8_buffers
from pipelines.deletions import Flags
from pipelines.exchange import map_rows, new_file, write_rows

NAMES = pa.schema([("id", pa.string()), ("pseudonym", pa.string()), ("author", pa.bool_())])
"""A post that must go and what stands in its place where others speak of it, or an author who must go."""


@dataclass(frozen=True, eq=False)
class Names:
    """Posts and authors that must go. A text keeps its length, so that what was found in it stays in its place."""

    ids: pa.Array
    pseudonyms: pa.Array
    authors: pa.Array
    texts: Needles
    json: Needles  # a number stays a number
    raw: Needles  # authors too

    def posts_in(self, column: pa.ChunkedArray) -> Flags:
        """Tell which ids are of posts that must go."""
        return np.asarray(pc.is_in(column, value_set=self.ids))

    def authors_in(self, column: pa.ChunkedArray) -> Flags:
        """Tell which ids are of authors that must go."""
        return np.asarray(pc.is_in(column, value_set=self.authors))

    def renamed(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Put pseudonyms in place of ids."""
        return pc.coalesce(self.pseudonyms.take(pc.index_in(column, value_set=self.ids).combine_chunks()), column)


@lru_cache(maxsize=2)
def open_names(path: str) -> Names:
    """Read what `write_names` wrote, once per process."""
    rows = map_rows(path)
    posts, authors = rows.filter(pc.invert(rows.column("author"))), rows.filter(rows.column("author"))
    masks = dict(zip(posts.column("id").to_pylist(), posts.column("pseudonym").to_pylist(), strict=True))
    everyone = [*masks, *authors.column("id").to_pylist()]
    escaped = [name.replace("/", "\\/") for name in everyone]  # as some write JSON
    return Names(
        posts.column("id").combine_chunks(),
        posts.column("pseudonym").combine_chunks(),
        authors.column("id").combine_chunks(),
        Needles.of(masks),
        Needles.of({name: "9" * len(name) if name.isdecimal() else mask for name, mask in masks.items()}),
        Needles.of(dict.fromkeys([*everyone, *escaped], "")),
    )


def write_names(folder: Path, pseudonyms: Mapping[str, str], authors: list[str]) -> str:
    """Write names into a file for executors: posts with their pseudonyms, and authors."""
    path = new_file(folder, "names")
    columns = [
        pa.array([*pseudonyms, *authors], pa.string()),
        pa.array([*pseudonyms.values(), *([None] * len(authors))], pa.string()),
        pa.array([False] * len(pseudonyms) + [True] * len(authors), pa.bool_()),
    ]
    write_rows(path, pa.table(columns, schema=NAMES))
    return str(path)


def holds(column: pa.ChunkedArray, needles: Needles) -> Flags:
    """Tell which texts, or raw records, hold a needle."""
    return find_needles(*_buffers(column), needles)


def masked(column: pa.ChunkedArray, needles: Needles) -> pa.Array:
    """Write over the needles in texts."""
    data, offsets = _buffers(column)
    texts = string_array(mask_needles(data, offsets, needles), offsets)
    return pc.if_else(column.is_valid().combine_chunks(), texts, pa.scalar(None, pa.string()))


def _buffers(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return the bytes of a column and where each row begins in them; the first at 0."""
    if pa.types.is_binary(column.type):
        column = pc.fill_null(column, b"")
    data, offsets = utf8_buffers(column)
    data = data[offsets[0] : offsets[-1]]
    data.flags.writeable = False
    return data, offsets - offsets[0]
