"""The first half of a step, on executors: read a part of the input, run the record stages over it, stage the result.

Nothing returns to the JVM but one small summary per part. Posts are staged as Arrow: written by copying memory, read by
mapping it, a column at a time.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.stage import Failure, Stage, annotate, annotated_schema
from pipelines.authors import write_authors
from pipelines.deletions import named
from pipelines.duplicates.keys import write_keys
from pipelines.duplicates.records import DAY_MICROS
from pipelines.exchange import map_rows, new_file
from pipelines.sources import Records
from pipelines.tables import DataFile, DataFileWriter
from schemas.post import QUARANTINE, QUARANTINE_RAW_BYTES, TOMBSTONES
from schemas.reasons import Fault


@dataclass(frozen=True)
class Workplan:
    """What an executor needs to work on its part: the stages, where to stage, and the epoch it is part of."""

    stages: tuple[Stage, ...]
    staging: str
    epoch: int = 0


@dataclass
class StagedPart:
    """What became of one part of the input. Counts are posts (or records that should have been posts)."""

    part: int
    file: str = ""  # staged posts; empty when there are none
    keys: str = ""  # what they can be found by
    authors: str = ""  # who wrote which
    posts: int = 0
    quarantined: int = 0
    stage_failures: int = 0
    notices: int = 0
    faults: dict[str, int] = field(default_factory=dict)  # quarantined records by fault
    deletions: int = 0  # tombstones
    days: dict[int, int] = field(default_factory=dict)  # posts by day since 1970
    newest: int | None = None  # when the newest post was made, microseconds since 1970, by clocks that are not ahead
    files: list[DataFile] = field(default_factory=list)  # quarantine and tombstones, ready to commit
    tombstones: str = ""


def stage_part(part: int, where: str, records: Iterable[Records], plan: Workplan) -> StagedPart:
    """Annotate the records of one part and write posts, quarantine and tombstones to the staging folder.

    `where` names the part's origin in quarantined rows. Holds one batch at a time.
    """
    root = Path(plan.staging)
    summary = StagedPart(part)
    posts_file = new_file(root, f"part-{part:06d}")
    schema = annotated_schema(plan.stages)
    quarantine = DataFileWriter(root, "quarantine", QUARANTINE)
    tombstones = DataFileWriter(root, "tombstones", TOMBSTONES)
    with ExitStack() as open_files:
        sink = open_files.enter_context(pa.OSFile(str(posts_file), "wb"))
        posts = open_files.enter_context(pa.ipc.new_file(sink, schema))
        open_files.enter_context(quarantine)
        open_files.enter_context(tombstones)
        for record in records:
            batch, failures = annotate(record.posts, plan.stages)
            posts.write_batch(batch.cast(schema))
            summary.days = _add_days(summary.days, batch.column("created_at"))
            summary.newest = _newer(summary.newest, batch.column("created_at"))
            for rows in (record.quarantine, _failed(record.posts, failures, where)):
                quarantine.write(rows)
                summary.quarantined += rows.num_rows
                summary.faults = add_counts(summary.faults, rows.column("fault"))
            tombstones.write(named(record.tombstones, plan.epoch))
            summary.posts += batch.num_rows
            summary.stage_failures += len(failures)
            summary.notices += record.notices
            summary.deletions += record.tombstones.num_rows
    summary.files = [file for file in (quarantine.finish(), tombstones.finish()) if file is not None]
    summary.tombstones = next((f"tombstones/{file.path}" for file in summary.files if file.table == "tombstones"), "")
    if summary.posts:
        summary.file, staged = str(posts_file), map_rows(posts_file)
        summary.keys, summary.authors = (str(new_file(root, f"{name}-{part:06d}")) for name in ("keys", "authors"))
        write_keys(staged, Path(summary.keys))
        write_authors(staged, Path(summary.authors))
    else:
        posts_file.unlink()
    return summary


def add_counts(counts: dict[str, int], values: pa.Array) -> dict[str, int]:
    """Return the counts with those of `values` added."""
    total = Counter(counts)
    for entry in pc.value_counts(values):
        total[entry["values"].as_py()] += entry["counts"].as_py()
    return dict(total)


def _add_days(counts: dict[int, int], times: pa.Array) -> dict[int, int]:
    """Return the counts of posts by day with those of `times` added; a missing time is day 0."""
    days, posts = np.unique(pc.fill_null(times.cast(pa.int64()), 0).to_numpy() // DAY_MICROS, return_counts=True)
    return dict(Counter(counts) + Counter(dict(zip(days.tolist(), posts.tolist(), strict=True))))


def _newer(newest: int | None, times: pa.Array) -> int | None:
    """Return the newest of some times that is not ahead of the clock, or what was newest before."""
    micros = times.cast(pa.int64()).drop_null()
    found = pc.max(micros.filter(pc.less_equal(micros, time.time_ns() // 1000))).as_py()
    return max((one for one in (newest, found) if one is not None), default=None)


def _failed(posts: pa.RecordBatch, failures: list[Failure], where: str) -> pa.RecordBatch:
    """Turn rows that made a stage fail into quarantine rows that hold the whole post as JSON."""
    rows = []
    for failure in failures:
        raw = json.dumps(posts.slice(failure.row, 1).to_pylist()[0], default=str, ensure_ascii=False).encode()
        rows.append(
            {
                "raw": raw[:QUARANTINE_RAW_BYTES],
                "raw_bytes": len(raw),
                "file": where,
                "line": None,
                "stage": failure.stage,
                "fault": Fault.STAGE_FAILED,
                "error": failure.error,
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=QUARANTINE)
