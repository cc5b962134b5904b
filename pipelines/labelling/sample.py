"""Draw posts from a table so that rare kinds are there too: as many of each stratum as there are, up to one share.

A stratum is a language, a length and a route. Copies and posts without text are left out, because they teach nothing
twice. The same table and seed give the same posts, in whichever files they lie.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.duplicates.records import hash_ids
from pipelines.report.samples import read_rows
from pipelines.tables import posts_files

LENGTHS = (40, 100, 200)  # characters at which another stratum begins
COLUMNS = ["id", "language.lang", "pii.redacted", "verdict.keep", "duplicate_of"]
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sampled:
    """A post that was drawn; the text is the redacted one."""

    id: str
    text: str
    language: str
    kept: bool
    stratum: str


def draw(root: Path, posts: int, seed: int) -> list[Sampled]:
    """Return so many posts of a folder, or as many as there are, in the order of their ids."""
    files = sorted(file.path for file in posts_files(root))
    parts = [part for number, path in enumerate(files) for part in _candidates(number, path, seed, posts)]
    if not parts:
        return []
    rows = _fewest(pa.concat_tables(parts), posts)
    names = rows.column("stratum").dictionary_encode().combine_chunks()
    strata = names.indices.to_numpy()
    quota = share_out(np.bincount(strata, minlength=len(names.dictionary)), posts)
    chosen = rows.filter(pa.array(_rank(strata) < quota[strata])).to_pylist()
    paths = [Path(path) for path in files]
    places = {(row["file"], row["row"]): row["stratum"] for row in chosen}
    found = read_rows(paths, places, ("id", "language.lang", "pii.redacted", "verdict.keep"))
    drawn = [_sampled(post, places[place]) for place, post in found.items()]
    return sorted(drawn, key=lambda one: one.id)


def count_strata(root: Path) -> Counter[str]:
    """Return how many posts of each stratum a folder has to draw from."""
    counts: Counter[str] = Counter()
    for file in posts_files(root):
        with pq.ParquetFile(file.path) as parquet:
            for group in range(parquet.num_row_groups):
                strata, wanted = _strata(parquet.read_row_group(group, COLUMNS))
                for entry in pc.value_counts(strata.filter(wanted)).to_pylist():
                    counts[entry["values"]] += entry["counts"]
    return counts


def share_out(sizes: Counts, total: int) -> Counts:
    """Return how many to take of each stratum: all of a small one, of the others one share each.

    >>> share_out(np.array([2, 100, 50, 1]), 40).tolist()
    [2, 19, 18, 1]
    """
    quota = np.zeros(len(sizes), np.int64)
    left = min(total, int(sizes.sum()))
    while left:
        open_ones = np.flatnonzero(quota < sizes)
        each = max(1, left // len(open_ones))
        more = np.minimum(sizes[open_ones] - quota[open_ones], each)
        more[np.cumsum(more) > left] = 0
        quota[open_ones] += more
        left -= int(more.sum())
    return quota


def _candidates(number: int, path: str, seed: int, posts: int) -> list[pa.Table]:
    """Return where the posts of a file stand that may be drawn, a row group at a time, the first to be drawn first."""
    found, start = [], 0
    with pq.ParquetFile(path) as parquet:
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group, COLUMNS)
            place = pa.array(np.arange(start, start + rows.num_rows))
            start += rows.num_rows
            strata, wanted = _strata(rows)
            mixed = (hash_ids(rows.column("id")).view(np.uint64) ^ np.uint64(seed)) * _GOLDEN_RATIO
            columns = [strata, pa.array(mixed), pa.repeat(number, rows.num_rows), place]
            found.append(_fewest(pa.table(columns, ["stratum", "order", "file", "row"]).filter(wanted), posts))
    return found


def _strata(rows: pa.Table) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return the stratum of each post, and whether it may be drawn."""
    text = pc.struct_field(rows.column("pii"), "redacted")
    chars = pc.fill_null(pc.utf8_length(pc.utf8_trim_whitespace(text)), 0)
    wanted = pc.and_(pc.greater(chars, 0), rows.column("duplicate_of").is_null())
    length = pa.array(np.searchsorted(LENGTHS, np.asarray(chars), side="right")).cast(pa.string())
    route = pc.if_else(pc.struct_field(rows.column("verdict"), "keep"), "kept", "rejected")
    language = pc.fill_null(pc.struct_field(rows.column("language"), "lang"), "und")
    return pc.binary_join_element_wise(language, length, route, "/"), wanted


def _fewest(rows: pa.Table, most: int) -> pa.Table:
    """Keep of each stratum the first so many, in the order in which they are drawn."""
    rows = rows.sort_by([("stratum", "ascending"), ("order", "ascending")])
    strata = rows.column("stratum").dictionary_encode().combine_chunks().indices.to_numpy()
    return rows.filter(pa.array(_rank(strata) < most))


def _rank(strata: npt.NDArray[np.int32]) -> Counts:
    """Return the place of each row within its stratum; equal ones stand together."""
    begins = np.flatnonzero(np.diff(strata, prepend=-1))
    return np.arange(len(strata)) - np.repeat(begins, np.diff(begins, append=len(strata)))


def _sampled(post: dict[str, Any], stratum: str) -> Sampled:
    language = (post["language"] or {}).get("lang") or "und"
    return Sampled(post["id"], post["pii"]["redacted"], language, post["verdict"]["keep"], stratum)
