"""What is wrong with the rows of a packed shard: boundaries, padding, owners, counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.tokens import Manifest, Shard, packed_shard


def faults(file: pq.ParquetFile, shard: Shard, manifest: Manifest) -> list[str]:
    """Return what is wrong with a packed shard, a line each, one row group in memory at a time."""
    context = manifest.context_tokens or 0
    if not file.schema_arrow.equals(packed_shard(context)):
        return [f"its columns are not those of a packed shard of {context} tokens"]
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    wrong = []
    if any(rows != manifest.group_sequences for rows in groups[:-1]) or max(groups, default=0) > (
        manifest.group_sequences
    ):
        wrong.append(f"has row groups of other than {manifest.group_sequences} sequences")
    found = {"sequences": sum(groups), "documents": 0, "tokens": 0}
    highest = 0
    for number in range(file.num_row_groups):
        rows = file.read_row_group(number)
        wrong += [f"row group {number}: {line}" for line in _group_faults(rows, manifest)]
        found["documents"] += len(pc.list_flatten(rows.column("documents")))
        found["tokens"] += pc.sum(rows.column("filled")).as_py() or 0
        highest = max(highest, pc.max(pc.list_flatten(rows.column("tokens"))).as_py() or 0)
    for what, count in found.items():
        if count != getattr(shard, what):
            wrong.append(f"has {count} {what}, the manifest says {getattr(shard, what)}")
    if highest >= manifest.tokenizer.vocabulary:
        wrong.append(f"has token {highest}, beyond the vocabulary of {manifest.tokenizer.vocabulary}")
    return wrong


def _group_faults(rows: pa.Table, manifest: Manifest) -> Iterator[str]:
    context, pad = manifest.context_tokens or 0, manifest.tokenizer.end_of_document or 0
    filled = np.asarray(rows.column("filled"))
    edges = np.asarray(pc.list_flatten(rows.column("cu_seqlens")))
    per_row = np.asarray(pc.list_value_length(rows.column("cu_seqlens")))
    spans = np.asarray(pc.list_value_length(rows.column("documents")))
    last = np.cumsum(per_row) - 1
    if (per_row < 1).any() or (per_row != spans + 1).any():
        yield "a sequence has other than one document between two boundaries"
        return
    rises = np.diff(edges) > 0
    rises[last[:-1]] = True  # from one sequence to the next
    if edges[last - spans].any() or (edges[last] != filled).any() or not rises.all() or (filled > context).any():
        yield "boundaries do not rise from 0 to `filled`"
    places = np.asarray(pc.list_flatten(rows.column("tokens"))).reshape(-1, context)
    if (places[np.arange(context) >= filled[:, None]] != pad).any():
        yield "something stands in the padding"
