"""Measure one epoch of an output folder for its report: counts, histograms, clusters and samples, read by column.

Files are streamed in batches and only the columns a figure needs are read; texts are read last, and only of the posts
that are shown. Of a table too large to read whole, files are taken at even distances, so both routes shrink alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipelines.report.clusters import Cluster, Course, follow
from pipelines.report.samples import Picks, find_ids, read_rows, reason_rows
from pipelines.tables import EPOCHS, find_epoch, open_table
from schemas.reasons import Reason

ROUTES = ("kept", "rejected")
SCORES = ("quality.score", "spam.score", "toxicity.score", "ai_text.score", "language.confidence")
SCORE_BINS = 50
CHARS = "quality.readable_chars"
CHARS_BINS = 2 * 12 + 1  # two bins to a doubling, up to 4,096; the first holds what has no readable character
MAX_ROWS = 2_000_000  # posts read for the figures; of more, some files are read
BATCH_ROWS = 65_536
QUARANTINE_FILES = 64
EXAMPLES_PER_FAULT = 3
HOUR_MICROS = 3_600_000_000

COLUMNS = (
    "created_at",
    "epoch",
    *SCORES,
    CHARS,
    "language.lang",
    "sketch.fingerprint",
    "duplicate_of",
    "duplicates.kind",
    "duplicates.cluster_size",
    "duplicates.cluster_authors",
    "verdict.reasons",
)
FILE_ORDER = ("partition.route", "min.created_at", "max.created_at", "num_records", "path")

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class File:
    """One Parquet file of a table, and how many rows its commit says it has."""

    path: Path
    route: str
    rows: int


def _per_route() -> Counts:
    return np.zeros((len(ROUTES), SCORE_BINS), np.int64)


@dataclass
class Figures:
    """What was measured. Histograms have the shape (routes, bins); hours count from 1970, UTC."""

    files: list[File]
    files_in_all: int
    posts: Counter[str] = field(default_factory=Counter)  # by route
    scores: dict[str, Counts] = field(default_factory=lambda: {name: _per_route() for name in SCORES})
    unscored: Counter[tuple[str, str]] = field(default_factory=Counter)  # by score and route
    chars: Counts = field(default_factory=lambda: np.zeros((len(ROUTES), CHARS_BINS), np.int64))
    languages: dict[str, Counter[str]] = field(default_factory=lambda: {route: Counter() for route in ROUTES})
    hours: dict[str, Counter[int]] = field(default_factory=lambda: {route: Counter() for route in ROUTES})
    timeless: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)  # posts of which it is the only reason
    kinds: Counter[str] = field(default_factory=Counter)
    clusters: list[tuple[Cluster, dict[str, Any]]] = field(default_factory=list)  # with the original, else a copy
    courses: dict[str, Course] = field(default_factory=dict)  # of those clusters, by the id of the original
    kept: list[dict[str, Any]] = field(default_factory=list)
    rejected: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by reason

    @property
    def sampled(self) -> bool:
        """Tell whether some files were left out."""
        return len(self.files) < self.files_in_all


def measure(out: Path, epoch: int, max_rows: int = MAX_ROWS) -> Figures:
    """Read the posts of one epoch, about `max_rows` of them at most, and return every figure of the report."""
    files = epoch_files(out, "posts", epoch)
    figures = Figures(_spread(files, max_rows), len(files))
    picks = Picks()
    for number, file in enumerate(figures.files):
        for batch in _batches(file.path, epoch):
            _count(figures, file.route, batch)
            picks.see(number, file.route, batch)
    _read_picks(figures, picks)
    figures.courses = follow([file.path for file in figures.files], picks.clusters, epoch)
    return figures


def epoch_files(out: Path, table: str, epoch: int) -> list[File]:
    """Return the files that may hold rows of an epoch, ordered by what is in them (names are random).

    Posts say in their statistics which epochs a file holds; of another table it is what the table has gained since the
    epoch before. One that was rewritten since may hold other epochs too: whoever reads it looks at the column `epoch`.
    """
    delta = open_table(out, table)
    if delta is None:
        return []
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    if table == "posts":
        held = [action for action in actions if _may_hold(action, epoch)]
    else:
        held = _gained(delta, actions, epoch)
    held.sort(key=lambda action: tuple(str(action.get(key)) for key in FILE_ORDER))
    return [
        File(out / table / unquote(action["path"]), action.get("partition.route") or "", action["num_records"] or 0)
        for action in held
    ]


def _may_hold(action: dict[str, Any], epoch: int) -> bool:
    low, high = action.get("min.epoch"), action.get("max.epoch")
    return low is None or high is None or low <= epoch <= high


def _gained(delta: DeltaTable, actions: list[dict[str, Any]], epoch: int) -> list[dict[str, Any]]:
    """Return the files a table has gained since the epoch before; all of them where its log does not tell any more."""
    entry = find_epoch(delta, epoch)
    if entry is None:
        return actions if delta.transaction_version(EPOCHS) == epoch else []
    try:
        delta.load_as_version(entry["version"] - 1)
    except DeltaError:
        return actions
    before = set(pa.table(delta.get_add_actions(flatten=True)).column("path").to_pylist())
    return [action for action in actions if action["path"] not in before]


def quarantine_examples(out: Path, epoch: int) -> dict[str, list[dict[str, Any]]]:
    """Return where a few records of each fault stand: file, line, stage and error, never the record."""
    columns = ["file", "line", "stage", "fault", "error"]
    found: dict[str, list[dict[str, Any]]] = {}
    for file in epoch_files(out, "quarantine", epoch)[:QUARANTINE_FILES]:
        rows = pq.read_table(file.path, columns=columns).sort_by([("file", "ascending"), ("line", "ascending")])
        for fault in pc.unique(rows.column("fault")).to_pylist():
            first = rows.filter(pc.equal(rows.column("fault"), fault)).slice(0, EXAMPLES_PER_FAULT)
            found.setdefault(fault, []).extend(first.to_pylist())
    for rows in found.values():
        rows.sort(key=lambda row: (row["file"] or "", row["line"] or 0))
    return {fault: found[fault][:EXAMPLES_PER_FAULT] for fault in sorted(found)}


def _spread(files: list[File], max_rows: int) -> list[File]:
    """Take every so-many-th file of each route when all of them together hold too many rows."""
    rows = sum(file.rows for file in files)
    if rows <= max_rows:
        return files
    chosen = []
    for route in ROUTES:
        of_route = [file for file in files if file.route == route]
        wanted = max(1, len(of_route) * max_rows // rows) if of_route else 0
        chosen += [of_route[number * len(of_route) // wanted] for number in range(wanted)]
    return chosen


def _batches(path: Path, epoch: int) -> Iterator[pa.RecordBatch]:
    """Yield the flat columns of the epoch's posts in a file, and `place`, the number of each row in it."""
    start = 0
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=list(COLUMNS)):
            place = pa.array(np.arange(start, start + batch.num_rows))
            flat = pa.record_batch([*(_column(batch, name) for name in COLUMNS), place], [*COLUMNS, "place"])
            yield flat.filter(pc.equal(flat.column("epoch"), epoch))
            start += batch.num_rows


def _column(batch: pa.RecordBatch, path: str) -> pa.Array:
    name, _, child = path.partition(".")
    return pc.struct_field(batch.column(name), child) if child else batch.column(name)


def _count(figures: Figures, route: str, batch: pa.RecordBatch) -> None:
    side = ROUTES.index(route)
    figures.posts[route] += batch.num_rows
    for name in SCORES:
        scores = batch.column(name).drop_null().to_numpy()
        bins = np.clip((scores * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
        figures.scores[name][side] += np.bincount(bins, minlength=SCORE_BINS)
        figures.unscored[name, route] += batch.num_rows - len(scores)
    chars = batch.column(CHARS).drop_null().to_numpy()
    figures.chars[side] += np.bincount(chars_bin(chars), minlength=CHARS_BINS)
    _add(figures.languages[route], batch.column("language.lang").drop_null())
    times = batch.column("created_at").drop_null().cast(pa.int64())
    figures.timeless += batch.num_rows - len(times)
    hours = np.floor_divide(times.to_numpy(), HOUR_MICROS)
    figures.hours[route].update(
        dict(zip(*(part.tolist() for part in np.unique(hours, return_counts=True)), strict=True))
    )
    if route == "rejected":
        _, codes, alone = reason_rows(batch.column("verdict.reasons"))
        for counts, chosen in ((figures.reasons, codes), (figures.alone, codes[alone])):
            found = np.bincount(chosen, minlength=len(Reason)).tolist()
            counts.update({reason.value: count for reason, count in zip(Reason, found, strict=True) if count})
    _add(figures.kinds, batch.column("duplicates.kind").drop_null())


def chars_bin(chars: npt.NDArray[np.int32]) -> Counts:
    """Return the bin of each length: 0 holds 0; bin n holds lengths from 2^((n-1)/2) up.

    >>> chars_bin(np.array([0, 1, 2, 3, 4, 16, 99_999])).tolist()
    [0, 1, 3, 4, 5, 9, 24]
    """
    halves = np.floor(2 * np.log2(np.maximum(chars, 1))).astype(np.int64) + 1
    bins: Counts = np.where(chars < 1, 0, np.minimum(halves, CHARS_BINS - 1))
    return bins


def _add(counts: Counter[str], values: pa.Array) -> None:
    for entry in pc.value_counts(values).to_pylist():
        counts[entry["values"]] += entry["counts"]


def _read_picks(figures: Figures, picks: Picks) -> None:
    """Read the rows of the chosen posts and of the originals of the largest clusters."""
    paths = [file.path for file in figures.files]
    originals = find_ids(paths, picks.clusters) if picks.clusters else {}
    clusters = {
        cluster.original: min(originals.get(name, [cluster.member])) for name, cluster in picks.clusters.items()
    }
    places = [*picks.kept.values(), *clusters.values()]
    for chosen in picks.rejected.values():
        places += chosen.values()
    rows = read_rows(paths, places)
    figures.kept = [rows[place] for place in picks.kept.values()]
    figures.rejected = {
        reason.value: [rows[place] for place in picks.rejected[reason.value].values()]
        for reason in Reason
        if reason.value in picks.rejected
    }
    figures.clusters = [(cluster, rows[clusters[name]]) for name, cluster in picks.clusters.items()]
