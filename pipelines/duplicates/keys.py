"""What a post can be found by: its id, the id of its original, the fingerprint and the bands of its text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.owners import BY_ID, BY_ROOT, BY_TEXT
from pipelines.duplicates.records import Longs, hash_ids, micros_of
from pipelines.exchange import write_boxes

Keys = npt.NDArray[np.uint64]

BOXES = 256  # a file of keys has a box for each value of their highest byte
OWNS_ONLY = 3  # taken off what a key stands for: the post owns it but does not ask who did before
PER_POST = 27  # id, original, fingerprint and 24 bands

KEY = pa.schema([("key", pa.uint64()), ("row", pa.int32()), ("kind", pa.int8()), ("micros", pa.int64())])
"""One key of one post of a part."""


def write_keys(posts: pa.Table, path: Path) -> None:
    """Write every key of the posts of a part, boxed by value."""
    keys = post_keys(posts)
    high = np.asarray(keys.column("key")) >> np.uint64(56)
    write_boxes(path, keys, high.astype(np.int64), BOXES)


def post_keys(posts: pa.Table) -> pa.RecordBatch:
    """Return every key of some posts, columns of `KEY`; a post whose text leaves nothing to compare has only ids."""
    rows = posts.num_rows
    ids, reposts = posts.column("id"), posts.column("repost_of")
    text_rows, text_keys = _text_keys(posts.column("sketch").combine_chunks())
    everyone = np.arange(rows)
    asks_root = np.where(reposts.is_valid(), BY_ROOT, BY_ROOT - OWNS_ONLY)
    id_hash = hash_ids(ids)
    root_hash = hash_ids(pc.coalesce(reposts, ids)) if reposts.null_count < rows else id_hash
    row = np.concatenate([everyone, everyone, text_rows]).astype(np.int32)
    key = np.concatenate([_salted(id_hash, BY_ID), _salted(root_hash, BY_ROOT), _salted(text_keys, BY_TEXT)])
    kind = np.concatenate([np.full(rows, BY_ID), asks_root, np.full(len(text_rows), BY_TEXT)]).astype(np.int8)
    return pa.record_batch([key, row, kind, micros_of(posts)[row]], schema=KEY)


def range_of(address: int, addresses: int) -> range:
    """Return the boxes that one of `addresses`, a power of two of at most `BOXES`, looks after."""
    each = BOXES // addresses
    return range(address * each, (address + 1) * each)


def _text_keys(sketch: pa.StructArray) -> tuple[Longs, Longs]:
    """Return the row and the key of each fingerprint and band."""
    prints, bands = pc.struct_field(sketch, "fingerprint"), pc.struct_field(sketch, "bands")
    printed = np.flatnonzero(prints.is_valid())
    banded = np.repeat(np.arange(len(bands)), pc.fill_null(pc.list_value_length(bands), 0))
    keys = np.concatenate([np.asarray(prints.drop_null()), np.asarray(pc.list_flatten(bands))])
    return np.concatenate([printed, banded]), keys


def _salted(keys: Longs, what: int) -> Keys:
    """Keep keys of different meaning apart: times an odd number, the keys of one meaning stay distinct."""
    return np.asarray(keys.view(np.uint64) * np.uint64(2 * what + 0x9E3779B97F4A7C15))
