"""Credibility: what a post itself shows of where its words come from. No judgement of whether they are true."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters import hosts
from filters.classifier import Classifier
from filters.kernels import claims
from filters.kernels.claims import HEDGE, NO_NAME, OPINION, REPORT, SOURCE, Table, compile_endings, compile_phrases
from filters.kernels.utf8 import string_array, utf8_buffers
from schemas.columns import CREDIBILITY, LINKED

LANGUAGE = "en"
"""The language whose phrases are known."""

_PHRASES = {
    HEDGE: (
        *(
            "maybe",
            "perhaps",
            "possibly",
            "probably",
            "apparently",
            "allegedly",
            "supposedly",
            "reportedly",
            "seemingly",
        ),
        *("presumably", "arguably", "might", "could be", "may be", "may have", "could have", "might have", "seems to"),
        *("seems like", "seem to", "appears to", "appear to", "likely to", "unlikely", "rumor", "rumour", "rumors"),
        *(
            "rumours",
            "unconfirmed",
            "unverified",
            "not sure",
            "not certain",
            "unclear",
            "it is possible",
            "it's possible",
        ),
        *("i guess", "i suppose", "i assume", "i suspect", "i heard", "i've heard", "so i hear", "far as i know"),
        *("afaik", "iirc", "not confirmed", "yet to be confirmed", "some say", "people say", "they say", "sort of"),
        *("kind of", "roughly", "approximately", "about to", "suggests that", "suggest that", "to my knowledge"),
    ),
    OPINION: (
        *(
            "i think",
            "i believe",
            "i feel",
            "i find",
            "i love",
            "i hate",
            "i like",
            "i prefer",
            "i agree",
            "i disagree",
        ),
        *("i hope", "i wish", "i doubt", "i want", "i need", "i don't like", "i don't think", "i can't stand", "imo"),
        *(
            "imho",
            "imao",
            "in my opinion",
            "in my view",
            "my opinion",
            "my take",
            "hot take",
            "unpopular opinion",
            "to me",
        ),
        *("personally", "honestly", "frankly", "tbh", "ngl", "should", "shouldn't", "must be", "ought to", "deserve"),
        *(
            "deserves",
            "best",
            "worst",
            "better than",
            "worse than",
            "amazing",
            "awesome",
            "awful",
            "terrible",
            "horrible",
        ),
        *("beautiful", "ugly", "disgusting", "disgusted", "ridiculous", "stupid", "great", "fantastic", "wonderful"),
        *("brilliant", "pathetic", "shame", "shameful", "disgrace", "overrated", "underrated", "favorite", "favourite"),
        *(
            "boring",
            "love this",
            "love it",
            "hate this",
            "hate it",
            "so good",
            "so bad",
            "too bad",
            "lovely",
            "perfect",
        ),
    ),
    REPORT: (
        *("said", "says", "reported", "reports", "announced", "announces", "confirmed", "confirms", "stated", "states"),
        *("told", "claimed", "claims", "denied", "denies", "warned", "warns", "wrote", "tweeted", "testified", "found"),
        *("revealed", "reveals", "published", "concluded", "estimates", "estimated", "declared", "explained", "argues"),
        *("argued", "insisted", "insists", "predicts", "predicted"),
    ),
    SOURCE: (
        *("according to", "reported by", "citing", "as reported by", "told by", "source", "study by", "study from"),
        *("report by", "report from", "research by", "research from", "published in", "published by", "data from"),
        *("statement from", "survey by", "poll by", "figures from", "quoting"),
    ),
    NO_NAME: (
        *("i", "i'm", "i've", "i'd", "i'll", "he", "she", "it", "we", "you", "they", "who", "this", "that", "these"),
        *("those", "the", "a", "an", "and", "but", "or", "so", "if", "when", "what", "why", "how", "my", "your", "his"),
        *("her", "its", "our", "their", "there", "here", "nobody", "everybody", "everyone", "someone", "somebody"),
        *(
            "anyone",
            "no",
            "not",
            "yes",
            "now",
            "then",
            "also",
            "just",
            "never",
            "always",
            "rt",
            "via",
            "as",
            "in",
            "on",
        ),
        *("at", "of", "for", "to", "with", "from", "by", "some", "many", "people", "well", "like", "ok", "lol", "omg"),
    ),
}
"""Our own short lists; a phrase holds for English alone."""


@functools.cache
def _tables() -> tuple[Table, Table]:
    kinds = {name: number for number, name in enumerate(hosts.KINDS)}
    return compile_phrases(_PHRASES), compile_endings({name: kinds[kind] for name, kind in hosts.endings().items()})


@dataclass(frozen=True)
class Credibility:
    """Tell claims from opinions, and what backs them: figures, quotations, named sources, hedges, links by their host.

    Links are told in every language, all else in English, null elsewhere. `kind` is `question` where the last mark is
    one; `claim` where a report, a named source, a figure or a quotation stands and no mark of opinion, `opinion` where
    it is the other way round, `mixed` where both do; null where neither does. `score` is that of a model one has
    trained (`swarmfeed train credibility`); none is shipped, because nobody can tell truth from wording.

    >>> post = pa.array([{"text": "Prices rose 4% in May, according to Eurostat: https://ec.europa.eu/x"}])
    >>> batch = pa.record_batch({"clean_text": post, "language": pa.array([{"lang": "en"}])})
    >>> row = Credibility()(batch)[0].as_py()
    >>> row["kind"], row["figure"], row["named_source"], row["links"], row["score"]
    ('claim', True, True, [{'host': 'ec.europa.eu', 'kind': 'government'}], None)
    """

    name: ClassVar[str] = "credibility"
    reads: ClassVar[tuple[str, ...]] = ("clean_text", "language")
    output: ClassVar[pa.StructType] = CREDIBILITY

    model: str | None = None  # the folder that `swarmfeed train credibility` wrote
    classifier: Classifier | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the model once, here, where there is one."""
        loaded = None if self.model is None else Classifier.load(self.name, self.model)
        object.__setattr__(self, "classifier", loaded)

    @property
    def sha256(self) -> str | None:
        """Return the hash of the trained model; None without one."""
        return None if self.classifier is None else self.classifier.sha256

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one struct per row, null where the text is null. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        languages = pc.struct_field(batch.column("language"), "lang")
        spoken = _true(pc.or_(pc.equal(languages, LANGUAGE), pc.starts_with(languages, f"{LANGUAGE}-")))
        unknown = hosts.KINDS.index(hosts.UNKNOWN)
        counts, ends, kinds, names = claims.read_claims(*utf8_buffers(texts), spoken, _tables(), unknown)
        columns = {"score": self._score(texts, languages), **_shown(counts, spoken)}
        columns["links"] = _links(ends, kinds, string_array(*names))
        absent = texts.is_null() if texts.null_count else None
        return pa.StructArray.from_arrays(
            [columns[part.name] for part in CREDIBILITY], fields=list(CREDIBILITY), mask=absent
        )

    def _score(self, texts: pa.Array, languages: pa.Array) -> pa.Array:
        if self.classifier is None:
            return pa.nulls(len(texts), pa.float32())
        return self.classifier.score(texts, languages)


def _shown(counts: npt.NDArray[np.int32], spoken: npt.NDArray[np.bool_]) -> dict[str, pa.Array]:
    silent = ~spoken | (counts[:, claims.WORDS] == 0)
    figure, quote, named = (counts[:, column] > 0 for column in (claims.FIGURES, claims.QUOTES, claims.NAMED))
    claim = figure | quote | (counts[:, claims.REPORTS] > 0)
    opinion = counts[:, claims.OPINIONS] > 0
    choices = [counts[:, claims.QUESTION] > 0, claim & opinion, claim, opinion]
    kind = np.select(choices, range(len(choices)), -1)
    names = pa.array(["question", "mixed", "claim", "opinion"])
    hedging = counts[:, claims.HEDGES] / np.maximum(counts[:, claims.WORDS], 1)
    return {
        "kind": names.take(pa.array(kind, pa.int32(), mask=silent | (kind < 0))),
        "hedging": pa.array(hedging.astype(np.float32), mask=silent),
        "figure": pa.array(figure, mask=silent),
        "quote": pa.array(quote, mask=silent),
        "named_source": pa.array(named, mask=silent),
    }


def _links(ends: npt.NDArray[np.int64], kinds: npt.NDArray[np.uint8], names: pa.Array) -> pa.Array:
    told = pa.array(hosts.KINDS, pa.string()).take(pa.array(kinds))
    links = pa.StructArray.from_arrays([names, told], fields=list(LINKED))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), links)


def _true(flags: pa.Array) -> npt.NDArray[np.bool_]:
    return pc.fill_null(flags, False).to_numpy(zero_copy_only=False)
