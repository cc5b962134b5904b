"""The first half of the search, by key: who had a key before whom, in this epoch or an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.kernels.owners import BY_ID, KeyRows, Kinds, link_rows
from pipelines.duplicates.history import ENTRY, Owners, RunFile, write_run
from pipelines.duplicates.keys import OWNS_ONLY, Keys, range_of
from pipelines.duplicates.records import DAY_MICROS, Longs, epoch_of, ranks
from pipelines.duplicates.search import Search
from pipelines.exchange import new_file, read_boxes, write_boxes

Flags = npt.NDArray[np.bool_]

LINK = pa.schema([("row", pa.int32()), ("owner", pa.int64()), ("what", pa.int8())])
"""A post of a part has a key that another post, by its ref, owned before."""


@dataclass(frozen=True)
class FoundOwners:
    """What an address leaves: a file of links, boxed by part, and a file of new entries of the index."""

    links: str
    entries: RunFile


class _Rows(NamedTuple):
    """Keys of posts, one a row."""

    key: Keys
    ref: Longs
    kind: Kinds
    micros: Longs

    def take(self, picked: Longs | Flags) -> _Rows:
        return _Rows(*(column[picked] for column in self))


def find_owners(search: Search, address: int) -> FoundOwners:
    """Link the posts that share a key of this address to its earlier owners, and say which posts own keys now."""
    rows = _gather(search, address)
    rows = rows.take(np.argsort(rows.key))
    starts = np.flatnonzero(np.r_[True, rows.key[1:] != rows.key[:-1]]) if len(rows.key) else np.zeros(0, np.int64)
    old = search.history.owners(rows.key[starts])
    group_of = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(rows.key)]))
    shared = np.diff(np.r_[starts, len(rows.key)]) > 1
    shared[old.position] = True
    crowd = np.flatnonzero(shared[group_of])  # rows whose key has another row; most keys are one post's own
    links, crowd_owns = _link(search, rows.take(crowd), group_of[crowd], old)
    owns = np.ones(len(rows.key), np.bool_)
    owns[crowd] = crowd_owns
    return FoundOwners(_write_links(search, links), _write_entries(search, rows.take(owns)))


def _gather(search: Search, address: int) -> _Rows:
    """Read the keys of an address off every part."""
    boxes = range_of(address, search.addresses)
    tables = [read_boxes(path, boxes) for path in search.keys]
    refs = [search.staged.numbering.refs(part, np.asarray(table.column("row"))) for part, table in enumerate(tables)]
    every = pa.concat_tables(tables)
    key, kind, micros = (np.asarray(every.column(name)) for name in ("key", "kind", "micros"))
    return _Rows(key, np.concatenate(refs), kind, micros)


def _link(search: Search, rows: _Rows, group: Longs, old: Owners) -> tuple[pa.Table, Flags]:
    """Return the links among rows that share keys with each other or with older posts, and which of them own."""
    first = np.searchsorted(group, old.position)  # a row of the same key tells what the key stands for
    kind = np.concatenate([rows.kind, rows.kind[first] % OWNS_ONLY - OWNS_ONLY]).astype(np.int8)
    group = np.concatenate([group, old.position])
    ref = np.concatenate([rows.ref, old.ref])
    micros = np.concatenate([rows.micros, old.day * DAY_MICROS])
    order = _in_order(search, group, ref, micros)
    group, ref, kind, micros = group[order], ref[order], kind[order], micros[order]
    bounds = np.flatnonzero(np.r_[True, group[1:] != group[:-1], True]) if len(group) else np.zeros(1, np.int64)
    versions = _versions(search, ref, kind)
    found, owning = link_rows(KeyRows(bounds, micros // DAY_MICROS, versions, kind), search.reach)
    owns = np.empty(len(order), np.bool_)
    owns[order] = owning
    return _distinct(ref[found[:, 0]], ref[found[:, 1]], found[:, 2]), owns[: len(rows.ref)]


def _in_order(search: Search, group: Longs, ref: Longs, micros: Longs) -> Longs:
    """Sort rows by group, and within it by the order of posts; ids are looked at only where times are equal."""
    epoch = epoch_of(ref)
    order = np.lexsort((micros, epoch, group))
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for column in (group, epoch, micros):
        same &= column[order][1:] == column[order][:-1]
    tied = order[np.r_[same, False] | np.r_[False, same]] if same.any() else order[:0]
    if not len(tied):
        return order
    posts, place = np.unique(ref[tied], return_inverse=True)
    rank = np.zeros(len(order), np.int64)
    rank[tied] = ranks(search.records(posts))[place]
    return np.lexsort((rank, micros, epoch, group))


def _versions(search: Search, ref: Longs, kind: Kinds) -> Longs:
    """Return the version of the post of each row that stands for an id, 0 for other rows."""
    versions = np.zeros(len(ref), np.int64)
    by_id = np.flatnonzero(kind % OWNS_ONLY == BY_ID)
    if len(by_id):
        posts, place = np.unique(ref[by_id], return_inverse=True)
        versions[by_id] = np.asarray(search.records(posts).column("version"))[place]
    return versions


def _distinct(post: Longs, owner: Longs, what: Longs) -> pa.Table:
    """Return each link once: posts share many bands with one owner."""
    by_value = np.lexsort((what, owner, post))
    new = np.ones(len(by_value), np.bool_)
    if len(by_value):
        new[1:] = False
    for column in (post, owner, what):
        new[1:] |= column[by_value][1:] != column[by_value][:-1]
    picked = by_value[new]
    return pa.table({"post": post[picked], "owner": owner[picked], "what": what[picked].astype(np.int8)})


def _write_links(search: Search, links: pa.Table) -> str:
    part, row = search.staged.numbering.rows(np.asarray(links.column("post")))
    rows = [pa.array(row.astype(np.int32)), *(links.column(name).combine_chunks() for name in ("owner", "what"))]
    path = new_file(search.folder, "links")
    write_boxes(path, pa.record_batch(rows, schema=LINK), part, len(search.staged.files))
    return str(path)


def _write_entries(search: Search, rows: _Rows) -> RunFile:
    """Write what the index must learn, in the order of the keys; nothing of days that it does not hold."""
    day = rows.micros // DAY_MICROS
    held = search.expiry.holds(day)
    columns = [rows.key[held], rows.ref[held], day[held].astype(np.int32)]
    return write_run(search.index_folder, "entries", pa.table(columns, schema=ENTRY))
