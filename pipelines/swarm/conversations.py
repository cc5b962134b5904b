"""Conversations as what members read: built anew from all posts for each publication, and counted by day.

A conversation lies on the day of its newest post, and counts once it has been quiet for long enough. Its author, its
campaign and its quality are those of the post it begins with.

    documents -> boxes by the post they begin with \\
                                                     joined -> candidates, boxed by day
    kept posts -> boxes by their id                /
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.duplicates.records import Longs, hash_ids
from pipelines.exchange import Run, in_groups, map_rows, new_file, read_box, write_boxes
from pipelines.swarm.candidates import (
    Gathered,
    Gathering,
    facts_of_posts,
    measured,
    wanted_by_any,
    write_candidates,
)
from pipelines.swarm.days import EPOCH_DAY
from pipelines.swarm.inputs import TASK_BYTES, WORD, Inputs, days_of, digests_of, read_posts, sums_by_day
from pipelines.swarm.selection import FACTS
from pipelines.tables import data_files
from pipelines.threads.conversations import ThreadsOrder, build_conversations
from pipelines.threads.policy import OnRejected, Policy
from pipelines.threads.templates import Template
from schemas.swarm import Member
from schemas.tokens import DOCUMENT

DOCUMENTS_PER_BOX = 200_000
FACT = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),  # hash of the post's id
        *(FACTS.field(name) for name in ("author", "campaign", "quality", "version")),
    ]
)


@dataclass(frozen=True)
class Told:
    """The documents of one recipe: their files, and of each day how many there are and a digest."""

    files: tuple[str, ...] = ()
    documents: int = 0
    posts: dict[int, int] = field(default_factory=dict)  # documents, by day
    digests: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Telling:
    """Which conversations are built: as a member reads them, of some days, closed by the end of the newest one."""

    member: Member
    days: range
    newest: int


def tell(root: Path, run: Run, wanted: Telling, folder: str) -> Told:
    """Build conversations and count them by day; tasks leave files in the folder."""
    member, days, newest = wanted.member, wanted.days, wanted.newest
    files = [str(root / file.table / file.path) for file in data_files(root, "posts")]
    order = ThreadsOrder(
        template=Template(member.template),
        policy=Policy(OnRejected(member.on_rejected)),
        quiet_hours=member.quiet_hours,
        as_of=_midnight(newest + 1),
        since=_midnight(days.start),
        until=_midnight(days.stop),
    )
    built = build_conversations(run, sorted(files), order, folder)
    counted = in_groups(run, _sizes(built.files), TASK_BYTES, lambda task: _count(built.files[task]))
    posts: dict[int, int] = {}
    digests: dict[int, int] = {}
    for day, count, digest in (one for some in counted for one in some):
        posts[day] = posts.get(day, 0) + count
        digests[day] = (digests.get(day, 0) + digest) & WORD
    return Told(built.files, built.documents, posts, digests)


def _midnight(day: int) -> datetime:
    return datetime(EPOCH_DAY.year, EPOCH_DAY.month, EPOCH_DAY.day, tzinfo=UTC) + timedelta(days=day)


def _sizes(files: Sequence[str]) -> list[int]:
    return [Path(file).stat().st_size for file in files]


def _count(path: str) -> list[tuple[int, int, int]]:
    """Count the documents of a file by day and digest them: ids, texts and all that is told of them."""
    documents = map_rows(path)
    told = documents.drop_columns(["post_ids", "author_count"])
    return list(sums_by_day(days_of(documents), digests_of(told)))


def gather_conversations(run: Run, inputs: Inputs, root: Path, told: Told, order: Gathering) -> Gathered:
    """Make candidates of the documents of some days; `order` says which."""
    boxes = max(1, -(-told.documents // DOCUMENTS_PER_BOX))
    documents = in_groups(
        run, _sizes(told.files), TASK_BYTES, lambda task: _box_documents(told.files[task], order, boxes)
    )
    paths = [str(root / "posts" / file) for file in inputs.files]
    sizes = list(inputs.sizes.values())
    facts = in_groups(run, sizes, TASK_BYTES, lambda task: _box_facts(paths[task], order.folder, boxes))
    found = run(boxes, partial(_join, order, documents, facts), even=True)
    return Gathered(order.days, tuple(path for path in found if path))


def _box_documents(path: str, order: Gathering, boxes: int) -> str:
    documents = map_rows(path)
    there = documents.filter(pa.array(np.isin(days_of(documents), np.array(order.days))))
    first = pc.list_element(there.column("post_ids"), 0)
    out = new_file(order.folder, "beginnings")
    write_boxes(out, _batch(there), _box_of(hash_ids(first), boxes), boxes)
    return str(out)


def _box_facts(path: str, folder: str, boxes: int) -> str:
    parts = [FACT.empty_table()]
    for posts in read_posts(path):
        facts = facts_of_posts(posts)
        columns = {"key": pa.array(hash_ids(posts.column("id"))), **{one: facts.column(one) for one in FACT.names[1:]}}
        parts.append(pa.table([columns[name] for name in FACT.names], schema=FACT))
    rows = pa.concat_tables(parts)
    out = new_file(folder, "facts")
    write_boxes(out, _batch(rows), _box_of(np.asarray(rows.column("key")), boxes), boxes)
    return str(out)


def _box_of(keys: Longs, boxes: int) -> Longs:
    return (keys.view(np.uint64) % np.uint64(boxes)).astype(np.int64)


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _join(order: Gathering, documents: Sequence[str], facts: Sequence[str], box: int) -> str | None:
    """Write the candidates of a box; None where it has none."""
    rows = read_box(documents, box) if documents else DOCUMENT.empty_table()
    if not rows.num_rows:
        return None
    known = _known(read_box(facts, box) if facts else FACT.empty_table(), rows)
    columns: Mapping[str, pa.ChunkedArray | pa.Array] = {
        "document_id": rows.column("document_id"),
        "size": pc.binary_length(rows.column("text")).cast(pa.int64()),
        **{name: rows.column(name) for name in ("language", "domain", "topic")},
        **{name: known.column(name) for name in ("author", "campaign", "quality")},
        "version": pa.repeat(pa.scalar(0, pa.int64()), rows.num_rows),
    }
    told = pa.table([columns[name] for name in FACTS.names], schema=FACTS)
    wanted = pa.array(wanted_by_any(told, order.members))
    picked = rows.filter(wanted)
    if not picked.num_rows:
        return None
    return write_candidates(pa.concat_tables(measured(picked, told.filter(wanted), order)), order)


def _known(facts: pa.Table, documents: pa.Table) -> pa.Table:
    """Return what is known of the post that each document begins with, nulls where it is not there."""
    order = np.asarray(pc.sort_indices(facts, sort_keys=[("key", "ascending"), ("version", "ascending")]))
    keys = np.asarray(facts.column("key"))[order]
    wanted = hash_ids(pc.list_element(documents.column("post_ids"), 0))
    place = np.searchsorted(keys, wanted, side="right") - 1  # the newest version
    there = place >= 0
    there[there] = keys[place[there]] == wanted[there]
    return facts.take(pa.array(np.where(there, order[np.maximum(place, 0)] if len(order) else 0, 0), mask=~there))
