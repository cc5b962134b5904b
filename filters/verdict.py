"""The verdict on a post: the last stage, the only one that decides and the only place with thresholds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas import columns
from schemas.errors import nearest
from schemas.reasons import Reason

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float32]
Threshold = float | None  # None switches the rule off
Bound = Literal["at least", "at most", "one of", "not"]

UNDETERMINED = "und"
AI_TEXT_FLAG = 0.97
"""The `max_ai_text` that accuses at most 1% of people's posts, of every length (see the card); not a default."""


@dataclass(frozen=True)
class Rule:
    """A reason that speaks when a measure crosses the threshold that stands under `key`."""

    reason: Reason
    measure: str  # stage column and field
    key: str
    bound: Bound


RULES = (
    Rule(Reason.TOO_SHORT, "quality.readable_chars", "min_readable_chars", "at least"),
    Rule(Reason.TOO_SHORT, "quality.words", "min_words", "at least"),
    Rule(Reason.HASHTAGS, "quality.hashtag_share", "max_hashtag_share", "at most"),
    Rule(Reason.HASHTAGS, "quality.words_per_hashtag", "min_words_per_hashtag", "at least"),
    Rule(Reason.MENTIONS, "quality.mention_share", "max_mention_share", "at most"),
    Rule(Reason.LINKS, "quality.link_share", "max_link_share", "at most"),
    Rule(Reason.LINKS, "quality.words_per_link", "min_words_per_link", "at least"),
    Rule(Reason.EMOJI, "quality.emoji_share", "max_emoji_share", "at most"),
    Rule(Reason.SHOUTING, "quality.upper_share", "max_upper_share", "at most"),
    Rule(Reason.REPETITION, "quality.repetition", "max_repetition", "at most"),
    Rule(Reason.GIBBERISH, "quality.entropy", "min_entropy", "at least"),
    Rule(Reason.GIBBERISH, "quality.entropy", "max_entropy", "at most"),
    Rule(Reason.ENGAGEMENT_BAIT, "quality.bait_share", "max_bait_share", "at most"),
    Rule(Reason.QUALITY, "quality.score", "min_quality", "at least"),
    Rule(Reason.SPAM, "spam.score", "max_spam", "at most"),
    Rule(Reason.TOXICITY, "toxicity.score", "max_toxicity", "at most"),
    Rule(Reason.AI_TEXT, "ai_text.score", "max_ai_text", "at most"),
    Rule(Reason.AI_TEXT, "ai_text.evidence", "max_ai_evidence", "at most"),
    Rule(Reason.CONTAMINATED, "contamination.score", "max_contamination", "at most"),
    Rule(Reason.CAMPAIGN, "duplicates.cluster_size", "max_campaign_posts", "at most"),
    Rule(Reason.CAMPAIGN, "duplicates.cluster_authors", "max_campaign_authors", "at most"),
)

KINDS = {
    "exact": Reason.EXACT_DUPLICATE,
    "near": Reason.NEAR_DUPLICATE,
    "repost": Reason.REPOST,
    "repeated_id": Reason.REPEATED_ID,
    "superseded": Reason.SUPERSEDED,
}
"""What `duplicates.kind` means for the verdict."""
COPIES = ("exact", "near", "repost")  # the kinds of which the first `keep_copies` of a cluster may stay

# A sentence takes fewer characters where a character is a word, a syllable, or a consonant with its vowel; fewer words
# where a word carries its cases and persons. Taken from the shortest twentieth of real sentences of each language.
_GROUPS: tuple[tuple[str, Mapping[str, Threshold]], ...] = (
    ("zh yue wuu", {"min_readable_chars": 6, "min_entropy": 1.5, "max_entropy": None}),
    ("ja", {"min_readable_chars": 8, "min_entropy": 1.5, "max_entropy": None}),
    ("ko am ti", {"min_readable_chars": 8, "min_words": 2, "min_entropy": 1.5, "max_entropy": None}),
    ("th lo km my", {"min_readable_chars": 9}),
    ("hi mr ne bn gu pa si", {"min_readable_chars": 9}),
    ("ta te kn ml ka", {"min_readable_chars": 10, "min_words": 2}),
    ("ar fa ur he", {"min_readable_chars": 10, "min_words": 2}),
    ("tr az kk uz fi et hu eu hy", {"min_words": 2}),
)
PER_LANGUAGE = {tag: thresholds for tags, thresholds in _GROUPS for tag in tags.split()}

_ORDER = {reason: position for position, reason in enumerate(Reason)}
_CLUSTERS = ("max_campaign_posts", "max_campaign_authors")  # a post alone is a cluster of 1: nothing is below that
_ALLOWANCES = ("min_headline_words", "brevity")  # thresholds that no rule has to itself
_COUNTS = (  # not shares: no upper end
    *("min_readable_chars", "min_words", "min_headline_words", "min_words_per_hashtag", "min_words_per_link"),
    *("min_entropy", "max_entropy", *_CLUSTERS),
)
_KEYS = frozenset({*(rule.key for rule in RULES), *_ALLOWANCES})
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True)
class Finding:
    """What one rule found in one post: `measured` is null when the stage could not say, and then the rule passes."""

    reason: str
    measure: str
    measured: float | str | bool | None
    bound: Bound
    threshold: float | str | bool | None
    passed: bool


@dataclass(frozen=True)
class Found:
    """What one rule found in every row of a batch; `speaks` is true where the reason holds.

    `key` names the setting that the threshold stands under, of the rules that have one. `reached` is what is compared
    with that setting: what was measured, or more where a share of the threshold is enough.
    """

    reason: Reason
    measure: str
    measured: pa.Array | Numbers
    bound: Bound
    threshold: Numbers | str | bool | None
    speaks: Flags
    key: str | None = None
    reached: Numbers | None = None


@dataclass(frozen=True)
class Verdict:
    """Collect the reasons that speak against a post; keep it when there are none.

    A measure at its threshold passes; a null measure ("cannot say") is no reason. A threshold of None switches its
    rule off, and `per_language` overrides any threshold for a language: `zh-Hant` looks under `zh-Hant`, then `zh`.
    What stands in PER_LANGUAGE holds unless overridden there. An empty `languages` wants them all.
    Of posts that are copies of one another the first `keep_copies` may stay; where the cluster is over a campaign
    threshold, none may.
    """

    name: ClassVar[str] = "verdict"
    reads: ClassVar[tuple[str, ...]] = (
        "language",
        "quality",
        "spam",
        "toxicity",
        "ai_text",
        "contamination",
        "duplicates",
    )
    output: ClassVar[pa.StructType] = columns.VERDICT

    languages: tuple[str, ...] = ()
    keep_unknown_language: bool = False
    min_readable_chars: Threshold = 14
    min_words: Threshold = 3
    brevity: Threshold = 0.65  # the share of these two minimums that is enough for a question or for code
    max_hashtag_share: Threshold = 0.5
    min_words_per_hashtag: Threshold = 0.75
    max_mention_share: Threshold = 0.7
    max_link_share: Threshold = 0.8
    min_words_per_link: Threshold = 2.0
    max_emoji_share: Threshold = 0.4
    max_upper_share: Threshold = 0.7
    min_headline_words: Threshold = 5  # so many words in capitals without an exclamation mark are a headline
    max_repetition: Threshold = 0.6
    min_entropy: Threshold = 2.0
    max_entropy: Threshold = 5.5
    drop_templates: bool = True
    max_bait_share: Threshold = 0.2
    min_quality: Threshold = 0.02  # the trained heads know little: heed them at their far ends alone
    max_spam: Threshold = 0.98
    max_toxicity: Threshold = 0.99  # profanity scores high too, and alone it is not abuse
    max_ai_text: Threshold = None  # the post alone says too little to drop it on; who flags, flags at AI_TEXT_FLAG
    max_ai_evidence: Threshold = None  # of all its author's posts in the step
    max_contamination: Threshold = 0.0  # null without evaluation files, and null is no reason
    keep_copies: int = 1
    max_campaign_posts: Threshold = None
    max_campaign_authors: Threshold = None
    per_language: Mapping[str, Mapping[str, Threshold]] = field(default_factory=dict, hash=False, repr=False)

    def __post_init__(self) -> None:
        """Check the settings, which come as plain data; raise ValueError naming the key."""
        object.__setattr__(self, "languages", _checked_languages(self.languages))
        for key in ("keep_unknown_language", "drop_templates"):
            if not isinstance(getattr(self, key), bool):
                raise ValueError(f"'{key}' must be true or false, got {getattr(self, key)!r}")
        if isinstance(self.keep_copies, bool) or not isinstance(self.keep_copies, int) or self.keep_copies < 1:
            raise ValueError(f"'keep_copies' must be a whole number from 1 up, got {self.keep_copies!r}")
        for key in _KEYS:
            _check_threshold(key, getattr(self, key))
        object.__setattr__(self, "per_language", _checked_overrides(self.per_language))

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the verdict on each row, shape (rows,); null where no stage said anything at all."""
        speaks = np.zeros((batch.num_rows, len(Reason)), np.bool_)
        for found in self.look(batch):
            speaks[:, _ORDER[found.reason]] |= found.speaks
        unheard = np.ones(batch.num_rows, np.bool_)
        for name in self.reads:
            unheard &= pc.is_null(batch.column(name)).to_numpy(zero_copy_only=False)
        ends = np.zeros(batch.num_rows + 1, np.int32)
        np.cumsum(speaks.sum(axis=1), out=ends[1:])
        names = pc.take(pa.array(list(Reason), pa.string()), pa.array(np.nonzero(speaks)[1]))
        fields = [pa.array(~speaks.any(axis=1), mask=unheard), _lists(ends, names, unheard)]
        return pa.StructArray.from_arrays(fields, fields=list(self.output), mask=pa.array(unheard))

    def explain(self, row: Mapping[str, Any]) -> list[Finding]:
        """Say for every rule what was measured in one post, which threshold is in force for it, and whether it passed.

        `row` holds the stage columns as plain dicts; a missing column is null. In the order of `Reason`.

        >>> found = Verdict(max_spam=0.5).explain({"language": {"lang": "en"}, "spam": {"score": 0.75}})
        >>> [(one.reason, one.measured, one.bound, one.threshold) for one in found if not one.passed]
        [('spam', 0.75, 'at most', 0.5)]
        """
        types = [getattr(columns, name.upper()) for name in self.reads]
        cells = [pa.array([row.get(name)], kind) for name, kind in zip(self.reads, types, strict=True)]
        batch = pa.RecordBatch.from_arrays(cells, list(self.reads))
        found = sorted(self.look(batch), key=lambda column: _ORDER[column.reason])
        return [
            Finding(
                column.reason.value,
                column.measure,
                _plain(column.measured),
                column.bound,
                _plain(column.threshold),
                not bool(column.speaks[0]),
            )
            for column in found
        ]

    def look(self, batch: pa.RecordBatch) -> Iterator[Found]:
        """Ask every rule about every row; a row is kept where none speaks."""
        tags = _child(batch, "language.lang", pa.string())
        chars = _numbers(batch, "quality.readable_chars")
        one = np.ones(1, np.float32)
        yield Found(Reason.EMPTY, "quality.readable_chars", chars, "at least", one, chars < 1)
        yield from self._language_columns(tags)
        encoded = tags.dictionary_encode()
        enough = self._brevity(batch, encoded)
        # n characters have at most log2(n) bits each: in a text that is too short anyway, entropy says nothing
        too_few = chars < np.fmax(self._thresholds("min_readable_chars", encoded) * enough, 1)
        headline = self._headlines(batch, encoded)
        for rule in RULES:
            measured = _numbers(batch, rule.measure)
            if rule.reason is Reason.GIBBERISH:
                measured = np.where(too_few, np.float32("nan"), measured)
            if rule.reason is Reason.SHOUTING:
                measured = np.where(headline, np.float32("nan"), measured)
            threshold = self._thresholds(rule.key, encoded)
            reached, shown = measured, threshold
            if rule.reason is Reason.TOO_SHORT:
                reached = np.divide(measured, enough, out=np.full_like(measured, np.inf), where=enough > 0)
                shown = np.where(enough < 1, np.round(threshold * enough, 2), threshold)
            crossed = reached < threshold if rule.bound == "at least" else reached > threshold
            yield Found(rule.reason, rule.measure, measured, rule.bound, shown, crossed, rule.key, reached)
        template = _child(batch, "quality.template", pa.bool_())
        unwanted = _true(template) & self.drop_templates
        yield Found(Reason.TEMPLATE, "quality.template", template, "not", self.drop_templates or None, unwanted)
        yield from self._duplicate_columns(batch)
        deleted = _child(batch, "duplicates.deleted", pa.bool_())
        yield Found(Reason.DELETED, "duplicates.deleted", deleted, "not", True, _true(deleted))

    def _brevity(self, batch: pa.RecordBatch, tags: pa.DictionaryArray) -> Numbers:
        """Return the share of the minimal length that is enough for each row: less than 1 for questions and code."""
        dense = _true(_child(batch, "quality.is_question", pa.bool_()))
        dense = dense | _true(_child(batch, "quality.has_code", pa.bool_()))
        share = np.nan_to_num(self._thresholds("brevity", tags), nan=1)
        return np.where(dense, share, np.float32(1))

    def _headlines(self, batch: pa.RecordBatch, tags: pa.DictionaryArray) -> Flags:
        """Tell which rows are long enough and calm enough for a headline, which may stand in capitals."""
        enough = _numbers(batch, "quality.words") >= self._thresholds("min_headline_words", tags)
        return enough & (_numbers(batch, "quality.exclamations") == 0)

    def _duplicate_columns(self, batch: pa.RecordBatch) -> Iterator[Found]:
        """Ask what a post duplicates; of copies, which one of them it is, where that is known."""
        kinds = _child(batch, "duplicates.kind", pa.string())
        copy = _numbers(batch, "duplicates.copy")
        uncounted = pc.if_else(pa.array(np.isnan(copy)), kinds, pa.scalar(None, pa.string()))
        allowed = np.full(1, self.keep_copies, np.float32)
        for kind, reason in KINDS.items():
            asked = uncounted if kind in COPIES else kinds
            yield Found(reason, "duplicates.kind", asked, "not", kind, _true(pc.equal(asked, kind)))
            if kind in COPIES:
                place = np.where(_true(pc.equal(kinds, kind)), copy, np.float32("nan"))
                yield Found(reason, "duplicates.copy", place, "at most", allowed, place > allowed, "keep_copies", place)

    def _language_columns(self, tags: pa.Array) -> Iterator[Found]:
        unknown = _true(pc.equal(tags, UNDETERMINED))
        refused = unknown & (not self.keep_unknown_language)
        bound = None if self.keep_unknown_language else UNDETERMINED
        yield Found(Reason.LANGUAGE_UNKNOWN, "language.lang", tags, "not", bound, refused)
        distinct = pc.drop_null(tags.unique()).to_pylist()
        outside = [tag for tag in distinct if tag != UNDETERMINED and self.languages and not self._wants(tag)]
        unwanted = _true(pc.is_in(tags, value_set=pa.array(outside, pa.string())))
        wanted = ", ".join(self.languages) or None
        yield Found(Reason.LANGUAGE_UNWANTED, "language.lang", tags, "one of", wanted, unwanted)

    def _wants(self, tag: str) -> bool:
        return tag in self.languages or tag.partition("-")[0] in self.languages

    def _thresholds(self, key: str, tags: pa.DictionaryArray) -> Numbers:
        """Return the threshold in force for each row, NaN where the rule is off.

        As float32, like the scores: 0.7 measured is not over 0.7 allowed.
        """
        known = [self.threshold(key, tag) for tag in tags.dictionary.to_pylist()]
        choices = np.array([*known, getattr(self, key)], np.float32)
        return choices[pc.fill_null(tags.indices, len(known)).to_numpy()]

    def threshold(self, key: str, tag: str | None) -> Threshold:
        """Return the threshold that holds for a language."""
        holder = self.holder(key, tag)
        threshold: Threshold = self.per_language[holder][key] if holder else getattr(self, key)
        return threshold

    def holder(self, key: str, tag: str | None) -> str | None:
        """Return the tag in `per_language` that has the threshold of a language; None where the common one holds."""
        names = (tag, tag.partition("-")[0]) if tag else ()
        return next((name for name in names if key in self.per_language.get(name, {})), None)


def _child(batch: pa.RecordBatch, path: str, kind: pa.DataType) -> pa.Array:
    """Return a field of a stage column; nulls when the column has no type of its own because nothing filled it."""
    column, child = path.split(".")
    parent = batch.column(column)
    if pa.types.is_null(parent.type) or parent.type.get_field_index(child) < 0:  # or written before there was one
        return pa.nulls(len(parent), kind)
    return pc.struct_field(parent, child)


def _numbers(batch: pa.RecordBatch, path: str) -> Numbers:
    numbers = pc.cast(_child(batch, path, pa.float32()), pa.float32(), safe=False)  # counts over 2^24 are rounded
    return pc.fill_null(numbers, float("nan")).to_numpy(zero_copy_only=False)


def _true(flags: pa.Array) -> Flags:
    return pc.fill_null(flags, False).to_numpy(zero_copy_only=False)


def _lists(ends: npt.NDArray[np.int32], names: pa.Array, unheard: Flags) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(ends), names, mask=pa.array(unheard))


def _plain(value: Any) -> float | str | bool | None:
    """Return the first item of a column, or the setting itself, as plain data; NaN means null."""
    if isinstance(value, np.ndarray):
        return None if np.isnan(value[0]) else float(str(value[0]))  # the shortest decimal: 0.7, not 0.699999988
    return value[0].as_py() if isinstance(value, pa.Array) else value


def _checked_languages(languages: Any) -> tuple[str, ...]:
    if isinstance(languages, str) or not isinstance(languages, list | tuple):
        raise ValueError(f"'languages' must be a list of language tags, got {languages!r}")
    for tag in languages:
        _check_tag("languages", tag)
    return tuple(languages)


def _check_tag(key: str, tag: Any) -> None:
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        raise ValueError(f"'{key}' must name languages by BCP 47 tag, like 'en' or 'zh-Hant', got {tag!r}")


def _check_threshold(key: str, value: Any) -> None:
    if value is None:
        return
    low, top = int(key in _CLUSTERS), float("inf") if key in _COUNTS else 1.0
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= top or value == float("inf"):
        wanted = f"a number from {low} up" if key in _COUNTS else "a number from 0 to 1"
        raise ValueError(f"'{key}' must be {wanted}, or null to switch the rule off, got {value!r}")


def _checked_overrides(given: Any) -> dict[str, dict[str, Threshold]]:
    """Lay the given overrides over PER_LANGUAGE, key by key."""
    if not isinstance(given, Mapping):
        raise ValueError(f"'per_language' must map languages to thresholds, got {given!r}")
    merged = {tag: dict(thresholds) for tag, thresholds in PER_LANGUAGE.items()}
    for tag, thresholds in given.items():
        _check_tag("per_language", tag)
        if not isinstance(thresholds, Mapping):
            raise ValueError(f"'per_language.{tag}' must map settings to thresholds, got {thresholds!r}")
        for key, value in thresholds.items():
            if key not in _KEYS:
                raise ValueError(f"unknown key 'per_language.{tag}.{key}': {nearest(str(key), _KEYS)}")
            _check_threshold(key, value)
        merged[tag] = {**merged.get(tag, {}), **thresholds}
    return merged
