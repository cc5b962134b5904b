"""Packed token sets: rows of one length that hold whole documents, with boundaries, owners and padding.

Documents are packed a block at a time, and a block is a shard: what is in memory is the tokens of one block, and the
same documents in the same order give the same bytes, however they were batched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tokens import sets
from pipelines.tokens.packing import Packing, check_context, pack
from pipelines.tokens.shards import Lengths, NewFile, ShardSummary, rows_with_tokens, time_range, tokens_by_language
from pipelines.tokens.tokenizer import Tokenizer
from schemas.errors import RunError
from schemas.tokens import SPAN, TOKEN_SHARD, Manifest, Shard, packed_shard

BLOCK_TOKENS = 1 << 25  # packed at once, and so in a shard: 128 MiB
GROUP_TOKENS = 1 << 18  # places of a row group: what a loader decodes at once, 1 MiB
CODING = {  # bytes of one place in the ids side by side: a quarter smaller and twice as fast to read as a dictionary
    "use_dictionary": ["documents.list.element.language"],
    "column_encoding": {"tokens.list.element": "BYTE_STREAM_SPLIT"},
}

Block = tuple[pa.RecordBatch, Lengths]  # rows of TOKEN_SHARD and the number of tokens of each
Tokens = npt.NDArray[np.int32]


class Spans(NamedTuple):
    """Stretches of tokens that make up sequences, in order; each shape (spans,) but for the tokens."""

    tokens: Tokens
    start: Lengths  # in `tokens`
    length: Lengths
    sequence: Lengths  # from 0; one that is named by none is all padding
    documents: pa.StructArray  # of SPAN


@dataclass(frozen=True)
class Published:
    """What the manifest of a packed version says besides its shards."""

    context_tokens: int
    swarm: Mapping[str, Any] | None = None
    mix: Mapping[str, Any] = field(default_factory=dict)
    table_versions: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[str, Any] = field(default_factory=dict)


def group_sequences(context_tokens: int) -> int:
    """Return how many sequences a row group holds."""
    return max(1, GROUP_TOKENS // context_tokens)


def padding(end_of_document: int | None) -> int:
    """Return the id that fills a sequence up."""
    return 0 if end_of_document is None else end_of_document


def write_packed(
    documents: Iterable[pa.RecordBatch], tokenizer: Tokenizer, folder: Path, prefix: str, context_tokens: int
) -> list[ShardSummary]:
    """Tokenize documents (schema DOCUMENT) and pack them into shard-PREFIX-NNNNN.parquet; return their summaries.

    See `pack_rows`.
    """
    return pack_rows(rows_with_tokens(documents, tokenizer), tokenizer, folder, prefix, context_tokens)


def pack_rows(
    pieces: Iterable[Block], tokenizer: Tokenizer, folder: Path, prefix: str, context_tokens: int
) -> list[ShardSummary]:
    """Pack documents that are tokens already, rows of TOKEN_SHARD with their lengths; return the shards' summaries.

    A shard holds at most BLOCK_TOKENS tokens, but for a document that is longer by itself. A file appears under its
    name when it is whole, so a task that is run twice does no harm. Raises ConfigError for a context length that is not
    supported, RunError when a file cannot be written or the version is finished already.
    """
    check_context(context_tokens)
    sets.refuse_finished(folder)
    summaries = []
    try:
        for number, block in enumerate(_blocks(pieces)):
            shard = PackedFile(folder / f"shard-{prefix}-{number:05d}.parquet", context_tokens, tokenizer.sha256)
            with shard:
                for spans, count in _groups(block, context_tokens):
                    shard.add(sequences(spans, count, context_tokens, padding(tokenizer.end_of_document)))
            summaries.append(shard.summary())
    except OSError as error:
        raise RunError(f"token set {folder.name}: cannot write a shard: {error.strerror or error}") from None
    return summaries


def finish_packed(
    folder: Path, summaries: Sequence[ShardSummary], origin: sets.Origin, published: Published
) -> Manifest:
    """Write the manifest of the packed shards in `.../MEMBER/VERSION` and return it.

    Raises RunError where `seal` does.
    """
    manifest = sets.describe(folder, summaries, origin).model_copy(
        update={
            "context_tokens": published.context_tokens,
            "sequences": sum(summary.shard.sequences for summary in summaries),
            "group_sequences": group_sequences(published.context_tokens),
            "swarm": None if published.swarm is None else dict(published.swarm),
            "mix": dict(published.mix),
            "table_versions": dict(published.table_versions),
            "days": dict(published.days),
        }
    )
    sets.seal(folder, manifest)
    return manifest


def fill(manifest: Manifest) -> float:
    """Return the share of places of a packed version that is not padding."""
    return manifest.tokens / max(1, manifest.sequences * (manifest.context_tokens or 0))


def sequences(spans: Spans, count: int, context_tokens: int, pad: int) -> pa.RecordBatch:
    """Lay out spans as `count` rows of a packed shard."""
    ends = np.cumsum(spans.length)
    per_row = np.bincount(spans.sequence, minlength=count)
    filled = np.bincount(spans.sequence, weights=spans.length, minlength=count).astype(np.int64)
    before = np.repeat(np.cumsum(filled) - filled, per_row)  # tokens of earlier rows
    inside = ends - spans.length - before  # where a span begins in its row
    places = np.full(count * context_tokens, pad, np.int32)
    steps = np.arange(int(ends[-1]) if len(ends) else 0)
    steps -= np.repeat(ends - spans.length, spans.length)
    target = np.repeat(spans.sequence * context_tokens + inside, spans.length) + steps
    places[target] = spans.tokens[np.repeat(spans.start, spans.length) + steps]
    offsets = np.concatenate([[0], np.cumsum(per_row)])
    boundaries = np.insert(ends - before, offsets[:-1], 0).astype(np.int32)
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(places), context_tokens),
        pa.array(filled.astype(np.int32)),
        pa.ListArray.from_arrays((offsets + np.arange(count + 1)).astype(np.int32), pa.array(boundaries)),
        pa.ListArray.from_arrays(offsets.astype(np.int32), spans.documents),
    ]
    schema = packed_shard(context_tokens)
    arrays = [column.cast(kind.type) for column, kind in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def spans_of(rows: pa.RecordBatch, context_tokens: int) -> Spans:
    """Return the spans of some rows of a packed shard, with numbers of sequences from 0: what `sequences` lays out."""
    places = rows.column("tokens").flatten().to_numpy()
    documents = rows.column("documents")
    boundaries = rows.column("cu_seqlens")
    per_row = np.asarray(pc.list_value_length(documents)).astype(np.int64)
    row = np.repeat(np.arange(rows.num_rows), per_row)
    edges = np.asarray(boundaries.flatten()).astype(np.int64)
    first = np.arange(len(row)) + row  # a row has one boundary more than spans
    start = edges[first] if len(row) else np.zeros(0, np.int64)
    length = (edges[first + 1] if len(row) else start) - start
    return Spans(places, row * context_tokens + start, length, row, documents.flatten())


def span_rows(rows: pa.RecordBatch, context_tokens: int) -> Block:
    """Return the spans of some rows of a packed shard as rows of TOKEN_SHARD, with their numbers of tokens."""
    spans = spans_of(rows, context_tokens)
    ends = np.cumsum(spans.length)
    steps = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - spans.length, spans.length)
    values = spans.tokens[np.repeat(spans.start, spans.length) + steps]
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    columns = [
        pa.ListArray.from_arrays(offsets, pa.array(values)) if name == "tokens" else spans.documents.field(name)
        for name in TOKEN_SHARD.names
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TOKEN_SHARD), spans.length


class PackedFile:
    """A packed shard while it is written: leaving its context gives it its name, or removes it after a failure."""

    def __init__(self, path: Path, context_tokens: int, tokenizer_sha256: str) -> None:
        self.path = path
        self._context = context_tokens
        self._file = NewFile(path, packed_shard(context_tokens), tokenizer_sha256, CODING)
        self._sequences = self._documents = self._tokens = self._size = 0
        self._sha256 = ""
        self._languages: dict[str, int] = {}
        self._times: list[datetime] = []

    def __enter__(self) -> PackedFile:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the file, or remove it when it could not be written."""
        if kind is None:
            self._sha256, self._size = self._file.finish()
        else:
            self._file.abandon()

    def add(self, rows: pa.RecordBatch) -> None:
        """Write a row group and count what is in it."""
        self._file.write(pa.Table.from_batches([rows]))
        spans = spans_of(rows, self._context)
        about = pa.RecordBatch.from_struct_array(spans.documents)
        self._sequences += rows.num_rows
        self._documents += len(spans.length)
        self._tokens += int(spans.length.sum())
        for language, tokens in tokens_by_language(about, spans.length).items():
            self._languages[language] = self._languages.get(language, 0) + tokens
        self._times += [time for time in time_range(about.column("created_at")) if time is not None]

    def summary(self) -> ShardSummary:
        """Return what the driver must know of the finished shard."""
        shard = Shard(
            file=self.path.name,
            sha256=self._sha256,
            bytes=self._size,
            documents=self._documents,
            tokens=self._tokens,
            sequences=self._sequences,
        )
        return ShardSummary(
            shard=shard,
            languages=dict(sorted(self._languages.items())),
            first_created_at=min(self._times, default=None),
            last_created_at=max(self._times, default=None),
        )


def _blocks(pieces: Iterable[Block]) -> Iterator[Block]:
    """Yield as many documents at once as are packed together: a block ends before it would hold too many tokens."""
    held: list[Block] = []
    tokens = 0
    for rows, lengths in pieces:
        start = 0
        ends = np.cumsum(lengths)
        while start < rows.num_rows:
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + BLOCK_TOKENS - tokens, side="right"))
            if stop <= start and held:
                yield _join(held)
                held, tokens = [], 0
                continue
            stop = max(stop, start + 1)
            held.append((rows.slice(start, stop - start), lengths[start:stop]))
            tokens += int(ends[stop - 1]) - before
            start = stop
    if tokens:
        yield _join(held)


def _join(held: Sequence[Block]) -> Block:
    return pa.concat_batches([rows for rows, _ in held]), np.concatenate([lengths for _, lengths in held])


def _groups(block: Block, context_tokens: int) -> Iterator[tuple[Spans, int]]:
    """Yield the spans of each row group of a block and the number of its sequences."""
    rows, lengths = block
    packing = pack(lengths, context_tokens)
    tokens = rows.column("tokens")
    values, starts = tokens.values.to_numpy(), tokens.offsets.to_numpy().astype(np.int64)
    about = pa.StructArray.from_arrays([rows.column(one.name).cast(one.type) for one in SPAN], fields=list(SPAN))
    size = group_sequences(context_tokens)
    for first in range(0, packing.sequences, size):
        low, high = np.searchsorted(packing.sequence, [first, first + size])
        some = Packing(*(column[low:high] for column in packing))
        spans = Spans(
            values,
            starts[some.document] + some.start,
            some.length,
            some.sequence - first,
            about.take(pa.array(some.document)),
        )
        yield spans, min(size, packing.sequences - first)
