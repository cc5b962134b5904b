"""Which posts of a step a tombstone names, by id or by author, in two rounds of tasks:

part, tombstones -> address   ids and authors of posts, and what events say of them   (write_names, write_events)
address          -> part      the posts that must go                                  (find_gone)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.duplicates import DECISION, Search
from pipelines.duplicates.records import Longs, hash_ids
from pipelines.exchange import Run, map_rows, new_file, read_box, write_boxes

NOBODY = -1  # the ref of an event: it is no post

NAME = pa.schema([("key", pa.int64()), ("ref", pa.int64()), ("gone", pa.bool_()), ("micros", pa.int64())])
"""A post goes by a name, or (`ref` is NOBODY) an event says of a name whether it is gone."""


def find_deleted(run: Run, search: Search, tombstones: Sequence[str]) -> tuple[str, ...]:
    """Return files, boxed by part, with a row of DECISION that says nothing else for each post that must go."""
    parts = len(search.staged.files)

    def write(task: int) -> str:
        return write_names(search, task) if task < parts else write_events(search, tombstones[task - parts])

    names = run(parts + len(tombstones), write)
    return tuple(run(search.addresses, lambda address: find_gone(search, names, address), even=True))


def write_names(search: Search, part: int) -> str:
    """Write the id and the author of every post of a part, boxed by name."""
    posts = map_rows(search.staged.files[part]).select(["id", "author_id"])
    refs = search.staged.numbering.refs(part, np.arange(posts.num_rows))
    known = np.asarray(posts.column("author_id").is_valid())
    keys = np.concatenate([_key(posts.column("id"), 0), _key(posts.column("author_id"), 1)[known]])
    nothing = np.zeros(len(keys), np.int64)
    return _write(search, keys, np.concatenate([refs, refs[known]]), nothing.astype(np.bool_), nothing)


def write_events(search: Search, file: str) -> str:
    """Write what each event of a tombstone file says of a post or an author, boxed by name."""
    events = pq.read_table(file, columns=["kind", "post_id", "author_id", "event_at"])
    kinds = events.column("kind")
    of_author = np.asarray(pc.or_(pc.starts_with(kinds, "author_"), pc.equal(kinds, "geo_scrubbed")))
    keys = np.where(of_author, _key(events.column("author_id"), 1), _key(events.column("post_id"), 0))
    gone = ~np.asarray(pc.is_in(kinds, pa.array(["post_restored", "author_restored"])))
    micros = np.asarray(events.column("event_at").cast(pa.int64()).fill_null(0))
    said = np.asarray(pc.not_equal(kinds, "geo_scrubbed"))  # no location is kept in the canonical columns
    return _write(search, keys[said], np.full(said.sum(), NOBODY), gone[said], micros[said])


def find_gone(search: Search, names: Sequence[str], address: int) -> str:
    """Tell the part of each post that the newest event on it, or on its author, takes away."""
    said = read_box(names, address)
    key, ref, gone, micros = (np.asarray(said.column(name)) for name in NAME.names)
    events = np.flatnonzero(ref == NOBODY)
    by_time = events[np.lexsort((gone[events], micros[events], key[events]))]
    newest = np.r_[key[by_time][1:] != key[by_time][:-1], True] if len(by_time) else np.zeros(0, np.bool_)
    doomed = np.unique(key[by_time[newest & gone[by_time]]])
    part, row = search.staged.numbering.rows(np.unique(ref[(ref != NOBODY) & np.isin(key, doomed)]))
    blanks = [pa.nulls(len(row), field.type) for field in list(DECISION)[1:-1]]
    columns = [pa.array(row.astype(np.int32)), *blanks, pa.array(np.ones(len(row), np.bool_))]
    path = new_file(search.folder, "deleted")
    write_boxes(path, pa.record_batch(columns, schema=DECISION), part, len(search.staged.files))
    return str(path)


def _write(search: Search, keys: Longs, refs: Longs, gone: npt.NDArray[np.bool_], micros: Longs) -> str:
    path = new_file(search.folder, "names")
    address = (keys.view(np.uint64) % np.uint64(search.addresses)).astype(np.int64)
    write_boxes(path, pa.record_batch([keys, refs, gone, micros], schema=NAME), address, search.addresses)
    return str(path)


def _key(ids: pa.ChunkedArray, what: int) -> Longs:
    return (hash_ids(ids).view(np.uint64) * np.uint64(2 * what + 3)).view(np.int64)
