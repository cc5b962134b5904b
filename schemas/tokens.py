"""Documents, token shards and the manifest of a token set."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from schemas.post import TIME

DOCUMENT = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False, metadata={"doc": "id of the post or conversation"}),
        pa.field("text", pa.string(), nullable=False, metadata={"doc": "rendered text, personal data redacted"}),
        pa.field("post_ids", pa.list_(pa.string()), nullable=False, metadata={"doc": "posts it was made of, in order"}),
        pa.field("author_count", pa.int32(), metadata={"doc": "distinct authors"}),
        pa.field("language", pa.string(), metadata={"doc": "BCP 47, `und` when it could not be told"}),
        pa.field("domain", pa.string(), metadata={"doc": "platform or collection"}),
        pa.field("topic", pa.string(), metadata={"doc": "what it is about, as `quality.topic`; null when not clear"}),
        pa.field("created_at", TIME, metadata={"doc": "time of its newest post"}),
    ]
)
"""What becomes a training sequence: one post, or one conversation."""

TOKEN_SHARD = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False, metadata={"doc": "the document these tokens spell"}),
        pa.field("tokens", pa.list_(pa.int32()), nullable=False, metadata={"doc": "token ids; one row, one document"}),
        pa.field("post_ids", pa.list_(pa.string()), nullable=False, metadata={"doc": "posts inside, for deletions"}),
        pa.field("language", pa.string(), metadata={"doc": "BCP 47"}),
        pa.field("created_at", TIME, metadata={"doc": "time of its newest post"}),
    ]
)
"""One row per document: row boundaries are document boundaries."""

SPAN = pa.struct(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("post_ids", pa.list_(pa.string()), nullable=False),
        pa.field("language", pa.string()),
        pa.field("created_at", TIME),
    ]
)
"""Whose the tokens between two boundaries of a packed sequence are; a piece of a cut document names all of it."""

SHORTEST_CONTEXT, LONGEST_CONTEXT = 512, 131_072
DEFAULT_CONTEXT = 8192


def packed_shard(context_tokens: int) -> pa.Schema:
    """Return the columns of a packed shard: one row is one sequence of `context_tokens` ids, padding included."""
    return pa.schema(
        [
            pa.field(
                "tokens",
                pa.list_(pa.field("element", pa.int32(), nullable=False), context_tokens),
                nullable=False,
                metadata={"doc": "token ids, documents one after the other, then padding"},
            ),
            pa.field("filled", pa.int32(), nullable=False, metadata={"doc": "ids that are not padding"}),
            pa.field(
                "cu_seqlens",
                pa.list_(pa.int32()),
                nullable=False,
                metadata={"doc": "boundaries of the documents: 0 first, `filled` last"},
            ),
            pa.field(
                "documents",
                pa.list_(SPAN),
                nullable=False,
                metadata={"doc": "whose the tokens between two boundaries are; a cut document is named by each piece"},
            ),
        ]
    )


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shard(_Part):
    """One file of a token set."""

    file: str
    sha256: str
    bytes: int
    documents: int  # of a packed shard: spans, of which a document that was cut has several
    tokens: int  # padding not counted
    sequences: int = 0  # of a packed shard: rows


class TokenizerCard(_Part):
    """Which tokenizer the ids belong to."""

    name: str
    sha256: str
    vocabulary: int
    end_of_document: int | None = None  # the id that ends every document; None where the tokenizer declares none


class Manifest(_Part):
    """The contents of one immutable version of a member's token set."""

    schema_version: int = Field(default=1, description="of this file")
    member: str = Field(description="whose token set it is")
    version: str = Field(description="`v` and a number; no number is used twice")
    documents: int = Field(description="of all shards: rows, or spans of packed sequences")
    tokens: int = Field(description="of all shards, padding not counted")
    shards: tuple[Shard, ...] = Field(description="file, sha256, bytes, documents and tokens of each")
    tokenizer: TokenizerCard = Field(description="name, sha256, vocabulary and end_of_document, the id that ends each")
    languages: dict[str, int] = Field(description="tokens by language")
    first_created_at: datetime | None = Field(description="time of the first document that has one")
    last_created_at: datetime | None = Field(description="time of the last document that has one")
    config_hash: str = Field(description="of the config that its documents were made with")
    models: dict[str, str] = Field(description="sha256 by stage")
    swarmfeed_version: str = Field(description="what wrote it")
    replaces: tuple[str, ...] = Field(
        default=(), description="versions that it stands for: the oldest, and all that were on disk when it was written"
    )
    forgotten: int = Field(default=0, description="documents taken out since they were first written")
    receipts: tuple[str, ...] = Field(default=(), description="of what was forgotten")
    context_tokens: int | None = Field(default=None, description="ids of a sequence; null where rows are documents")
    sequences: int = Field(default=0, description="rows of all shards of a packed set")
    group_sequences: int = Field(
        default=0, description="rows of each row group of a packed set, but for the last of a shard"
    )
    sequences_of: str | None = Field(
        default=None, description="version whose sequences these are, less what was forgotten; null for its own"
    )
    swarm: dict[str, Any] | None = Field(default=None, description="settings of the member it was published with")
    mix: dict[str, Any] = Field(default={}, description="shares of the mix, achieved and asked")
    table_versions: dict[str, int] = Field(default={}, description="of the tables that were read, by name")
    days: dict[str, Any] = Field(default={}, description="what each day of the window gave")
