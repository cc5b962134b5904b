"""The last part of the search, by original: which copy of it a post is, and how large its cluster has become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.duplicates.history import COPIES, RunFile, add_up, write_run
from pipelines.duplicates.records import DAY_MICROS, NOBODY, Longs
from pipelines.duplicates.search import Search
from pipelines.exchange import new_file, read_box, write_boxes

REDELIVERED = ("repeated_id", "superseded")  # the same post once more is no copy of it

DECISION = pa.schema(
    [
        ("row", pa.int32()),
        ("duplicate_of", pa.string()),
        ("kind", pa.string()),
        ("copy", pa.int64()),
        ("cluster_size", pa.int64()),
        ("cluster_authors", pa.int64()),
    ]
)
"""What there is to say of a post of a part. A post that both duplicates and is duplicated is spoken of twice."""


@dataclass(frozen=True)
class CountedClusters:
    """What an address leaves: a file of decisions, boxed by part, and a file of what the index learns of clusters."""

    decisions: str
    copies: RunFile


def count_clusters(search: Search, files: Sequence[str], address: int) -> CountedClusters:
    """Count the clusters of an address and tell its members of this epoch, the original included."""
    members = read_box(files, address)
    again = pc.is_in(members.column("kind"), pa.array(REDELIVERED))
    copies = members.filter(pc.invert(again))
    order = [("original", "ascending"), ("micros", "ascending"), ("id", "ascending"), ("ref", "ascending")]
    copies = copies.sort_by(order)
    refs, first, cluster, counts = np.unique(
        np.asarray(copies.column("original")), return_index=True, return_inverse=True, return_counts=True
    )
    earlier = search.history.copies(refs)
    before = np.zeros(len(refs), np.int64)
    np.add.at(
        before, np.searchsorted(refs, np.asarray(earlier.column("original"))), np.asarray(earlier.column("copies"))
    )
    place = np.arange(len(cluster)) - first[cluster]  # among the copies of this epoch
    size = 1 + before + counts
    authors = _authors(refs, copies, earlier)
    told = [
        _said(copies, before[cluster] + place + 2, size[cluster], authors[cluster]),
        _said(members.filter(again), None, None, None),
        _originals(search, refs, size, authors),
    ]
    return CountedClusters(_write_decisions(search, pa.concat_tables(told)), _write_copies(search, copies))


def _authors(refs: Longs, copies: pa.Table, earlier: pa.Table) -> Longs:
    """Count the distinct authors of each cluster, its original's among them; who names none is nobody."""
    pairs = [(copies.column("original"), copies.column(name)) for name in ("author", "original_author")]
    pairs.append((earlier.column("original"), earlier.column("author")))
    cluster = np.concatenate([np.searchsorted(refs, np.asarray(original)) for original, _ in pairs])
    author = np.concatenate([np.asarray(who) for _, who in pairs])
    known = author != NOBODY
    order = np.lexsort((author[known], cluster[known]))
    cluster, author = cluster[known][order], author[known][order]
    new = np.ones(len(author), np.bool_)
    new[1:] = (cluster[1:] != cluster[:-1]) | (author[1:] != author[:-1])
    return np.bincount(cluster[new], minlength=len(refs))


def _said(members: pa.Table, copy: Longs | None, size: Longs | None, authors: Longs | None) -> pa.Table:
    """Say of members what they duplicate. Columns of `DECISION`, with the ref for the row."""
    counts = [pa.nulls(members.num_rows, pa.int64()) if one is None else pa.array(one) for one in (copy, size, authors)]
    columns = [members.column("ref"), members.column("original_id"), members.column("kind"), *counts]
    return pa.table(columns, names=["ref", *DECISION.names[1:]])


def _originals(search: Search, refs: Longs, size: Longs, authors: Longs) -> pa.Table:
    """Say of the originals of this epoch how large their clusters are."""
    here = refs >= search.staged.numbering.first_ref
    rows = int(here.sum())
    columns = [
        pa.array(refs[here]),
        pa.nulls(rows, pa.string()),
        pa.nulls(rows, pa.string()),
        pa.array(np.ones(rows, np.int64)),
        pa.array(size[here]),
        pa.array(authors[here]),
    ]
    return pa.table(columns, names=["ref", *DECISION.names[1:]])


def _write_decisions(search: Search, told: pa.Table) -> str:
    told = told.combine_chunks()
    part, row = search.staged.numbering.rows(np.asarray(told.column("ref")))
    columns = [pa.array(row.astype(np.int32)), *(told.column(name).combine_chunks() for name in DECISION.names[1:])]
    path = new_file(search.folder, "decisions")
    write_boxes(path, pa.record_batch(columns, schema=DECISION), part, len(search.staged.files))
    return str(path)


def _write_copies(search: Search, copies: pa.Table) -> RunFile:
    """Write what the index must learn: how often each author copied a post, in the order of the originals."""
    held = search.expiry.holds(np.asarray(copies.column("original_micros")) // DAY_MICROS)
    one = pa.array(np.ones(copies.num_rows, np.int64))
    columns = [copies.column("original"), copies.column("author"), one, copies.column("original_micros")]
    added = add_up(pa.table(columns, schema=COPIES).filter(pa.array(held)))
    return write_run(search.index_folder, "copies", added)
