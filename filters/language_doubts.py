"""Find posts in another language than their label says: models fitted without them are sure of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from filters.language import identify, names_of
from filters.language_fit import EXAMPLE_SETS, Lessons, fit
from schemas.errors import ConfigError

FOLDS, ROUNDS = 4, 2  # in the second round the models have not learnt what the first one doubted
ENGLISH, ENGLISH_DOUBT = "en", 0.5  # how sure of English: sets found by words or places hold much of it
OTHER_DOUBT = 0.9  # and of any other language, for there the models err more often than the labels
ENOUGH = 200  # posts of a language; of fewer the models know too little to doubt a label

_Flags = npt.NDArray[np.bool_]


def doubted(lessons: Lessons, seed: int = 0) -> _Flags:
    """Return which posts have a doubtful label, held-out ones too, which no model is fitted on. Shape: (rows,).

    Source of the idea: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 2021. Examples are not doubted.
    """
    posts = ~np.isin(lessons.sets, list(EXAMPLE_SETS))
    names, counts = np.unique(lessons.truth[posts], return_counts=True)
    posts &= np.isin(lessons.truth, names[counts >= ENOUGH])
    own = lessons.where(posts)
    fold = np.random.default_rng(seed).integers(0, FOLDS, len(own.truth))
    wrong = np.zeros(len(own.truth), np.bool_)
    for _ in range(ROUNDS):
        try:
            found = [_contradicted(own, fold != at, wrong, seed) for at in range(FOLDS)]
        except ConfigError:  # not two languages of one script: nothing to confuse
            break
        wrong = np.logical_or.reduce(found)
    out = np.zeros(len(posts), np.bool_)
    out[posts] = wrong
    return out


def _contradicted(posts: Lessons, learnt: _Flags, wrong: _Flags, seed: int) -> _Flags:
    """Fit a model on the posts learnt and not known to be wrong; return which of the others it contradicts."""
    model, asked = fit(posts.where(learnt & ~wrong), seed), posts.where(~learnt)
    weights = model.to_bytes()
    told = identify(asked.texts, weights)
    best = np.array(names_of(weights))[told.best]
    needed = np.where(best == ENGLISH, ENGLISH_DOUBT, OTHER_DOUBT)
    known = np.isin(best, model.languages) & np.isin(asked.truth, model.languages)
    out = np.zeros(len(learnt), np.bool_)
    out[~learnt] = known & (best != asked.truth) & (told.confidence >= needed)
    return out
