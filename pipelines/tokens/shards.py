"""One token shard: documents go in, a Parquet file, its sha256 and its counts come out."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from pipelines.tokens.tokenizer import TOKENS, Tokenizer
from schemas.tokens import TOKEN_SHARD, Shard

Lengths = npt.NDArray[np.int64]

PIECE_BYTES = 4 << 20  # text that is encoded at once
GROUP_TOKENS = 1 << 20  # a row group ends before it would hold more
GROUP_DOCUMENTS = 1 << 17
CODING = {"use_dictionary": ["tokens.list.element", "language"]}
TOKENIZER_KEY = b"swarmfeed.tokenizer"  # sha256 of the tokenizer, in the file's own metadata
UNKNOWN_LANGUAGE = "und"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = ((time.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND for time in (datetime.min, datetime.max))


class ShardSummary(BaseModel):
    """What the driver must know of a shard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: Shard
    languages: dict[str, int]  # tokens by language
    first_created_at: datetime | None
    last_created_at: datetime | None


def rows_with_tokens(
    documents: Iterable[pa.RecordBatch], tokenizer: Tokenizer
) -> Iterator[tuple[pa.RecordBatch, Lengths]]:
    """Yield the documents as rows of TOKEN_SHARD and the number of tokens of each, a few MiB of text at a time."""
    end = tokenizer.end_of_document
    for batch in documents:
        ends = np.cumsum(pc.fill_null(pc.binary_length(batch.column("text")), 0).to_numpy(), dtype=np.int64)
        start = 0
        while start < batch.num_rows:
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + PIECE_BYTES, side="right")))
            yield _encode(batch.slice(start, stop - start), tokenizer, end)
            start = stop


def _encode(piece: pa.RecordBatch, tokenizer: Tokenizer, end: int | None) -> tuple[pa.RecordBatch, Lengths]:
    ids = tokenizer.encode(pc.fill_null(piece.column("text"), ""))
    values, offsets = ids.values.to_numpy(), ids.offsets.to_numpy()
    if end is not None:
        values = np.insert(values, offsets[1:], np.int32(end))
        offsets = offsets + np.arange(len(offsets), dtype=np.int32)
    tokens = pa.ListArray.from_arrays(offsets, values, TOKENS)
    columns = [
        tokens if column.name == "tokens" else piece.column(column.name).cast(column.type) for column in TOKEN_SHARD
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TOKEN_SHARD), np.diff(offsets).astype(np.int64)


def write_pieces(
    pieces: Iterable[tuple[pa.RecordBatch, Lengths]], folder: Path, prefix: str, most_tokens: int, tokenizer_sha256: str
) -> list[ShardSummary]:
    """Write rows of TOKEN_SHARD, with their numbers of tokens, into shard-PREFIX-NNNNN.parquet, in order."""
    summaries: list[ShardSummary] = []
    shard: ShardFile | None = None
    try:
        for piece, lengths in pieces:
            start = 0
            while start < piece.num_rows:
                if shard is None:
                    name = f"shard-{prefix}-{len(summaries):05d}.parquet"
                    shard = ShardFile(folder / name, most_tokens, tokenizer_sha256)
                start += shard.take(piece, lengths, start)
                if start < piece.num_rows:
                    summaries.append(shard.finish())
                    shard = None
        if shard is not None:
            summaries.append(shard.finish())
            shard = None
    finally:
        if shard is not None:
            shard.abandon()
    return summaries


def tokens_by_language(rows: pa.RecordBatch, lengths: Lengths) -> dict[str, int]:
    """Return how many tokens of each language some rows hold."""
    language = pc.fill_null(rows.column("language"), UNKNOWN_LANGUAGE).dictionary_encode()
    sums = np.zeros(len(language.dictionary), np.int64)
    np.add.at(sums, language.indices.to_numpy(), lengths)
    return dict(zip(language.dictionary.to_pylist(), sums.tolist(), strict=True))


def time_range(times: pa.Array | pa.ChunkedArray) -> tuple[datetime | None, datetime | None]:
    """Return the first and the last of some times, of those that the calendar of a manifest can say."""
    micros = times.drop_null().cast(pa.int64()).to_numpy()
    micros = micros[(micros >= _FIRST) & (micros <= _LAST)]
    if not len(micros):
        return None, None
    return _EPOCH + int(micros.min()) * _MICROSECOND, _EPOCH + int(micros.max()) * _MICROSECOND


class ShardFile:
    """A shard while it is written, under a name nobody reads; `finish` gives it its own, `abandon` removes it."""

    def __init__(self, path: Path, most_tokens: int, tokenizer_sha256: str) -> None:
        self.path = path
        self.most_tokens = most_tokens
        self.documents = 0
        self.tokens = 0
        self._languages: Counter[str] = Counter()
        self._times: list[datetime] = []  # first and last; empty while none is known
        self._group: list[pa.RecordBatch] = []
        self._group_tokens = self._group_documents = 0
        self._file = NewFile(path, TOKEN_SHARD, tokenizer_sha256, CODING)

    def take(self, rows: pa.RecordBatch, lengths: Lengths, start: int) -> int:
        """Add rows from `start` on while they fit and return how many did; the first document always fits."""
        ends = np.cumsum(lengths[start:])
        taken = 0
        while taken < len(ends):
            size = int(lengths[start + taken])
            if self.documents and self.tokens + size > self.most_tokens:
                break
            if self._group_documents and not self._group_has_room(size):
                self._flush()
            room = max(size, min(self.most_tokens - self.tokens, GROUP_TOKENS - self._group_tokens))
            fit = int(np.searchsorted(ends, (ends[taken] - size) + room, side="right")) - taken
            count = min(fit, GROUP_DOCUMENTS - self._group_documents)
            self._add(rows.slice(start + taken, count), lengths[start + taken : start + taken + count])
            taken += count
        return taken

    def finish(self) -> ShardSummary:
        """Write what is left, make the file safe on disk under its name and return its summary."""
        self._flush()
        sha256, size = self._file.finish()
        first, last = self._times or (None, None)
        shard = Shard(file=self.path.name, sha256=sha256, bytes=size, documents=self.documents, tokens=self.tokens)
        languages = dict(sorted(self._languages.items()))
        return ShardSummary(shard=shard, languages=languages, first_created_at=first, last_created_at=last)

    def abandon(self) -> None:
        """Remove what was written so far."""
        self._file.abandon()

    def _group_has_room(self, tokens: int) -> bool:
        return self._group_tokens + tokens <= GROUP_TOKENS and self._group_documents < GROUP_DOCUMENTS

    def _add(self, rows: pa.RecordBatch, lengths: Lengths) -> None:
        tokens = int(lengths.sum())
        self.documents += rows.num_rows
        self.tokens += tokens
        self._group.append(rows)
        self._group_documents += rows.num_rows
        self._group_tokens += tokens
        self._languages.update(tokens_by_language(rows, lengths))
        known = [*self._times, *(time for time in time_range(rows.column("created_at")) if time is not None)]
        self._times = [min(known), max(known)] if known else []

    def _flush(self) -> None:
        if self._group:
            table = pa.Table.from_batches(self._group).combine_chunks()
            self._file.write(table)
        self._group = []
        self._group_tokens = self._group_documents = 0


class NewFile:
    """A Parquet file of a token set while it is written: `finish` gives it its name, `abandon` removes it."""

    def __init__(self, path: Path, schema: pa.Schema, tokenizer_sha256: str, coding: Mapping[str, Any]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._pending = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        self._file = _HashedFile(self._pending)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"),
            schema.with_metadata({TOKENIZER_KEY: tokenizer_sha256}),
            compression="zstd",
            **coding,
        )

    def write(self, rows: pa.Table) -> None:
        """Write a row group."""
        self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))

    def finish(self) -> tuple[str, int]:
        """Make the file safe on disk under its name and return its sha256 and its bytes."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self._pending.replace(self.path)
        return self._file.digest.hexdigest(), size

    def abandon(self) -> None:
        """Remove what was written so far."""
        self._file.deaf = True  # the writer insists on writing a footer, on a full disk too
        self._writer.close()
        self._file.close()
        self._pending.unlink(missing_ok=True)


class _HashedFile(io.FileIO):
    """A new file that knows the sha256 of what was written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x")
        self.digest = hashlib.sha256()
        self.deaf = False

    def write(self, data: Any) -> int:
        """Write all of `data`, however many calls the system needs for it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        self.digest.update(rest)
        while len(rest) and not self.deaf:
            rest = rest[super().write(rest) :]
        return size
