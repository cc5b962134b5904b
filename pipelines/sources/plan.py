"""Paths to splits: what there is to read, what it is, and how the work is cut up. Runs on the driver."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from pipelines.sources.compressed import GZIP_MAGIC, ZSTD_MAGIC, plain_chunks
from pipelines.sources.csv_rows import read_header
from pipelines.sources.guess import guess_format
from pipelines.sources.lines import Stretch, stretches
from pipelines.sources.parquet import check_columns, open_parquet, require_columns
from pipelines.sources.splits import Split
from schemas.config import InputConfig
from schemas.errors import ConfigError

CONTAINERS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
COMPRESSIONS = {".gz": "gz", ".zst": "zst", ".zstd": "zst"}
PARQUET_MAGIC = b"PAR1"
MAX_WHOLE_READS = 32
"""Most splits of a file that each of them reads whole: decompression is cheap beside curation, not free."""
TYPICAL_RATIO = 4  # bytes of JSON behind one compressed byte


def plan_splits(paths: Sequence[str], config: InputConfig) -> list[Split]:
    """Cut files, folders and globs into splits, sorted by path; an empty file gives none.

    Raises ConfigError in one line: a path that is not there or cannot be read, nothing that matches, a kind of file
    swarmfeed does not read, missing columns, a format that cannot be told.
    """
    files = sorted({file for path in paths for file in _expand(path)})
    return [split for file in files for split in _plan_file(file, config)]


def _expand(path: str) -> Iterator[str]:
    """Yield the files behind one path; inside a folder, hidden files and other kinds of files are passed over."""
    path = os.path.abspath(path)  # noqa: PTH100  (keeps a glob's stars)
    if os.path.exists(path):  # noqa: PTH110
        found = [path]
    else:
        found = glob.glob(path, recursive=True)  # noqa: PTH207
        if not glob.has_magic(path):
            raise ConfigError(f"{path}: no such file or folder, or no permission to see it")
    files = [file for name in found for file in (files_in(name) if Path(name).is_dir() else [name])]
    if not files:
        kinds = " ".join(CONTAINERS)
        raise ConfigError(f"{path}: nothing to read there: expected files named {kinds}, plain or with .gz, .zst")
    yield from files


def files_in(folder: str) -> Iterator[str]:
    """Yield the files of a folder, and of those in it, that can be read; hidden ones are passed over."""
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ConfigError(f"{folder}: cannot read this folder: check its permissions")
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")) and _container(name)[0]:
                yield str(Path(where, name))


def _container(path: str) -> tuple[str | None, str]:
    """Tell container and compression from a file's name.

    >>> _container("a/posts.jsonl.gz"), _container("notes.txt")
    (('jsonl', 'gz'), (None, ''))
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    compression = COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    if compression:
        suffixes.pop()
    return CONTAINERS.get(suffixes[-1]) if suffixes else None, compression


def _plan_file(path: str, config: InputConfig) -> list[Split]:
    if not Path(path).is_file():
        raise ConfigError(f"{path}: expected a regular file")
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return _plan_open(path, file, config)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this file: {error.strerror or type(error).__name__}") from None


def _plan_open(path: str, file: BinaryIO, config: InputConfig) -> list[Split]:
    container, compression = _container(path)
    if container is None:
        kinds = " ".join(CONTAINERS)
        raise ConfigError(f"{path}: cannot read this kind of file: expected {kinds}, or one of them with .gz, .zst")
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        return []
    magic = file.read(4)
    if container == "parquet" or (magic == PARQUET_MAGIC and _ends_with(file, PARQUET_MAGIC)):
        return _plan_parquet(path, config)
    compression = "gz" if magic[:2] == GZIP_MAGIC else "zst" if magic == ZSTD_MAGIC else compression
    if not compression and container == "jsonl":
        return _plan_lines(path, file, size, config)
    whole = Split(path, "", container, compression)
    format = _format(whole, file, config)
    wanted = -(-size * (TYPICAL_RATIO if compression else 1) // config.split_bytes)
    parts = max(1, min(MAX_WHOLE_READS, wanted))
    return [Split(path, format, container, compression, part, parts) for part in range(parts)]


def _ends_with(file: BinaryIO, magic: bytes) -> bool:
    file.seek(-len(magic), os.SEEK_END)
    return file.read() == magic


def _plan_lines(path: str, file: BinaryIO, size: int, config: InputConfig) -> list[Split]:
    format = _format(Split(path, "", "jsonl"), file, config)
    parts = -(-size // config.split_bytes)
    edges = [size * part // parts for part in range(parts + 1)]
    return [
        Split(path, format, "jsonl", "", part, parts, start, end) for part, (start, end) in enumerate(pairwise(edges))
    ]


def _plan_parquet(path: str, config: InputConfig) -> list[Split]:
    _only_canonical("Parquet", path, config)
    try:
        file = open_parquet(path)
    except (pa.ArrowException, OSError):
        return [Split(path, "canonical", "parquet")]  # reading it says in quarantine what is wrong with it
    check_columns(file.schema_arrow, path)
    rows = file.metadata.num_rows
    parts = -(-rows // config.split_rows)
    edges = [rows * part // parts for part in range(parts + 1)] if parts else []
    return [
        Split(path, "canonical", "parquet", "", part, parts, start, end)
        for part, (start, end) in enumerate(pairwise(edges))
    ]


def _format(split: Split, file: BinaryIO, config: InputConfig) -> str:
    """Return the format asked for, or the one the file shows; check the header of a CSV."""
    file.seek(0)
    lines = stretches(plain_chunks(file, split.compression), config.max_record_bytes)
    if split.container == "csv":
        _only_canonical("CSV", split.path, config)
        names = read_header(lines, config.max_record_bytes)
        if names is not None:
            require_columns(names, split.path)
        return "canonical"
    if config.format != "auto":
        return config.format
    return guess_format(_first_lines(lines), split.path)


def _only_canonical(container: str, path: str, config: InputConfig) -> None:
    if config.format not in ("auto", "canonical"):
        raise ConfigError(f"{path}: {container} holds canonical columns only, --format {config.format} is for JSON")


def _first_lines(lines: Iterator[Stretch]) -> Iterator[bytes]:
    """Yield the complete lines at the head of a file."""
    for stretch in lines:
        if stretch.raw_bytes is None:
            yield from stretch.data.split(b"\n")
