"""What the posts of one author in an epoch say together, by the stage that reads style: `ai_text.evidence`.

A round of tasks beside the search for duplicates. While it is staged, a part writes which author has which row; then
each address takes its authors, reads the few texts it needs off the staged files, and tells the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.authorship import FEWEST_POSTS, Timelines, evidence
from filters.stage import Stage
from filters.style_model import StyleModel
from pipelines.duplicates import Search
from pipelines.duplicates.keys import BOXES, range_of
from pipelines.duplicates.records import Longs, hash_ids, micros_of
from pipelines.exchange import Run, map_rows, new_file, read_boxes, write_boxes

STAGE, FIELD = "ai_text", "evidence"
MOST_POSTS = 200  # of one author that are read, the earliest of the epoch: more would say no more

AUTHORED = pa.schema([("author", pa.uint64()), ("row", pa.int32())])
EVIDENCE = pa.schema([("row", pa.int32()), ("evidence", pa.float32())])


@dataclass(frozen=True)
class Weighing:
    """What every task works with: the parts of a search, the author file of each, and the model of the stage."""

    search: Search
    authors: tuple[str, ...]
    model: StyleModel


def write_authors(posts: pa.Table, path: Path) -> None:
    """Write the author of each row that has one and a score, boxed by a hash of the author's id."""
    scored = pc.struct_field(posts.column(STAGE), "score").is_valid()
    rows = np.flatnonzero(np.asarray(pc.and_(scored, posts.column("author_id").is_valid())))
    authors = hash_ids(posts.column("author_id").take(pa.array(rows))).view(np.uint64)
    table = pa.record_batch([authors, rows.astype(np.int32)], schema=AUTHORED)
    write_boxes(path, table, (authors >> np.uint64(56)).astype(np.int64), BOXES)


def model_of(stages: Sequence[Stage]) -> StyleModel:
    """Return the model that weighs authors: that of the stage which scores their posts."""
    return next(stage.style for stage in stages if stage.name == STAGE)  # type: ignore[attr-defined]


def find_evidence(run: Run, work: Weighing) -> tuple[str, ...]:
    """Weigh the authors of an epoch; return files of EVIDENCE boxed by part."""
    return tuple(run(work.search.addresses, partial(weigh_authors, work), even=True))


def weigh_authors(work: Weighing, address: int) -> str:
    """Weigh the authors of an address and tell the rows of those with enough posts."""
    author, part, row = _frequent(work, range_of(address, work.search.addresses))
    micros, texts = _read(work.search.staged.files, part, row)
    order = np.lexsort((row, part, micros, author))
    author, part, row, micros = (column[order] for column in (author, part, row, micros))
    place = np.arange(len(author)) - np.searchsorted(author, author)
    read = place < MOST_POSTS
    groups, starts = np.unique(author[read], return_index=True)
    lines = Timelines(np.append(starts, read.sum()), texts.take(pa.array(order[read])), micros[read])
    weighed = evidence(work.model, lines)
    told = pa.array(weighed[np.searchsorted(groups, author)], pa.float32())
    path = new_file(work.search.folder, FIELD)
    rows = pa.record_batch([pa.array(row, pa.int32()), told], schema=EVIDENCE)
    write_boxes(path, rows, part, len(work.search.staged.files))
    return str(path)


def _frequent(work: Weighing, boxes: range) -> tuple[np.ndarray, Longs, Longs]:
    """Return author, part and row of every post by an author of these boxes who has enough of them."""
    tables = [read_boxes(path, boxes) for path in work.authors]
    author = np.concatenate([np.asarray(table.column("author")) for table in tables])
    row = np.concatenate([np.asarray(table.column("row")) for table in tables]).astype(np.int64)
    part = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    _, group, counts = np.unique(author, return_inverse=True, return_counts=True)
    keep = counts[group] >= FEWEST_POSTS
    return author[keep], part[keep], row[keep]


def _read(files: Sequence[str], part: Longs, row: Longs) -> tuple[Longs, pa.ChunkedArray]:
    """Return time and clean text of rows, which stand part by part."""
    micros, texts = [np.zeros(0, np.int64)], [pa.array([], pa.string())]
    for number in np.unique(part).tolist():
        posts = map_rows(files[number]).select(["created_at", "clean_text"])
        picked = posts.take(pa.array(row[part == number]))
        micros.append(micros_of(picked))
        texts += pc.struct_field(picked.column("clean_text"), "text").chunks
    return np.concatenate(micros), pa.chunked_array(texts)


def with_evidence(posts: pa.Table, told: pa.Table) -> pa.Table:
    """Fill in the evidence of the rows that were told; the others keep null."""
    place = posts.schema.get_field_index(STAGE)
    kind = posts.schema.field(place)
    column = posts.column(place).combine_chunks()
    weighed = np.full(posts.num_rows, np.nan, np.float32)
    weighed[np.asarray(told.column("row"))] = told.column("evidence").to_numpy()
    children = [pc.struct_field(column, field.name) for field in kind.type]
    children[kind.type.get_field_index(FIELD)] = pa.array(weighed, mask=np.isnan(weighed))
    filled = pa.StructArray.from_arrays(children, fields=list(kind.type), mask=column.is_null())
    return posts.set_column(place, kind, filled)
