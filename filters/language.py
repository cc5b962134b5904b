"""Which language a post is in, and which other one beside it, or an honest `und`."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters import language_lid, language_lingua
from filters.kernels.characters import CLASS, SCRIPT, SCRIPTS, UNSPACED
from filters.kernels.letter_scores import Model, score
from filters.kernels.readable import readable
from filters.kernels.utf8 import utf8_buffers
from filters.kernels.variety import varied
from filters.language_model import SHIPPED, load, read_weights
from filters.language_names import ONE_LANGUAGE, UNKNOWN
from schemas.columns import LANGUAGE

LID_DOUBT = 0.5  # below this probability lid.176 is asked whether it is a language that our model has not learnt
LID_DOUBT_RARE = 0.95  # the same in scripts other than Latin, of which our model has learnt few languages
LID_NEEDED = 0.8  # how sure lid.176 must be of such a language
LINGUA_DOUBT = 0.8  # below this probability lingua is asked, and believed where it is surer than our model
_LEAST_LETTERS = 3  # different ones: a letter held down is no language, nor is a laugh
_MAIN_SHARE = 0.5  # of the letters that a script must have to decide, or to bear out a label
_KANA_SHARE = 0.1  # of Han and Kana letters that are Kana: more is Japanese, less may be a borrowed の
_SECOND_SHARE = 0.2  # of the letters that a second script must have to be a second language
_SECOND_LETTERS = 15  # and how many: about three words, so that a brand name is none
_SECOND_IDEOGRAPHS = 5  # or so many where a word is one letter or two

_LATIN, _HAN, _KANA = SCRIPTS.index("Latn"), SCRIPTS.index("Hani"), SCRIPTS.index("Kana")

_Floats = npt.NDArray[np.float32]
_Places = npt.NDArray[np.int64]


class _Known(NamedTuple):
    names: tuple[str, ...]  # of our model, then of lid.176, then of the scripts that decide alone, then `und`
    needed: _Floats  # (names,): the confidence each needs
    model: Model
    places: npt.NDArray[np.int32]  # (scripts, columns): the name of each column of our model
    learnt: npt.NDArray[np.bool_]  # (lid.176's names, scripts): languages that our model knows in a script
    decided: _Places  # (scripts,): the name a script decides on, -1 for none


class _Told(NamedTuple):
    """Places in the names and what they are worth, -1 for none. Shapes: (rows,)."""

    best: _Places
    confidence: _Floats
    second: _Places
    share: _Floats


@dataclass(frozen=True)
class Language:
    """Tell the language of the readable words of a post, or say `und`, and whether a part is in another language.

    A script that posts use for one language only decides alone, its share of the letters being the confidence. Any
    other is read with a linear model over letter n-grams, whose confidence is a probability; lid.176 is asked about
    languages that the model has not learnt. The answer is `und` when nothing readable is left, when no script
    has most of the letters, and when the confidence stays under the threshold of the language.

    >>> texts = pa.array([{"text": "Guten Morgen, wie geht es dir heute?"}, {"text": "12:30 https://t.co/x"}])
    >>> Language()(pa.record_batch({"clean_text": texts})).field("lang").to_pylist()
    ['de', 'und']
    """

    name: ClassVar[str] = "language"
    reads: ClassVar[tuple[str, ...]] = ("clean_text",)
    output: ClassVar[pa.StructType] = LANGUAGE

    model: str = SHIPPED  # or the folder that `swarmfeed train language` wrote
    lingua: bool = False  # ask lingua where our model is in doubt; needs `pip install swarmfeed[lingua]`
    weights: bytes | None = field(init=False, repr=False, compare=False)
    sha256: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the model once, here; workers get a trained one by pickle and read the shipped one themselves."""
        content = read_weights(self.model)
        told = hashlib.sha256(content + language_lid.model_file().read_bytes())
        if self.lingua:
            told.update(language_lingua.version().encode())
        object.__setattr__(self, "weights", None if self.model == SHIPPED else content)
        object.__setattr__(self, "sha256", told.hexdigest())

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one struct per row; null where the text is null. Raise SetupError without the models."""
        column = pc.struct_field(batch.column("clean_text"), "text")
        known = _known(self.weights)
        told = identify(column, self.weights)
        if self.lingua:
            told = _with_lingua(column, told, known)
        nothing = len(known.names) - 1
        answer = np.where(told.confidence >= known.needed[told.best], told.best, nothing)
        absent = column.is_null() if column.null_count else None
        mixed = (told.second >= 0) & (answer != nothing)
        columns = (
            _named(answer, known.names),
            pa.array(told.confidence),
            _named(np.where(mixed, told.second, nothing), known.names, ~mixed),
            pa.array(told.share, mask=~mixed),
        )
        return pa.StructArray.from_arrays(columns, fields=list(LANGUAGE), mask=absent)


def identify(column: pa.Array, weights: bytes | None = None) -> _Told:
    """Return the best guess for each text, however doubtful, and a second language, as places in `names_of(weights)`.

    The guess is `und` where nothing readable is left, where one or two letters go on and on, and where the letters are
    of a script that no known language uses.
    """
    known = _known(weights)
    data, offsets, letters = readable(*utf8_buffers(column))
    total = letters.sum(axis=1)
    main, best, confidence = _decided(letters, total, known)
    asked = (best < 0) & (confidence > _MAIN_SHARE) & varied(data, offsets, _LEAST_LETTERS)
    tabled = asked & (known.model.starts[main] >= 0)
    found = score(data, offsets, np.where(tabled, main, -1), known.model)
    tabled &= found.best >= 0
    best = np.where(tabled, known.places[main, found.best], best)
    confidence = np.where(tabled, found.confidence, np.where(best >= 0, confidence, np.float32(0)))
    second = np.where(tabled & (found.second >= 0), known.places[main, found.second], -1)
    best, confidence = _with_lid((data, offsets), (asked, main), (best, confidence), known)
    told = _Told(np.where(best < 0, len(known.names) - 1, best), confidence, second, found.share)
    return _with_other_script((data, offsets), letters, main, told, known)


def names_of(weights: bytes | None = None) -> tuple[str, ...]:
    """Return the names that the places of `identify` stand for; `und` is the last."""
    return _known(weights).names


def guesses(texts: pa.Array, weights: bytes | None = None) -> npt.NDArray[np.str_]:
    """Return the best guess for each text, however doubtful. Shape: (rows,)."""
    return np.array(names_of(weights))[identify(texts, weights).best]


def supported(weights: bytes | None = None) -> frozenset[str]:
    """Return every language that this stage can tell."""
    return frozenset(names_of(weights)) - {UNKNOWN}


def _named(places: Any, names: tuple[str, ...], mask: Any = None) -> pa.Array:
    indices = pa.array(places, pa.int32(), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names)).cast(pa.string())


def _decided(letters: Any, total: Any, known: _Known) -> tuple[_Places, _Places, _Floats]:
    """Return each text's main script, the language that it decides on (-1 for none), and the script's share."""
    main = letters.argmax(axis=1)
    counted = np.maximum(total, 1)
    share = (letters[np.arange(len(letters)), main] / counted).astype(np.float32)
    kana, han = letters[:, _KANA], letters[:, _HAN]
    japanese = (kana > 0) & (kana + han > _MAIN_SHARE * total) & (kana >= _KANA_SHARE * (kana + han))
    main = np.where(japanese, _KANA, main)
    share = np.where(japanese, ((kana + han) / counted).astype(np.float32), share)
    return main, np.where(share > _MAIN_SHARE, known.decided[main], -1), share


def _with_lid(texts: Any, rows: Any, told: tuple[_Places, _Floats], known: _Known) -> tuple[_Places, _Floats]:
    """Take lid.176's word where our model has no table, or doubts and has not learnt what lid.176 is sure of."""
    (asked, main), (best, confidence) = rows, told
    doubt = np.where(main == _LATIN, LID_DOUBT, LID_DOUBT_RARE)
    label, probability = language_lid.ask(texts, asked & (confidence < doubt), main)
    other = (label >= 0) & ~known.learnt[label, main] & (probability >= LID_NEEDED)
    taken = other | ((best < 0) & (label >= 0))
    first = len(known.names) - 1 - len(ONE_LANGUAGE) - len(known.learnt)
    return np.where(taken, first + label, best), np.where(taken, probability, confidence).astype(np.float32)


def _with_other_script(texts: Any, letters: Any, main: Any, told: _Told, known: _Known) -> _Told:
    """Name the language of a second script that has a good part of the letters."""
    rest = letters.copy()
    kana = rest[:, _KANA] > 0
    rest[kana, _KANA] += rest[kana, _HAN]
    rest[kana, _HAN] = 0
    rest[np.arange(len(rest)), main] = 0
    other = rest.argmax(axis=1)
    count = rest[np.arange(len(rest)), other]
    share = (count / np.maximum(letters.sum(axis=1), 1)).astype(np.float32)
    least = np.where(_IDEOGRAPHIC[other], _SECOND_IDEOGRAPHS, _SECOND_LETTERS)
    rows = np.flatnonzero((share >= _SECOND_SHARE) & (count >= least) & (told.best < len(known.names) - 1))
    if not len(rows):
        return told
    scripts = np.full(len(rest), -1, np.int64)
    tabled = rows[known.model.starts[other[rows]] >= 0]
    scripts[tabled] = other[tabled]
    data, offsets = texts
    found = score(data, offsets, scripts, known.model)
    second = known.decided[other]
    second[tabled] = np.where(
        found.confidence[tabled] >= LID_DOUBT, known.places[other[tabled], found.best[tabled]], -1
    )
    rows = rows[(second[rows] >= 0) & (second[rows] != told.best[rows])]
    told.second[rows], told.share[rows] = second[rows], share[rows]
    return told


def _with_lingua(column: pa.Array, told: _Told, known: _Known) -> _Told:
    """Put lingua's guess where ours is in doubt and lingua less so; texts that say nothing are not asked about."""
    nothing = len(known.names) - 1
    rows = np.flatnonzero((told.confidence < LINGUA_DOUBT) & (told.best < nothing))
    names, confidence = language_lingua.ask(column.take(pa.array(rows)).to_pylist())
    place = {name: at for at, name in reversed(list(enumerate(known.names)))}
    guess = np.array([place.get(name, nothing) for name in names], np.int64)
    taken = (guess != nothing) & (confidence > told.confidence[rows])
    told.best[rows[taken]], told.confidence[rows[taken]] = guess[taken], confidence[taken]
    return told


@functools.lru_cache(maxsize=2)
def _known(weights: bytes | None) -> _Known:
    """Join our model, lid.176 and the scripts that decide alone, once per process."""
    ours = load(weights if weights is not None else read_weights(SHIPPED))
    model, places = ours.compiled()
    lid = language_lid.names()
    names = (*ours.languages, *lid, *ONE_LANGUAGE.values(), UNKNOWN)
    needed = np.zeros(len(names), np.float32)
    needed[: len(ours.languages)] = ours.needed
    learnt = np.zeros((len(lid), len(SCRIPTS)), np.bool_)
    for script, table in ours.tables.items():
        here = {ours.languages[place] for place in table.languages.tolist() if place >= 0}
        learnt[:, SCRIPTS.index(script)] = [name in here for name in lid]
    decided = np.full(len(SCRIPTS), -1, np.int64)
    for place, script in enumerate(ONE_LANGUAGE):
        decided[SCRIPTS.index(script)] = len(ours.languages) + len(lid) + place
    return _Known(names, needed, model, places, learnt, decided)


_IDEOGRAPHIC = np.array([bool(np.any((at == SCRIPT) & (CLASS & UNSPACED > 0))) for at in range(len(SCRIPTS))])
