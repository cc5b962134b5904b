"""The first half of the search, by key: who had a key before whom, in this epoch or an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.kernels.owners import BY_ID, SEEN, KeyRows, Kinds, link_rows, sort_groups
from filters.kernels.sorted_keys import sort_keys
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
    rows = rows.take(sort_keys(rows.key))
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
    kind = np.insert(rows.kind, first, rows.kind[first] % OWNS_ONLY - OWNS_ONLY)
    group, ref = np.insert(group, first, old.position), np.insert(rows.ref, first, old.ref)
    micros = np.insert(rows.micros, first, old.day * DAY_MICROS)
    new = np.flatnonzero(np.insert(np.ones(len(rows.ref), np.bool_), first, False))
    bounds = np.flatnonzero(np.r_[True, group[1:] != group[:-1], True]) if len(group) else np.zeros(1, np.int64)
    seen = _seen(search, bounds, (ref, kind, micros))
    order = _in_order(search, bounds, ref, micros)
    ref, kind, micros = ref[order], kind[order], micros[order]
    versions = _versions(search, ref, kind)
    found, owning = link_rows(KeyRows(bounds, micros // DAY_MICROS, versions, kind), search.reach)
    owns = np.empty(len(order), np.bool_)
    owns[order] = owning
    links = (np.r_[ref[found[:, at]], seen[at]] for at in range(2))
    return _distinct(*links, np.r_[found[:, 2], np.full(len(seen[0]), SEEN)]), owns[new]


def _seen(search: Search, bounds: Longs, rows: tuple[Longs, Kinds, Longs]) -> tuple[Longs, Longs]:
    """Return each post whose id some post of an earlier epoch, in reach, had before, and that one."""
    ref, kind, micros = rows
    old = np.flatnonzero(kind == BY_ID - OWNS_ONLY)
    group = np.searchsorted(bounds, old, side="right") - 1
    counts = bounds[group + 1] - bounds[group]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    post, owner = np.repeat(bounds[group], counts) + within, np.repeat(old, counts)
    near = np.abs(micros[post] // DAY_MICROS - micros[owner] // DAY_MICROS) <= search.reach
    again = near & (kind[post] == BY_ID)
    return ref[post[again]], ref[owner[again]]


def _in_order(search: Search, bounds: Longs, ref: Longs, micros: Longs) -> Longs:
    """Sort the rows of each group into the order of posts; ids are looked at only where times are equal."""
    epoch = epoch_of(ref)
    order, tied = sort_groups(bounds, epoch, micros)
    if not tied:
        return order
    group = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    same = np.ones(len(order) - 1, np.bool_)
    for column in (group, epoch[order], micros[order]):
        same &= column[1:] == column[:-1]
    ties = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
    posts, place = np.unique(ref[order[ties]], return_inverse=True)
    stretch = np.cumsum(np.r_[True, ~same])[ties]  # of rows that tie with each other
    order[ties] = order[ties][np.lexsort((ranks(search.records(posts))[place], stretch))]
    return order


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
