"""The sketch of a post: what the duplicates step compares instead of the text."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels import cpu
from filters.kernels.hash_sets import HASH_BYTES, set_jaccard
from filters.kernels.utf8 import Bytes, Offsets, utf8_buffers
from schemas.columns import SKETCH

Flags = npt.NDArray[np.bool_]

_MAX_PERMUTATIONS = 512


@dataclass(frozen=True)
class Sketch:
    """Normalise the clean text, fingerprint it and take its MinHash over character shingles.

    A null text has a null sketch. A text of which nothing is left (only links, mentions, marks) has a sketch of nulls:
    there is nothing to compare, so it is nobody's duplicate.

    >>> texts = pa.array([{"text": "Good MORNING!", "changed": False}, {"text": "@a https://t.co/x", "changed": False}])
    >>> sketches = Sketch(bands=2, rows=2)(pa.RecordBatch.from_arrays([texts], ["clean_text"]))
    >>> sketches[0]["fingerprint"].is_valid, len(sketches[0]["bands"]), sketches[1]["bands"].is_valid
    (True, 2, False)
    """

    name: ClassVar[str] = "sketch"
    reads: ClassVar[tuple[str, ...]] = ("clean_text",)
    output: ClassVar[pa.StructType] = SKETCH

    shingle_chars: int = 4
    bands: int = 24
    rows: int = 6
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a setting that is no positive integer, or for more than 512 permutations."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 63:
                raise ValueError(f"'{field.name}' must be a positive integer, got {value!r}")
        if self.bands * self.rows > _MAX_PERMUTATIONS:
            raise ValueError(f"'bands' x 'rows' must be at most {_MAX_PERMUTATIONS}, got {self.bands} x {self.rows}")

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the sketch of each row, shape (rows,)."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        data, offsets = cpu.normalise(*utf8_buffers(texts))
        present = np.diff(offsets) > 0
        kept = np.append(np.int64(0), offsets[1:][present])  # an empty row takes no bytes: skipping it leaves no hole
        shingles = cpu.shingle_hashes(data, kept, self.shingle_chars)
        values = cpu.minima(*shingles, *cpu.permutations(self.bands * self.rows, self.seed))
        children = [
            _fingerprints(cpu.fingerprint(data, kept), present),
            _lists(cpu.band_keys(values, self.bands), present),
            _signatures(*cpu.hash_sets(*shingles), present),
        ]
        return pa.StructArray.from_arrays(children, fields=list(SKETCH), mask=pc.is_null(texts))


def estimate_jaccard(left: pa.Array, right: pa.Array) -> npt.NDArray[np.float64]:
    """Return the Jaccard similarity of the shingles of row pairs from their signatures, shape (rows,), in [0, 1].

    It is exact where both texts have at most 280 different shingles, and an estimate from a sample of them, the same in
    every text, where one has more (see kernels.hash_sets). A pair with a null signature has NaN. Raise ValueError when
    lengths differ, or for bytes that are no signature.

    >>> texts = pa.array([{"text": "good morning", "changed": False}, {"text": "Good evening!", "changed": False}])
    >>> signatures = pc.struct_field(Sketch()(pa.RecordBatch.from_arrays([texts], ["clean_text"])), "signature")
    >>> estimate_jaccard(signatures[:1], signatures[1:]).round(3).tolist()  # 3 of 15 shingles
    [0.2]
    """
    if len(left) != len(right):
        raise ValueError(f"expected two columns of one length, got {len(left)} and {len(right)}")
    known = pc.and_(pc.is_valid(left), pc.is_valid(right))
    first, second = (_sets(pc.filter(column, known)) for column in (left, right))
    estimates = np.full(len(left), np.nan)
    estimates[known.to_numpy(zero_copy_only=False)] = set_jaccard(first, second)
    return estimates


def _sets(column: pa.Array) -> tuple[Bytes, Offsets]:
    """View signatures without nulls as packed sets."""
    data, offsets = utf8_buffers(column)
    widths = np.diff(offsets)
    if (widths % HASH_BYTES != 1).any():
        odd = int(widths[widths % HASH_BYTES != 1][0])
        raise ValueError(f"expected signatures of 1 byte and {HASH_BYTES} a shingle, got one of {odd} bytes")
    return data, offsets


def _fingerprints(hashes: npt.NDArray[np.int64], present: Flags) -> pa.Array:
    spread = np.zeros(len(present), np.int64)
    spread[present] = hashes
    return pa.array(spread, mask=~present)


def _lists(keys: npt.NDArray[np.int64], present: Flags) -> pa.Array:
    ends = pa.array(_ends(present, keys.shape[1]))
    return pa.ListArray.from_arrays(ends, pa.array(keys.reshape(-1)), SKETCH["bands"].type, mask=pa.array(~present))


def _signatures(sets: Bytes, offsets: Offsets, present: Flags) -> pa.Array:
    widths = np.zeros(len(present) + 1, np.int64)
    widths[1:][present] = np.diff(offsets)
    buffers = [pa.array(present).buffers()[1], pa.py_buffer(_narrow(np.cumsum(widths))), pa.py_buffer(sets)]
    return pa.Array.from_buffers(pa.binary(), len(present), buffers)


def _ends(present: Flags, width: int) -> npt.NDArray[np.int32]:
    """Return the n + 1 offsets of a column in which every present row holds `width` items and no other row any."""
    ends = np.zeros(len(present) + 1, np.int64)
    np.cumsum(present * width, out=ends[1:])
    return _narrow(ends)


def _narrow(ends: Offsets) -> npt.NDArray[np.int32]:
    if ends[-1] >= 1 << 31:
        raise ValueError(f"the sketches of {len(ends) - 1} posts do not fit into one batch: lower input.batch_rows")
    return ends.astype(np.int32)
