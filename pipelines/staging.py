"""The first half of a step, on executors: read a part of the input, run the record stages over it, stage the result.

Nothing returns to the JVM but one small summary per part; later halves read the staged Parquet file by column.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.stage import Failure, Stage, annotate, annotated_schema
from pipelines.sources import Records
from pipelines.tables import DataFile, DataFileWriter
from schemas.post import QUARANTINE, QUARANTINE_RAW_BYTES, TOMBSTONE
from schemas.reasons import Fault

QUANTILES = 8  # times a batch reports, to cut all posts into stretches of one size


@dataclass(frozen=True)
class Workplan:
    """What an executor needs to work on its part: the stages and where to stage."""

    stages: tuple[Stage, ...]
    staging: str


@dataclass
class StagedPart:
    """What became of one part of the input. Counts are posts (or records that should have been posts)."""

    part: int
    file: str = ""  # staged posts; empty when there are none
    posts: int = 0
    quarantined: int = 0
    stage_failures: int = 0
    notices: int = 0
    faults: dict[str, int] = field(default_factory=dict)  # quarantined records by fault
    deletions: int = 0  # tombstones
    times: list[int] = field(default_factory=list)  # of some posts, evenly: microseconds since 1970
    files: list[DataFile] = field(default_factory=list)  # quarantine and tombstones, ready to commit
    tombstones: str = ""

    def to_json(self) -> str:
        """Return the summary as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> StagedPart:
        """Read a summary written by `to_json`."""
        data = json.loads(text)
        data["files"] = [DataFile(**file) for file in data["files"]]
        return cls(**data)


def stage_part(part: int, where: str, records: Iterable[Records], plan: Workplan) -> StagedPart:
    """Annotate the records of one part and write posts, quarantine and tombstones to the staging folder.

    `where` names the part's origin in quarantined rows. Holds one batch at a time.
    """
    root = Path(plan.staging)
    summary = StagedPart(part)
    posts_file = root / f"part-{part:06d}-{uuid.uuid4().hex}.parquet"
    schema = annotated_schema(plan.stages)
    quarantine = DataFileWriter(root, "quarantine", QUARANTINE)
    tombstones = DataFileWriter(root, "tombstones", TOMBSTONE)
    with ExitStack() as open_files:
        posts = open_files.enter_context(
            pq.ParquetWriter(posts_file, schema, compression="lz4", use_dictionary=["source", "lang_hint"])
        )
        open_files.enter_context(quarantine)
        open_files.enter_context(tombstones)
        for record in records:
            batch, failures = annotate(record.posts, plan.stages)
            posts.write_batch(batch.cast(schema))
            summary.times += _quantiles(batch.column("created_at"))
            for rows in (record.quarantine, _failed(record.posts, failures, where)):
                quarantine.write(rows)
                summary.quarantined += rows.num_rows
                summary.faults = add_counts(summary.faults, rows.column("fault"))
            tombstones.write(record.tombstones)
            summary.posts += batch.num_rows
            summary.stage_failures += len(failures)
            summary.notices += record.notices
            summary.deletions += record.tombstones.num_rows
    summary.files = [file for file in (quarantine.finish(), tombstones.finish()) if file is not None]
    summary.tombstones = next((f"tombstones/{file.path}" for file in summary.files if file.table == "tombstones"), "")
    if summary.posts:
        summary.file = posts_file.name
    else:
        posts_file.unlink()
    return summary


def add_counts(counts: dict[str, int], values: pa.Array) -> dict[str, int]:
    """Return the counts with those of `values` added."""
    total = Counter(counts)
    for entry in pc.value_counts(values):
        total[entry["values"].as_py()] += entry["counts"].as_py()
    return dict(total)


def _quantiles(times: pa.Array) -> list[int]:
    """Return a few evenly spaced order statistics of a batch's times, microseconds; a missing time is 0."""
    if len(times) == 0:
        return []
    ordered = np.sort(pc.fill_null(times.cast(pa.int64()), 0).to_numpy())
    return ordered[:: max(1, len(ordered) // QUANTILES)].tolist()


def edit_times(extra: pa.Array) -> pa.Array:
    """Return when each post was last edited, microseconds since 1970, from `extra.edited_at`; 0 when never."""
    edited = pc.fill_null(pc.match_substring(extra, '"edited_at"'), False)
    if not edited.true_count:
        return pa.repeat(pa.scalar(0, pa.int64()), len(extra))
    found = pc.struct_field(pc.extract_regex(extra, r'"edited_at"\s*:\s*(?P<at>\d{1,18})'), "at")
    return pc.fill_null(found.cast(pa.int64()), 0)


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
