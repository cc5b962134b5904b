"""What each file of kept posts holds of each day: how many posts, and a digest that tells whether they changed.

Files never change, so each is read once, ever; what was found is kept in `swarm/inputs.json`. A digest is a sum over
posts, so it is the same in whatever files they lie: putting files together makes no day anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.duplicates.records import DAY_MICROS, Longs, hash_ids
from pipelines.exchange import Run, in_groups
from pipelines.journal import write_durably
from pipelines.swarm.selection import UNKNOWN, mixed_hash
from pipelines.tables import DataFile, data_files

FILE = "swarm/inputs.json"
SCHEMA = 1
READS = (
    "id",
    "author_id",
    "created_at",
    "pii.redacted",
    "language.lang",
    "source",
    "quality.score",
    "quality.topic",
    "duplicate_of",
    "duplicates.kind",
    "epoch",
)
NAMED = {"languages": "language", "domains": "domain", "topics": "topic"}
BATCH_ROWS = 65_536
TASK_BYTES = 16 << 20
NULL = 0x9AE16A3B2F90404F  # the hash of nothing
WORD = (1 << 64) - 1


@dataclass(frozen=True)
class FileDays:
    """What one file holds."""

    days: dict[int, tuple[int, int]]  # posts and digest, by day
    languages: tuple[str, ...]
    domains: tuple[str, ...]
    topics: tuple[str, ...] = ()
    undated: int = 0  # posts without a time: in no window

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FileDays:
        """Read what `to_dict` gave."""
        days = {int(day): (posts, int(digest, 16)) for day, (posts, digest) in data["days"].items()}
        return cls(days, *(tuple(data[name]) for name in NAMED), data["undated"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        days = {str(day): [posts, f"{digest:016x}"] for day, (posts, digest) in self.days.items()}
        return {"days": days, **{name: getattr(self, name) for name in NAMED}, "undated": self.undated}


@dataclass(frozen=True)
class Inputs:
    """The files of kept posts at one version of the table, and what each holds."""

    version: int
    files: dict[str, FileDays]
    sizes: dict[str, int]  # bytes
    read: int = 0  # files that had to be read
    posts: dict[int, int] = field(default_factory=dict)  # by day
    digests: dict[int, int] = field(default_factory=dict)  # by day

    def of_days(self, days: Iterable[int]) -> list[str]:
        """Return the files that hold posts of some days."""
        wanted = set(days)
        return [path for path, one in self.files.items() if wanted & one.days.keys()]

    def named(self, what: str) -> set[str]:
        """Return what NAMED names of all posts."""
        return {name for one in self.files.values() for name in getattr(one, what)}


def look(root: Path, version: int, run: Run) -> Inputs:
    """Return what the kept posts of a folder hold; reads the files that were not read before, on executors."""
    files = [file for file in data_files(root, "posts") if file.partition.get("route") == "kept"]
    known = _known(root)
    new = [file for file in files if file.path not in known]
    paths = [str(root / file.table / file.path) for file in new]
    counted = in_groups(run, [file.bytes for file in new], TASK_BYTES, lambda task: count_file(paths[task]))
    known |= dict(zip((file.path for file in new), counted, strict=True))
    return _added_up(version, sorted(files, key=lambda file: file.path), known, len(new))


def _added_up(version: int, files: Sequence[DataFile], known: Mapping[str, FileDays], read: int) -> Inputs:
    posts: dict[int, int] = {}
    digests: dict[int, int] = {}
    for file in files:
        for day, (count, digest) in known[file.path].days.items():
            posts[day] = posts.get(day, 0) + count
            digests[day] = (digests.get(day, 0) + digest) & WORD
    held = {file.path: known[file.path] for file in files}
    return Inputs(version, held, {file.path: file.bytes for file in files}, read, posts, digests)


def _known(root: Path) -> dict[str, FileDays]:
    path = root / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}  # nothing is lost with it but the time to read the files again
    if data.get("schema") != SCHEMA:
        return {}
    return {name: FileDays.from_dict(one) for name, one in data["files"].items()}


def keep(root: Path, inputs: Inputs) -> None:
    """Note what was found, of the files that there are."""
    (root / FILE).parent.mkdir(exist_ok=True)
    data = {"schema": SCHEMA, "files": {name: one.to_dict() for name, one in inputs.files.items()}}
    write_durably(root / FILE, json.dumps(data) + "\n")


def count_file(path: str) -> FileDays:
    """Count the posts of a file by day and digest them."""
    days: dict[int, tuple[int, int]] = {}
    named: dict[str, set[str]] = {name: set() for name in NAMED}
    undated = 0
    for batch in read_posts(path):
        dated = batch.filter(batch.column("created_at").is_valid())
        undated += batch.num_rows - dated.num_rows
        for name, column in NAMED.items():
            named[name] |= set(pc.unique(pc.fill_null(dated.column(column), UNKNOWN)).to_pylist())
        for day, posts, digest in sums_by_day(days_of(dated), digests_of(dated)):
            before = days.get(day, (0, 0))
            days[day] = (before[0] + posts, (before[1] + digest) & WORD)
    return FileDays(days, *(tuple(sorted(named[name])) for name in NAMED), undated)


def read_posts(path: str) -> Iterator[pa.Table]:
    """Yield what the swarm reads of the kept posts of a file, structs taken apart; see `FLAT`."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(READS)):
            columns = {name: batch.column(name) for name in ("id", "author_id", "created_at", "duplicate_of", "epoch")}
            columns |= {
                "text": pc.fill_null(pc.struct_field(batch.column("pii"), "redacted"), ""),
                "language": pc.struct_field(batch.column("language"), "lang"),
                "domain": batch.column("source"),
                "topic": pc.struct_field(batch.column("quality"), "topic"),
                "quality": pc.struct_field(batch.column("quality"), "score"),
                "kind": pc.struct_field(batch.column("duplicates"), "kind"),
            }
            yield pa.table(columns)


def days_of(posts: pa.Table) -> Longs:
    """Return the day of each post; all of them have a time."""
    return np.asarray(posts.column("created_at").cast(pa.int64())) // DAY_MICROS


def digests_of(posts: pa.Table) -> Longs:
    """Return a hash of each row, of every column."""
    told = np.zeros(posts.num_rows, np.int64)
    for place, name in enumerate(sorted(posts.column_names)):
        column = posts.column(name)
        if pa.types.is_string(column.type):
            values = np.where(column.is_valid(), hash_ids(pc.fill_null(column, "")), np.uint64(NULL).view(np.int64))
        else:
            bits = column.cast(pa.float64()) if pa.types.is_floating(column.type) else column.cast(pa.int64())
            values = np.asarray(pc.fill_null(bits, -1)).view(np.int64)
        told = mixed_hash(told ^ values, place + 1).view(np.int64)
    return told


def sums_by_day(days: Longs, digests: Longs) -> Iterator[tuple[int, int, int]]:
    """Yield each day with the number of its posts and the sum of their digests."""
    if not len(days):
        return
    order = np.argsort(days, kind="stable")
    names, starts, counts = np.unique(days[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(digests[order].view(np.uint64), starts)
    yield from zip(names.tolist(), counts.tolist(), sums.tolist(), strict=True)
