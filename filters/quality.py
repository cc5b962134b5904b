"""How a post is made: what it consists of, how it repeats itself, whether a machine's template wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels import words
from filters.kernels.measures import BAIT_SHARE, ENTROPY, HAS_CODE, IS_QUESTION, IS_TEMPLATE, REPETITION, measure
from filters.kernels.surface import HASHTAG, LINK, MENTION
from filters.kernels.utf8 import utf8_buffers
from filters.scored import Scored
from filters.wordlist import wordlists
from schemas.columns import QUALITY

MIN_CASED_LETTERS = 8  # fewer say nothing about shouting

MIN_LINKS = 3  # a post with fewer is no list of links, however few its words,
MIN_HASHTAGS = 5  # nor of hashtags


@dataclass(frozen=True)
class Quality(Scored):
    """Measure what a post is made of; the trained `score` stands beside the measures.

    Shares of hashtags, mentions, links and emoji are of all characters that can be seen, 0 when there are none.
    `upper_share` is of cased letters outside links, mentions and hashtags, null under MIN_CASED_LETTERS of them.
    `repetition` is the largest of three shares: words that already stood among the 32 words before them, pairs of
    neighbouring words that already stood among the 1,024 before them (both of all words, spans left out), and the
    longest run of one character, from three on (of all characters that can be seen). In scripts without spaces a
    character is a word and counts as repeated together with the one before it. `entropy` is Shannon's, in bits, of the
    folded letters and digits outside spans. `template` says that the post opens with a line, or holds words, that only
    automatic posts have, or that it is a list of measurements. `words_per_link` and `words_per_hashtag` are null under
    MIN_LINKS and MIN_HASHTAGS: such a post is no list. `is_question` says that the first or the last sentence asks: by
    its mark, or by how it begins or ends where that is safe. `topic` is null unless the words of one stand out. The
    words that are known are those of `wordlists/`.

    >>> post = pa.array([{"text": "GO GO GO #win"}], pa.struct([("text", pa.string())]))
    >>> stage, language = Quality(), pa.array([{"lang": "en"}])
    >>> row = stage(pa.record_batch({"clean_text": post, "language": language}))[0].as_py()
    >>> row["words"], round(row["repetition"], 2), row["hashtag_share"], row["upper_share"]
    (3, 0.67, 0.4000000059604645, None)
    """

    name: ClassVar[str] = "quality"
    output: ClassVar[pa.StructType] = QUALITY

    def answer(self, batch: pa.RecordBatch, scores: pa.Array) -> pa.Array:
        """Return one quality struct per row, null where the text is null. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        tags = pc.struct_field(batch.column("language"), "lang")
        columns = {"score": scores, **_rules(texts, tags)}
        absent = texts.is_null() if texts.null_count else None
        return pa.StructArray.from_arrays([columns[part.name] for part in QUALITY], fields=list(QUALITY), mask=absent)


def _rules(texts: pa.Array, tags: pa.Array) -> dict[str, pa.Array]:
    known, languages, topics = wordlists()
    counts, reals, flags, told = measure(*utf8_buffers(texts), _numbered(tags, languages), known)
    total = np.maximum(counts[:, words.TOTAL], 1)
    cased = counts[:, words.CASED_LETTERS]
    links, hashtags = counts[:, words.SPANS + LINK], counts[:, words.SPANS + HASHTAG]
    return {
        "readable_chars": pa.array(counts[:, words.READABLE]),
        "words": pa.array(counts[:, words.WORDS]),
        "hashtag_share": _share(counts[:, HASHTAG], total),
        "mention_share": _share(counts[:, MENTION], total),
        "link_share": _share(counts[:, LINK], total),
        "emoji_share": _share(counts[:, words.EMOJI_CHARS], total),
        "upper_share": _share(counts[:, words.UPPER_LETTERS], np.maximum(cased, 1), cased < MIN_CASED_LETTERS),
        "repetition": pa.array(np.ascontiguousarray(reals[:, REPETITION])),
        "entropy": pa.array(np.ascontiguousarray(reals[:, ENTROPY])),
        "template": pa.array(flags[:, IS_TEMPLATE]),
        "bait_share": pa.array(np.ascontiguousarray(reals[:, BAIT_SHARE])),
        "words_per_hashtag": _share(counts[:, words.WORDS], np.maximum(hashtags, 1), hashtags < MIN_HASHTAGS),
        "words_per_link": _share(counts[:, words.WORDS], np.maximum(links, 1), links < MIN_LINKS),
        "exclamations": pa.array(counts[:, words.EXCLAMATIONS]),
        "has_code": pa.array(flags[:, HAS_CODE]),
        "is_question": pa.array(flags[:, IS_QUESTION]),
        "topic": pa.array(topics, pa.string()).take(pa.array(told, mask=told < 0)),
    }


def _numbered(tags: pa.Array, languages: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return the number of each row's language, that of `zh` for `zh-Hant`; 0 where nothing is known of it."""
    encoded = tags.dictionary_encode()
    numbers = [languages.index(tag) if tag in languages else 0 for tag in map(_primary, encoded.dictionary.to_pylist())]
    return np.array([*numbers, 0])[pc.fill_null(encoded.indices, len(numbers)).to_numpy(zero_copy_only=False)]


def _primary(tag: str) -> str:
    return tag.partition("-")[0]


def _share(
    part: npt.NDArray[np.int32], whole: npt.NDArray[np.int32], absent: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    return pa.array((part / whole).astype(np.float32), mask=absent)
