"""Put small files together: those of each table and partition, and the versions of each token set.

What is due is decided by size (see tiers). Each round merges a bounded amount on executors and publishes it between two
epochs; files that epochs have added meanwhile stay as they are. Readers find the same rows, in fewer files; the old
files and versions stay on disk for those who still read them, until they are cleaned (see cleaning).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from pipelines.tables import DataFile, FileSpan, file_spans
from pipelines.tokens import sets
from pipelines.tokens.rewriting import Rewrite, complete, origin, rewrite
from pipelines.upkeep import Upkeep
from pipelines.upkeep.merging import Merge, merge
from pipelines.upkeep.tiers import Candidate, due
from schemas.errors import RunError
from schemas.tokens import Manifest

FILE_BYTES = 24 << 10  # what a file of posts has besides its rows, about
PASS_BYTES = 8 << 30  # read in one pass; what is left waits for the next
FULL_SHARDS = 16  # a version of so many full shards is left alone, so that a trainer can choose by time


@dataclass
class Compacted:
    """What a pass did: files and versions that went, those that came for them, and bytes read."""

    files_before: int = 0
    files_after: int = 0
    versions_before: int = 0
    versions_after: int = 0
    bytes: int = 0


def compact(upkeep: Upkeep, halt: Callable[[], bool] = lambda: False, at_once: int = 1) -> Compacted:
    """Put together all that is due, or as much as a pass may; stop behind a round once `halt` says so.

    `at_once` is how many merges run beside each other: one leaves a stream on two cores one of them.
    """
    done = Compacted()
    with upkeep.workspace():
        for _ in _rounds(upkeep, done, at_once):
            if halt() or done.bytes >= PASS_BYTES:
                break
    return done


def _rounds(upkeep: Upkeep, done: Compacted, at_once: int) -> Iterator[None]:
    """Do one round after the other, while anything is due."""
    for table in upkeep.schemas:
        while orders := _due_files(upkeep, table):
            for start in range(0, len(orders), at_once):
                _merge(upkeep, orders[start : start + at_once], done)
                yield
    for member in sets.members(upkeep.root):
        while groups := _due_versions(upkeep, member):
            for group in groups:
                _join(upkeep, group, done)
                yield


def _due_files(upkeep: Upkeep, table: str) -> list[list[FileSpan]]:
    """Return the files of a table that are to become one, a group for each."""
    groups = []
    closed = [span for span in file_spans(upkeep.root, table) if not span.open]  # how old an open tombstone is counts
    spans = sorted(closed, key=_place)
    for _, some in groupby(spans, key=lambda span: sorted(span.file.partition.items())):
        candidates = [Candidate(span, span.file.rows, max(1, span.file.bytes - FILE_BYTES)) for span in some]
        groups += due(candidates, upkeep.config.upkeep.small_file_bytes)
    return groups


def _place(span: FileSpan) -> tuple[object, ...]:
    """Order files by partition and by what is in them: names are random."""
    return sorted(span.file.partition.items()), span.first, span.added, span.file.rows, span.file.bytes


def _merge(upkeep: Upkeep, groups: list[list[FileSpan]], done: Compacted) -> None:
    """Merge each group of files into one and publish them together."""
    old = [span.file for group in groups for span in group]
    table = old[0].table
    orders = [
        Merge(
            root=str(upkeep.root),
            staging=str(upkeep.staging),
            table=table,
            partition=group[0].file.partition,
            files=tuple(span.file.path for span in group),
        )
        for group in groups
    ]
    new = _merged(upkeep, orders, upkeep.schemas[table])
    if _rows(old) != _rows(new):
        raise RunError(f"{table}: {_rows(old)} rows went into a merge and {_rows(new)} came out: nothing was published")
    upkeep.publish(files=tuple(new), removed=tuple(old), data_change=False)
    done.files_before += len(old)
    done.files_after += len(new)
    done.bytes += sum(file.bytes for file in old)


def _merged(upkeep: Upkeep, orders: list[Merge], schema: pa.Schema) -> list[DataFile]:
    return upkeep.run(len(orders), lambda task: merge(orders[task], schema))


def _rows(files: Iterable[DataFile]) -> int:
    return sum(file.rows for file in files)


def _due_versions(upkeep: Upkeep, member: str) -> list[list[Manifest]]:
    """Return the versions of a member that are to become one, a group for each."""
    by_origin: dict[object, list[Candidate[Manifest]]] = {}
    for manifest in sets.current(upkeep.root, member):
        if manifest.context_tokens is not None:  # a packed version stands alone
            continue
        candidate = Candidate(manifest, manifest.tokens, manifest.tokens)
        by_origin.setdefault(origin(manifest), []).append(candidate)
    full = FULL_SHARDS * upkeep.config.tokens.shard_tokens
    return [group for candidates in by_origin.values() for group in due(candidates, full)]


def _join(upkeep: Upkeep, group: list[Manifest], done: Compacted) -> None:
    """Make one version of several and publish it."""
    names = tuple(manifest.version for manifest in group)
    shard_tokens = upkeep.config.tokens.shard_tokens
    draft = rewrite(upkeep.run, Rewrite(upkeep.root, group[0].member, names, upkeep.staging, shard_tokens))
    with upkeep.exclusive:
        upkeep.publish(folders=(sets.folder_name(complete(draft)),))
    done.versions_before += len(group)
    done.versions_after += 1
    done.bytes += sum(shard.bytes for manifest in group for shard in manifest.shards)
