r"""Named ways to write a conversation down: `post`, `path` and `tree`.

    post   each kept post by itself, its text as it is
    path   from where a conversation begins down to a leaf, a document for each leaf
    tree   the whole of it in reading order: a turn, then its answers, each with all below it

Speakers are A, B, ... by their first turn in the conversation, ? where a post names no author. A turn that answers
another than the one above it says whom. `[...]` opens what begins in the middle of something; `[deleted]`, `[removed]`
and `[no text]` stand for turns that others answer. What a turn quotes follows it after `>`, unless the document has it
elsewhere. Mentions that an answer begins with go, and so do the earlier turns that Weibo appends after `//@`, and what
it writes where nothing was written. A conversation of which one turn is left is that turn's text, without a name.

>>> from pipelines.threads.turns import turns_of
>>> posts = pa.table({
...     "id": ["1", "2", "3", "4", "5"],
...     "author_id": ["ann", "bob", "cat", "ann", "bob"],
...     "created_at": pa.array([1, 2, 3, 4, 5], TIME),
...     "text": ["Rain at last.", "@ann Here too!", "@ann Not here.", "@bob How much?", "@ann It rained, look"],
...     "reply_to_id": [None, "1", "1", "2", "1"],
...     "quote_of": [None, None, None, None, "2"],
... })
>>> print(render(turns_of(posts), Template.TREE, Policy()).column("text")[0])
A: Rain at last.
B: Here too!
A: How much?
C to A: Not here.
B to A: It rained, look
>>> for path in render(turns_of(posts), Template.PATH, Policy()).to_pylist():
...     print(path["document_id"], path["post_ids"], repr(path["text"]))
3/path ['1', '3'] 'A: Rain at last.\nC: Not here.'
4/path ['1', '2', '4'] 'A: Rain at last.\nB: Here too!\nA: How much?'
5/path ['1', '5', '2'] 'A: Rain at last.\nB: It rained, look\n> Here too!'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.conversations import (
    DELETED,
    EMPTY,
    NOBODY,
    OUT,
    REMOVED,
    SHOWN,
    Flags,
    Kinds,
    Longs,
    count_distinct,
    decide_fates,
    heaviest,
    path_entries,
    place_quotes,
)
from filters.kernels.transcripts import trim_turns, write_documents
from filters.kernels.utf8 import string_array, utf8_buffers
from pipelines.threads.policy import OnRejected, Policy
from pipelines.threads.trees import PATH_TURNS, REACH, Forest, Links, flags, newest_rows, plant
from pipelines.threads.turns import post_documents
from schemas.errors import ConfigError, nearest
from schemas.post import TIME
from schemas.tokens import DOCUMENT

MAX_POSTS = 20_000  # of a conversation that one document may hold
NO_DOCUMENT = pa.RecordBatch.from_pylist([], schema=DOCUMENT)
ORDER = (("created_at", "ascending"), ("document_id", "ascending"))  # of documents
BATCH_BYTES = 1 << 30  # of text in one batch


class Template(StrEnum):
    """How a conversation is written down."""

    POST = "post"
    PATH = "path"
    TREE = "tree"


def find_template(name: str) -> Template:
    """Return the template of a name; raise ConfigError, naming the nearest, when there is none."""
    names = [template.value for template in Template]
    if name not in names:
        raise ConfigError(f"unknown template {name!r}: {nearest(name, names)}")
    return Template(name)


def render(turns: pa.Table, template: Template, policy: Policy, max_posts: int = MAX_POSTS) -> pa.RecordBatch:
    """Make the documents of whole conversations, sorted by time and id, schema DOCUMENT.

    `turns` has the columns of TURN, in any order. Raises ValueError over a GiB of text: see `write_forest`.
    """
    if template is Template.POST:
        kept = turns.filter(pc.and_not(turns.column("keep"), turns.column("context"))).combine_chunks()
        return post_documents(kept.to_batches()[0]) if kept.num_rows else NO_DOCUMENT
    links = Links.of(turns)
    batches = list(write_forest(turns, links, plant(turns, links, max_posts), template, policy))
    if len(batches) > 1:
        raise ValueError(f"expected the documents of one batch, got {len(batches)} of a GiB: see write_forest")
    return batches[0] if batches else NO_DOCUMENT


@dataclass(frozen=True)
class _Documents:
    """Documents as the turns in them. `places` are places in the forest; shapes (documents + 1,), (turns,), ..."""

    bounds: Longs
    places: Longs
    middle: Flags  # of each document: something came before it
    paths: bool = False  # each turn answers the one above it


@dataclass(frozen=True)
class _Quoted:
    """Of each row: the row it quotes, -1 for none, and the row that stands for its id; shapes (rows,)."""

    by: Longs
    same: Longs


def write_forest(
    turns: pa.Table, links: Links, forest: Forest, template: Template, policy: Policy
) -> Iterator[pa.RecordBatch]:
    """Write the documents of a forest in batches of at most a GiB of text, sorted by time and id across them."""
    spans = _trim(turns, links, forest)
    fate, way = decide_turns(turns, forest, policy, spans)
    documents = _trees(forest, fate) if template is Template.TREE else _paths(forest, fate)
    if not len(documents.middle):
        return
    entries = _entries(forest, way, documents, _quoted(turns, links, spans))
    described = _describe(turns, entries, documents, spans, template)
    order = np.asarray(
        pc.sort_indices(described, sort_keys=[("created_at", "ascending"), ("document_id", "ascending")])
    )
    data, _ = utf8_buffers(turns.column("text"))
    picked, entries = _take(documents, entries, order)
    empty = np.zeros(0, np.uint8)
    offsets = write_documents(picked.bounds, entries, picked.middle, data, spans, empty)
    described = described.take(pa.array(order))
    first = 0
    while first < len(order):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + BATCH_BYTES, side="right")) - 1)
        out = np.empty(int(offsets[last] - offsets[first]), np.uint8)
        bounds = picked.bounds[first : last + 1]
        write_documents(bounds, entries, picked.middle[first:last], data, spans, out)
        texts = string_array(out, offsets[first : last + 1] - offsets[first])
        rows = described.slice(first, last - first)
        place = DOCUMENT.get_field_index("text")
        table = rows.set_column(place, DOCUMENT.field(place), pa.chunked_array([texts]))
        yield from table.cast(DOCUMENT).combine_chunks().to_batches()
        first = last


def _trim(turns: pa.Table, links: Links, forest: Forest) -> Longs:
    """Return where the words of each row's text are, shape (rows, 3), as the kernel tells them.

    Whether a post is an answer is told by its own columns: it reads the same where it is quoted.
    """
    answers = np.full(turns.num_rows, -1, np.int64)
    answered = (forest.parent >= 0) & ~forest.far
    answers[forest.rows[answered]] = forest.rows[forest.parent[answered]]
    replies = (links.reply_to >= 0) | (links.conversation >= 0)
    return trim_turns(utf8_buffers(turns.column("text")), utf8_buffers(turns.column("author_id")), answers, replies)


def decide_turns(turns: pa.Table, forest: Forest, policy: Policy, spans: Longs) -> tuple[Kinds, Kinds]:
    """Return what becomes of each turn of a forest, and on the way to others; see the kernel."""
    own = np.full(turns.num_rows, SHOWN, np.int8)
    own[spans[:, 1] == spans[:, 2]] = EMPTY
    own[~flags(turns.column("keep"))] = REMOVED
    own[flags(turns.column("deleted"))] = DELETED
    own = own[forest.rows]
    severed = forest.severed
    if policy.rejected is OnRejected.DROP_THREAD:
        severed = severed | np.isin(forest.root, np.unique(forest.root[own == REMOVED]))
    return decide_fates(forest.parent, forest.bounds, own, policy.cuts(), severed, forest.lead)


def _trees(forest: Forest, fate: Kinds) -> _Documents:
    places = np.flatnonzero(fate != OUT)
    counts = np.add.reduceat((fate != OUT).astype(np.int64), forest.bounds[:-1]) if len(fate) else np.zeros(0, np.int64)
    bounds = np.r_[0, np.cumsum(counts[counts > 0])]
    top = places[bounds[:-1]]
    return _Documents(bounds, places, forest.middle[top] | (forest.parent[top] >= 0))


def _paths(forest: Forest, fate: Kinds) -> _Documents:
    places, bounds, cut = path_entries(forest.parent, forest.first, fate, PATH_TURNS, REACH)
    top = places[bounds[:-1]]
    return _Documents(bounds, places, cut | forest.middle[top], paths=True)


def _entries(forest: Forest, fate: Kinds, documents: _Documents, quoted: _Quoted) -> Longs:
    """Return what the kernel must know of each turn of each document, shape (turns, 6)."""
    places = documents.places
    before = np.r_[-1, places[:-1]]
    opens = np.zeros(len(places), np.bool_)
    opens[documents.bounds[:-1]] = True
    parent = forest.parent[places]
    to = np.where((parent == before) & ~opens | forest.far[places] | documents.paths, -1, parent)
    rows = forest.rows[places]
    kind = fate[places].astype(np.int64)
    shown = kind == SHOWN
    quotes = np.where(shown | (kind == EMPTY), quoted.by[rows], -1)
    same = np.where(shown, quoted.same[rows], -1)
    entries = np.empty((len(places), 6), np.int64)
    entries[:, 0], entries[:, 1], entries[:, 2] = rows, kind, forest.speaker[places]
    entries[:, 3] = np.where(to >= 0, forest.speaker[to], NOBODY)
    entries[:, 4] = np.where(to >= 0, fate[to], SHOWN)
    entries[:, 5] = place_quotes(documents.bounds, same, quotes, len(quoted.by))
    return entries


def _quoted(turns: pa.Table, links: Links, spans: Longs) -> _Quoted:
    """Return what each row quotes, where that is here and to be read."""
    if links.quote.max(initial=-1) < 0:
        return _Quoted(links.quote, np.arange(turns.num_rows))
    row_of = links.row_of(newest_rows(turns, links, np.arange(turns.num_rows)))
    quoted = row_of[links.quote]
    readable = flags(turns.column("keep")) & ~flags(turns.column("deleted")) & (spans[:, 2] > spans[:, 0])
    return _Quoted(np.where(readable[quoted], quoted, -1), row_of[links.own])


def _describe(turns: pa.Table, entries: Longs, documents: _Documents, spans: Longs, template: Template) -> pa.Table:
    """Return all columns of DOCUMENT but the text, which is left empty."""
    shown = entries[:, 1] == SHOWN
    pairs = np.stack([np.where(shown, entries[:, 0], -1), entries[:, 5]], axis=1)
    used = pairs >= 0
    rows = pairs[used]
    bounds = np.r_[0, np.cumsum(used.sum(axis=1))][documents.bounds]
    first = np.flatnonzero(shown)
    heads = entries[first[np.searchsorted(first, documents.bounds[:-1])], 0]
    leaves = entries[documents.bounds[1:] - 1, 0]
    ids = turns.column("id").combine_chunks()
    named = ids.take(pa.array(heads)) if template is Template.TREE else _suffixed(ids.take(pa.array(leaves)))
    authors, voices = _codes(turns, "author_id")
    weights = (spans[:, 2] - spans[:, 0])[rows]
    columns = {
        "document_id": named,
        "text": pa.repeat("", len(heads)),
        "post_ids": pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), ids.take(pa.array(rows))),
        "author_count": pa.array(count_distinct(bounds, authors[rows], len(voices)), pa.int32()),
        "domain": turns.column("domain").take(pa.array(heads)),
        "created_at": _newest(turns, rows, bounds),
    }
    for name in ("language", "topic"):
        codes, words = _codes(turns, name)
        best = heaviest(bounds, codes[rows], weights, len(words))
        columns[name] = words.take(pa.array(best, mask=best < 0))
    return pa.table([columns[name] for name in DOCUMENT.names], schema=DOCUMENT)


def _suffixed(ids: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(ids, Template.PATH.value, "/")


def _codes(turns: pa.Table, name: str) -> tuple[Longs, pa.Array]:
    """Return a number for each row's value, -1 for none, and the values."""
    encoded = turns.column(name).combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int64), encoded.dictionary


def _newest(turns: pa.Table, rows: Longs, bounds: Longs) -> pa.Array:
    """Return the latest time among some rows, stretch by stretch; null where none has one."""
    micros = turns.column("created_at").cast(pa.int64())
    none = np.iinfo(np.int64).min
    latest = np.maximum.reduceat(np.asarray(pc.fill_null(micros, none))[rows], bounds[:-1])
    return pa.array(latest, mask=latest == none).cast(TIME)


def _take(documents: _Documents, entries: Longs, order: Longs) -> tuple[_Documents, Longs]:
    """Return documents and their entries in another order."""
    counts = np.diff(documents.bounds)[order]
    bounds = np.r_[0, np.cumsum(counts)]
    picked = np.arange(bounds[-1]) - np.repeat(bounds[:-1], counts) + np.repeat(documents.bounds[:-1][order], counts)
    return replace(documents, bounds=bounds, middle=documents.middle[order], places=picked), entries[picked]
