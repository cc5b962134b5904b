"""Labelled sets: which rows train which stage, what their labels mean, and how they are split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.clean_text import clean_strings
from schemas.errors import ConfigError, nearest

FIT, VALIDATION, TUNE = 0, 1, 2  # TUNE: what settles a model that does not settle itself on folds
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """A question of `swarmfeed label`, and the labels that a low and a high answer to it stand for."""

    column: str
    low: str
    high: str


LOW_MARK, HIGH_MARK = 0.4, 0.8  # of answers from 0 to 1, in fifths; what lies between is unsure and teaches nothing


@dataclass(frozen=True)
class Recipe:
    """How a stage's classifier is made: what its labels mean and how its features are cut."""

    positive: frozenset[str]  # labels, in lower case
    negative: frozenset[str]  # empty: every other label
    question: str  # what a high score means
    min_words: int = 1
    reads_marks: bool = False  # hashtags, emoji, and the counts of links, mentions, hashtags and emoji
    sliced: bool = False  # the card has figures on the slices of filters/slices.py
    single_share: float = 0.1  # what sets of one class weigh beside the others; more, and left-out sets suffer
    limits: tuple[str, ...] = ()
    mark: Mark | None = None


_YES, _NO = frozenset({"yes", "true", "1", "positive"}), frozenset({"no", "false", "0", "negative"})

RECIPES: Mapping[str, Recipe] = {
    "quality": Recipe(
        positive=_YES | {"good", "ham", "non-clickbait", "informative"},
        negative=_NO | {"low", "spam", "clickbait", "uninformative"},
        question="reads like something a person meant to say, not bait or advertising",
        min_words=2,
        single_share=0.5,  # the tweets are all good: with less of them the model knows no tweets at all
        limits=(
            "English alone. The labels are weak: headlines of bait sites and spam stand for low, news headlines, "
            "text messages, example sentences and tweets for good. Nobody rated a post.",
            "It knows bait, lists and promotion. It does not know triviality, falsehood or poor style.",
            "A headline in the wording of bait sites scores low whatever stands behind it.",
            "Let the rules of the quality stage decide, and this score only at its far low end.",
        ),
        mark=Mark("quality", "low", "good"),
    ),
    "spam": Recipe(
        positive=_YES | {"spam"},
        negative=_NO | {"ham", "not-spam", "non-spam"},
        question="unsolicited advertising, prizes, phishing, channel promotion",
        single_share=0.25,
        limits=(
            "English alone. Spam was learnt from text messages of about 2006 and from comments under music videos of "
            "about 2015: prizes, premium numbers, channel and music promotion. Newer kinds are mostly missed.",
            "Left-out sets are recognised hardly better than by chance: an unknown kind of spam is an unknown.",
            "Headlines, example sentences and tweets serve as genuine rows; a few of the tweets are spam themselves.",
        ),
    ),
    "toxicity": Recipe(
        positive=_YES | {"toxic", "offensive", "hate", "hateful"},
        negative=_NO | {"non-toxic", "non-offensive", "non-hateful", "neither", "neutral", "none"},
        question="abuse, slurs, contempt for a group",
        sliced=True,
        single_share=0.2,
        limits=(
            "English and Chinese alone. Chinese was learnt from posts on region, gender and race.",
            "Example sentences and tweets serve as harmless rows; a few of the tweets are abusive themselves.",
            "The English tweets were found by a list of slurs: words that a community uses of itself, and "
            "African-American English as a whole, score too high. Plain words that wound are often missed.",
            "Little carries over between the English sets (see leave one set out): abuse of an unknown kind is missed.",
            "Quoting or reporting abuse is not told from abusing. Sarcasm and pictures are out of reach.",
            "The real share of abuse is far below the even odds of the calibration: set thresholds high.",
        ),
        mark=Mark("toxicity", "non-toxic", "toxic"),
    ),
    "ai_text": Recipe(
        positive=_YES | {"ai"},
        negative=_NO | {"human"},
        question="written by a machine, judged from the style of the post alone",
        min_words=4,
        reads_marks=True,  # and every row is learnt masked, too
        limits=(
            "English alone. Do not decide about a post by this score: masked, on a set that it was not trained on, it "
            "is little better than chance (see leave one set out), and the default policy never does. Who flags posts "
            "flags above .97: on Reddit posts of 2006-2013 and tweets of 2017 that accuses less than 1% of people's "
            "posts in each band of length (under 50, 50-99, 100-199, 200 and more characters); few machines are found.",
            "As posts came, links, mentions, hashtags and emoji are read: people post links, the labelled machines "
            "mostly do not. What the figures as it came have over the masked ones is owed to that, and may vanish "
            "elsewhere. A post without marks, as on Reddit, looks more like a machine's: near even odds is no sign.",
            "Curly apostrophes and quotation marks speak for a person: machines of these sets write straight ones.",
            "The features, the cap on length, the share of babble and the size of the trees were chosen while looking "
            "at the left-out figures; about thirty variants were tried, masked mean .49 to .58. They flatter. Those at "
            "the top took plain tweets for machines; with plain tweets learnt as people the mean fell, and so did "
            "false alarms on tweets, from .71 to .17 masked.",
            "Evidence of authors was learnt on timelines put together from labelled rows, a person's often from many "
            "people, with invented times. Known generators are found; of unknown ones see bench/results.",
            "Learnt from bots of 2019 (Markov chains, RNN, GPT-2) and from gpt-3.5, falcon, llama-2 and mistral on two "
            "topics. Newer machines, other topics and edited machine text are unknown to it.",
            "A false accusation of a person is the costly error: look at the rate of true finds at 1% false ones.",
        ),
        mark=Mark("machine_written", "human", "ai"),
    ),
    "credibility": Recipe(
        positive=frozenset({"credible"}),
        negative=frozenset({"not credible"}),
        question="a language model that rated posts would call it true or well supported",
        min_words=3,
        limits=(
            "It repeats the opinion of whoever rated the posts, most often a language model: not what is true. Wording "
            "and topic are all it sees, and a false claim in sober words scores high.",
            "Topics and events that were not rated are unknown to it. Rate anew when the world has moved on.",
            "Let nothing be dropped by this score.",
        ),
        mark=Mark("truthfulness", "not credible", "credible"),
    ),
}


def with_positive(recipe: Recipe, label: str | None) -> Recipe:
    """Return the recipe with one more label that means the positive class, and every label unknown to it the other.

    >>> recipe = with_positive(RECIPES["spam"], "Junk")
    >>> "junk" in recipe.positive, "spam" in recipe.positive, recipe.negative
    (True, True, frozenset())
    """
    if label is None:
        return recipe
    name = label.strip().casefold()
    return replace(
        recipe,
        positive=(recipe.positive | {name}) if name not in recipe.negative else frozenset({name}),
        negative=frozenset(),
    )


@dataclass(frozen=True)
class KnownSet:
    """What is known of a public set: its licence, its traps, and what its label means where it is no class."""

    licence: str
    note: str = ""
    every_row: Mapping[str, str] = field(default_factory=dict)  # by stage: the label of each row, whatever its own
    artefact: str = ""  # pattern that betrays the collection and not the class: replaced before training
    replacement: str = ""
    measured: bool = True  # false: its rows are so alike that figures on them would say nothing


UNKNOWN_LIMIT = "Trained on data that swarmfeed does not know: whoever gave it has to say what it leaves out."
UNKNOWN_SET = KnownSet("not known to swarmfeed: ask whoever gave you the file")
_GENUINE = {"quality": "good", "spam": "ham", "toxicity": "non-toxic", "ai_text": "human"}
_ENGLISH = {"language": "en"}

KNOWN_SETS: Mapping[str, KnownSet] = {
    "davidson": KnownSet(
        "MIT",
        "83% offensive by sampling; known bias against African-American English",
        {"ai_text": "human", **_ENGLISH},
    ),
    "cold_zh": KnownSet("Apache-2.0", "Chinese posts on region, gender and race"),
    "toxigen_annotated": KnownSet("CDLA-Permissive-2.0", "machine-written sentences about groups", _ENGLISH, r"\\n"),
    "tweepfake": KnownSet("none stated; published for research", "tweets of bots and the people they imitate"),
    "f3_posts": KnownSet(
        "none stated; published for research", "gpt-3.5 rewrites of posts", artefact=r"(?s)^.*Revised post:"
    ),
    "electai": KnownSet("none stated; published for research", "falcon, llama-2 and mistral on one topic: elections"),
    "sms_spam": KnownSet("free for all purposes", "British and Singaporean text messages", _ENGLISH, r"<[#A-Z]+>", "0"),
    "tubespam": KnownSet("CC BY 4.0", "comments under five music videos", _ENGLISH),
    "clickbait_headlines": KnownSet("MIT", "headlines; partly a detector of the source", {"spam": "ham", **_ENGLISH}),
    "contrasts": KnownSet(
        "Apache-2.0", "sentences about groups from templates, written for this project", measured=False
    ),
    "tatoeba_laser": KnownSet("CC BY 2.0 FR", "sentences written as examples", every_row=_GENUINE),
    "umsab_tweets8": KnownSet("repository Apache-2.0; the tweets have their own terms", "tweets", every_row=_GENUINE),
}


@dataclass(frozen=True)
class Examples:
    """Labelled rows of one stage. Shapes: all (rows,)."""

    texts: pa.Array
    labels: npt.NDArray[np.bool_]
    languages: pa.Array
    sets: npt.NDArray[np.str_]
    parts: npt.NDArray[np.int8]  # FIT or VALIDATION
    files: tuple[Path, ...] = field(default=())

    def where(self, rows: npt.NDArray[np.bool_]) -> Examples:
        """Return the rows for which `rows` is true."""
        keep = pa.array(rows)
        parts = self.labels[rows], self.languages.filter(keep), self.sets[rows], self.parts[rows]
        return Examples(self.texts.filter(keep), *parts, self.files)


def read_examples(stage: str, recipe: Recipe, files: Sequence[Path]) -> Examples:
    """Read, label and split the files; raise ConfigError when a file or a label does not fit the stage."""
    if not files:
        raise ConfigError(f"train {stage}: no --data given: expected Parquet files with text, label and lang")
    split = {name_of(file) for file in files if is_validation(file)}
    parts = [_read(stage, recipe, file, split) for file in files]
    merged = Examples(
        pa.concat_arrays([part.texts for part in parts]),
        np.concatenate([part.labels for part in parts]),
        pa.concat_arrays([part.languages for part in parts]),
        np.concatenate([part.sets for part in parts]),
        np.concatenate([part.parts for part in parts]),
        tuple(files),
    )
    return _taught(stage, _without_repeats(merged))


def name_of(file: Path) -> str:
    """Return the set a file belongs to.

    >>> name_of(Path("a/tubespam.val.parquet"))
    'tubespam'
    """
    return file.name.split(".")[0]


def is_validation(file: Path) -> bool:
    """Tell whether a file is for validation alone, by its name."""
    return file.name.endswith(".val.parquet")


def _read(stage: str, recipe: Recipe, file: Path, split: set[str]) -> Examples:
    table = read_labelled(stage, file, recipe.mark)
    name = name_of(file)
    known = KNOWN_SETS.get(name, UNKNOWN_SET)
    languages = table["lang"].combine_chunks().cast(pa.string())
    labels = pc.utf8_lower(pc.utf8_trim_whitespace(table["label"].combine_chunks().cast(pa.string())))
    if stage in known.every_row:
        labels = pa.array([known.every_row[stage]] * len(table), pa.string())
    _check_labels(stage, recipe, file, labels)
    texts = tidied(table["text"].combine_chunks().cast(pa.string()), known)
    keep = pc.and_(texts.is_valid(), labels.is_valid())
    keep = pc.fill_null(keep, False)
    texts, labels, languages = texts.filter(keep), labels.filter(keep), languages.filter(keep)
    positive = np.asarray(pc.is_in(labels, pa.array(sorted(recipe.positive))), np.bool_)
    if is_validation(file):
        parts = np.full(len(texts), VALIDATION, np.int8)
    else:
        parts = np.array([part_of(text, name not in split and known.measured) for text in texts.to_pylist()], np.int8)
    return Examples(texts, positive, languages, np.full(len(texts), name), parts)


def read_labelled(stage: str, file: Path, mark: Mark | None = None) -> pa.Table:
    """Return the table of a labelled file; raise ConfigError unless text, label and lang are columns of text.

    A file of `swarmfeed label` has no `label`: there the answers to the question that fits the stage stand for it.
    """
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise ConfigError(f"train {stage}: {file} is not a readable Parquet file: {error}") from None
    if mark and "label" not in table.column_names and mark.column in table.column_names:
        table = table.append_column("label", _labels_of(table[mark.column], mark, f"train {stage}: {file}"))
    for column in ("text", "label", "lang"):
        if column not in table.column_names:
            raise ConfigError(f"train {stage}: {file} has no column '{column}', it has {', '.join(table.column_names)}")
        kind = table.schema.field(column).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise ConfigError(f"train {stage}: {file}: column '{column}' should be text, it is {kind}")
    return table


def _labels_of(marks: pa.ChunkedArray, mark: Mark, where: str) -> pa.ChunkedArray:
    """Return a label for each answer, null for one that is unsure or was not given."""
    if not pa.types.is_floating(marks.type):
        raise ConfigError(f"{where}: column '{mark.column}' should be numbers, it is {marks.type}")
    near = 1e-6  # answers are fifths, rounded to single precision
    low, high = pc.less_equal(marks, LOW_MARK + near), pc.greater_equal(marks, HIGH_MARK - near)
    return pc.if_else(high, mark.high, pc.if_else(low, mark.low, pa.scalar(None, pa.string())))


def _check_labels(stage: str, recipe: Recipe, file: Path, labels: pa.Array) -> None:
    legal = recipe.positive | recipe.negative
    for label in sorted(filter(None, labels.unique().to_pylist())):
        if recipe.negative and label not in legal:
            raise ConfigError(
                f"train {stage}: {file}: unknown label '{label}': {nearest(label, legal)}; for labels of your own say "
                "with --positive LABEL which of them a high score stands for"
            )


def tidied(texts: pa.Array, known: KnownSet) -> pa.Array:
    """Clean texts as the stage before the classifiers does, and undo what a collection did to them."""
    clean, _ = clean_strings(texts)
    if known.artefact:
        clean = pc.replace_substring_regex(clean, known.artefact, known.replacement)
    return clean


_BLURRED = re.compile(r"https?\S*|@\w+|[\W\d_]+")


def blurred(text: str) -> bytes:
    """Return the words of a text alone, without links, digits, punctuation and case, as bytes to be hashed."""
    return _BLURRED.sub(" ", text.casefold()).strip().encode("utf-8", "replace")


def part_of(text: str, keeps_validation: bool, keeps_tune: bool = False) -> int:
    """Return the part from the text alone, so that copies of a text never stand on both sides."""
    slot = hashlib.blake2b(blurred(text), digest_size=4).digest()[0] * 10 // 256
    if keeps_tune and slot == 0:
        return TUNE
    return VALIDATION if keeps_validation and slot == 1 else FIT


def _without_repeats(examples: Examples) -> Examples:
    """Leave out rows whose text came before, validation rows first of all, so that no text is learnt and tested."""
    order = np.argsort(examples.parts != VALIDATION, kind="stable")
    seen: set[bytes] = set()
    keep = np.zeros(len(order), np.bool_)
    texts = examples.texts.to_pylist()
    for row in order.tolist():
        key = hashlib.blake2b(texts[row].encode("utf-8", "replace"), digest_size=12).digest()
        keep[row] = key not in seen
        seen.add(key)
    return examples.where(keep)


def _taught(stage: str, examples: Examples) -> Examples:
    """Leave out the languages of which only one class is known: the language itself would be learnt as its sign."""
    taught = languages_taught(examples)
    if not taught:
        raise ConfigError(f"train {stage}: no language has rows of both classes: give rows of the other class")
    return examples.where(np.isin(np.array(examples.languages.fill_null("").to_pylist(), np.str_), taught))


def languages_taught(examples: Examples) -> list[str]:
    """Return the languages that have rows of both classes, in order."""
    pairs = set(zip(examples.languages.fill_null("").to_pylist(), examples.labels.tolist(), strict=True))
    return sorted(language for language, label in pairs if label and (language, False) in pairs)
