"""The second half of a step, on executors: take a staged part and its duplicates, decide, write tables and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.stage import Stage
from pipelines.authors import with_evidence
from pipelines.deletions import Flags, Gone, find_gone, named
from pipelines.duplicates import Search
from pipelines.duplicates.history import RunFile
from pipelines.duplicates.memory import write_records
from pipelines.exchange import map_rows, read_box
from pipelines.staging import add_counts
from pipelines.tables import DataFile, DataFileWriter, posts_schema
from pipelines.threads.turns import post_documents, read
from pipelines.tokens.sets import ShardSummary, write_shards
from pipelines.tokens.tokenizer import Tokenizer
from schemas.columns import DUPLICATES
from schemas.post import TOMBSTONE, TOMBSTONES
from schemas.tokens import DOCUMENT

BATCH_ROWS = 8192
DELETED_COLUMNS = ("text", "extra")  # what a deleted post loses besides its stage columns


@dataclass(frozen=True)
class DecisionPlan:
    """What an executor needs to finish a part: every stage (the verdict last), the tokenizer and where to write."""

    stages: tuple[Stage, ...]
    tokenizer: Tokenizer
    staging: str
    token_set: str  # folder of the set's shards, inside the staging folder
    shard_tokens: int
    search: Search
    events: tuple[RunFile, ...] = ()  # what the epoch's own tombstones say
    edits: tuple[tuple[int, ...], ...] = ()  # rows of each box that replace a version of an earlier epoch
    evidence: tuple[str, ...] = ()  # what the posts of one author say together, boxed by part


@dataclass
class DecidedPart:
    """What became of a staged part. Counts are posts."""

    part: int
    kept: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)  # kept posts by language
    kinds: dict[str, int] = field(default_factory=dict)  # duplicates by kind
    files: list[DataFile] = field(default_factory=list)
    shards: list[ShardSummary] = field(default_factory=list)
    records: RunFile | None = None  # what the index must remember of the posts


def decide_part(box: int, part: int, decisions: pa.Table, plan: DecisionPlan) -> DecidedPart:
    """Decide every post of a staged part and write the kept and the rejected ones, documents and token shards.

    `part` is its number, `box` its place among the parts with posts. `decisions` has the columns of
    duplicates.DECISION for the rows of which there is something to say.
    """
    staged = map_rows(plan.search.staged.files[box])
    gone = find_gone(staged, plan.search.history, plan.events)
    posts = _with_duplicates(staged, decisions, gone.rows)
    if plan.evidence:
        posts = with_evidence(posts, read_box(plan.evidence, box))
    posts = posts.sort_by([("created_at", "ascending"), ("id", "ascending")])
    root = Path(plan.staging)
    schema = posts_schema(plan.stages)
    summary = DecidedPart(part)
    writers = {route: DataFileWriter(root, "posts", schema, {"route": route}) for route in ("kept", "rejected")}
    documents = DataFileWriter(root, "documents", DOCUMENT)

    def kept_documents() -> Iterator[pa.RecordBatch]:
        for batch in posts.to_batches(max_chunksize=BATCH_ROWS):
            decided = _decide(batch, plan)
            keep = pc.struct_field(decided.column("verdict"), "keep")
            kept, rejected = decided.filter(keep), decided.filter(pc.invert(keep))
            writers["kept"].write(kept)
            writers["rejected"].write(rejected)
            _count(summary, kept, rejected)
            rendered = _render(kept)
            documents.write(rendered)
            yield rendered

    with writers["kept"], writers["rejected"], documents:
        summary.shards = write_shards(
            kept_documents(), plan.tokenizer, Path(plan.token_set), f"{part:06d}", plan.shard_tokens
        )
    written = [writer.finish() for writer in (*writers.values(), documents)]
    notes = _write_notes(staged, gone, plan.edits[box] if plan.edits else (), plan)
    summary.files = [file for file in (*written, notes) if file is not None]
    summary.records = write_records(plan.search, box)
    return summary


def _write_notes(posts: pa.Table, gone: Gone, edits: tuple[int, ...], plan: DecisionPlan) -> DataFile | None:
    """Note which posts came after they had to go, whom posts name that had to go, and which replace an older version.

    What is left of the first, the names of the second and the older versions of the third are taken out between epochs.
    """
    edited = np.zeros(posts.num_rows, np.bool_)
    edited[list(edits)] = True
    late, new = posts.filter(pa.array(gone.long_ago)), posts.filter(pa.array(edited & ~gone.rows))
    notes = {"post_blanked": late.column("id"), "post_named": gone.named, "post_edited": new.column("id")}
    with DataFileWriter(Path(plan.staging), "tombstones", TOMBSTONES) as writer:
        for kind, ids in notes.items():
            columns = {field.name: pa.nulls(len(ids), field.type) for field in TOMBSTONE}
            columns |= {"kind": pa.repeat(kind, len(ids)), "post_id": ids}
            rows = pa.table(list(columns.values()), schema=TOMBSTONE)
            writer.write(named(rows, plan.search.staged.numbering.epochs[0]))
    return writer.finish()


def _with_duplicates(posts: pa.Table, decisions: pa.Table, deleted: Flags) -> pa.Table:
    """Set `duplicate_of` and the `duplicates` struct of each row from its decisions."""
    rows = posts.num_rows
    position = np.asarray(decisions.column("row"))
    links = np.asarray(decisions.column("kind").is_valid())
    where = np.full(rows, -1, np.int64)
    where[position[~links]] = np.flatnonzero(~links)
    where[position[links]] = np.flatnonzero(links)  # what a post duplicates counts before what duplicates it
    index = pa.array(where, mask=where < 0)

    def said(name: str) -> pa.Array:
        return decisions.column(name).take(index).combine_chunks()

    alone = pa.repeat(pa.scalar(1, pa.int64()), rows)
    known_author = posts.column("author_id").is_valid().cast(pa.int64()).combine_chunks()
    children = [
        said("kind"),
        pc.if_else(pa.array(where < 0), alone, said("copy")),
        pc.coalesce(said("cluster_size"), alone),
        pc.coalesce(said("cluster_authors"), known_author),
        pa.array(deleted),
    ]
    struct = pa.StructArray.from_arrays(children, fields=list(DUPLICATES))
    posts = posts.append_column("duplicate_of", decisions.column("duplicate_of").take(index))
    return posts.append_column(pa.field("duplicates", DUPLICATES), struct)


def _decide(batch: pa.RecordBatch, plan: DecisionPlan) -> pa.RecordBatch:
    verdict = plan.stages[-1]
    batch = batch.append_column(pa.field(verdict.name, verdict.output), verdict(batch.select(list(verdict.reads))))
    deleted = pc.struct_field(batch.column("duplicates"), "deleted")
    if deleted.true_count:
        batch = _blank(batch, deleted, plan.stages[:-1])
    epoch = pa.repeat(pa.scalar(plan.search.staged.numbering.epochs[0], pa.int64()), batch.num_rows)
    return batch.append_column("epoch", epoch)


def _blank(batch: pa.RecordBatch, deleted: pa.BooleanArray, stages: tuple[Stage, ...]) -> pa.RecordBatch:
    """Take the text of deleted posts, and all that was read off it, out of the row that remembers them."""
    for name in (*DELETED_COLUMNS, *(stage.name for stage in stages)):
        place = batch.schema.get_field_index(name)
        column = batch.column(name)
        gone = pa.scalar("", pa.string()) if name == "text" else pa.scalar(None, column.type)
        index = pa.array(np.arange(len(column)), mask=deleted.to_numpy(zero_copy_only=False))
        blank = pc.fill_null(column.take(index), gone) if name == "text" else column.take(index)
        batch = batch.set_column(place, batch.schema.field(place), blank)
    return batch


def _render(kept: pa.RecordBatch) -> pa.RecordBatch:
    """Make one document of each kept post: its redacted text."""
    plain = {name: kept.column(name) for name in ("id", "author_id", "created_at")}
    return post_documents(pa.RecordBatch.from_pydict({**plain, **read(kept)}))


def _count(summary: DecidedPart, kept: pa.RecordBatch, rejected: pa.RecordBatch) -> None:
    summary.kept += kept.num_rows
    summary.rejected += rejected.num_rows
    reasons = pc.list_flatten(pc.struct_field(rejected.column("verdict"), "reasons"))
    summary.reasons = add_counts(summary.reasons, reasons)
    summary.languages = add_counts(summary.languages, pc.struct_field(kept.column("language"), "lang"))
    for route in (kept, rejected):  # a policy may keep some copies
        summary.kinds = add_counts(summary.kinds, pc.struct_field(route.column("duplicates"), "kind").drop_null())
