"""Make a duplicate index anew from the posts table: after a restore, an upgrade, or the loss of a server.

The rows of the posts table are staged as an epoch's would be, and the same search says who owns what, so the index that
comes out answers as the one that was lost. What was deleted has left the table, and so is forgotten here too.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.deletions import events_of
from pipelines.duplicates.clusters import REDELIVERED
from pipelines.duplicates.history import COPIES, NoHistory, RunFile, add_up, write_run
from pipelines.duplicates.keys import write_keys
from pipelines.duplicates.memory import write_records
from pipelines.duplicates.owners import find_owners
from pipelines.duplicates.records import (
    DAY_MICROS,
    NO_DAY,
    Numbering,
    StagedRecords,
    epoch_of,
    hash_ids,
    micros_of,
    records_of,
)
from pipelines.duplicates.search import Expiry, Search
from pipelines.exchange import Run, map_rows, new_file, read_box, write_boxes, write_rows
from pipelines.index import STAGED, STATE, Index, Learnt
from pipelines.tables import PostsFile, newest_epoch, posts_files, table_files
from schemas.config import DuplicatesConfig

COLUMNS = ["id", "author_id", "created_at", "repost_of", "extra", "sketch", "epoch", "duplicate_of", "duplicates"]
ADDRESSES = 16
FILES_PER_TASK = 64

NAMED = pa.schema(
    [("name", pa.int64()), ("ref", pa.int64()), ("author", pa.int64()), ("micros", pa.int64()), ("version", pa.int64())]
)
"""A post goes by an id, or (`ref` is no ref) a post of an author copies the one that does."""

COPY = -1


@dataclass(frozen=True)
class StagedFile:
    """Posts of one epoch out of one file of the posts table, staged."""

    file: str
    keys: str
    epoch: int
    posts: int
    days: dict[int, int]


def catch_up(run: Run, index: Index, root: Path, config: DuplicatesConfig) -> bool:
    """Rebuild the index of an output folder when it does not know the newest epoch there; tell whether it did not."""
    newest = newest_epoch(root)
    if newest is None or index.epoch == newest:
        return False
    staging = root / STATE / "rebuild"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        rebuild(run, index, root, config, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return True


def rebuild(run: Run, index: Index, root: Path, config: DuplicatesConfig, staging: Path) -> None:
    """Let an index forget what it knows and learn what the posts table of a folder holds, up to its newest epoch."""
    files = _within(posts_files(root), config.horizon_days)
    staged = [part for parts in run(len(files), lambda at: stage_file(files[at], str(staging))) for part in parts]
    staged.sort(key=lambda part: part.epoch)
    days = sum((Counter(part.days) for part in staged), Counter())
    search = Search(
        staged=StagedRecords(
            tuple(part.file for part in staged),
            Numbering.of([part.epoch for part in staged], [part.posts for part in staged]),
        ),
        keys=tuple(part.keys for part in staged),
        history=NoHistory(),
        config=config,
        expiry=Expiry.of(days, config.horizon_days),
        addresses=ADDRESSES,
        folder=str(staging / "search"),
        index_folder=str(staging / STAGED),
    )
    learnt = Learnt(
        epoch=newest_epoch(root) or 0,
        days={day: posts for day, posts in days.items() if search.expiry.holds(np.array(day))},
        expiry=search.expiry,
        files=(*_learn(run, search), *_learn_events(run, root, search)),
    )
    index.clear()
    index.apply(index.plan(run, learnt, staging), staging)


def _within(files: Sequence[PostsFile], horizon_days: int) -> list[PostsFile]:
    """Return the files that may hold posts of the horizon; where it ends is told by the first post of each."""
    days = Counter[int]()
    for file in files:
        days[NO_DAY if file.first is None else _day(file.first)] += file.posts
    kept = Expiry.of(days, horizon_days)
    return [
        file
        for file in files
        if file.first is None or file.last is None or kept.holds(np.array([_day(file.first), _day(file.last)])).any()
    ]


def _day(time: datetime) -> int:
    return int(time.timestamp() // 86_400)


def stage_file(file: PostsFile, staging: str) -> list[StagedFile]:
    """Stage the posts of a file, the posts of each epoch by themselves."""
    posts = pq.ParquetFile(file.path).read(columns=COLUMNS)
    parts = []
    for epoch in pc.unique(posts.column("epoch")).to_pylist():
        part = posts.filter(pc.equal(posts.column("epoch"), epoch)).combine_chunks()
        path, keys = new_file(staging, "table"), new_file(staging, "table-keys")
        write_rows(path, part)
        write_keys(map_rows(path), keys)
        days = dict(Counter((micros_of(part) // DAY_MICROS).tolist()))
        parts.append(StagedFile(str(path), str(keys), epoch, part.num_rows, days))
    return parts


def _learn(run: Run, search: Search) -> tuple[RunFile, ...]:
    parts = len(search.staged.files)
    entries = [found.entries for found in run(search.addresses, partial(find_owners, search))]
    records = run(parts, partial(write_records, search))
    names = run(parts, partial(write_names, search))
    copies = run(search.addresses, partial(find_copies, search, names))
    return (*entries, *records, *copies)


def _learn_events(run: Run, root: Path, search: Search) -> tuple[RunFile, ...]:
    """Learn anew what all tombstones there have ever been say, some files a task."""
    files = table_files(root, "tombstones")
    tasks = -(-len(files) // FILES_PER_TASK)

    def work(task: int) -> RunFile:
        return write_run(search.index_folder, "events", events_of(files[task::tasks]))

    return tuple(run(tasks, work))


def write_names(search: Search, part: int) -> str:
    """Write the id of every post of a part, and of every copy the id of its original, boxed by id."""
    posts = map_rows(search.staged.files[part])
    every = np.arange(posts.num_rows)
    records = records_of(posts, every, search.staged.numbering.refs(part, every))
    kind = pc.struct_field(posts.column("duplicates"), "kind")
    copied = np.flatnonzero(pc.and_(kind.is_valid(), pc.invert(pc.is_in(kind, pa.array(REDELIVERED)))))
    refs, authors, micros, versions = (
        np.asarray(records.column(name)) for name in ("ref", "author", "micros", "version")
    )
    columns = [
        np.concatenate([hash_ids(posts.column("id")), hash_ids(posts.column("duplicate_of").take(pa.array(copied)))]),
        np.concatenate([refs, np.full(len(copied), COPY)]),
        np.concatenate([authors, authors[copied]]),
        np.concatenate([micros, np.zeros(len(copied), np.int64)]),
        np.concatenate([versions, np.zeros(len(copied), np.int64)]),
    ]
    path = new_file(search.folder, "names")
    address = (columns[0].view(np.uint64) % np.uint64(search.addresses)).astype(np.int64)
    write_boxes(path, pa.record_batch(columns, schema=NAMED), address, search.addresses)
    return str(path)


def find_copies(search: Search, names: Sequence[str], address: int) -> RunFile:
    """Count how often each author copied each original, which is the earliest post that goes by its id."""
    said = read_box(names, address)
    name, ref, author, micros, version = (np.asarray(said.column(column)) for column in NAMED.names)
    posts, copies = np.flatnonzero(ref != COPY), np.flatnonzero(ref == COPY)
    posts = posts[np.lexsort((version[posts], micros[posts], epoch_of(ref[posts]), name[posts]))]
    at = np.searchsorted(name[posts], name[copies])
    known = (at < len(posts)) & (name[posts][np.minimum(at, len(posts) - 1)] == name[copies]) if len(posts) else at < 0
    originals = posts[at[known]]
    held = search.expiry.holds(micros[originals] // DAY_MICROS)
    one = np.ones(len(originals), np.int64)
    columns = [column[held] for column in (ref[originals], author[copies[known]], one, micros[originals])]
    return write_run(search.index_folder, "copies", add_up(pa.table(columns, schema=COPIES)))
