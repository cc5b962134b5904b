"""Posts as turns: the few columns that a conversation is made of, with the text that may be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.duplicates.records import edit_times
from schemas.post import TIME
from schemas.tokens import DOCUMENT

TURN = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("author_id", pa.string()),
        pa.field("created_at", TIME),
        pa.field("text", pa.string(), nullable=False),  # redacted; empty where the post is deleted
        pa.field("reply_to_id", pa.string()),
        pa.field("conversation_id", pa.string()),
        pa.field("repost_of", pa.string()),
        pa.field("quote_of", pa.string()),
        pa.field("version", pa.int64(), nullable=False),  # when it was last edited, microseconds since 1970; 0 never
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("deleted", pa.bool_(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("context", pa.bool_(), nullable=False),  # no turn here: brought along to be quoted
    ]
)
"""A post as a conversation sees it."""

READS = (
    "id",
    "author_id",
    "created_at",
    "text",
    "reply_to_id",
    "conversation_id",
    "repost_of",
    "quote_of",
    "source",
    "extra",
    "pii",
    "language",
    "quality",
    "verdict",
    "duplicates",
)
"""Columns of the posts table that turns are made of."""


def turns_of(posts: pa.Table | pa.RecordBatch) -> pa.Table:
    """Turn posts into turns: rows of the posts table, or posts as they were read, all of which are kept.

    The text of a post that was redacted is what its document would say.
    """
    columns: dict[str, Any] = {field.name: _column(posts, field.name, field.type) for field in TURN}
    extra = _column(posts, "extra", pa.string())
    columns |= {
        **read(posts),
        "version": edit_times(extra if isinstance(extra, pa.ChunkedArray) else pa.chunked_array([extra])),
        "keep": pc.fill_null(_said(posts, "verdict", "keep", pa.bool_()), "verdict" not in posts.schema.names),
        "deleted": pc.fill_null(_said(posts, "duplicates", "deleted", pa.bool_()), False),
        "context": pc.fill_null(columns["context"], False),
    }
    return pa.table([columns[name] for name in TURN.names], schema=TURN)


def read(posts: pa.Table | pa.RecordBatch) -> dict[str, Any]:
    """Return what may be read of each post, its redacted text where it has one, and what was found of it."""
    redacted = "pii" in posts.schema.names
    text = _said(posts, "pii", "redacted", pa.string()) if redacted else posts.column("text")
    return {
        "text": pc.fill_null(text, ""),
        "language": _said(posts, "language", "lang", pa.string()),
        "domain": _column(posts, "source", pa.string()),
        "topic": _said(posts, "quality", "topic", pa.string()),
    }


def post_documents(posts: pa.RecordBatch) -> pa.RecordBatch:
    """Make one document of each post: its text. Reads `id`, `author_id`, `created_at` and the columns of `read`."""
    ids = posts.column("id")
    rows = len(ids)
    columns = {
        "document_id": ids,
        "text": posts.column("text"),
        "post_ids": pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32)), ids),
        "author_count": posts.column("author_id").is_valid().cast(pa.int32()),
        **{name: posts.column(name) for name in ("language", "domain", "topic", "created_at")},
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in DOCUMENT.names], schema=DOCUMENT)


def _column(posts: pa.Table | pa.RecordBatch, name: str, kind: pa.DataType) -> Any:
    """Return a column, or nothing but nulls where there is none."""
    if name not in posts.schema.names or posts.schema.field(name).type != kind:
        return pa.nulls(posts.num_rows, kind)
    return posts.column(name)


def _said(posts: pa.Table | pa.RecordBatch, stage: str, name: str, kind: pa.DataType) -> Any:
    """Return what a stage says of each post, null where the posts have no such column."""
    if stage not in posts.schema.names or not pa.types.is_struct(posts.schema.field(stage).type):
        return pa.nulls(posts.num_rows, kind)
    return pc.struct_field(posts.column(stage), name)
