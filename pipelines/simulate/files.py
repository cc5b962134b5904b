"""Write a simulation to a file, and read its ground truth back."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipelines.simulate.settings import Simulation
from pipelines.simulate.stream import Writer
from schemas.errors import ConfigError, RunError
from schemas.post import POST

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
NO_POST = frozenset(["delete", "malformed"])
ROW_GROUP_BLOCKS = 16  # blocks that become one row group of Parquet, about 65,000 rows
Sink = Callable[[list[bytes], list[str]], None]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Summary:
    """What a stream held."""

    lines: int  # that were generated; Parquet leaves out those that are no posts
    posts: int  # well-formed posts, edits and repeated deliveries included
    bytes: int  # of JSON, before compression
    kinds: dict[str, int]  # lines by kind, in order of frequency
    clusters: int  # campaigns


def generate(simulation: Simulation) -> Iterator[bytes]:
    """Yield the stream's JSON lines, without newlines. Memory does not grow with the stream.

    >>> [line[:8] for line in generate(Simulation(posts=2, seed=1))]
    [b'{"id":"1', b'{"id":"1']
    """
    for lines, _ in Writer(simulation).blocks():
        yield from lines


def write(simulation: Simulation, path: str | Path, progress: Progress = lambda lines: None) -> Summary:
    """Write the stream to a .jsonl, .jsonl.gz, .jsonl.zst or .parquet file and say what it holds.

    The file appears when it is whole. `progress` is told the number of lines after each block. Raises ConfigError for
    another kind of file, RunError when it cannot be written.
    """
    path = Path(path)
    suffix = next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), None)
    if suffix is None:
        raise ConfigError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open(partial, suffix) as sink:
            summary = _pump(simulation, sink, progress)
        partial.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return summary


def truth(line: bytes) -> dict[str, Any] | None:
    """Return the ground truth of a line; None for a delete, or a line too broken to be read.

    >>> sorted(truth(next(generate(Simulation(posts=1)))))
    ['cluster', 'kind', 'language', 'pii']
    """
    try:
        extra = orjson.loads(line)["extra"]
        known: dict[str, Any] = orjson.loads(extra)["truth"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return known


def known_clusters(lines: Iterable[bytes]) -> dict[str, list[str]]:
    """Return the post ids of each campaign, in stream order; a post that was delivered twice is listed once."""
    clusters: dict[str, dict[str, None]] = {}
    for line in lines:
        known = truth(line) if b'\\"campaign\\"' in line else None
        if known and known["cluster"]:
            clusters.setdefault(known["cluster"], {})[orjson.loads(line)["id"]] = None
    return {cluster: list(ids) for cluster, ids in clusters.items()}


def _pump(simulation: Simulation, sink: Sink, progress: Progress) -> Summary:
    kinds: Counter[str] = Counter()
    written = 0
    writer = Writer(simulation)
    for lines, names in writer.blocks():
        sink(lines, names)
        kinds.update(names)
        written += sum(map(len, lines)) + len(lines)
        progress(kinds.total())
    total = kinds.total()
    posts = total - sum(kinds[kind] for kind in NO_POST)
    return Summary(total, posts, written, dict(kinds.most_common()), writer.clusters)


@contextmanager
def _open(path: Path, suffix: str) -> Iterator[Sink]:
    """Open the file for its kind; neither name nor time of writing goes into it."""
    with ExitStack() as stack:
        if suffix == ".parquet":
            table = stack.enter_context(pq.ParquetWriter(path, POST, compression="zstd"))
            posts = _ParquetSink(table)
            yield posts.add
            posts.flush()
            return
        file: Any = stack.enter_context(path.open("wb"))
        if suffix == ".jsonl.gz":
            file = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=4, fileobj=file, mtime=0))
        elif suffix == ".jsonl.zst":
            file = stack.enter_context(zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False))
        buffered = io.BufferedWriter(file, 1 << 20) if suffix == ".jsonl.gz" else file
        yield lambda lines, kinds: _write_lines(buffered, lines)
        buffered.flush()


def _write_lines(file: Any, lines: list[bytes]) -> None:
    file.write(b"\n".join(lines) + b"\n")


class _ParquetSink:
    """Gather the posts among the lines and write them in row groups."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self._file, self._held, self._blocks = file, list[pa.RecordBatch](), 0

    def add(self, lines: list[bytes], kinds: list[str]) -> None:
        """Take one block."""
        self._held.append(to_batch(line for line, kind in zip(lines, kinds, strict=True) if kind not in NO_POST))
        if len(self._held) >= ROW_GROUP_BLOCKS:
            self.flush()

    def flush(self) -> None:
        """Write what is held as one row group."""
        if self._held:
            self._file.write_table(pa.Table.from_batches(self._held), row_group_size=1 << 20)
            self._held.clear()


def to_batch(lines: Iterable[bytes]) -> pa.RecordBatch:
    """Parse well-formed lines into the canonical columns."""
    posts = [orjson.loads(line) for line in lines]
    columns = []
    for field in POST:
        values = [post[field.name] for post in posts]
        if pa.types.is_timestamp(field.type):
            naive = pa.array([value and value[:-1] for value in values], pa.string())
            columns.append(naive.cast(pa.timestamp("us")).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=POST)
