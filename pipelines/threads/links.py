"""What a conversation is found by, kept at numbered addresses: a node for each id, and what it answers.

Ids go by 64-bit hashes here; texts stay in their files. A node lives at the address of its key. What it must know of
another it asks for: a box file of distinct keys to each address, a box file of answers back (see pipelines.exchange).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.duplicates.records import edit_times, hash_ids, micros_of
from pipelines.exchange import Run, in_groups, map_rows, new_file, read_box, write_boxes, write_rows
from pipelines.threads.policy import OnDeleted, OnRejected, Policy

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Columns = dict[str, Any]  # NumPy arrays, or Arrow arrays of strings, of one length

NONE = np.iinfo(np.int64).min  # the key of no id
ROW_BITS = 40  # a ref is a file's number and a row of it
READS = ["id", "author_id", "created_at", "extra", "reply_to_id", "conversation_id", "repost_of", "quote_of"]
SAID = ["verdict.keep", "duplicates.deleted"]
KEYS = {"reply_to": "reply_to_id", "conversation": "conversation_id", "repost": "repost_of", "quote": "quote_of"}
FILE_BYTES = 16 << 20  # of posts that one task reads


@dataclass(frozen=True)
class Addresses:
    """Where nodes are: tables of columns at numbered addresses, each a file for each address. Pickled to executors."""

    folder: str
    count: int
    policy: Policy

    def of(self, keys: Longs) -> Longs:
        """Return the address of each key."""
        return ((keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)).astype(np.int64) % self.count

    def send(self, rows: Columns, to: Longs) -> str:
        """Leave rows for the addresses `to`, in a file of boxes; return its path."""
        path = new_file(self.folder, "sent")
        write_boxes(path, pa.RecordBatch.from_pydict(_arrow(rows)), to, self.count)
        return str(path)

    def keep(self, rows: Columns) -> str:
        """Write the columns of an address into a file; return its path."""
        path = new_file(self.folder, "kept")
        write_rows(path, pa.table(_arrow(rows)))
        return str(path)


def _arrow(rows: Columns) -> Columns:
    return {name: column if isinstance(column, pa.Array) else pa.array(column) for name, column in rows.items()}


def columns_of(table: pa.Table) -> Columns:
    """Return the columns of a table as NumPy arrays; of strings as one Arrow array."""
    found: Columns = {}
    for name in table.schema.names:
        column = table.column(name).combine_chunks()
        text = pa.types.is_string(column.type)
        found[name] = column if text else column.to_numpy(zero_copy_only=False)
    return found


def load(path: str) -> Columns:
    """Return the columns of a file that `Addresses.keep` wrote."""
    return columns_of(map_rows(path))


def received(paths: Sequence[str], address: int) -> Columns:
    """Return what was sent to an address."""
    return columns_of(read_box(paths, address))


def pick(rows: Columns, which: Any) -> Columns:
    """Return some rows."""
    index = np.flatnonzero(which) if which.dtype == np.bool_ else which
    return {name: one.take(pa.array(index)) if isinstance(one, pa.Array) else one[index] for name, one in rows.items()}


def find(keys: Longs, asked: Longs) -> Longs:
    """Return the place of each asked key among sorted ones, -1 where it is not there."""
    if not len(keys):
        return np.full(len(asked), -1, np.int64)
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[place] == asked, place, -1)


Answer = Callable[[Columns, Longs], Columns]  # of a node table: columns for some of its rows


def exchange(
    run: Run, at: Addresses, kept: Sequence[str], asked: Callable[[Columns], Longs], answer: Answer
) -> list[str]:
    """Let each address ask others about keys; return the files of the answers, which have a box for each address.

    `asked(nodes)` are the keys, `answer(nodes, rows)` what is said of those that are there, beside their `key`.
    """
    sent = run(at.count, partial(_ask, at, kept, asked), even=True)
    return run(at.count, partial(_answer, at, kept, sent, answer), even=True)


def _ask(at: Addresses, kept: Sequence[str], asked: Callable[[Columns], Longs], address: int) -> str:
    keys = np.unique(asked(load(kept[address])))
    keys = keys[keys != NONE]
    return at.send({"key": keys, "by": np.full(len(keys), address, np.int32)}, at.of(keys))


def _answer(at: Addresses, kept: Sequence[str], sent: Sequence[str], answer: Answer, address: int) -> str:
    nodes, questions = load(kept[address]), received(sent, address)
    rows = find(nodes["key"], questions["key"])
    known = rows >= 0
    said = {"key": questions["key"][known], **answer(nodes, rows[known])}
    return at.send(said, questions["by"][known].astype(np.int64))


def answers(paths: Sequence[str], address: int) -> Columns:
    """Return the answers an address got, sorted by key."""
    said = received(paths, address)
    return pick(said, np.argsort(said["key"], kind="stable"))


def read_nodes(run: Run, at: Addresses, files: Sequence[str]) -> list[str]:
    """Read the links of posts files and send a node of each post to its address."""
    sizes = [Path(file).stat().st_size for file in files]
    sent = in_groups(run, sizes, FILE_BYTES, partial(_read_file, at, files))
    return sent


def choose_nodes(run: Run, at: Addresses, sent: Sequence[str]) -> list[str]:
    """Keep at each address the newest row of each id, sorted by key."""
    return run(at.count, partial(_choose, at, sent), even=True)


def _read_file(at: Addresses, files: Sequence[str], number: int) -> str:
    with pq.ParquetFile(files[number]) as parquet:
        nodes = _nodes(parquet.read(columns=[*READS, *SAID]), number, at.policy)
    return at.send(nodes, at.of(nodes["key"]))


def _nodes(posts: pa.Table, number: int, policy: Policy) -> Columns:
    """Make the node of each row."""
    own = hash_ids(posts.column("id"))
    keys = {name: _keys(posts.column(column), own) for name, column in KEYS.items()}
    keep = pc.fill_null(pc.struct_field(posts.column("verdict"), "keep"), False).combine_chunks()
    deleted = pc.fill_null(pc.struct_field(posts.column("duplicates"), "deleted"), False).combine_chunks()
    keep, deleted = (one.to_numpy(zero_copy_only=False) for one in (keep, deleted))
    rejected = ~keep & ~deleted
    cuts = np.zeros(len(own), np.bool_)
    if policy.rejected is not OnRejected.MASK_TURN:
        cuts |= rejected
    if policy.deleted is OnDeleted.CUT:
        cuts |= deleted
    return {
        "key": own,
        "id": posts.column("id").combine_chunks(),
        "micros": micros_of(posts),
        "version": edit_times(posts.column("extra")).combine_chunks().to_numpy(),
        "keep": keep,
        "deleted": deleted,
        "cuts": cuts,
        "author": _keys(posts.column("author_id"), np.zeros(len(own), np.int64)),
        "above": np.where(keys["reply_to"] != NONE, keys["reply_to"], keys["conversation"]),
        "repost": keys["repost"],
        "quote": keys["quote"],
        "ref": (np.int64(number) << ROW_BITS) + np.arange(len(own)),
    }


def _keys(ids: pa.ChunkedArray, own: Longs) -> Longs:
    """Return the key of each id; NONE for none and for a post's own."""
    keys = hash_ids(ids)
    return np.where(np.asarray(ids.is_valid().to_numpy(), np.bool_) & (keys != own), keys, NONE)


def _choose(at: Addresses, sent: Sequence[str], address: int) -> str:
    """Keep the newest row of each id, as trees.newest_rows does where they differ in more than their text."""
    nodes = received(sent, address)
    order = np.lexsort(
        (nodes["ref"], nodes["micros"], nodes["deleted"], ~nodes["keep"], -nodes["version"], nodes["key"])
    )
    keys = nodes["key"][order]
    return at.keep(pick(nodes, order[np.r_[True, keys[1:] != keys[:-1]][: len(keys)]]))
