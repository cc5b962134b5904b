"""The canonical post, and the two other rows that reading yields: tombstones and quarantined records."""

from __future__ import annotations

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")

POST = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False, metadata={"doc": "platform id of the post, unique per platform"}),
        pa.field("author_id", pa.string(), metadata={"doc": "platform id of the account that posted"}),
        pa.field("created_at", TIME, metadata={"doc": "when the post says it was made, UTC; null when unknown"}),
        pa.field("text", pa.string(), nullable=False, metadata={"doc": "the full text, markup resolved, never edited"}),
        pa.field("lang_hint", pa.string(), metadata={"doc": "language the platform or client claims; noisy"}),
        pa.field("reply_to_id", pa.string(), metadata={"doc": "id of the post this answers"}),
        pa.field("conversation_id", pa.string(), metadata={"doc": "id of the post the conversation began with"}),
        pa.field("repost_of", pa.string(), metadata={"doc": "id of the original when this is a plain repost"}),
        pa.field("quote_of", pa.string(), metadata={"doc": "id of the post this quotes with words of its own"}),
        pa.field("source", pa.string(), metadata={"doc": "platform or collection the post came from"}),
        pa.field("extra", pa.string(), metadata={"doc": "whatever else the platform sent that is worth keeping, JSON"}),
    ]
)
"""One message in the canonical columns; only `id` and `text` are required."""

TOMBSTONE = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False, metadata={"doc": "one of TOMBSTONE_KINDS"}),
        pa.field("source", pa.string(), metadata={"doc": "platform the event came from"}),
        pa.field("post_id", pa.string(), metadata={"doc": "the post that must go; null when the author must"}),
        pa.field("author_id", pa.string(), metadata={"doc": "the author concerned, where the platform says"}),
        pa.field("event_at", TIME, metadata={"doc": "when the platform says it happened"}),
        pa.field("done_at", TIME, metadata={"doc": "when the post was gone from every table and set; null while open"}),
    ]
)
"""The part of an event that says something must go."""

TOMBSTONES = pa.schema(
    [
        *TOMBSTONE,
        pa.field("epoch", pa.int64(), metadata={"doc": "the epoch that read it; null when `swarmfeed forget` asked"}),
        pa.field("name", pa.int64(), metadata={"doc": "hash of the id it is about; stays when the ids are gone"}),
    ]
)
"""A tombstone as the table keeps it."""

NOTES = (
    "post_blanked",  # the post came after it had to go: its row without a text must follow
    "post_named",  # a post that had to go is named by one that came later: there its name must go
    "post_edited",  # an edit came in a later epoch: the version before it must make room
)
"""Tombstones of our own, which no platform sent."""

TOMBSTONE_KINDS = (
    "post_deleted",  # the post must go
    "post_withheld",  # the platform withdrew the post
    "post_superseded",  # an edit replaced this version by another id
    "post_restored",  # an earlier deletion was taken back
    "author_gone",  # account deleted, suspended or made private: every post of the author must go
    "author_withheld",
    "author_restored",
    "geo_scrubbed",  # locations must go (none are kept in the canonical columns)
    *NOTES,
)

QUARANTINE = pa.schema(
    [
        pa.field("raw", pa.binary(), metadata={"doc": "the record as it came, cut after QUARANTINE_RAW_BYTES"}),
        pa.field("raw_bytes", pa.int64(), metadata={"doc": "how long the record was before the cut"}),
        pa.field("file", pa.string(), metadata={"doc": "where it came from"}),
        pa.field("line", pa.int64(), metadata={"doc": "line (JSONL, CSV) or row (Parquet) in that file, from 1"}),
        pa.field("stage", pa.string(), metadata={"doc": "`read`, or the stage that failed"}),
        pa.field("fault", pa.string(), nullable=False, metadata={"doc": "one of schemas.reasons.Fault"}),
        pa.field("error", pa.string(), metadata={"doc": "what was expected and what came; never the text"}),
    ]
)
"""A record that did not become a post, with enough to find it again."""

QUARANTINE_RAW_BYTES = 1 << 20
