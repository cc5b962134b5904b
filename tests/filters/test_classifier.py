"""Loading and running a classifier: what it refuses, what it leaves unsaid, that cutting a column changes nothing."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import filters
from filters.card import page
from filters.classifier import CARD_FILE, WEIGHTS_FILE, Classifier, score_together
from schemas.errors import SetupError

STAGES = ("quality", "spam", "toxicity")
MODELS = Path(filters.__file__).parent / "models"
TEXTS = (
    "The council voted last night to close the old swimming pool, and nobody asked the children.",
    "WIN A FREE PRIZE now! Call 09061234567 to claim your holiday voucher today",
    None,
    "",
    "😂😂😂",
    "x" * 20_000,
    "שלום abc مرحبا one two three four five six seven eight",
    "今天天气很好，我们一起去公园散步吧",
)

each_stage = pytest.mark.parametrize("stage", STAGES)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the shipped spam model, to be spoilt."""
    for name in (WEIGHTS_FILE, CARD_FILE):
        (tmp_path / name).write_bytes((MODELS / "spam" / name).read_bytes())
    return tmp_path


def spoil_weights(folder: Path, weights: bytes) -> None:
    """Write other weights and a card that vouches for them."""
    card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    card["sha256"] = hashlib.sha256(weights).hexdigest()
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CARD_FILE).write_text(json.dumps(card), encoding="utf-8")


@each_stage
def test_the_shipped_model_loads_and_is_small(stage: str) -> None:
    model = Classifier.load(stage)
    assert model.stage == stage
    assert "en" in model.languages
    assert (MODELS / stage / WEIGHTS_FILE).stat().st_size < 500_000
    assert len(pickle.dumps(model)) < 2_000_000


@each_stage
def test_the_card_says_what_the_model_is(stage: str) -> None:
    card = json.loads((MODELS / stage / CARD_FILE).read_text(encoding="utf-8"))
    model = Classifier.load(stage)
    assert (card["stage"], card["sha256"], card["languages"]) == (stage, model.sha256, list(model.languages))
    assert card["limits"]
    assert all(data["licence"] and "not known" not in data["licence"] for data in card["data"])
    assert not {"tweeteval_offensive", "wnut2020_informative", "constraint_covid"} & {d["set"] for d in card["data"]}
    for figures in (card["validation"]["raw"]["all"], card["validation"]["masked"]["all"]):
        assert figures["macro_f1"] > 0.75
        assert figures["calibration_error"] < 0.1
    assert (MODELS / stage / "card.md").read_text(encoding="utf-8") == page(card)


def test_sets_without_a_licence_are_named_as_such() -> None:
    assert "No licence is stated for electai, f3_posts, tweepfake" in (MODELS / "ai_text" / "card.md").read_text()


@each_stage
def test_scores_are_probabilities_and_null_where_nothing_is_to_be_said(stage: str) -> None:
    scores = Classifier.load(stage).score(pa.array(TEXTS))
    assert scores.type == pa.float32()
    assert [scores[row].is_valid for row in (0, 1, 2, 3, 4)] == [True, True, False, False, False]
    assert all(0 <= score <= 1 for score in scores.drop_null().to_pylist())


@each_stage
def test_splitting_slicing_and_wide_offsets_change_nothing(stage: str) -> None:
    model = Classifier.load(stage)
    texts = pa.array(TEXTS)
    whole = model.score(texts)
    for cut in range(len(TEXTS) + 1):
        assert pa.concat_arrays([model.score(texts.slice(0, cut)), model.score(texts.slice(cut))]).equals(whole)
    assert model.score(texts.cast(pa.large_string())).equals(whole)
    assert pickle.loads(pickle.dumps(model)).score(texts).equals(whole)


def test_only_learnt_languages_are_scored() -> None:
    model = Classifier.load("toxicity")
    languages = ["en", "en-GB", "zh", "zh-Hant", "eng", "de", "und", None]
    texts = pa.array([TEXTS[0]] * len(languages))
    told = [True, True, True, True, False, False, True, False]
    assert model.score(texts, pa.array(languages)).is_valid().to_pylist() == told
    assert model.score(texts, pa.array(languages).dictionary_encode()).is_valid().to_pylist() == told
    assert model.score(texts, pa.nulls(len(texts), pa.string())).null_count == len(texts)
    assert model.score(texts).null_count == 0, "without languages the caller vouches for them"


def test_an_unknown_language_is_read_in_a_script_that_was_learnt() -> None:
    texts = pa.array(
        ["nah u trippin bro lol", "ну ты даёшь вообще", "这个真的很好看", "ワンピースはすごい", "123 !!!", None]
    )
    unknown = pa.array(["und"] * len(texts))
    assert Classifier.load("spam").score(texts, unknown).is_valid().to_pylist() == [True, *[False] * 5]
    assert Classifier.load("toxicity").score(texts, unknown).is_valid().to_pylist() == [True, False, True, *[False] * 3]


def test_no_languages_means_every_language() -> None:
    spam = Classifier.load("spam")
    model = Classifier.from_bytes(replace(spam, languages=()).to_bytes())
    assert model.languages == ()
    assert model.score(pa.array([TEXTS[0]]), pa.array(["tr"])).null_count == 0


def test_the_weights_file_is_the_same_twice_and_after_a_round_trip() -> None:
    weights = (MODELS / "spam" / WEIGHTS_FILE).read_bytes()
    model = Classifier.from_bytes(weights)
    assert Classifier.from_bytes(model.to_bytes()).to_bytes() == model.to_bytes()
    assert model.score(pa.array(TEXTS)).equals(Classifier.from_bytes(model.to_bytes()).score(pa.array(TEXTS)))


def test_a_trained_folder_is_loaded_by_its_path(copy: Path) -> None:
    assert Classifier.load("spam", str(copy)).sha256 == Classifier.load("spam").sha256


@pytest.mark.parametrize("name", [WEIGHTS_FILE, CARD_FILE])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(SetupError, match=f"no model for stage 'spam': expected {name}"):
        Classifier.load("spam", str(copy))


def test_a_stage_without_a_shipped_model_is_named() -> None:
    with pytest.raises(SetupError, match="no model for stage 'sarcasm'"):
        Classifier.load("sarcasm")


def test_changed_weights_do_not_match_their_card(copy: Path) -> None:
    weights = bytearray((copy / WEIGHTS_FILE).read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / WEIGHTS_FILE).write_bytes(bytes(weights))
    with pytest.raises(SetupError, match="the card says"):
        Classifier.load("spam", str(copy))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_weights_are_refused_even_when_the_card_vouches(copy: Path, share: float) -> None:
    weights = (copy / WEIGHTS_FILE).read_bytes()
    spoil_weights(copy, weights[: int(len(weights) * share)])
    with pytest.raises(SetupError, match="cannot be read"):
        Classifier.load("spam", str(copy))


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    spam = Classifier.load("spam")
    spoil_weights(copy, replace(spam, table=spam.table[:-1]).to_bytes())
    with pytest.raises(SetupError, match="int8 weights"):
        Classifier.load("spam", str(copy))


def test_weights_for_another_cut_of_the_text_are_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spam = Classifier.load("spam")
    monkeypatch.setattr("filters.classifier.CUT", 1)
    spoil_weights(copy, spam.to_bytes())
    monkeypatch.undo()
    with pytest.raises(SetupError, match="trained for the features of another version: train it again"):
        Classifier.load("spam", str(copy))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9])
def test_several_models_at_once_say_what_each_says_alone(count: int) -> None:
    models = [Classifier.load(STAGES[number % len(STAGES)]) for number in range(count)]
    models[-1] = replace(models[-1], min_words=6, reads_marks=True, languages=("en", "zh"))
    texts = pa.array(TEXTS * 3)
    languages = pa.array((["en"] * 7 + ["zh"] + ["de", "en", "en", None] + ["en"] * 12), pa.string())
    for given in (None, languages):
        together = score_together(models, texts, given)
        assert [column.equals(model.score(texts, given)) for column, model in zip(together, models, strict=True)] == [
            True
        ] * count
    assert together[0].null_count < len(texts)


def test_another_stages_model_is_refused(copy: Path) -> None:
    with pytest.raises(SetupError, match="it is a model of stage 'spam'"):
        Classifier.load("toxicity", str(copy))


@pytest.mark.parametrize("card", ["", "[]", "{}", "{", '{"sha256"'])
def test_a_broken_card_is_named(copy: Path, card: str) -> None:
    (copy / CARD_FILE).write_text(card)
    with pytest.raises(SetupError, match=r"card\.json is not a model card"):
        Classifier.load("spam", str(copy))


def test_the_shipped_models_load_from_inside_a_zip(tmp_path: Path) -> None:
    package = Path(filters.__file__).parents[1]
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for folder in ("schemas", "filters"):
            for path in sorted((package / folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, path.relative_to(package).as_posix())
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'package.zip')!r}); import filters.classifier as c\n"
        "assert 'package.zip' in c.__file__; print(c.Classifier.load('spam').sha256)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Classifier.load("spam").sha256


def test_the_arrays_are_used_as_they_came() -> None:
    model = Classifier.load("spam")
    before = model.table.copy()
    model.score(pa.array(TEXTS))
    assert np.array_equal(model.table, before)
