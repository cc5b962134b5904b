"""Put edits in place: a version that a later epoch replaced is marked as one batch over all of them would have it.

versions    every row of an edited post, wherever it stands; those with a newer version in reach are demoted
documents   what was made of the demoted ones, told by their text
tokens      the same, told by their order: the versions of a set hold documents in the order of their epochs
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import filters
from filters.stage import Stage, configure
from pipelines.duplicates.records import DAY_MICROS, edit_times, micros_of
from pipelines.tables import FileSpan, file_spans
from pipelines.tokens import sets
from pipelines.upkeep import Upkeep

Rows = dict[str, tuple[int, ...]]  # by file


class Version(NamedTuple):
    """A row of an edited post; in the order of posts."""

    id: str
    epoch: int
    micros: int
    version: int
    file: str
    row: int
    keep: bool
    superseded: bool
    redacted: str | None


class Place(NamedTuple):
    """A document, or its tokens, of an edited post; in the order in which they were written."""

    id: str
    number: int  # of its file, oldest first
    row: int
    file: str
    text: str | None = None


@dataclass(frozen=True)
class Demotion:
    """Rows of posts to mark and of documents to leave out, by file below the output folder; shards by whole path."""

    posts: Rows = field(default_factory=dict)
    documents: Rows = field(default_factory=dict)
    shards: Rows = field(default_factory=dict)


def find_demoted(upkeep: Upkeep, edited: Collection[str]) -> Demotion:
    """Find what has to make room for newer versions of some posts."""
    if not edited:
        return Demotion()
    ids = sorted(set(edited))
    files = sorted(file_spans(upkeep.root, "posts"), key=_age)
    rows = upkeep.each([span.file.bytes for span in files], partial(_versions, upkeep.root, files, ids))
    by_id: dict[str, list[Version]] = defaultdict(list)
    for version in sorted(one for some in rows for one in some):
        by_id[version.id].append(version)
    reach = upkeep.config.duplicates.horizon_days - 1
    demoted = [one for some in by_id.values() for one in some if not one.superseded and _is_old(one, some, reach)]
    kept = {name: [one for one in some if one.keep] for name, some in by_id.items()}
    lost = [one for one in demoted if one.keep]
    return Demotion(
        _rows((one.file, one.row) for one in demoted),
        _rows((one.file, one.row) for one in _documents(upkeep, lost)),
        _rows((one.file, one.row) for one in _tokens(upkeep, lost, kept)),
    )


def _is_old(one: Version, versions: Sequence[Version], reach: int) -> bool:
    """Tell whether a newer version of a post is in reach of a row."""
    day = one.micros // DAY_MICROS
    return any(other.version > one.version and abs(other.micros // DAY_MICROS - day) <= reach for other in versions)


def _versions(root: Path, files: Sequence[FileSpan], ids: Sequence[str], task: int) -> list[Version]:
    file = files[task].file
    columns = ["id", "epoch", "created_at", "extra", "duplicates.kind", "verdict.keep", "pii.redacted"]
    found, start = [], 0
    with pq.ParquetFile(root / file.table / file.path) as parquet:
        for group in range(parquet.num_row_groups):
            hits = _hits(parquet.read_row_group(group, ["id"]).column("id"), ids)
            if len(hits):
                rows = parquet.read_row_group(group, columns).take(pa.array(hits))
                columns_of = (
                    rows.column("id").to_pylist(),
                    rows.column("epoch").to_pylist(),
                    micros_of(rows).tolist(),
                    edit_times(rows.column("extra")).to_pylist(),
                    [f"{file.table}/{file.path}"] * len(hits),
                    (hits + start).tolist(),
                    pc.struct_field(rows.column("verdict"), "keep").to_pylist(),
                    pc.equal(pc.struct_field(rows.column("duplicates"), "kind"), "superseded")
                    .fill_null(False)
                    .to_pylist(),
                    pc.struct_field(rows.column("pii"), "redacted").to_pylist(),
                )
                found += [Version(*values) for values in zip(*columns_of, strict=True)]
            start += parquet.metadata.row_group(group).num_rows
    return found


def _documents(upkeep: Upkeep, lost: Sequence[Version]) -> list[Place]:
    """Return a document for each row that was kept, the oldest with its text."""
    files = sorted(file_spans(upkeep.root, "documents"), key=_age)
    sizes = {f"documents/{span.file.path}": span.file.bytes for span in files}
    waiting: dict[tuple[str, str | None], list[Place]] = defaultdict(list)
    for place in reversed(_places(upkeep, sizes, {one.id for one in lost}, text=True)):
        waiting[place.id, place.text].append(place)
    same = (waiting[one.id, one.redacted] for one in lost)
    return [places.pop() for places in same if places]


def _tokens(upkeep: Upkeep, lost: Sequence[Version], kept: Mapping[str, Sequence[Version]]) -> list[Place]:
    """Return the tokens of the rows that were kept: a member holds one document for each, in the same order.

    Of a post of which it holds another number, all but the newest go.
    """
    found, going = [], set(lost)
    for member in sets.members(upkeep.root):
        sizes = {
            f"{sets.folder_name(manifest)}/{shard.file}": shard.bytes
            for manifest in sets.current(upkeep.root, member)
            for shard in manifest.shards
            if manifest.context_tokens is None  # a day whose posts were edited is packed again by the next publication
        }
        by_id: dict[str, list[Place]] = defaultdict(list)
        for place in sorted(_places(upkeep, sizes, {one.id for one in lost}, text=False)):
            by_id[place.id].append(place)
        for name, places in by_id.items():
            if len(places) == len(kept[name]):
                found += [place for place, one in zip(places, kept[name], strict=True) if one in going]
            else:
                found += places[:-1]
    return [place._replace(file=str(upkeep.root / place.file)) for place in found]


def _places(upkeep: Upkeep, sizes: Mapping[str, int], ids: Collection[str], text: bool) -> list[Place]:
    """Find the documents, or their tokens, of some posts in files of which each has a size."""
    look = partial(_place, upkeep.root, list(sizes), sorted(ids), text)
    found = upkeep.each(list(sizes.values()), look) if ids else []
    return sorted(one for some in found for one in some)


def _place(root: Path, files: Sequence[str], ids: Sequence[str], text: bool, task: int) -> list[Place]:
    columns = ["document_id", "text"] if text else ["document_id"]
    rows = pq.ParquetFile(root / files[task]).read(columns)
    hits = _hits(rows.column("document_id"), ids)
    picked = rows.take(pa.array(hits)).to_pylist()
    return [
        Place(row["document_id"], task, at, files[task], row.get("text"))
        for at, row in zip(hits.tolist(), picked, strict=True)
    ]


def _hits(column: pa.ChunkedArray, ids: Sequence[str]) -> np.ndarray:  # type: ignore[type-arg]
    return np.flatnonzero(np.asarray(pc.is_in(column, value_set=pa.array(ids, pa.string()))))


def _age(span: FileSpan) -> tuple[int, str]:
    return span.added, span.file.path


def _rows(places: object) -> Rows:
    found: dict[str, list[int]] = defaultdict(list)
    for file, row in places:  # type: ignore[attr-defined]
        found[file].append(row)
    return {file: tuple(sorted(rows)) for file, rows in found.items()}


def verdict_of(upkeep: Upkeep) -> Stage:
    """Return the stage that decides, as it is configured."""
    return configure(filters.STAGES, upkeep.config.stages)[-1]


def demote(rows: pa.Table, verdict: Stage) -> pa.Table:
    """Mark rows as older versions of their own post, and decide them again."""
    place = rows.schema.get_field_index("duplicates")
    old = rows.column("duplicates").combine_chunks()
    count = rows.num_rows
    values = {
        "kind": pa.repeat("superseded", count),
        "copy": pa.nulls(count, pa.int64()),
        "cluster_size": pa.repeat(pa.scalar(1, pa.int64()), count),
        "cluster_authors": rows.column("author_id").is_valid().cast(pa.int64()).combine_chunks(),
        "deleted": pc.struct_field(old, "deleted"),
    }
    fields = [old.type.field(number) for number in range(old.type.num_fields)]
    struct = pa.StructArray.from_arrays([values[one.name] for one in fields], fields=fields)
    rows = rows.set_column(place, rows.schema.field(place), struct)
    place = rows.schema.get_field_index("duplicate_of")
    rows = rows.set_column(place, rows.schema.field(place), rows.column("id"))
    (batch,) = rows.select(list(verdict.reads)).combine_chunks().to_batches()
    place = rows.schema.get_field_index(verdict.name)
    return rows.set_column(place, rows.schema.field(place), verdict(batch))
