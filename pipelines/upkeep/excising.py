"""Write a file of a table anew without what must be forgotten, on executors: once a file, whatever has to change in it.

What names a post is read first, a row group at a time; only a file with something to change is read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.stage import Stage
from pipelines.deletions import Flags
from pipelines.tables import DataFile, DataFileWriter
from pipelines.upkeep.demoting import Demotion, demote
from pipelines.upkeep.names import Names, holds, masked, open_names
from pipelines.upkeep.receipts import Hasher

REFERENCES = ("repost_of", "reply_to_id", "conversation_id", "quote_of", "duplicate_of")  # to other posts
TEXTS = ("text", "clean_text.text", "pii.redacted")


@dataclass(frozen=True)
class Excision:
    """What executors need: where the files are, where new ones go, what must go (see names), when it is done."""

    root: str
    staging: str
    names: str
    hasher: Hasher
    done_at: datetime
    demotion: Demotion = field(default_factory=Demotion)
    verdict: Stage | None = None  # decides what is demoted


@dataclass(frozen=True)
class Taken:
    """A post, or what was made of it, that was taken out: where it stood, in hashes."""

    id: str
    place: str  # table or MEMBER/VERSION
    texts: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    source: str | None = None
    epoch: int | None = None


@dataclass
class Look:
    """What has to change in some rows: which stay, whether any of those says a name, what the others were."""

    keep: Flags
    touched: bool
    taken: list[Taken] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # posts of documents whose tokens say a name
    demoted: Flags = field(init=False)  # older versions of posts that were edited

    def __post_init__(self) -> None:
        self.demoted = np.zeros(len(self.keep), np.bool_)


@dataclass
class Excised:
    """A file that was looked at, what came in its place, and what was taken out."""

    old: DataFile
    new: list[DataFile] = field(default_factory=list)
    rows: int = 0  # that went
    changed: bool = False
    taken: list[Taken] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cut:
    """How a table is treated: the columns that tell what has to change, and what does."""

    columns: tuple[str, ...]
    look: Callable[[pa.Table, Names, Excision], Look]
    rewrite: Callable[[pa.Table, Names, Excision], pa.Table]


def excise(file: DataFile, schema: pa.Schema, order: Excision) -> Excised:
    """Write a file anew in the staging folder, unless nothing in it has to change."""
    cut, names = CUTS[file.table], open_names(order.names)
    done = Excised(file)
    with pq.ParquetFile(Path(order.root) / file.table / file.path) as parquet:
        groups = range(parquet.num_row_groups)
        looks = [cut.look(parquet.read_row_group(group, list(cut.columns)), names, order) for group in groups]
        _note_edits(file, looks, order.demotion)
        done.changed = any(look.touched or look.demoted.any() or not look.keep.all() for look in looks)
        if not done.changed:
            return done
        routes = {"route": "rejected"} if file.table == "posts" else {}
        with (
            DataFileWriter(Path(order.staging), file.table, schema, file.partition) as writer,
            DataFileWriter(Path(order.staging), file.table, schema, routes) as demoted,
        ):
            for group, look in enumerate(looks):
                _write(parquet.read_row_group(group), look, (cut, names, order), (writer, demoted))
        done.new = [new for new in (writer.finish(), demoted.finish()) if new is not None]
    done.rows = sum(int((~look.keep).sum()) for look in looks)
    done.taken = [one for look in looks for one in look.taken]
    done.stale = [one for look in looks for one in look.stale]
    return done


def _note_edits(file: DataFile, looks: list[Look], demotion: Demotion) -> None:
    """Note in each row group what has to make room for a newer version: a row of a post is marked, a document goes."""
    name = f"{file.table}/{file.path}"
    starts = np.cumsum([0, *(len(look.keep) for look in looks)])
    for rows, mark in ((demotion.posts, "demoted"), (demotion.documents, "keep")):
        for row in rows.get(name, ()):
            group = int(np.searchsorted(starts, row, side="right")) - 1
            getattr(looks[group], mark)[row - starts[group]] = mark == "demoted"


def _write(
    rows: pa.Table,
    look: Look,
    work: tuple[Cut, Names, Excision],
    writers: tuple[DataFileWriter, DataFileWriter],
) -> None:
    cut, names, order = work
    if look.touched:
        rows = cut.rewrite(rows, names, order)
    marked = look.demoted & look.keep  # an edited post may have been deleted since
    if marked.any() and order.verdict is not None:
        writers[1].write(demote(rows.filter(pa.array(marked)), order.verdict))
    stays = look.keep & ~look.demoted
    writers[0].write(rows if stays.all() else rows.filter(pa.array(stays)))


def _look_at_posts(rows: pa.Table, names: Names, order: Excision) -> Look:
    blanked = np.asarray(pc.fill_null(pc.struct_field(rows.column("duplicates"), "deleted"), False))
    named = names.posts_in(rows.column("id"))
    keep = ~(named | blanked)
    touched = np.zeros(len(keep), np.bool_)
    for name in REFERENCES:
        touched |= names.posts_in(rows.column(name))
    for path in TEXTS:
        touched |= holds(column_of(rows, path), names.texts)
    touched |= holds(rows.column("extra"), names.json)
    gone = rows.filter(pa.array(named))
    texts = [column_of(gone, path).to_pylist() for path in TEXTS]
    about = zip(*(gone.column(name).to_pylist() for name in ("id", "source", "epoch")), *texts, strict=True)
    taken = [
        Taken(post, "posts", tuple({order.hasher.text(text) for text in words if text}), (), source, epoch)
        for post, source, epoch, *words in about
    ]
    return Look(keep, bool((touched & keep).any()), taken)


def _rewrite_posts(rows: pa.Table, names: Names, order: Excision) -> pa.Table:
    for name in REFERENCES:
        rows = with_column(rows, name, names.renamed(rows.column(name)))
    for path in TEXTS:
        rows = with_column(rows, path, masked(column_of(rows, path), names.texts))
    return with_column(rows, "extra", masked(rows.column("extra"), names.json))


def _look_at_documents(rows: pa.Table, names: Names, order: Excision) -> Look:
    posts = rows.column("post_ids").combine_chunks()
    flat, owner = pc.list_flatten(posts), np.asarray(pc.list_parent_indices(posts))
    hits = names.posts_in(flat)
    by_name = names.posts_in(rows.column("document_id"))
    gone = by_name.copy()
    gone[owner[hits]] = True
    touched = holds(rows.column("text"), names.texts) & ~gone
    texts = rows.column("text").take(pa.array(owner[hits])).to_pylist()
    taken = [
        Taken(post, "documents", (order.hasher.text(text),))
        for post, text in zip(flat.filter(pa.array(hits)).to_pylist(), texts, strict=True)
    ]
    stale = flat.filter(pa.array((touched | by_name)[owner])).to_pylist()
    return Look(~gone, bool(touched.any()), taken, stale)


def _rewrite_documents(rows: pa.Table, names: Names, order: Excision) -> pa.Table:
    return with_column(rows, "text", masked(rows.column("text"), names.texts))


def _look_at_quarantine(rows: pa.Table, names: Names, order: Excision) -> Look:
    return Look(~holds(rows.column("raw"), names.raw), touched=False)


def _look_at_tombstones(rows: pa.Table, names: Names, order: Excision) -> Look:
    return Look(np.ones(rows.num_rows, np.bool_), bool(_finished(rows, names).any()))


def _finished(rows: pa.Table, names: Names) -> Flags:
    """Tell which tombstones are done with: the open ones, and any that says a name."""
    still_open = np.asarray(rows.column("done_at").is_null())
    return still_open | names.posts_in(rows.column("post_id")) | names.authors_in(rows.column("author_id"))


def _rewrite_tombstones(rows: pa.Table, names: Names, order: Excision) -> pa.Table:
    done = pa.array(_finished(rows, names))
    for name in ("post_id", "author_id"):
        rows = with_column(rows, name, pc.if_else(done, pa.scalar(None, pa.string()), rows.column(name)))
    at = pa.scalar(order.done_at, rows.column("done_at").type)
    return with_column(rows, "done_at", pc.fill_null(rows.column("done_at"), at))


CUTS: Mapping[str, Cut] = {
    "posts": Cut(
        ("id", "source", "epoch", *REFERENCES, *TEXTS, "extra", "duplicates.deleted"), _look_at_posts, _rewrite_posts
    ),
    "documents": Cut(("document_id", "post_ids", "text"), _look_at_documents, _rewrite_documents),
    "quarantine": Cut(("raw",), _look_at_quarantine, lambda rows, names, order: rows),
    "tombstones": Cut(("post_id", "author_id", "done_at"), _look_at_tombstones, _rewrite_tombstones),
}


def column_of(rows: pa.Table, path: str) -> pa.ChunkedArray:
    """Return a column, or the field of a struct, by its path."""
    name, _, child = path.partition(".")
    return pc.struct_field(rows.column(name), child) if child else rows.column(name)


def with_column(rows: pa.Table, path: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Put other values into a column, or into a field of a struct, by its path."""
    name, _, child = path.partition(".")
    place = rows.schema.get_field_index(name)
    if child:
        struct = rows.column(name).combine_chunks()
        kind = struct.type
        fields = [kind.field(number) for number in range(kind.num_fields)]
        parts = [values if field.name == child else pc.struct_field(struct, field.name) for field in fields]
        parts = [part.combine_chunks() if isinstance(part, pa.ChunkedArray) else part for part in parts]
        values = pa.StructArray.from_arrays(parts, fields=fields, mask=struct.is_null())
    return rows.set_column(place, rows.schema.field(place), values)
