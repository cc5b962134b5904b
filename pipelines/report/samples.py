"""Choose the few posts a report shows, in one pass over columns without text, and then read only their rows."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.report.clusters import COPIES, Cluster
from schemas.reasons import Reason

SAMPLES = 10
CLUSTERS = 10
KEPT = "kept"
ROW_COLUMNS = (
    "id",
    "author_id",
    "created_at",
    "language",
    "quality",
    "spam",
    "toxicity",
    "ai_text",
    "pii.redacted",
    "duplicate_of",
    "duplicates",
    "verdict",
)

Place = tuple[int, int]  # file, row in it
Keys = npt.NDArray[np.uint64]
_HASH_BITS = np.uint64(2**63 - 1)
_SECOND_CHOICE = np.uint64(2**63)
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Picks:
    """The posts chosen so far: the kept and, per reason, the rejected ones whose text hashes lowest.

    Posts of which a reason is the only one come first: they are what its threshold alone decides. Copies of one text
    count once.
    """

    kept: dict[int, Place] = field(default_factory=dict)
    rejected: dict[str, dict[int, Place]] = field(default_factory=dict)
    clusters: dict[str, Cluster] = field(default_factory=dict)

    def see(self, number: int, route: str, batch: pa.RecordBatch) -> None:
        """Look at the flat columns of some posts of file `number` (see figures.COLUMNS)."""
        self._see_clusters(number, batch)  # a policy may keep copies, so of both routes
        keys = _keys(batch)
        places = batch.column("place").to_numpy()
        if route == KEPT:
            self.kept = _lowest(self.kept, keys, number, places)
            return
        owner, codes, alone = reason_rows(batch.column("verdict.reasons"))
        deleted = owner[codes == list(Reason).index(Reason.DELETED)]  # of those no text is left to show
        shown = ~np.isin(owner, deleted)
        owner, codes, alone = owner[shown], codes[shown], alone[shown]
        keyed = np.where(alone, keys[owner], keys[owner] | _SECOND_CHOICE)
        for code in np.unique(codes):
            name = list(Reason)[code].value
            of_reason = codes == code
            chosen = self.rejected.get(name, {})
            self.rejected[name] = _lowest(chosen, keyed[of_reason], number, places[owner[of_reason]])

    def _see_clusters(self, number: int, batch: pa.RecordBatch) -> None:
        floor = min((cluster.size for cluster in self.clusters.values()), default=0)
        floor = floor if len(self.clusters) == CLUSTERS else 0
        sizes = batch.column("duplicates.cluster_size")
        copies = pc.is_in(batch.column("duplicates.kind"), value_set=pa.array(COPIES))
        wanted = pc.fill_null(pc.and_(copies, pc.greater(sizes, floor)), False)
        rows = batch.filter(wanted)
        found = dict(self.clusters)
        for row in np.argsort(-rows.column("duplicates.cluster_size").to_numpy(), kind="stable").tolist():
            original = rows.column("duplicate_of")[row].as_py()
            if original in found:
                continue
            if len(found) >= 2 * CLUSTERS:
                break
            found[original] = Cluster(
                original,
                rows.column("duplicates.cluster_size")[row].as_py(),
                rows.column("duplicates.cluster_authors")[row].as_py(),
                rows.column("duplicates.kind")[row].as_py(),
                (number, rows.column("place")[row].as_py()),
            )
        largest = sorted(found.values(), key=lambda cluster: (-cluster.size, cluster.original))[:CLUSTERS]
        self.clusters = {cluster.original: cluster for cluster in largest}


def reason_rows(reasons: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return for each reason given: the row, its place in `Reason`, and whether it is that row's only one."""
    owner = pc.list_parent_indices(reasons).to_numpy().astype(np.int64)
    codes = pc.index_in(pc.list_flatten(reasons), value_set=pa.array([reason.value for reason in Reason]))
    known = pc.fill_null(codes, -1).to_numpy().astype(np.int64)
    lengths = pc.fill_null(pc.list_value_length(reasons), 0).to_numpy()
    listed = known >= 0
    return owner[listed], known[listed], (lengths[owner] == 1)[listed]


def read_rows(
    paths: Sequence[Path], places: Iterable[Place], columns: Sequence[str] | None = ROW_COLUMNS
) -> dict[Place, dict[str, Any]]:
    """Read the posts at some places; only the row groups that hold them are touched. No `columns`: all of them."""
    found: dict[Place, dict[str, Any]] = {}
    wanted = sorted(set(places))
    for number in sorted({file for file, _ in wanted}):
        with pq.ParquetFile(paths[number]) as parquet:
            rows = [row for file, row in wanted if file == number]
            for row, post in _read(parquet, rows, columns):
                found[number, row] = post
    return found


def find_ids(paths: Sequence[Path], ids: Iterable[str]) -> dict[str, list[Place]]:
    """Return where the posts with these ids stand."""
    wanted = sorted(ids)
    value_set = pa.array(wanted, pa.string())
    found: dict[str, list[Place]] = {}
    for number, path in enumerate(paths):
        with pq.ParquetFile(path) as parquet:
            start = 0
            for group in range(parquet.metadata.num_row_groups):
                if _may_hold(parquet.metadata.row_group(group), wanted):
                    column = parquet.read_row_group(group, columns=["id"]).column("id")
                    for row in np.flatnonzero(pc.is_in(column, value_set=value_set).to_numpy()).tolist():
                        found.setdefault(column[row].as_py(), []).append((number, start + row))
                start += parquet.metadata.row_group(group).num_rows
    return found


def _may_hold(group: pq.RowGroupMetaData, wanted: Sequence[str]) -> bool:
    """Tell by its statistics whether a row group may hold one of some sorted ids."""
    columns = (group.column(number) for number in range(group.num_columns))
    told = next(column.statistics for column in columns if column.path_in_schema == "id")
    if told is None or not told.has_min_max:
        return True
    at = bisect.bisect_left(wanted, told.min)
    return at < len(wanted) and wanted[at] <= told.max


def _read(
    parquet: pq.ParquetFile, rows: list[int], columns: Sequence[str] | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    start = 0
    for group in range(parquet.metadata.num_row_groups):
        end = start + parquet.metadata.row_group(group).num_rows
        here = [row for row in rows if start <= row < end]
        if here:
            table = parquet.read_row_group(group, columns=None if columns is None else list(columns))
            posts = table.take(pa.array([row - start for row in here])).to_pylist()
            yield from zip(here, posts, strict=True)
        start = end


def _keys(batch: pa.RecordBatch) -> Keys:
    """Return 63 bits for each post: its fingerprint, or a hash of its place where there is none."""
    prints = batch.column("sketch.fingerprint")
    hashed = pc.fill_null(prints, 0).to_numpy().view(np.uint64)
    places = batch.column("place").to_numpy().astype(np.uint64) * _GOLDEN_RATIO
    absent = prints.is_null().to_numpy(zero_copy_only=False)
    keys: Keys = np.where(absent, places, hashed) & _HASH_BITS
    return keys


def _lowest(chosen: Mapping[int, Place], keys: Keys, number: int, places: npt.NDArray[np.int64]) -> dict[int, Place]:
    """Lay the posts with the lowest keys over those chosen before; one post for each text."""
    first, at = np.unique(keys, return_index=True)
    news = {int(key): (number, int(places[row])) for key, row in zip(first[:SAMPLES], at[:SAMPLES], strict=True)}
    merged: dict[int, Place] = {}
    texts: set[int] = set()
    for key, place in sorted((news | dict(chosen)).items()):
        text = key & int(_HASH_BITS)
        if text not in texts and len(merged) < SAMPLES:
            texts.add(text)
            merged[key] = place
    return merged
