"""Write a trained model as three files: its weights, its card for programs, and the same card for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from filters.classifier import CARD_FILE, CUT, WEIGHTS_FILE, Classifier
from filters.kernels.ngrams import ROWS
from filters.labelled import FIT, KNOWN_SETS, UNKNOWN_LIMIT, UNKNOWN_SET, VALIDATION, Examples, Recipe
from filters.style_model import StyleModel
from schemas.errors import SetupError

PAGE_FILE = "card.md"
_COLUMNS = (
    "rows",
    "scored",
    "macro_f1",
    "accuracy",
    "roc_auc",
    "tpr_at_fpr_1_percent",
    "false_positive_rate",
    "calibration_error",
)
_MIDDLE_COLUMNS = (*_COLUMNS, "share_of_rows", "people_above")


def describe(
    model: Classifier | StyleModel, recipe: Recipe, examples: Examples, figures: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the card: what the model says, from which data, how well, and where it must not be trusted."""
    return {
        "stage": model.stage,
        "question": recipe.question,
        "sha256": model.sha256,
        "languages": list(model.languages),
        "labels": {"positive": sorted(recipe.positive), "negative": sorted(recipe.negative) or "every other"},
        "files": [file.name for file in examples.files],
        "data": [_describe_set(model.stage, name, examples) for name in np.unique(examples.sets).tolist()],
        "features": {
            "cut": CUT,
            "rows": ROWS,
            "marks": "read" if recipe.reads_marks else "left out",
            "min_words": recipe.min_words,
        },
        "calibration": {
            "method": "Platt, on scores of rows that the scoring model had not seen; the odds of the classes in each "
            "set and language are the root of what they are there",
        },
        **figures,
        "limits": list(recipe.limits if set(examples.sets.tolist()) <= set(KNOWN_SETS) else (UNKNOWN_LIMIT,)),
    }


def _describe_set(stage: str, name: str, examples: Examples) -> dict[str, Any]:
    known = KNOWN_SETS.get(name, UNKNOWN_SET)
    here = examples.sets == name
    parts = {"fit": FIT, "validation": VALIDATION}
    return {
        "set": name,
        "licence": known.licence,
        "note": known.note,
        "every_row_counts_as": known.every_row.get(stage),
        "languages": sorted(set(examples.languages.filter(here).drop_null().to_pylist())),
        "rows": {part: int((here & (examples.parts == number)).sum()) for part, number in parts.items()},
        "positive_share": round(float(examples.labels[here].mean()), 4),
    }


def write_model(model: Classifier | StyleModel, card: Mapping[str, Any], folder: Path) -> None:
    """Write weights, card and page to a folder, the card last of all; raise SetupError when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS_FILE).write_bytes(model.to_bytes())
        (folder / PAGE_FILE).write_text(page(card), encoding="utf-8")
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        (folder / CARD_FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the model of stage '{card['stage']}' to {folder}: {error.strerror}") from None


def page(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown, figure for figure."""
    languages = ", ".join(card["languages"]) or "every language"
    made_by = card.get("made_by", f"swarmfeed train {card['stage']} --data FILE... --out FOLDER")
    parts = [
        f"# Model card: {card['stage']}",
        f"A high score means: {card['question']}. Languages: {languages}; null elsewhere.",
        card.get("how") or _linear(card),
        f"sha256 of {card.get('sha256_of', f'`{WEIGHTS_FILE}`')}: `{card['sha256']}`",
        "## Data",
        f"Made by `{made_by}` from {', '.join(card['files'])}.",
        *_data(card),
        "## Validation split, as it came",
        _table(_groups(card["validation"]["raw"])),
        "## Validation split, links, mentions, hashtags and emoji taken out",
        _table(_groups(card["validation"]["masked"])),
    ]
    if "middle" in card:
        parts += ["## The uncertain middle, of the validation split", _table(card["middle"], _MIDDLE_COLUMNS)]
    if "by_slice" in card["validation"]["raw"]:
        parts += [
            "## Slices of English",
            "Groups and spellings are found by lists of words (`filters/contrasts.py`, `filters/slices.py`): a proxy. "
            "Read the false positive rate of a slice beside that of the row below it. As it came, and masked:",
            _table(card["validation"]["raw"]["by_slice"]),
            _table(card["validation"]["masked"]["by_slice"]),
        ]
    if card["leave_one_set_out"]:
        parts += [
            "## Leave one set out",
            "Trained on the other sets, measured on all of this one: nearest to what an unknown source will see.",
            _table(card["leave_one_set_out"]),
        ]
    if card.get("leave_one_set_out_masked"):
        parts += ["The same, marks taken out:", _table(card["leave_one_set_out_masked"])]
    parts += ["## Limits", "\n".join(f"- {limit}" for limit in card["limits"])]
    return "\n\n".join(parts) + "\n"


def _linear(card: Mapping[str, Any]) -> str:
    """Say how a classifier of hashed n-grams was made."""
    return (
        "Logistic regression on hashed character 2-5-grams, words, word pairs and style features: "
        f"{card['features']['rows']} weights of one byte. Case, links, mentions, hashtags and emoji stand in no n-gram "
        f"of the text; what hashtags and emoji say, and how many marks of each kind there are, is "
        f"{card['features']['marks']}. A text of fewer than {card['features']['min_words']} word(s) gets no score. "
        "One whose language could not be told (`und`) is read if it is in a script that was learnt. "
        f"Chosen on five folds of the rows to fit: cost of an error {card['fit']['cost']}, freedom of words "
        f"{card['fit']['word_share']}, of style {card['fit']['style_share']}. Seed {card['seed']}. "
        "A score is a probability under odds half-way between those of the sets and even ones (the root of a set's "
        "odds)."
    )


def _data(card: Mapping[str, Any]) -> list[str]:
    rows = ["| set | licence | languages | fit | validation | positive | note |", "|" + "---|" * 7]
    for data in card["data"]:
        every = f"; every row counts as {data['every_row_counts_as']}" if data["every_row_counts_as"] else ""
        cells = [data["set"], data["licence"], ", ".join(data["languages"]), *data["rows"].values()]
        rows.append(f"| {' | '.join(map(str, cells))} | {data['positive_share']:.2f} | {data['note']}{every} |")
    unlicensed = [data["set"] for data in card["data"] if data["licence"].startswith("none stated")]
    warning = f"No licence is stated for {', '.join(unlicensed)}; they were published for research."
    return ["\n".join(rows)] + ([warning] if unlicensed else [])


def _groups(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {"all": figures["all"], **figures["by_set"], **figures["by_language"], **figures["by_length"]}


def _table(groups: Mapping[str, Mapping[str, float]], columns: Sequence[str] = _COLUMNS) -> str:
    rows = ["| rows of | " + " | ".join(name.replace("_", " ") for name in columns) + " |"]
    rows.append("|" + "---|" * (len(columns) + 1))
    for group, figures in groups.items():
        cells = [figures.get(name, "-") for name in columns]
        rows.append(f"| {group} | {' | '.join(f'{c:.3f}' if isinstance(c, float) else str(c) for c in cells)} |")
    return "\n".join(rows)
