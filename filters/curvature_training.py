"""Fit how the curvature of a local language model is joined with the style of a post, for the uncertain middle.

A logistic regression over three numbers on labelled rows whose score by style is uncertain, each row as it came and
masked; the language model and the style model stay as they are. The same files and models give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.ai_text import AiText
from filters.card import PAGE_FILE, describe, page
from filters.classifier import SHIPPED
from filters.curvature import FIT_FILE, MAX_TOKENS, Floats, LanguageModel
from filters.evaluation import evaluate, masked, measure
from filters.fitting import ridge_logistic
from filters.labelled import FIT, RECIPES, VALIDATION, Examples, Recipe, read_examples, with_positive
from filters.style_model import StyleModel
from filters.uncertain import INPUTS, MIDDLE, Joined, joint_inputs, uncertain
from filters.verdict import AI_TEXT_FLAG
from schemas.errors import ConfigError, SetupError

STAGE = AiText.name
FEWEST = 20  # rows of each class in the middle
HOW = (
    "Logistic regression over the logit of the score by style and the curvature of a language model (Bao et al., "
    "Fast-DetectGPT, ICLR 2024, analytic form), for posts whose score by style is from {low:g} to {high:g}; others "
    "keep that score. Links, mentions, hashtags and emoji are taken out before the language model reads, and it reads "
    "the first {tokens} tokens. Weights: {weights}. sha256 of the style model: `{style}`. A score is a probability "
    "under even odds of people and machines."
)
LIMITS = (
    "A language model finds likely what it has learnt: quotations, headlines and song texts look machine-written to "
    "it, and so does plain, regular English, such as that of people who learnt the language late.",
    "Text of a generator unlike the language model, text that was edited, and text from a prompt that the language "
    "model does not see are less curved. A short post has few tokens to tell by.",
    "Rows that the style model has learnt flatter it: fit on rows it has not seen.",
    f"A score above {AI_TEXT_FLAG:g} no longer means what it means for style alone: see the people above it.",
)


class Order(NamedTuple):
    """What is fitted: the folder of a language model, that of the style model, a label of the user's own."""

    language_model: str
    style: str = SHIPPED
    positive: str | None = None


class _Rows(NamedTuple):
    """Rows of the middle to learn from. Shapes: (rows, len(INPUTS)), (rows,), (rows,)."""

    inputs: Floats
    labels: npt.NDArray[np.bool_]
    weights: Floats


def train(files: Sequence[Path], folder: Path, order: Order) -> dict[str, Any]:
    """Fit, measure, and make `folder` a language model that the stage takes; return its card.

    Raises ConfigError for files that cannot teach it, SetupError for a model or a folder that will not do.
    """
    recipe = with_positive(RECIPES[STAGE], order.positive)
    style, model = StyleModel.load(STAGE, order.style), LanguageModel.open(order.language_model)
    examples = read_examples(STAGE, recipe, files)
    ask = _remembering(model.measure)
    rows = _middle(style, ask, examples.where(examples.parts == FIT))
    joined = Joined(style, ask, ridge_logistic(rows.inputs, rows.labels, rows.weights), MIDDLE)
    card = _card(joined, model.sha256, recipe, examples)
    _write(card, Path(order.language_model), folder)
    return card


def _middle(style: StyleModel, ask: Callable[[pa.Array], Floats], examples: Examples) -> _Rows:
    """Return the uncertain rows, twice: as they came and masked. The classes weigh the same over all scored rows."""
    found = []
    for texts in (examples.texts, masked(examples.texts)):
        scores = style.score(texts, examples.languages)
        values, asked = scores.to_numpy(zero_copy_only=False), np.flatnonzero(uncertain(scores, MIDDLE))
        curvatures = ask(masked(texts.take(pa.array(asked))))
        told = ~np.isnan(curvatures)
        scored = examples.labels[~np.isnan(values)]
        shares = np.where(examples.labels, 1 / max(1, scored.sum()), 1 / max(1, (~scored).sum()))
        asked = asked[told]
        found.append(_Rows(joint_inputs(values[asked], curvatures[told]), examples.labels[asked], shares[asked]))
    rows = _Rows(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    for label, name in ((True, "machine"), (False, "people's")):
        if (count := int((found[0].labels == label).sum())) < FEWEST:
            raise ConfigError(
                f"train {STAGE}: {count} {name} rows whose style is uncertain: expected {FEWEST}: give more rows"
            )
    return rows._replace(weights=rows.weights / rows.weights.mean())


def _remembering(measure: Callable[[pa.Array], Floats]) -> Callable[[pa.Array], Floats]:
    """Ask of each text once: fitting and measuring look at the same texts more than once."""
    known: dict[str, float] = {}

    def ask(texts: pa.Array) -> Floats:
        new = [text for text in texts.unique().to_pylist() if text not in known]
        known.update(zip(new, measure(pa.array(new, pa.string())).tolist(), strict=True))
        return np.array([known[text] for text in texts.to_pylist()], np.float64)

    return ask


def _card(joined: Joined, sha256: str, recipe: Recipe, examples: Examples) -> dict[str, Any]:
    weights = dict(zip(INPUTS, joined.weights.tolist(), strict=True))
    told = ", ".join(f"{name} {weight:.4g}" for name, weight in weights.items())
    low, high = joined.middle
    figures: dict[str, Any] = {
        "how": HOW.format(low=low, high=high, tokens=MAX_TOKENS, weights=told, style=joined.style.sha256),
        "made_by": f"swarmfeed train {STAGE} --data FILE... --language-model FOLDER --out FOLDER",
        "sha256": sha256,
        "sha256_of": "the language model: every file in its folder but this card, with its name",
        "style_sha256": joined.style.sha256,
        "weights": weights,
        "uncertain": [low, high],
        "features": list(INPUTS),
        "calibration": {"method": "the logistic regression itself, under even odds"},
        "validation": evaluate(joined, examples),
        "leave_one_set_out": {},
        "middle": _compare(joined, examples.where(examples.parts == VALIDATION)),
    }
    card = describe(joined.style, recipe, examples, figures)
    return card | {"limits": [*LIMITS, *card["limits"]]}


def _compare(joined: Joined, rows: Examples) -> dict[str, Any]:
    """Return figures of the rows in the middle, by style alone and by both, and which share of all they are.

    `people_above` is the share of all people's rows that score above the threshold a flag would use.
    """
    out = {}
    for reading, texts in (("as it came", rows.texts), ("masked", masked(rows.texts))):
        alone, both = joined.style.score(texts, rows.languages), joined.score(texts, rows.languages)
        here = uncertain(alone, joined.middle)
        for kind, scores in (("by style", alone), ("by both", both)):
            values = scores.to_numpy(zero_copy_only=False).astype(np.float64)
            figures = measure(values[here], rows.labels[here])
            figures["share_of_rows"] = round(float(here.mean()), 4) if len(here) else 0.0
            people = values[~rows.labels & ~np.isnan(values)]
            figures["people_above"] = round(float((people > AI_TEXT_FLAG).mean()), 4) if len(people) else 0.0
            out[f"{kind}, {reading}"] = figures
    return out


def _write(card: dict[str, Any], model: Path, folder: Path) -> None:
    """Write the card into the language model's folder, or into a copy of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if model.resolve() != folder.resolve():
            for file in sorted(path for path in model.iterdir() if path.is_file() and path.name != FIT_FILE):
                shutil.copyfile(file, folder / file.name)
        (folder / PAGE_FILE).write_text(page(card), encoding="utf-8")
        (folder / FIT_FILE).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the fitted language model to {folder}: {error.strerror}") from None
