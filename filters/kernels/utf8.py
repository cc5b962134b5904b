"""The seam between Arrow string columns and compiled kernels: one byte buffer and its offsets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def utf8_buffers(column: pa.Array) -> tuple[Bytes, Offsets]:
    """Return the UTF-8 bytes of a string column and its n + 1 offsets, without copying the text.

    A null is an empty stretch; ask the column itself for validity. Slices, chunks and large strings are welcome.

    >>> data, offsets = utf8_buffers(pa.array(["ab", None, "c"]))
    >>> bytes(data[offsets[0]:offsets[1]]), offsets.tolist()
    (b'ab', [0, 2, 2, 3])
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    large = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    if column.null_count:
        column = pc.fill_null(column, "")
    width = np.int64 if large else np.int32
    buffers = column.buffers()
    if len(column) == 0:
        return _read_only(np.zeros(0, np.uint8)), np.zeros(1, np.int64)
    offsets = np.frombuffer(buffers[1], dtype=width)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    return _read_only(data), offsets.astype(np.int64)


def _read_only(data: Bytes) -> Bytes:
    """Mark an array read-only: some Arrow buffers are and some are not, and Numba compiles a kernel for each kind."""
    data.flags.writeable = False
    return data


def string_array(data: Bytes, offsets: Offsets) -> pa.Array:
    """Build a string column from bytes a kernel wrote and n + 1 offsets starting at 0."""
    if offsets[-1] >= 1 << 31:
        raise ValueError(f"a batch holds at most 2 GiB of text, got {int(offsets[-1])} bytes: lower input.batch_rows")
    narrow = np.ascontiguousarray(offsets, dtype=np.int32)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(narrow), pa.py_buffer(np.ascontiguousarray(data)))
