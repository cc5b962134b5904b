"""Row groups of packed shards: read whole, in any order, out of files whose hash was compared first."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from pipelines.feeding.versions import PackedVersion, ShardFile
from schemas.errors import RunError

COLUMNS = ["tokens", "cu_seqlens"]
READ_BYTES = 4 << 20  # of a shard, while it is hashed
FOOTERS = 256  # that are kept
OPEN_FILES = 16  # that a thread keeps


@dataclass(frozen=True)
class Group:
    """A row group in memory."""

    tokens: npt.NDArray[np.int32]  # shape (rows, context)
    edges: npt.NDArray[np.int32]  # boundaries of all rows, one after the other
    starts: npt.NDArray[np.int64]  # of each row's boundaries in `edges`, and their number; shape (rows + 1,)

    def boundaries(self, row: int) -> npt.NDArray[np.int32]:
        """Return the boundaries of the documents of a row."""
        return self.edges[self.starts[row] : self.starts[row + 1]]


class Groups:
    """The row groups of a version, numbered shard by shard; may be read from several threads."""

    def __init__(self, files: fs.FileSystem, version: PackedVersion) -> None:
        self._files = files
        self.version = version
        self.rows = version.group_rows()
        counts = [-(-shard.sequences // version.group_sequences) for shard in version.shards]
        self._firsts = np.concatenate([[0], np.cumsum(counts)])  # row group of each shard
        self.first_rows = np.concatenate([[0], np.cumsum(self.rows)])  # sequence of each row group
        self._locks = [threading.Lock() for _ in version.shards]
        self._trusted: set[int] = set()
        self._footers: OrderedDict[int, pq.FileMetaData] = OrderedDict()
        self._footers_lock = threading.Lock()
        self._threads = threading.local()

    def read(self, group: int) -> Group:
        """Read a row group; the first one of a shard costs a read of the whole file, to compare its hash.

        Raises RunError for a shard that is truncated or changed, or is not a packed one, FileNotFoundError for one that
        is gone.
        """
        number = int(np.searchsorted(self._firsts, group, side="right")) - 1
        shard = self.version.shards[number]
        path = f"{self.version.folder}/{shard.file}"
        try:
            self._trust(number, path, shard)
            file = self._file(number, path, shard)
            rows = file.read_row_group(group - int(self._firsts[number]), COLUMNS, use_threads=False)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        except (OSError, pa.ArrowException) as error:
            raise RunError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
        if rows.num_rows != self.rows[group]:
            raise RunError(f"{path}: a row group has {rows.num_rows} sequences, expected {self.rows[group]}")
        return _group(rows, self.version.context_tokens)

    def _trust(self, number: int, path: str, shard: ShardFile) -> None:
        """Compare a shard with its manifest, once."""
        with self._locks[number]:
            if number in self._trusted:
                return
            digest, size = hashlib.sha256(), 0
            with self._files.open_input_stream(path) as stream:
                while chunk := stream.read(READ_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
            if size != shard.bytes:
                raise RunError(f"{path}: has {size:,} bytes, the manifest says {shard.bytes:,}: truncated or replaced")
            if digest.hexdigest() != shard.sha256:
                raise RunError(f"{path}: its sha256 is not the manifest's: one of the two was changed")
            self._trusted.add(number)

    def _file(self, number: int, path: str, shard: ShardFile) -> pq.ParquetFile:
        """Return a shard, opened by this thread; one that was deleted is not read on through an open file."""
        held: OrderedDict[int, pq.ParquetFile] = self._threads.__dict__.setdefault("held", OrderedDict())
        file = held.pop(number, None)
        if file is None:
            source = self._files.open_input_file(path)
            file = pq.ParquetFile(source, metadata=self._footer(number, source, shard))
        elif self._files.get_file_info(path).type == fs.FileType.NotFound:
            raise FileNotFoundError
        held[number] = file
        while len(held) > OPEN_FILES:
            held.popitem(last=False)[1].close(force=True)
        return file

    def _footer(self, number: int, source: pa.NativeFile, shard: ShardFile) -> pq.FileMetaData:
        with self._footers_lock:
            known = self._footers.get(number)
            if known is not None:
                self._footers.move_to_end(number)
                return known
        footer = pq.read_metadata(source)
        kind = footer.schema.to_arrow_schema()
        wanted = pa.list_(pa.field("element", pa.int32(), nullable=False), self.version.context_tokens)
        if not set(COLUMNS) <= set(kind.names) or kind.field("tokens").type != wanted:
            raise RunError(f"{shard.file}: its columns are not those of sequences of {self.version.context_tokens}")
        if footer.num_rows != shard.sequences:
            raise RunError(f"{shard.file}: has {footer.num_rows} sequences, the manifest says {shard.sequences}")
        with self._footers_lock:
            self._footers[number] = footer
            while len(self._footers) > FOOTERS:
                self._footers.popitem(last=False)
        return footer


def _group(rows: pa.Table, context_tokens: int) -> Group:
    tokens, edges = (_chunk(rows.column(name)) for name in COLUMNS)
    starts = edges.offsets.to_numpy().astype(np.int64)
    return Group(
        tokens.flatten().to_numpy().reshape(rows.num_rows, context_tokens),
        edges.values.to_numpy(),
        starts,
    )


def _chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
