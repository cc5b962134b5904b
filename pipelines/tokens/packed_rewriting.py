"""Take documents out of a packed shard: the rest of their sequences moves up, everything else stays where it is.

A sequence that loses all it held stays as a row of padding: sequences keep their places, and so a loader in mid-epoch
its order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.tokens.packed import PackedFile, Spans, padding, sequences, spans_of
from pipelines.tokens.shards import ShardSummary, time_range, tokens_by_language
from schemas.tokens import Manifest

Mask = npt.NDArray[np.bool_]


@dataclass
class Cut:
    """What is left of a shard and what went; no summary where nothing did."""

    summary: ShardSummary | None = None
    dropped: int = 0  # spans
    languages: Counter[str] = field(default_factory=Counter)  # tokens that went
    times: list[datetime] = field(default_factory=list)  # first and last of what stays


def without(source: Path, target: Path, manifest: Manifest, posts: pa.Array) -> Cut:
    """Write a shard without the documents that name one of some posts; write nothing where none does.

    Holds one row group of tokens.
    """
    with pq.ParquetFile(source) as file:
        groups = range(file.num_row_groups)
        kept = [_kept(file.read_row_group(group, ["documents"]).column("documents"), posts) for group in groups]
        cut = Cut(
            dropped=sum(int((~mask).sum()) for mask, _ in kept), times=[time for _, some in kept for time in some]
        )
        if cut.dropped:
            shard = PackedFile(target, manifest.context_tokens or 0, manifest.tokenizer.sha256)
            with shard:
                for group, (mask, _) in zip(groups, kept, strict=True):
                    shard.add(_rest(file.read_row_group(group), mask, manifest, cut))
            cut.summary = shard.summary()
    return cut


def _kept(documents: pa.ChunkedArray, posts: pa.Array) -> tuple[Mask, list[datetime]]:
    """Tell which spans of a row group stay, and the first and the last of their times."""
    spans = pc.list_flatten(documents.combine_chunks())
    names = spans.field("post_ids")
    hit = np.asarray(pc.is_in(pc.list_flatten(names), value_set=posts))
    kept = np.ones(len(spans), np.bool_)
    kept[np.asarray(pc.list_parent_indices(names))[hit]] = False
    times = time_range(spans.field("created_at").filter(pa.array(kept)))
    return kept, [time for time in times if time is not None]


def _rest(rows: pa.Table, kept: Mask, manifest: Manifest, cut: Cut) -> pa.RecordBatch:
    """Return the rows of a row group without some spans, and count those."""
    context, pad = manifest.context_tokens or 0, padding(manifest.tokenizer.end_of_document)
    batch = rows.combine_chunks().to_batches()[0]
    spans = spans_of(batch, context)
    gone = pa.RecordBatch.from_struct_array(spans.documents.filter(pa.array(~kept)))
    cut.languages.update(tokens_by_language(gone, spans.length[~kept]))
    columns = (column[kept] for column in (spans.start, spans.length, spans.sequence))
    rest = Spans(spans.tokens, *columns, spans.documents.filter(pa.array(kept)))
    return sequences(rest, batch.num_rows, context, pad)
