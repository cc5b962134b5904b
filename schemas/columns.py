"""The struct column each stage adds, by stage name. Scores are in [0, 1] and mean more of the column's name."""

from __future__ import annotations

import pyarrow as pa

SCORE = pa.float32()


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


CLEAN_TEXT = pa.struct(
    [
        pa.field("text", pa.string(), metadata=_doc("the text with entities, mojibake and invisible marks resolved")),
        pa.field("changed", pa.bool_(), metadata=_doc("true when it differs from `text`")),
    ]
)

LANGUAGE = pa.struct(
    [
        pa.field("lang", pa.string(), metadata=_doc("BCP 47; `und` when it cannot be told")),
        pa.field("confidence", SCORE, metadata=_doc("probability of `lang`; of the best guess when `und`")),
        pa.field("second", pa.string(), metadata=_doc("BCP 47 of the language of a part; null when there is but one")),
        pa.field("second_share", SCORE, metadata=_doc("share of the letters in it; null when there is but one")),
    ]
)

QUALITY = pa.struct(
    [
        pa.field("score", SCORE, metadata=_doc("trained: reads like something a person meant to say well")),
        pa.field("readable_chars", pa.int32(), metadata=_doc("letters and digits outside links, mentions, hashtags")),
        pa.field("words", pa.int32(), metadata=_doc("words outside links, mentions, hashtags; CJK counts characters")),
        pa.field("hashtag_share", SCORE, metadata=_doc("share of non-space characters inside hashtags")),
        pa.field("mention_share", SCORE, metadata=_doc("share of non-space characters inside mentions")),
        pa.field("link_share", SCORE, metadata=_doc("share of non-space characters inside links")),
        pa.field("emoji_share", SCORE, metadata=_doc("share of non-space characters that are emoji")),
        pa.field(
            "upper_share", SCORE, metadata=_doc("share of cased letters that are capitals; null in caseless text")
        ),
        pa.field(
            "repetition", SCORE, metadata=_doc("share of words that repeat, or of the longest run of one character")
        ),
        pa.field("entropy", SCORE, metadata=_doc("bits per readable character, case folded")),
        pa.field("template", pa.bool_(), metadata=_doc("has the fixed shape of an automatic post")),
        pa.field("bait_share", SCORE, metadata=_doc("share of words that ask for likes, shares, follows or comments")),
        pa.field("words_per_hashtag", SCORE, metadata=_doc("words for each hashtag; null under five hashtags")),
        pa.field("words_per_link", SCORE, metadata=_doc("words for each link; null under three links")),
        pa.field("exclamations", pa.int32(), metadata=_doc("exclamation marks")),
        pa.field("has_code", pa.bool_(), metadata=_doc("holds a piece of code, markup, a command or a stack trace")),
        pa.field("is_question", pa.bool_(), metadata=_doc("its first or last sentence asks something")),
        pa.field(
            "topic",
            pa.string(),
            metadata=_doc(
                "crime, entertainment, finance, food, health, politics, religion, science, sport, technology, travel, "
                "weather; null when not clear"
            ),
        ),
    ]
)

SPAM = pa.struct([pa.field("score", SCORE, metadata=_doc("probability of spam"))])
TOXICITY = pa.struct([pa.field("score", SCORE, metadata=_doc("probability of abuse; null outside its languages"))])
AI_TEXT = pa.struct(
    [
        pa.field("score", SCORE, metadata=_doc("probability of machine-written text, from the post alone")),
        pa.field(
            "evidence",
            SCORE,
            metadata=_doc("the same from all of its author's posts in the step; null under 10 scored posts"),
        ),
    ]
)

LINKED = pa.struct(
    [
        pa.field("host", pa.string(), metadata=_doc("host name in lower case, without `www.`")),
        pa.field(
            "kind",
            pa.string(),
            metadata=_doc("government, academic, news, reference, platform, shortener, shop, unknown"),
        ),
    ]
)
CREDIBILITY = pa.struct(
    [
        pa.field("score", SCORE, metadata=_doc("trained on labels of your own; null without a model")),
        pa.field(
            "kind", pa.string(), metadata=_doc("claim, opinion, mixed, question; null when it shows none of them")
        ),
        pa.field("hedging", SCORE, metadata=_doc("share of words that hedge or doubt; null outside English")),
        pa.field("figure", pa.bool_(), metadata=_doc("a number stands in it, by itself; null outside English")),
        pa.field("quote", pa.bool_(), metadata=_doc("three words or more in quotation marks; null outside English")),
        pa.field("named_source", pa.bool_(), metadata=_doc("a name is said to have said it; null outside English")),
        pa.field("links", pa.list_(LINKED), metadata=_doc("where its links lead, in order, in every language")),
    ]
)

PII_SPAN = pa.struct(
    [
        pa.field("kind", pa.string(), metadata=_doc("email, phone, card, iban, ip, national_id")),
        pa.field("start", pa.int32(), metadata=_doc("first character in clean_text.text, from 0")),
        pa.field("end", pa.int32(), metadata=_doc("one past the last character")),
    ]
)
PII = pa.struct(
    [
        pa.field("spans", pa.list_(PII_SPAN), metadata=_doc("what was found, in order, never overlapping")),
        pa.field("redacted", pa.string(), metadata=_doc("clean_text.text with each span replaced by its placeholder")),
    ]
)

SKETCH = pa.struct(
    [
        pa.field("fingerprint", pa.int64(), metadata=_doc("hash of the normalised text: equal for exact duplicates")),
        pa.field("bands", pa.list_(pa.int64()), metadata=_doc("one key per MinHash band; null when nothing is left")),
        pa.field("signature", pa.binary(), metadata=_doc("packed set of shingle hashes, for the Jaccard of two posts")),
    ]
)

CONTAMINATION = pa.struct(
    [
        pa.field("score", SCORE, metadata=_doc("share of words that lie in wording shared with evaluation items")),
        pa.field("item", pa.string(), metadata=_doc("FILE:ID or FILE:LINE of the item that covers most of them")),
    ]
)

FASTTEXT_ANSWER = pa.struct(
    [
        pa.field("model", pa.string(), metadata=_doc("its name under stages.fasttext.models")),
        pa.field("label", pa.string(), metadata=_doc("what it says, without the prefix of fastText's labels")),
        pa.field("score", SCORE, metadata=_doc("probability of the label, as fastText gives it")),
    ]
)
FASTTEXT = pa.struct(
    [
        pa.field(
            "answers",
            pa.list_(FASTTEXT_ANSWER),
            metadata=_doc("by model name, then the likeliest first; none of a model that knows nothing in the post"),
        )
    ]
)

DATATROVE_ANSWER = pa.struct(
    [
        pa.field("filter", pa.string(), metadata=_doc("its name under stages.datatrove.filters")),
        pa.field("passed", pa.bool_(), metadata=_doc("true when datatrove would keep the post")),
        pa.field("reason", pa.string(), metadata=_doc("why not, where the filter says so")),
    ]
)
DATATROVE = pa.struct(
    [pa.field("answers", pa.list_(DATATROVE_ANSWER), metadata=_doc("one of each filter, by filter name"))]
)

DUPLICATES = pa.struct(
    [
        pa.field("kind", pa.string(), metadata=_doc("exact, near, repost, repeated_id, superseded; null when first")),
        pa.field(
            "copy",
            pa.int64(),
            metadata=_doc("place in its cluster, in order: 1 is the original; null for a post delivered again"),
        ),
        pa.field("cluster_size", pa.int64(), metadata=_doc("posts that share this post's original, itself counted")),
        pa.field("cluster_authors", pa.int64(), metadata=_doc("distinct authors among them")),
        pa.field("deleted", pa.bool_(), metadata=_doc("a tombstone of the run names the post or its author")),
    ]
)
"""What the duplicates step says of a post; `duplicate_of` stands beside it as a column of its own."""

VERDICT = pa.struct(
    [
        pa.field("keep", pa.bool_(), metadata=_doc("true when no reason speaks against the post")),
        pa.field("reasons", pa.list_(pa.string()), metadata=_doc("names from schemas.reasons.Reason, in its order")),
    ]
)
