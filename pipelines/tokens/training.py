"""Train a byte-level BPE tokenizer on posts and write it with its card.

What a vocabulary learns, everybody who downloads it can read: links, mentions and e-mail addresses are cut from the
texts first, each distinct text counts once, a text that only repeats itself not at all, and a merge needs
MIN_FREQUENCY occurrences.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as HuggingFaceTokenizer

from pipelines.tokens.patterns import POST_PATTERN
from pipelines.tokens.tokenizer import TOKENIZER_FILE, Tokenizer
from schemas.errors import ConfigError, SetupError

CARD_FILE, PAGE_FILE = "card.json", "card.md"
END_OF_DOCUMENT = "<|endoftext|>"  # id 0
MIN_FREQUENCY = 10
SMALLEST = 512  # 256 bytes, the end of document and something to learn
MOST_REPEATS = 8  # how often a text of a rare language is shown at most
SMOOTHING = 0.3  # a language with a hundredth of the text is shown 100^0.3 = 4 times as often
HELD_OUT = 50  # one text in so many is kept for the card's figures
LEAST_MEASURED = 2000  # characters a language needs for a figure of its own
MOST_SQUEEZED = 10  # a text that deflates further than this says one thing over and over

UNKNOWN_LICENCE = "not recorded"
LICENCES = {
    "ira-tweets": "none stated at the source; published for research by FiveThirtyEight",
    "reddit-posts": "PDDL 1.0",
    "tatoeba_laser": "CC BY 2.0 FR, Tatoeba contributors",
    "umsab_tweets8": "repository Apache 2.0; the tweets have their own terms",
}
LIMITS = (
    "Measured on held-out texts of the sources it learned from, which flatters it beside the others.",
    "A language with a few hundred example texts costs more tokens per byte than those with many.",
    "Links, handles and e-mail addresses were cut out and no token spells more than three digits; a name or hashtag "
    "that many texts hold can be one token.",
)
LIMITS_OF_KNOWN_FILES = (
    "Learned mostly from English and Russian tweets of 2017 by one influence operation and from English Reddit posts "
    "of 2006 to 2013: their topics and hashtags have tokens of their own, later ones do not.",
)

_LANGUAGE_COLUMNS = ("lang", "lang_hint")
_EMAIL = re.compile(r"\S+@\S+\.\S+")
_LINK = re.compile(r"https?://\S*")
_MENTION = re.compile(r"@\w+")


@dataclass(frozen=True)
class _Texts:
    """Distinct texts of one language, those to learn from and those to measure on."""

    learn: list[str]
    measure: list[str]


def train_tokenizer(
    files: Sequence[Path], folder: Path, vocabulary: int = 32_768, reference: Tokenizer | None = None
) -> dict[str, Any]:
    """Train on the `text` of Parquet files, write tokenizer.json and its card to a folder, return the card.

    The same files give the same bytes. Languages are told by a column `lang` or `lang_hint`, where there is one, and
    rare ones are shown more often. The card compares bytes per token with `reference` when one is given. Holds the
    distinct texts in memory. Raises ConfigError for files that cannot be used, SetupError when the folder cannot be
    written.
    """
    if vocabulary < SMALLEST:
        raise ConfigError(f"train tokenizer: a vocabulary of {vocabulary} is too small: expected {SMALLEST} or more")
    languages = _read(files)
    tokenizer = _train(languages, vocabulary)
    data = _json(json.loads(tokenizer.to_str()))
    trained = Tokenizer.from_bytes(TOKENIZER_FILE, "json", data)
    held = _measured({name: texts.measure for name, texts in languages.items()})
    terms = {path.name: LICENCES.get(path.name.split(".")[0], UNKNOWN_LICENCE) for path in map(Path, files)}
    card = {
        "stage": "tokenizer",
        "sha256": trained.sha256,
        "kind": "byte-level BPE, lossless, no normaliser",
        "vocabulary": trained.vocabulary,
        "end_of_document": END_OF_DOCUMENT,
        "pattern": POST_PATTERN,
        "data": terms,
        "texts": sum(len(texts.learn) for texts in languages.values()),
        "min_frequency": MIN_FREQUENCY,
        "bytes_per_token": bytes_per_token(held, trained, reference),
        "limits": [*LIMITS, *(LIMITS_OF_KNOWN_FILES if UNKNOWN_LICENCE not in terms.values() else ())],
    }
    _write(folder, {TOKENIZER_FILE: data, PAGE_FILE: page(card).encode(), CARD_FILE: _json(card, indent=2)})
    return card


def page(card: dict[str, Any]) -> str:
    """Return the card as Markdown, figure for figure."""
    figures = card["bytes_per_token"]
    columns = list(next(iter(figures.values()), {}))
    rows = [f"| {group} | {' | '.join(str(row[name]) for name in columns)} |" for group, row in figures.items()]
    parts = [
        "# Model card: tokenizer",
        f"{card['kind']}: {card['vocabulary']} tokens, end of document `{card['end_of_document']}`. "
        f"`{TOKENIZER_FILE}` is read by the tokenizers library.",
        f"sha256 of `{TOKENIZER_FILE}`: `{card['sha256']}`",
        "## Data",
        f"Made by `swarmfeed train tokenizer --data FILE... --out FOLDER` from {card['texts']} distinct texts, links, "
        "mentions and e-mail addresses cut out; a pair was merged when it "
        f"occurred {card['min_frequency']} times or more, rare languages counted up to {MOST_REPEATS} times.",
        "\n".join(
            ["| file | licence |", "|---|---|", *(f"| {file} | {terms} |" for file, terms in card["data"].items())]
        ),
        "## Bytes per token on held-out texts",
        f"One text in {HELD_OUT}, kept out of training, by language as the file names it; more is better.",
        "\n".join([f"| language | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|", *rows]),
        "## Limits",
        "\n".join(f"- {limit}" for limit in card["limits"]),
    ]
    return "\n\n".join(parts) + "\n"


def _measured(held: dict[str, list[str]]) -> dict[str, list[str]]:
    """Join the texts of languages that are too few to measure on under "other"."""
    groups: dict[str, list[str]] = {}
    for name, texts in held.items():
        groups.setdefault(name if sum(map(len, texts)) >= LEAST_MEASURED else "other", []).extend(texts)
    return groups


def _write(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise SetupError(f"cannot write the tokenizer to {folder}: {error.strerror}") from None


def _json(data: Any, indent: int | None = None) -> bytes:
    separators = None if indent else (",", ":")
    return (json.dumps(data, ensure_ascii=False, indent=indent, separators=separators) + "\n").encode()


def bytes_per_token(
    texts: dict[str, list[str]], tokenizer: Tokenizer, reference: Tokenizer | None = None
) -> dict[str, dict[str, float]]:
    """Return the mean UTF-8 bytes per token by group of texts, for the tokenizer and the reference: more is better."""
    figures: dict[str, dict[str, float]] = {}
    for group in sorted(texts):
        column = pa.array(texts[group], pa.string())
        size = pc.sum(pc.binary_length(column)).as_py() or 0
        row: dict[str, float] = {"texts": len(column)}
        for one in (tokenizer, reference):
            if one is not None:
                tokens = len(one.encode(column).values)
                row[one.name] = round(size / max(1, tokens), 3)
        figures[group] = row
    return figures


def prepare(text: str) -> str:
    """Cut from a text what must not enter a vocabulary.

    >>> prepare("RT @someone: mail me&amp;you at a.b@example.org https://example.org/x")
    'RT @: mail me&you at  https://t.co/'
    """
    text = _EMAIL.sub("", html.unescape(text)) if "@" in text or "&" in text else text
    return _MENTION.sub("@", _LINK.sub("https://t.co/", text))


def repeats(chars: int, largest: int) -> int:
    """Return how often to show the texts of a language with `chars` characters beside the largest one.

    >>> repeats(1_000_000, 1_000_000), repeats(10_000, 1_000_000), repeats(10, 1_000_000)
    (1, 4, 8)
    """
    return max(1, min(MOST_REPEATS, round(math.pow(largest / max(1, chars), SMOOTHING))))


def _read(files: Sequence[Path]) -> dict[str, _Texts]:
    seen: set[bytes] = set()
    languages: dict[str, _Texts] = {}
    for file in files:
        for text, language in _rows(Path(file)):
            text = prepare(text)
            digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
            if digest in seen or _repeats_itself(text):
                continue
            seen.add(digest)
            texts = languages.setdefault(language, _Texts([], []))
            (texts.learn if int.from_bytes(digest[:4], "big") % HELD_OUT else texts.measure).append(text)
    if not any(texts.learn for texts in languages.values()):
        raise ConfigError("train tokenizer: the files hold no text")
    return languages


def _repeats_itself(text: str) -> bool:
    return len(text) > 100 and len(zlib.compress(text.encode(), 1)) * MOST_SQUEEZED < len(text.encode())


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (text, language) of every row with a text; "und" where no column says."""
    try:
        source = pq.ParquetFile(file)
        language = next((name for name in _LANGUAGE_COLUMNS if name in source.schema_arrow.names), None)
        if "text" not in source.schema_arrow.names:
            raise ConfigError(f"train tokenizer: {file}: expected a column 'text'")
        for batch in source.iter_batches(columns=["text", language] if language else ["text"]):
            names = batch.column(1).to_pylist() if language else [None] * batch.num_rows
            yield from (
                (text, name or "und") for text, name in zip(batch.column(0).to_pylist(), names, strict=True) if text
            )
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"train tokenizer: {file}: expected Parquet: {str(error).splitlines()[0]}") from None


def _train(languages: dict[str, _Texts], vocabulary: int) -> HuggingFaceTokenizer:
    tokenizer = HuggingFaceTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(POST_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[END_OF_DOCUMENT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_shown(languages), trainer)
    return tokenizer


def _shown(languages: dict[str, _Texts]) -> Iterator[list[str]]:
    """Yield the texts to learn from, by language, as often as they are to be shown."""
    sizes = {name: sum(map(len, texts.learn)) for name, texts in languages.items()}
    largest = max(sizes.values())
    for name in sorted(languages):
        for _ in range(repeats(sizes[name], largest)):
            yield languages[name].learn
