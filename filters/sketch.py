"""The sketch of a post: what the duplicates step compares instead of the text."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels import cpu
from filters.kernels.utf8 import utf8_buffers
from schemas.columns import SKETCH

Flags = npt.NDArray[np.bool_]

_MAX_PERMUTATIONS = 512
_BYTE_CHANCE = 1 / 256  # how often the lowest bytes of two unrelated MinHash values agree


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
        values = cpu.minhash(data, kept, self.shingle_chars, *cpu.permutations(self.bands * self.rows, self.seed))
        children = [
            _fingerprints(cpu.fingerprint(data, kept), present),
            _lists(cpu.band_keys(values, self.bands), present),
            _signatures(values, present),
        ]
        return pa.StructArray.from_arrays(children, fields=list(SKETCH), mask=pc.is_null(texts))


def estimate_jaccard(left: pa.Array, right: pa.Array) -> npt.NDArray[np.float64]:
    """Estimate the Jaccard similarity of the shingles of row pairs from their signatures, shape (rows,), in [0, 1].

    The share m of equal bytes counts chance agreement of one byte, which is taken out: (m - 1/256) / (1 - 1/256), not
    under 0. A pair with a null signature has NaN. Raise ValueError when lengths differ.

    >>> pair = pa.array([bytes(range(8))]), pa.array([bytes([0, 1, 2, 3, 9, 9, 9, 9])])
    >>> estimate_jaccard(*pair).round(3).tolist()
    [0.498]
    """
    if len(left) != len(right):
        raise ValueError(f"expected two columns of one length, got {len(left)} and {len(right)}")
    known = pc.and_(pc.is_valid(left), pc.is_valid(right))
    estimates = np.full(len(left), np.nan)
    first, second = (_signature_matrix(pc.filter(column, known)) for column in (left, right))
    if first.shape != second.shape:
        raise ValueError(f"expected signatures of one width, got {first.shape[1]} and {second.shape[1]} bytes")
    if first.size:
        share = np.count_nonzero(first == second, axis=1) / first.shape[1]
        estimates[known.to_numpy(zero_copy_only=False)] = np.maximum(0.0, (share - _BYTE_CHANCE) / (1 - _BYTE_CHANCE))
    return estimates


def _signature_matrix(column: pa.Array) -> npt.NDArray[np.uint8]:
    """View signatures without nulls as rows of bytes."""
    data, offsets = utf8_buffers(column)
    widths = np.diff(offsets)
    if len(widths) == 0:
        return np.zeros((0, 0), np.uint8)
    if (widths != widths[0]).any():
        raise ValueError(f"expected signatures of one width, got {widths.min()} to {widths.max()} bytes")
    return data[offsets[0] : offsets[-1]].reshape(len(widths), widths[0])


def _fingerprints(hashes: npt.NDArray[np.int64], present: Flags) -> pa.Array:
    spread = np.zeros(len(present), np.int64)
    spread[present] = hashes
    return pa.array(spread, mask=~present)


def _lists(keys: npt.NDArray[np.int64], present: Flags) -> pa.Array:
    ends = pa.array(_ends(present, keys.shape[1]))
    return pa.ListArray.from_arrays(ends, pa.array(keys.reshape(-1)), SKETCH["bands"].type, mask=pa.array(~present))


def _signatures(values: npt.NDArray[np.uint32], present: Flags) -> pa.Array:
    lowest = values.astype(np.uint8)  # the cast keeps the lowest byte
    valid = pa.array(present).buffers()[1]
    buffers = [valid, pa.py_buffer(_ends(present, values.shape[1])), pa.py_buffer(lowest)]
    return pa.Array.from_buffers(pa.binary(), len(present), buffers)


def _ends(present: Flags, width: int) -> npt.NDArray[np.int32]:
    """Return the n + 1 offsets of a column in which every present row holds `width` items and no other row any."""
    ends = np.zeros(len(present) + 1, np.int64)
    np.cumsum(present * width, out=ends[1:])
    if ends[-1] >= 1 << 31:
        raise ValueError(f"a batch holds at most {(1 << 31) // width} sketches: lower input.batch_rows")
    return ends.astype(np.int32)
