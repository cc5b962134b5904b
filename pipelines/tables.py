"""The Delta tables of an output folder: executors write Parquet files, the driver commits them.

A commit carries its epoch as the application transaction, so that committing an epoch twice adds nothing twice. What
forgets, replaces or compacts counts its changes as transactions of another application.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction

from filters.stage import Stage
from schemas import columns
from schemas.errors import ConfigError
from schemas.post import POST, QUARANTINE, TOMBSTONES
from schemas.tokens import DOCUMENT
from schemas.version import VERSION

EPOCHS = "swarmfeed"  # the application whose transactions are epochs
UPKEEP = "swarmfeed.upkeep"  # and the one that rewrites what they left
REPEATING = (  # columns of few values: for those a dictionary pays, for all others it is built and thrown away
    "author_id",
    "lang_hint",
    "source",
    "conversation_id",
    "language.lang",
    "language",
    "domain",
    "topic",
    "quality.topic",
    "contamination.item",
    "credibility.kind",
    "credibility.links.list.element.host",
    "credibility.links.list.element.kind",
    "fasttext.answers.list.element.model",
    "fasttext.answers.list.element.label",
    "datatrove.answers.list.element.filter",
    "datatrove.answers.list.element.reason",
    "duplicates.kind",
    "duplicate_of",
    "pii.spans.list.element.kind",
    "verdict.reasons.list.element",
    "file",
    "stage",
    "fault",
    "kind",
)
STATISTICS = ("created_at", "epoch")  # of a file, in its table's log: no id, which a log would keep for ever
OPEN = "done_at"  # of tombstones the log says how many are null
ROW_GROUP_STATISTICS = ("id", *STATISTICS)
CHECKPOINT_COMMITS = "20"  # each makes opening and committing slower until the next checkpoint
LOG = "_delta_log"  # folder of a table that holds its log
DELETED_HOURS = 2  # how long a log tells that a file has left, until a cleaning sets it by upkeep.keep_hours
LOG_HOURS = 1  # how long it tells of a commit: a stream makes 1,800 an hour, and each slows the next down
ALL_STATISTICS = "delta.dataSkippingNumIndexedCols"  # readers see those of the first 32 columns unless told otherwise
RANDOM = ("sketch",)  # hashes: compressing them costs time and saves nothing
PARTITIONS: Mapping[str, tuple[str, ...]] = {"posts": ("route",), "documents": (), "quarantine": (), "tombstones": ()}


@dataclass(frozen=True)
class DataFile:
    """One Parquet file an executor wrote, not yet part of its table. `path` is relative to the table's folder."""

    table: str
    path: str
    bytes: int
    rows: int
    partition: dict[str, str]
    stats: str  # Delta's JSON statistics

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the commit record."""
        return asdict(self)


def posts_schema(stages: Iterable[Stage]) -> pa.Schema:
    """Return the schema of the posts table: the post, each stage's column, what it duplicates, route and epoch."""
    return pa.schema(
        [
            *POST,
            *(pa.field(stage.name, stage.output) for stage in stages),
            pa.field("duplicate_of", pa.string(), metadata={"doc": "id of the earliest post it duplicates"}),
            pa.field("duplicates", columns.DUPLICATES),
            pa.field("epoch", pa.int64(), metadata={"doc": "the bounded step that wrote the post"}),
            pa.field("route", pa.string(), metadata={"doc": "kept or rejected"}),
        ]
    )


def table_schemas(stages: Iterable[Stage]) -> dict[str, pa.Schema]:
    """Return the schema of every table by name; `stages` ends with the verdict."""
    return {"posts": posts_schema(stages), "documents": DOCUMENT, "quarantine": QUARANTINE, "tombstones": TOMBSTONES}


class DataFileWriter:
    """Write batches into one Parquet file of a table, in a folder no reader looks at, with Delta's statistics."""

    def __init__(self, root: Path, table: str, schema: pa.Schema, partition: Mapping[str, str] | None = None) -> None:
        self._table, self._partition = table, dict(partition or {})
        self._schema = pa.schema([field for field in schema if field.name not in self._partition])
        folder = "/".join(f"{name}={quote(value)}" for name, value in self._partition.items())
        name = f"part-{uuid.uuid4().hex}.parquet"
        self._path = f"{folder}/{name}" if folder else name
        self._file = root / table / self._path
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._file, self._schema, **_encoding(self._schema))
        self._rows = self._open = 0
        self._range: dict[str, tuple[Any, Any]] = {}

    def __enter__(self) -> DataFileWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows; the columns of the partition may be absent."""
        if batch.num_rows == 0:
            return
        rows = batch.select(self._schema.names)
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        self._writer.write_table(table.cast(self._schema))
        self._rows += table.num_rows
        for name in STATISTICS:
            if name in self._schema.names:
                self._widen(name, table.column(name))
        if OPEN in self._schema.names:
            self._open += table.column(OPEN).null_count

    def _widen(self, name: str, column: pa.ChunkedArray) -> None:
        low, high = pc.min_max(column).as_py().values()
        if low is None:
            return
        if name in self._range:
            low, high = min(low, self._range[name][0]), max(high, self._range[name][1])
        self._range[name] = (low, high)

    def finish(self) -> DataFile | None:
        """Close the file and describe it; None (and no file) when nothing was written."""
        self._writer.close()
        if self._rows == 0:
            self._file.unlink()
            return None
        stats: dict[str, Any] = {
            "numRecords": self._rows,
            "minValues": {name: _stat(low, up=False) for name, (low, _) in self._range.items()},
            "maxValues": {name: _stat(high, up=True) for name, (_, high) in self._range.items()},
        }
        if OPEN in self._schema.names:
            stats["nullCount"] = {OPEN: self._open}
        size = self._file.stat().st_size
        return DataFile(self._table, self._path, size, self._rows, self._partition, json.dumps(stats))


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Return how each leaf of a schema is written; statistics serve those columns that readers prune by."""
    leaves = list(_leaves(schema))
    return {
        "compression": {path: "none" if path.partition(".")[0] in RANDOM else "zstd" for path in leaves},
        "compression_level": {path: 1 for path in leaves if path.partition(".")[0] not in RANDOM},
        "use_dictionary": [path for path in leaves if path in REPEATING],
        "write_statistics": [path for path in leaves if path in ROW_GROUP_STATISTICS],
    }


def _leaves(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[str]:
    """Yield the path of each leaf as Parquet names it."""
    for field in fields:
        path = f"{prefix}{field.name}"
        if pa.types.is_struct(field.type):
            yield from _leaves(field.type, f"{path}.")
        elif pa.types.is_list(field.type):
            yield from _leaves([field.type.value_field.with_name("element")], f"{path}.list.")
        else:
            yield path


def _stat(value: Any, *, up: bool) -> Any:
    """Write a bound the way Delta's statistics want it: times to the millisecond, rounded outwards."""
    if not isinstance(value, datetime):
        return value
    if up and value.microsecond % 1000:
        value += timedelta(milliseconds=1)
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


@dataclass(frozen=True)
class Commit:
    """What a table's log says of a commit: its number for each application, when, what else, whether rows change."""

    transactions: Mapping[str, int]
    at: datetime
    metadata: Mapping[str, str]
    data_change: bool = True


def commit_files(
    root: Path, table: str, schema: pa.Schema, files: tuple[Iterable[DataFile], Iterable[DataFile]], commit: Commit
) -> None:
    """Add files to a table, take others away, as one version; do nothing when the table has the transactions already.

    `files` are those that come and those that go. The table is made, with `schema`, where it does not exist.
    """
    delta = open_table(root, table)
    if delta is None:
        partitions = list(PARTITIONS[table])
        settings = log_settings(DELETED_HOURS)
        delta = DeltaTable.create(root / table, schema, "ignore", partitions or None, configuration={**settings})
    if all(_at_least(delta.transaction_version(app), number) for app, number in commit.transactions.items()):
        return
    added, removed = files
    millis = int(commit.at.timestamp() * 1000)
    actions = [
        *(AddAction(one.path, one.bytes, one.partition, millis, commit.data_change, one.stats) for one in added),
        *(RemoveAction(one.path, commit.data_change, millis, one.bytes, one.partition) for one in removed),
    ]
    if not actions and table != "posts":  # an epoch can be found in posts, whatever it held
        return
    properties = CommitProperties(
        custom_metadata=dict(commit.metadata),
        app_transactions=[Transaction(app, number) for app, number in commit.transactions.items()],
    )
    partitions = list(PARTITIONS[table]) or None
    delta.create_write_transaction(actions, "append", delta.schema(), partitions, commit_properties=properties)


def log_settings(hours: int) -> dict[str, str]:
    """Return the settings of a table whose log remembers for some hours which files have left it."""
    return {
        "delta.checkpointInterval": CHECKPOINT_COMMITS,
        ALL_STATISTICS: "-1",
        "delta.logRetentionDuration": f"interval {LOG_HOURS} hours",
        "delta.deletedFileRetentionDuration": f"interval {hours} hours",
    }


def _at_least(done: int | None, number: int) -> bool:
    return done is not None and done >= number


def check_tables(root: Path, schemas: Mapping[str, pa.Schema]) -> None:
    """Raise ConfigError when a table of the output folder has other columns than would be appended to it."""
    for table, schema in schemas.items():
        delta = open_table(root, table)
        if delta is not None and _shape(delta.schema()) != _shape(Schema.from_arrow(schema)):
            raise ConfigError(
                f"--out {root}: the columns of its {table} table are not those that swarmfeed {VERSION} writes: "
                "choose another folder"
            )


def _shape(schema: Schema) -> Any:
    """Return the names and types of a schema as plain data, without what is said about them."""

    def bare(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: bare(value) for key, value in part.items() if key not in ("metadata", "nullable")}
        return [bare(one) for one in part] if isinstance(part, list) else part

    return bare(json.loads(schema.to_json()))


def open_table(root: Path, table: str) -> DeltaTable | None:
    """Open a table of the output folder, or return None where it does not exist yet."""
    folder = root / table
    return DeltaTable(folder) if (folder / LOG).is_dir() and DeltaTable.is_deltatable(str(folder)) else None


def table_files(root: Path, table: str) -> list[str]:
    """Return the Parquet files of a table's newest version; none where the table does not exist."""
    return [str((root / table / file.path).absolute()) for file in data_files(root, table)]


def data_files(root: Path, table: str) -> list[DataFile]:
    """Describe the files of a table's newest version, but for their statistics; none where it does not exist."""
    delta = open_table(root, table)
    if delta is None:
        return []
    actions = pa.table(delta.get_add_actions()).to_pylist()  # file_uris() would leave "%20" in a folder
    return [
        DataFile(table, unquote(one["path"]), one["size_bytes"], one["num_records"], one.get("partition") or {}, "")
        for one in actions
    ]


@dataclass(frozen=True)
class FileSpan:
    """A file of a table's newest version, with what its statistics say of it; empty where they say nothing."""

    file: DataFile
    added: int  # milliseconds since 1970
    first: str  # created_at of its first post
    open: int  # tombstones that are not done


def file_spans(root: Path, table: str) -> list[FileSpan]:
    """Describe the files of a table's newest version; none where it does not exist."""
    delta = open_table(root, table)
    if delta is None:
        return []
    spans = []
    for one in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        partition = {name: one[f"partition.{name}"] for name in PARTITIONS[table]}
        file = DataFile(table, unquote(one["path"]), one["size_bytes"], one["num_records"], partition, "")
        first, still_open = one.get("min.created_at"), one.get(f"null_count.{OPEN}") or 0
        spans.append(FileSpan(file, one["modification_time"], first.isoformat() if first else "", still_open))
    return spans


def open_files(root: Path) -> list[FileSpan]:
    """Return the files that hold open tombstones, as the log of the table tells; none where it does not exist."""
    return [span for span in file_spans(root, "tombstones") if span.open]


def epochs(root: Path) -> list[dict[str, Any]]:
    """Return what the log of the posts table still tells of epochs (see LOG_HOURS), oldest first.

    It reads the whole log: for a few epochs, or a test.
    """
    delta = open_table(root, "posts")
    if delta is None:
        return []
    entries = [entry for entry in delta.history() if f"{EPOCHS}.epoch" in entry]
    return sorted(entries, key=lambda entry: int(entry[f"{EPOCHS}.epoch"]))


def find_epoch(delta: DeltaTable, epoch: int) -> dict[str, Any] | None:
    """Return what a table's log tells of an epoch, looking back no further than it must; None when that has gone."""
    limit = 32
    while True:
        entries = delta.history(limit)
        for entry in entries:
            if entry.get(f"{EPOCHS}.epoch") == str(epoch):
                return entry
        if len(entries) < limit:
            return None
        limit *= 8


def newest_epoch(root: Path) -> int | None:
    """Return the newest epoch committed to the posts table, None before the first."""
    delta = open_table(root, "posts")
    return None if delta is None else delta.transaction_version(EPOCHS)


@dataclass(frozen=True)
class PostsFile:
    """One file of the posts table: where it is, how many posts it holds, and of what time (None: unknown)."""

    path: str
    posts: int
    first: datetime | None
    last: datetime | None


def posts_files(root: Path) -> list[PostsFile]:
    """Return the files of the newest version of the posts table with what its statistics say; none without a table."""
    delta = open_table(root, "posts")
    if delta is None:
        return []
    files = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    return [
        PostsFile(
            str(root / "posts" / unquote(file["path"])),
            file["num_records"],
            file.get("min.created_at"),
            file.get("max.created_at"),
        )
        for file in files
    ]
