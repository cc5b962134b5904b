"""Train the language stage: fit its tables and thresholds, measure the stage with them, write both and the card."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters import language, language_fit, language_lid
from filters.evaluation import masked
from filters.kernels.readable import readable
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.labelled import (
    FIT,
    KNOWN_SETS,
    UNKNOWN_SET,
    VALIDATION,
    is_validation,
    name_of,
    part_of,
    read_labelled,
    tidied,
)
from filters.language_doubts import doubted
from filters.language_fit import Lessons
from filters.language_model import CARD_FILE, WEIGHTS_FILE, load, read_weights
from filters.language_names import COMMON, LEFT_OUT, UNKNOWN, bcp47
from pipelines.language_card import PAGE_FILE, describe, page
from schemas.columns import CLEAN_TEXT
from schemas.errors import ConfigError, SetupError

LEAST_MEASURED = 20  # validation posts that a language needs for a row of its own on the card
SENTENCES = "tatoeba_laser"  # the set whose sentences are measured whole and cut short
SHORT = {"single words": 1, "word pairs": 2, "sentences": 0}  # words cut from the middle of each; 0: all of it
LEAST_LETTERS = 5  # of a word that is measured alone, as published tests have it

_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_FIGURES = ("rows", "accuracy", "precision_where_told", "und", "accuracy_if_always_told")
_WORDS = re.compile(rf"[^\W\d_]{{{LEAST_LETTERS},}}")

_Names = npt.NDArray[np.str_]
_Flags = npt.NDArray[np.bool_]


def train_language(files: Sequence[Path], folder: Path, seed: int = 0) -> dict[str, Any]:
    """Fit the language model, measure the stage with it, write both and return the card.

    A set with a `*.val.parquet` file is measured on that; of any other a tenth, by a hash of the text, is held out.
    Posts whose label is doubtful (`language_doubts`) are not learnt from, and measured with the others and without.
    """
    posts = _read(files)
    if not (posts.parts == FIT).any():
        raise ConfigError("train language: no rows to fit on: give a file that is not named *.val.parquet")
    doubts = doubted(posts, seed)
    held = posts.parts == VALIDATION
    weights = language_fit.fit(posts.where(held | ~doubts), seed).to_bytes()
    sha256 = hashlib.sha256(weights).hexdigest()
    card = {"stage": "language", "sha256": sha256, "seed": seed, **describe(files, posts, doubts)}
    card["files"] = {
        WEIGHTS_FILE: sha256,
        "lid.176.ftz": hashlib.sha256(language_lid.model_file().read_bytes()).hexdigest(),
    }
    _write(folder, {WEIGHTS_FILE: weights, CARD_FILE: _dump(card)})
    stage = language.Language(model=str(folder))
    card["languages"] = sorted(language.supported(stage.weights))
    card["validation"] = _evaluate(stage, posts.where(held), doubts[held])
    _write(folder, {PAGE_FILE: page(card).encode(), CARD_FILE: _dump(card)})
    return card


def _dump(card: Mapping[str, Any]) -> bytes:
    return json.dumps(card, indent=2, ensure_ascii=False).encode() + b"\n"


def _read(files: Sequence[Path]) -> Lessons:
    """Read and clean the posts of all files; leave out of the fit the texts that are held out elsewhere."""
    measured = {name_of(file) for file in files if is_validation(file)}
    parts = [_read_file(file, name_of(file) in measured) for file in files]
    texts, *columns = zip(*parts, strict=True)
    posts = Lessons(pa.concat_arrays(texts), *map(np.concatenate, columns))
    held = posts.parts == VALIDATION
    known = pc.is_in(posts.texts, value_set=posts.texts.filter(pa.array(held))).to_numpy(zero_copy_only=False)
    return posts.where(held | ~known)


def _read_file(file: Path, has_validation_file: bool) -> Lessons:
    table, known = read_labelled("language", file), KNOWN_SETS.get(name_of(file), UNKNOWN_SET)
    column, labels = (table[name].combine_chunks().cast(pa.string()) for name in ("text", "label"))
    if "language" in known.every_row:  # the labels are classes of another stage
        labels = pa.array([known.every_row["language"]] * len(table), pa.string())
    keep = pc.and_(column.is_valid(), labels.is_valid())
    texts = tidied(column.filter(keep), known)
    names = labels.filter(keep).to_pylist()
    for name in sorted(set(names)):
        if not _TAG.fullmatch(name):
            raise ConfigError(f"train language: {file}: label {name!r}: expected a BCP 47 tag, like 'en' or 'zh-Hant'")
    if is_validation(file):
        parts = np.full(len(names), VALIDATION, np.int8)
    else:
        parts = np.array([part_of(text, not has_validation_file, True) for text in texts.to_pylist()], np.int8)
    truth = np.array([bcp47(name) for name in names], np.str_)
    posts = Lessons(texts, truth, np.full(len(names), name_of(file)), parts)
    untaught = np.isin(truth, list(LEFT_OUT)) & (posts.sets == "tatoeba_laser") & (parts != VALIDATION)
    return posts.where(~untaught)


def _evaluate(stage: language.Language, posts: Lessons, doubts: _Flags) -> dict[str, Any]:
    """Return the figures of the held-out posts as they came, and with links, mentions, hashtags and emoji taken out."""
    return {
        kind: _figures(stage, posts._replace(texts=texts), doubts)
        for kind, texts in (("raw", posts.texts), ("masked", masked(posts.texts)))
    }


def _groups(stage: language.Language, posts: Lessons, doubts: _Flags) -> dict[str, dict[str, _Flags]]:
    languages, counts = np.unique(posts.truth, return_counts=True)
    supported = np.isin(posts.truth, sorted(language.supported(stage.weights)))
    groups: dict[str, dict[str, _Flags]] = {"by_set": {}, "by_language": {}}
    for name in np.unique(posts.sets).tolist():
        here = posts.sets == name
        groups["by_set"][name] = here
        groups["by_set"][f"{name}, known languages"] = here & supported
        groups["by_set"][f"{name}, common languages"] = here & np.isin(posts.truth, COMMON)
        if (here & doubts).any():
            groups["by_set"][f"{name}, doubtful labels left out"] = here & ~doubts
    for name in languages[counts >= LEAST_MEASURED].tolist():
        groups["by_language"][name] = posts.truth == name
    return groups


def _figures(stage: language.Language, posts: Lessons, doubts: _Flags) -> dict[str, Any]:
    """Ask the stage about texts and measure its answers, over all, by group, and on words cut from sentences."""
    told, best = _ask(stage, posts.texts)
    out: dict[str, Any] = {"all": _measure(told, best, posts.truth)}
    for kind, cells in _groups(stage, posts, doubts).items():
        out[kind] = {
            name: _measure(told[cell], best[cell], posts.truth[cell]) for name, cell in cells.items() if cell.any()
        }
    taught = load(stage.weights or read_weights(stage.model)).languages
    sentences = posts.where((posts.sets == SENTENCES) & np.isin(posts.truth, taught))
    found = {name: _short(stage, sentences, words) for name, words in SHORT.items()} if len(sentences.truth) else {}
    return {**out, "short": found}


def _ask(stage: language.Language, texts: pa.Array) -> tuple[_Names, _Names]:
    """Return what the stage tells of texts, and its best guess, however doubtful."""
    unchanged = pa.array(np.zeros(len(texts), np.bool_))
    rows = pa.StructArray.from_arrays([texts, unchanged], fields=list(CLEAN_TEXT))
    told = np.array(stage(pa.record_batch({"clean_text": rows})).field("lang").to_pylist(), np.str_)
    return told, language.guesses(texts, stage.weights)


def _short(stage: language.Language, posts: Lessons, words: int) -> dict[str, Any]:
    """Measure the stage on a stretch of long words from the middle of each sentence, or all; means over languages."""
    data, ends, _ = readable(*utf8_buffers(posts.texts))
    cut = [_WORDS.findall(text) for text in string_array(data, ends).to_pylist()]
    rows = np.array([len(found) >= words for found in cut], np.bool_)
    pieces = [" ".join(found[(len(found) - words) // 2 :][:words]) for found in cut if len(found) >= words]
    told, best = _ask(stage, pa.array(pieces, pa.string()) if words else posts.texts)
    truth = posts.truth[rows]
    names = [name for name, count in zip(*np.unique(truth, return_counts=True), strict=True) if count >= LEAST_MEASURED]
    each = [_measure(told[truth == name], best[truth == name], truth[truth == name]) for name in names]
    means = {
        key: round(float(np.mean([found[key] for found in each])), 4)
        for key in _FIGURES[1:]
        if each and key != _FIGURES[2]
    }
    return {"rows": len(truth), "languages": len(names), **means}


def _measure(told: _Names, best: _Names, truth: _Names) -> dict[str, float | int | None]:
    """Return the figures of one group: `und` is the share of posts told to be that."""
    right, known = told == truth, told != UNKNOWN
    means = (right, right[known], ~known, best == truth)
    shares = [round(float(flags.mean()), 4) if len(flags) else None for flags in means]
    return dict(zip(_FIGURES, (len(truth), *shares), strict=True))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise SetupError(f"cannot write the model of stage 'language' to {folder}: {error.strerror}") from None
