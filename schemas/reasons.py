"""The closed lists of why a post was rejected and why a record was quarantined."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why the verdict rejects a post. A post may have several."""

    EMPTY = "empty"  # nothing to read once links, mentions and marks are gone
    TOO_SHORT = "too_short"  # fewer readable characters than the language needs
    LANGUAGE_UNKNOWN = "language_unknown"  # the language could not be told
    LANGUAGE_UNWANTED = "language_unwanted"  # told, and not on the list asked for
    HASHTAGS = "hashtags"  # mostly hashtags, or a list of them with hardly a word for each
    MENTIONS = "mentions"  # mostly mentions
    LINKS = "links"  # mostly links, or a list of them with hardly a word for each
    EMOJI = "emoji"  # mostly emoji
    SHOUTING = "shouting"  # mostly capitals, and no calm headline
    REPETITION = "repetition"  # the same words or characters over and over
    GIBBERISH = "gibberish"  # character entropy far off that of language
    TEMPLATE = "template"  # the fixed shape of an automatic post
    ENGAGEMENT_BAIT = "engagement_bait"  # asks for likes, shares, follows or comments more than it says
    QUALITY = "quality"  # trained quality score under the threshold
    SPAM = "spam"  # trained spam score over the threshold
    TOXICITY = "toxicity"  # trained toxicity score over the threshold
    AI_TEXT = "ai_text"  # machine-written score over the threshold (off unless asked for)
    CONTAMINATED = "contaminated"  # holds the wording of an evaluation item
    EXACT_DUPLICATE = "exact_duplicate"  # the normalised text was seen before
    NEAR_DUPLICATE = "near_duplicate"  # nearly the same text was seen before
    REPOST = "repost"  # points at an original by id
    CAMPAIGN = "campaign"  # part of a burst: the cluster is larger than allowed, the original goes too
    REPEATED_ID = "repeated_id"  # the same post delivered again
    SUPERSEDED = "superseded"  # a newer version of the same id is in the run
    DELETED = "deleted"  # a tombstone in the run names the post or its author


class Fault(StrEnum):
    """Why a record went to quarantine instead of becoming a post."""

    BAD_JSON = "bad_json"  # not one JSON object
    BAD_ENCODING = "bad_encoding"  # invalid UTF-8, or a lone surrogate
    BAD_TYPE = "bad_type"  # a field holds another type than its column
    BAD_TIME = "bad_time"  # a time that cannot be read or stored
    MISSING_ID = "missing_id"
    MISSING_TEXT = "missing_text"
    NUL = "nul"  # a NUL character in an id or a text
    TOO_LONG = "too_long"  # the record is longer than max_record_bytes
    TOO_DEEP = "too_deep"  # nested deeper than any platform sends
    TRUNCATED = "truncated"  # the file ends in the middle of a record
    UNKNOWN_EVENT = "unknown_event"  # well-formed, of no kind the format knows
    STAGE_FAILED = "stage_failed"  # a stage could not look at this row
