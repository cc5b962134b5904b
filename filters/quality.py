"""How a post is made: what it consists of, how it repeats itself, whether a machine's template wrote it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels import measures
from filters.kernels.measures import ALWAYS, WITH_LINK, Known, compile_known, measure
from filters.kernels.surface import HASHTAG, LINK, MENTION
from filters.kernels.utf8 import utf8_buffers
from filters.scored import Scored
from schemas.columns import QUALITY

MIN_CASED_LETTERS = 8  # fewer say nothing about shouting

_OPENINGS = {
    ALWAYS: (
        "i just checked in at",
        "just checked in at",
        "just posted a photo",
        "just posted a video",
        "posted a new photo",
        "posted a photo to",
        "posted a video to",
        "i posted a new photo",
        "i added a video to a @x playlist",
        "i liked a @x video",
        "i liked a youtube video",
        "i uploaded a new video",
        "my week on twitter",
        "my twitter stats",
        "this week on twitter",
        "how i did on twitter this week",
        "0 people followed me and",
        "0 person followed me and",
        "0 new followers",
        "today stats",
        "can you recommend anyone for this",
        "current weather in",
        "i've entered to win",
        "i just entered to win",
        "i scored 0",
        "i completed the daily quest",
        "i've collected 0 gold coins",
        "i just earned the",
        "i just finished running",
        "just completed a 0",
        "i just voted for",
        "я добавил видео в плейлист",
        "я отметил видео",
        "новое фото на",
        "мне понравилось видео",
        "я собрал урожай",
        "he publicado una foto",
        "acabo de publicar una foto",
        "me ha gustado un vídeo de",
        "ich mag das @x video",
        "ho appena pubblicato una foto",
        "je viens de publier une photo",
        "acabei de postar uma foto",
        "eu marquei um vídeo como gostei",
        "bir @x videosunu beğendim",
    ),
    WITH_LINK: (
        "i'm at",
        "im at",
        "#nowplaying",
        "new post",
        "new blog post",
        "i'm broadcasting live on",
        "i'm live on",
        "day 0 of",
        "we're hiring",
        "we are hiring",
        "want to work at",
        "if you're looking for work in",
        "interested in a job in",
        "[poll",
        "[sondaggio",
        "[umfrage",
        "[encuesta",
        "[опрос",
        "[job",
        "[weather",
    ),
}
"""What automatic posts begin with; `0` is any number, `@x` any mention, `[` an opening bracket."""

_PHRASES = {
    ALWAYS: (
        "people unfollowed me",
        "person unfollowed me",
        "automatically checked by",
        "unfollowed me automatically",
        "a @x playlist",
        "liked a @x",
        "latest #job opening",
        "our latest #job",
        "read about our",
        "view our latest",
        "great fit for",
        "my daily horoscope",
        "lottery winning numbers",
        "gold coins #android",
        "#android #androidgames #gameinsight",
        "#ipad #ipadgames #gameinsight",
        "#iphone #iphonegames #gameinsight",
        "get weather updates",
        "через приложение для",
        "видео с @x",
        "из @x плейлиста",
    ),
    WITH_LINK: (
        "is listening to",
        "just checked in",
        "checked in at",
        "this track on",
        "join our team",
        "top stories via",
        "is out stories",
        "latest daily is",
        "more for aries",
        "more for taurus",
        "more for gemini",
        "more for cancer",
        "more for leo",
        "more for virgo",
        "more for libra",
        "more for scorpio",
        "more for sagittarius",
        "more for capricorn",
        "more for aquarius",
        "more for pisces",
    ),
}
"""Three words that only automatic posts have, wherever they stand."""

_UNITS = (
    *("mph", "kmh", "km", "kn", "kts", "mb", "mbar", "hpa", "inhg", "mm", "cm", "in", "f", "c", "м", "мм", "км"),
    *("gwh", "mwh", "kwh", "usd", "eur", "btc", "eth", "pts", "pips", "kcal", "bpm", "гпа"),
)


@functools.cache
def _known() -> Known:
    return compile_known(_OPENINGS, _PHRASES, _UNITS)


@dataclass(frozen=True)
class Quality(Scored):
    """Measure what a post is made of; the trained `score` stands beside the measures.

    Shares of hashtags, mentions, links and emoji are of all characters that can be seen, 0 when there are none.
    `upper_share` is of cased letters outside links, mentions and hashtags, null under MIN_CASED_LETTERS of them.
    `repetition` is the largest of three shares: words that already stood among the 32 words before them, pairs of
    neighbouring words that already stood among the 1,024 before them (both of all words, spans left out), and the
    longest run of one character, from three on (of all characters that can be seen). In scripts without spaces a
    character is a word and counts as repeated together with the one before it. `entropy` is Shannon's, in bits, of the
    folded letters and digits outside spans. `template` says that the post opens with a line, or holds three words, that
    only automatic posts have, or that it is a list of measurements.

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
        columns = {"score": scores, **_rules(texts)}
        absent = texts.is_null() if texts.null_count else None
        return pa.StructArray.from_arrays([columns[part.name] for part in QUALITY], fields=list(QUALITY), mask=absent)


def _rules(texts: pa.Array) -> dict[str, pa.Array]:
    counts, reals, template = measure(*utf8_buffers(texts), _known())
    total = np.maximum(counts[:, measures.TOTAL], 1)
    cased = counts[:, measures.CASED_LETTERS]
    return {
        "readable_chars": pa.array(counts[:, measures.READABLE]),
        "words": pa.array(counts[:, measures.WORDS]),
        "hashtag_share": _share(counts[:, HASHTAG], total),
        "mention_share": _share(counts[:, MENTION], total),
        "link_share": _share(counts[:, LINK], total),
        "emoji_share": _share(counts[:, measures.EMOJI_CHARS], total),
        "upper_share": _share(counts[:, measures.UPPER_LETTERS], np.maximum(cased, 1), cased < MIN_CASED_LETTERS),
        "repetition": pa.array(np.ascontiguousarray(reals[:, 0])),
        "entropy": pa.array(np.ascontiguousarray(reals[:, 1])),
        "template": pa.array(template),
    }


def _share(
    part: npt.NDArray[np.int32], whole: npt.NDArray[np.int32], absent: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    return pa.array((part / whole).astype(np.float32), mask=absent)
