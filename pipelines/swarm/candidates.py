"""Documents that members may read, with what decides about them and their tokens, in files that are boxed by day.

Each document is tokenized once, for all members. A plan measures the tokens of a sample instead and goes by bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.duplicates.records import Longs, hash_ids
from pipelines.exchange import Run, in_groups, new_file, read_boxes, write_boxes
from pipelines.report.clusters import COPIES
from pipelines.swarm.inputs import TASK_BYTES, days_of, read_posts
from pipelines.swarm.selection import FACTS, Flags, fitting, mixed_hash
from pipelines.threads.turns import post_documents
from pipelines.tokens.shards import rows_with_tokens
from pipelines.tokens.tokenizer import TOKENS, Tokenizer
from schemas.post import TIME
from schemas.swarm import Member

CANDIDATE = pa.schema(
    [
        *FACTS,
        pa.field("created_at", TIME),
        pa.field("post_ids", pa.list_(pa.string())),
        pa.field("tokens", TOKENS),  # null in a plan
    ]
)
"""A document that a member may read."""

SAMPLE_DOCUMENTS = 512  # of a file, whose tokens a plan counts


@dataclass(frozen=True)
class Gathering:
    """What is gathered: documents of some days that one of some members may read, in files below a folder."""

    folder: str
    tokenizer: Tokenizer
    days: tuple[int, ...] = ()
    members: tuple[Member, ...] = ()
    estimate: bool = False  # sizes by bytes, and no tokens


@dataclass(frozen=True)
class Gathered:
    """Files of CANDIDATE, each with a box for each of the days."""

    days: tuple[int, ...]
    files: tuple[str, ...]

    def of_day(self, day: int) -> pa.Table:
        """Map the candidates of a day into memory."""
        box = self.days.index(day)
        parts = [read_boxes(path, (box,)) for path in self.files]
        return pa.concat_tables(parts) if parts else CANDIDATE.empty_table()


def gather_posts(run: Run, order: Gathering, paths: Sequence[str], sizes: Sequence[int]) -> Gathered:
    """Make a document of each kept post in some files of the posts table; as `pipelines.deciding` makes them."""
    made = in_groups(run, sizes, TASK_BYTES, lambda task: _gather_file(order, paths[task]))
    return Gathered(order.days, tuple(path for path in made if path))


def _gather_file(order: Gathering, path: str) -> str | None:
    """Write the candidates of a file; None where it has none."""
    batches = [candidates for posts in read_posts(path) for candidates in _candidates(posts, order)]
    return write_candidates(pa.concat_tables(batches), order) if batches else None


def write_candidates(candidates: pa.Table, order: Gathering) -> str:
    """Write candidates into a file of their own, boxed by day."""
    path = new_file(order.folder, "candidates")
    rows = candidates.combine_chunks().to_batches()[0]
    boxes = np.searchsorted(np.array(order.days), days_of(candidates))
    write_boxes(path, rows, boxes, len(order.days))
    return str(path)


def _candidates(posts: pa.Table, order: Gathering) -> Iterator[pa.Table]:
    dated = posts.filter(posts.column("created_at").is_valid())
    there = dated.filter(pa.array(np.isin(days_of(dated), np.array(order.days))))
    facts = facts_of_posts(there)
    wanted = pa.array(wanted_by_any(facts, order.members))
    picked = there.filter(wanted).combine_chunks()
    if picked.num_rows:
        documents = pa.Table.from_batches([post_documents(picked.to_batches()[0])])
        yield from measured(documents, facts.filter(wanted), order)


def wanted_by_any(facts: pa.Table, members: Sequence[Member]) -> Flags:
    """Tell which documents the filters of some member leave."""
    return np.logical_or.reduce([fitting(facts, member) for member in members])


def facts_of_posts(posts: pa.Table) -> pa.Table:
    """Return what decides about each post as a document of its own; its size is that of its text, in bytes."""
    copies = _copies(posts)
    original = pc.if_else(copies, pc.coalesce(posts.column("duplicate_of"), posts.column("id")), posts.column("id"))
    columns = {
        "document_id": posts.column("id"),
        "size": pc.binary_length(pc.fill_null(posts.column("text"), "")).cast(pa.int64()),
        "author": _hashes(posts.column("author_id")),
        "campaign": _hashes(original),
        **{name: posts.column(name) for name in ("language", "domain", "topic", "quality")},
        "version": posts.column("epoch"),
    }
    return pa.table([columns[name] for name in FACTS.names], schema=FACTS)


def _copies(posts: pa.Table) -> pa.ChunkedArray:
    """Tell which posts copy another; a post that is delivered or edited again is no copy."""
    return pc.fill_null(pc.is_in(posts.column("kind"), value_set=pa.array(COPIES)), False)


def _hashes(ids: pa.ChunkedArray) -> pa.Array:
    return pa.array(hash_ids(ids), mask=~np.asarray(ids.is_valid()))


def measured(documents: pa.Table, facts: pa.Table, order: Gathering) -> Iterator[pa.Table]:
    """Yield documents as candidates, their sizes in tokens: counted, or estimated where no tokens are wanted."""
    if order.estimate:
        sizes = pa.array(estimated(documents, order.tokenizer))
        yield _joined(documents, facts, sizes, pa.nulls(documents.num_rows, TOKENS))
        return
    start = 0
    for rows, lengths in rows_with_tokens(documents.combine_chunks().to_batches(), order.tokenizer):
        some = slice(start, start := start + rows.num_rows)
        part, about = (table.slice(some.start, rows.num_rows) for table in (documents, facts))
        yield _joined(part, about, pa.array(lengths), rows.column("tokens"))


def _joined(documents: pa.Table, facts: pa.Table, sizes: pa.Array, tokens: pa.Array) -> pa.Table:
    columns = {name: facts.column(name) for name in FACTS.names}
    columns |= {"size": sizes, "tokens": tokens}
    columns |= {name: documents.column(name) for name in ("created_at", "post_ids")}
    return pa.table([columns[name] for name in CANDIDATE.names], schema=CANDIDATE)


def estimated(documents: pa.Table, tokenizer: Tokenizer) -> Longs:
    """Return how many tokens each document has, about: its bytes by what a sample of its language has a byte."""
    size = pc.binary_length(documents.column("text")).to_numpy().astype(np.float64)
    number = mixed_hash(hash_ids(documents.column("document_id")), 0)
    sample = np.sort(np.argsort(number, kind="stable")[:SAMPLE_DOCUMENTS])
    texts = documents.column("text").take(pa.array(sample)).combine_chunks()
    counts = np.asarray(pc.list_value_length(tokenizer.encode(texts))).astype(np.float64)
    language = pc.fill_null(documents.column("language"), "").combine_chunks().dictionary_encode()
    code = np.asarray(language.indices)
    bytes_of = np.bincount(code[sample], weights=size[sample], minlength=len(language.dictionary))
    tokens_of = np.bincount(code[sample], weights=counts, minlength=len(language.dictionary))
    everywhere = counts.sum() / max(1.0, size[sample].sum())
    rate = np.divide(tokens_of, bytes_of, out=np.full(len(bytes_of), everywhere), where=bytes_of > 0)
    end = 0 if tokenizer.end_of_document is None else 1
    return np.maximum(1, np.rint(size * rate[code]).astype(np.int64) + end)
