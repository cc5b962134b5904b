"""The table of shipped models in filters/README.md, taken from their cards: `python -m filters.catalogue`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

BEGIN, END = "<!-- models: python -m filters.catalogue -->", "<!-- end of models -->"
_HEAD = ("model", "learnt from", "languages", "validation, as it came", "validation, marks taken out", "left-out sets")
_KINDS = ("raw", "masked")
_MANY = 8  # more languages than this are counted, not named


def cards() -> dict[str, dict[str, Any]]:
    """Return the card of every shipped model by stage."""
    folders = sorted(files("filters.models").iterdir(), key=lambda folder: folder.name)
    found = [folder / "card.json" for folder in folders if (folder / "card.json").is_file()]
    return {card["stage"]: card for card in (json.loads(file.read_text(encoding="utf-8")) for file in found)}


def table() -> str:
    """Return the Markdown table of shipped models between its marks, one row per card."""
    rows = [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    rows += [f"| {' | '.join(_row(card))} |" for card in cards().values()]
    return "\n".join([BEGIN, *rows, END])


def _row(card: Mapping[str, Any]) -> list[str]:
    link = f"[{card['stage']}](models/{card['stage']}/card.md)"
    if card["stage"] == "tokenizer":
        groups = {name: figures["tokenizer.json"] for name, figures in card["bytes_per_token"].items()}
        told = ", ".join(f"{name} {groups[name]:.2f}" for name in ("en", "ru", "ar", "ja") if name in groups)
        names = [file.split(".")[0] for file in card["data"]]
        return [link, ", ".join(names), "every", f"{told} bytes a token", "-", "-"]
    names = [data["set"] for data in card["data"]]
    languages = ", ".join(card["languages"]) if len(card["languages"]) <= _MANY else str(len(card["languages"]))
    return [
        link,
        ", ".join(names),
        languages,
        *(_quality(card["validation"][kind]) for kind in _KINDS),
        _left_out(card),
    ]


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
    sys.stdout.write(table() + "\n")
