"""What the search must know of a post, and the number it goes by: its epoch and its place in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.fingerprint import fingerprint
from filters.kernels.utf8 import utf8_buffers
from pipelines.exchange import map_rows
from schemas.errors import RunError

Longs = npt.NDArray[np.int64]

DAY_MICROS = 86_400_000_000
PLACE_BITS = 40  # an epoch has room for 2^40 posts, a folder for 2^23 epochs
NOBODY = 0  # the author of a post that names none
NO_DAY = 0  # the day, since 1970, of posts without a time: they share it, and it never expires

RECORD = pa.schema(
    [
        pa.field("ref", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("author", pa.int64(), nullable=False),  # hash of the author's id
        pa.field("micros", pa.int64(), nullable=False),  # since 1970; a post without a time stands at 0
        pa.field("version", pa.int64(), nullable=False),
        pa.field("fingerprint", pa.int64()),
        pa.field("signature", pa.binary()),
    ]
)
"""A post as the search compares it. Its text is not needed."""

ORDER = tuple((name, "ascending") for name in ("epoch", "micros", "id", "version", "fingerprint", "ref"))
"""The order of posts. Past the id it only tells versions of one post apart, which never duplicate each other."""


@dataclass(frozen=True)
class Numbering:
    """The refs of staged posts: the epoch of their part, and their number counted through all parts.

    `starts[i]` is the number of the first post of part i; there is one more, which is how many posts there are.
    """

    epochs: tuple[int, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, epochs: Sequence[int], counts: Sequence[int]) -> Numbering:
        """Number the posts of parts that hold `counts` posts each."""
        starts = (0, *np.cumsum(np.array(counts, np.int64)).tolist())
        if max(epochs, default=0) >= 1 << (63 - PLACE_BITS) or starts[-1] >= 1 << PLACE_BITS:
            raise RunError(f"epoch {max(epochs)} of {starts[-1]} posts: there is room for 2^23 epochs of 2^40 posts")
        return cls(tuple(epochs), starts)

    @property
    def first_ref(self) -> int:
        """Return the least ref there could be: earlier ones are history."""
        return min(self.epochs, default=0) << PLACE_BITS

    def refs(self, part: int, rows: Longs) -> Longs:
        """Return the refs of rows of a part."""
        return (self.epochs[part] << PLACE_BITS) + self.starts[part] + rows.astype(np.int64)

    def rows(self, refs: Longs) -> tuple[Longs, Longs]:
        """Return the part and the row of refs."""
        number = refs & ((1 << PLACE_BITS) - 1)
        part = np.searchsorted(self._starts, number, side="right") - 1
        return part, number - self._starts[part]

    @cached_property
    def _starts(self) -> Longs:
        return np.array(self.starts, np.int64)


def epoch_of(refs: Longs) -> Longs:
    """Return the epoch of each ref."""
    return refs >> PLACE_BITS


def micros_of(posts: pa.Table) -> Longs:
    """Return the time of each post, microseconds since 1970."""
    return np.asarray(pc.fill_null(posts.column("created_at").cast(pa.int64()), 0))


def records_of(posts: pa.Table, rows: Longs, refs: Longs) -> pa.Table:
    """Make the records of some rows of staged posts, whose refs are given. Columns of `RECORD`."""
    sketch = posts.column("sketch")
    plain = posts.select(["id", "author_id", "created_at", "extra"])
    for name in ("fingerprint", "signature"):  # the bands beside them would be copied for nothing
        plain = plain.append_column(name, pc.struct_field(sketch, name))
    picked = plain.take(pa.array(rows))
    authors = picked.column("author_id")
    columns = {
        "ref": pa.array(refs),
        "id": picked.column("id"),
        "author": pa.array(np.where(authors.is_valid(), hash_ids(authors), NOBODY)),
        "micros": pa.array(micros_of(picked)),
        "version": edit_times(picked.column("extra")),
        "fingerprint": picked.column("fingerprint"),
        "signature": picked.column("signature"),
    }
    return pa.table([columns[name] for name in RECORD.names], schema=RECORD)


@dataclass(frozen=True)
class StagedRecords:
    """The records of an epoch that is under way, read off its staged files."""

    files: tuple[str, ...]  # of each part
    numbering: Numbering

    def records(self, refs: Longs) -> pa.Table:
        """Return the record of each ref, which are sorted and distinct."""
        found = [records_of(map_rows(self.files[part]), rows, picked) for part, rows, picked in self._parts(refs)]
        return pa.concat_tables(found) if found else RECORD.empty_table()

    def _parts(self, refs: Longs) -> Iterator[tuple[int, Longs, Longs]]:
        parts, rows = self.numbering.rows(refs)
        for part in np.unique(parts).tolist():
            here = parts == part
            yield part, rows[here], refs[here]


def ranks(records: pa.Table) -> Longs:
    """Return the place of each record in the order of posts, from 0."""
    epoch = pa.array(epoch_of(np.asarray(records.column("ref"))))
    table = records.drop_columns(["signature", "author"]).append_column("epoch", epoch)
    rank = np.empty(records.num_rows, np.int64)
    rank[np.asarray(pc.sort_indices(table, sort_keys=list(ORDER)))] = np.arange(records.num_rows)
    return rank


def hash_ids(ids: pa.ChunkedArray) -> Longs:
    """Return a 64-bit number for each id."""
    return fingerprint(*utf8_buffers(ids))


def edit_times(extra: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return when each post was last edited, microseconds since 1970, from `extra.edited_at`; 0 when never."""
    edited = pc.fill_null(pc.match_substring(extra, '"edited_at"'), False)
    if not pc.any(edited).as_py():
        return pa.chunked_array([pa.repeat(pa.scalar(0, pa.int64()), len(extra))])
    found = pc.struct_field(pc.extract_regex(extra, r'"edited_at"\s*:\s*(?P<at>\d{1,18})'), "at")
    return pc.fill_null(found.cast(pa.int64()), 0)
