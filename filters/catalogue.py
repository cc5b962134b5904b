"""Write the tables of stages and models in filters/README.md, from cards and costs: `python -m filters.catalogue`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("README.md")
RESULTS = Path(__file__).parents[1] / "bench" / "results"

STAGES: Mapping[str, tuple[str, str, str]] = {  # what it says of a post, what it is made from, its languages
    "clean_text": (
        "the text a reader sees: entities, mojibake, invisible marks, controls and stray spaces resolved",
        "ftfy behind a compiled pre-screen; Unicode NFC",
        "all",
    ),
    "language": (
        "language as BCP 47, or `und`; a second one and its share of the letters",
        "softmax over letter 1-5-grams and words for each script, scripts that decide alone, lid.176 (Joulin et al. "
        "2016, fastText) for what is left",
        "183",
    ),
    "quality": (
        "what a post consists of, how it repeats itself, whether a template wrote it; bait, lists of links and tags, "
        "code, questions, topic; a trained score",
        "rules for short posts after Gopher (Rae et al. 2021), Shannon's entropy, word lists of ours; logistic "
        "regression",
        "rules all, topic 12, score en",
    ),
    "spam": (
        "probability of advertising, prizes, phishing",
        "logistic regression",
        "en",
    ),
    "toxicity": (
        "probability of abuse",
        "logistic regression",
        "en, zh",
    ),
    "ai_text": (
        "probability that a machine wrote it, from the style of the post alone; the step adds what all its author's "
        "posts say together",
        "boosted oblivious trees over 66 numbers of style",
        "en",
    ),
    "credibility": (
        "claim, opinion or question; hedges, figures, quotations, named sources; the kind of host each link leads to; "
        "no score without a model of yours",
        "short lists of our own: phrases, endings of host names",
        "links all, words en",
    ),
    "pii": (
        "e-mail, phone, card, IBAN, IP, national ids; the text without them",
        "phonenumbers, python-stdnum and check digits behind a compiled pre-screen",
        "all",
    ),
    "sketch": (
        "fingerprint, bands and signature, for the duplicates step",
        "MinHash (Broder 1997) over character 4-grams, 24 bands of 6; MurmurHash3",
        "all",
    ),
    "contamination": (
        "how much of it is the wording of evaluation items given as files, and of which item most",
        "13-grams of words (Brown et al. 2020, appendix C), Karp-Rabin hashes behind a Bloom filter",
        "all",
    ),
    "fasttext": (
        "what supervised fastText models that you bring say: labels and probabilities",
        "any `.bin` or `.ftz` (Joulin et al. 2016), run by a kernel of ours",
        "your model's",
    ),
    "datatrove": (
        "whether datatrove would keep it, by each filter you name, and why not",
        "filter classes of datatrove, or written for it, as they are",
        "your filters'",
    ),
    "verdict": (
        "keep or not, and every reason against",
        "rules over the columns above but `credibility`, `fasttext` and `datatrove`, and `duplicates`, a threshold "
        "each ([why](../docs/policy.md))",
        "all, thresholds per language",
    ),
}

_STAGES_HEAD = ("stage", "what it says of a post", "made from", "languages")
_MODELS_HEAD = ("model", "learnt from", "languages", "left-out sets")
_VALIDATION = {"raw": "validation, as it came", "masked": "validation, marks taken out"}
_COST = "ms per 1,000 posts"
_MANY = 8  # more languages than this are counted, not named


def cards() -> dict[str, dict[str, Any]]:
    """Return the card of every shipped model by stage."""
    folders = sorted(files("filters.models").iterdir(), key=lambda folder: folder.name)
    found = [folder / "card.json" for folder in folders if (folder / "card.json").is_file()]
    return {card["stage"]: card for card in (json.loads(file.read_text(encoding="utf-8")) for file in found)}


def costs() -> tuple[str, dict[str, float]]:
    """Return the newest result file of `bench.stages` and the milliseconds each stage takes for 1,000 posts."""
    newest = max(RESULTS.glob("*-stages*.json"), key=lambda file: (file.name[:10], len(file.name), file.name))
    found = json.loads(newest.read_text(encoding="utf-8"))
    costs: dict[str, float] = found["inputs"]["real"]["microseconds"]  # of a post
    return newest.name, costs


def tables() -> dict[str, str]:
    """Return each table as Markdown, by its name between the marks of the page."""
    known, (_, cost) = cards(), costs()
    stages = [
        [f"`{name}`", *about, *_validation(known.get(name)), f"{cost[name]:.1f}" if name in cost else "-"]
        for name, about in STAGES.items()
    ]
    models = [_model(card) for card in known.values()]
    return {
        "stages": _table([*_STAGES_HEAD, *_VALIDATION.values(), _COST], stages),
        "models": _table(_MODELS_HEAD, models),
    }


def written(page: str) -> str:
    """Return a page with its tables as they should be, each between `<!-- NAME: ... -->` and `<!-- end of NAME -->`."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: python -m filters.catalogue -->", f"<!-- end of {name} -->"
        before, rest = page.split(begin, 1)
        page = f"{before}{begin}\n{table}\n\n{end}{rest.split(end, 1)[1]}"
    return page


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _model(card: Mapping[str, Any]) -> list[str]:
    link = f"[{card['stage']}](models/{card['stage']}/card.md)"
    if card["stage"] == "tokenizer":
        groups = {name: figures["tokenizer.json"] for name, figures in card["bytes_per_token"].items()}
        told = ", ".join(f"{name} {groups[name]:.2f}" for name in ("en", "ru", "ar", "ja") if name in groups)
        names = [file.split(".")[0] for file in card["data"]]
        return [link, ", ".join(names), "every", f"{told} bytes a token"]
    names = [data["set"] for data in card["data"]]
    languages = ", ".join(card["languages"]) if len(card["languages"]) <= _MANY else str(len(card["languages"]))
    return [link, ", ".join(names), languages, _left_out(card)]


def _validation(card: Mapping[str, Any] | None) -> list[str]:
    return [_quality(card["validation"][kind]) if card else "-" for kind in _VALIDATION]


def _quality(figures: Mapping[str, Any]) -> str:
    """Say how good a model is in its own terms: a classifier by F1 and AUC, the languages by what was told."""
    if "macro_f1" in figures["all"]:
        return f"macro-F1 {figures['all']['macro_f1']:.3f}, AUC {figures['all']['roc_auc']:.3f}"
    groups = [(name, group) for name, group in figures["by_set"].items() if name.endswith("common languages")]
    names = {"accuracy": "right", "precision_where_told": "where told", "und": "`und`"}
    told = ((set_name, [f"{word} {group[name]:.3f}" for name, word in names.items()]) for set_name, group in groups)
    return "; ".join(f"{set_name}: {', '.join(shares)}" for set_name, shares in told)


def _left_out(card: Mapping[str, Any]) -> str:
    """Say how good a model is on the sets it has not seen, marks taken out where the card knows that."""
    found = card.get("leave_one_set_out_masked") or card.get("leave_one_set_out", {})
    marks = " (marks taken out)" if "leave_one_set_out_masked" in card else ""
    return ", ".join(f"{name} AUC {figures['roc_auc']:.3f}" for name, figures in found.items()) + marks or "-"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
