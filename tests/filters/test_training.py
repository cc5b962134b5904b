"""Training on small invented sets: learns, calibrates, repeats itself to the byte, and explains what is wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.card import page
from filters.classifier import CARD_FILE, WEIGHTS_FILE, Classifier
from filters.evaluation import evaluate, macro_f1, measure, roc_auc, tpr_at_fpr
from filters.fitting import FOLDS, fold_of, row_weights
from filters.labelled import FIT, RECIPES, UNKNOWN_LIMIT, VALIDATION, part_of, read_examples
from filters.spam import Spam
from filters.training import train
from schemas.errors import ConfigError, SetupError

Trained = tuple[dict[str, Any], Path, list[Path]]  # card, folder, files

GOOD = ("meet me at the {} after {}", "the {} was closed because of the {}", "my sister likes {} more than {}")
BAD = ("win a free {} call 0800 {} now", "claim your {} prize text {} to win", "cheap {} followers click for {}")
NOUNS = ("harbour", "lesson", "garden", "kettle", "window", "bakery", "ticket", "holiday", "phone", "river", "dinner")


def sentences(shapes: tuple[str, ...], count: int, seed: int) -> list[str]:
    draw = Random(seed)
    filled = (draw.choice(shapes).format(draw.choice(NOUNS), draw.choice(NOUNS)) for _ in range(count))
    return [f"{sentence} {draw.random():.3f}" for sentence in filled]


def write(path: Path, rows: list[tuple[str | None, str | None, str | None]], **extra: Any) -> Path:
    texts, labels, languages = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {"text": texts, "label": labels, "lang": languages}
    table = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    pq.write_table(pa.table(table | extra), path)
    return path


def rows_of(seed: int, count: int = 200, lang: str = "en") -> list[tuple[str | None, str | None, str | None]]:
    bad = [(text, "spam", lang) for text in sentences(BAD, count, seed)]
    return [*bad, *((text, "ham", lang) for text in sentences(GOOD, 2 * count, seed + 1))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A spam model from two invented sets, one with a validation file."""
    folder = tmp_path_factory.mktemp("training")
    files = [
        write(folder / "mine.train.parquet", rows_of(1)),
        write(folder / "mine.val.parquet", rows_of(11, 40)),
        write(folder / "yours.parquet", rows_of(21), source=pa.nulls(600, pa.string())),
    ]
    return train("spam", files, folder / "model", seed=3), folder / "model", files


def test_it_learns_and_says_so(trained: Trained) -> None:
    card, folder, _ = trained
    figures = card["validation"]["raw"]
    assert figures["all"]["macro_f1"] > 0.95
    assert figures["all"]["calibration_error"] < 0.1
    assert set(figures["by_set"]) == {"mine", "yours"}
    assert figures["by_set"]["mine"]["rows"] == 120
    assert set(card["leave_one_set_out"]) == {"mine", "yours"}
    assert card["languages"] == ["en"]
    model = Classifier.load("spam", str(folder))
    bad, good = model.score(pa.array(["win a free boat call 0800 now", "the bakery was closed on monday"])).to_pylist()
    assert bad > 0.8
    assert good < 0.2


def test_a_stage_runs_with_the_trained_folder(trained: Trained) -> None:
    assert Spam(model=str(trained[1])).classifier.sha256 == trained[0]["sha256"]


def test_the_files_written_are_the_card_and_what_it_describes(trained: Trained) -> None:
    card, folder, _ = trained
    assert sorted(path.name for path in folder.iterdir()) == [CARD_FILE, "card.md", WEIGHTS_FILE]
    assert json.loads((folder / CARD_FILE).read_text(encoding="utf-8")) == card
    assert hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest() == card["sha256"]
    assert (folder / "card.md").read_text(encoding="utf-8") == page(card)


def test_a_set_it_does_not_know_is_said_to_be_unknown(trained: Trained) -> None:
    card = trained[0]
    assert all("not known" in data["licence"] for data in card["data"])
    assert card["limits"] == [UNKNOWN_LIMIT]


def test_the_same_call_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    card, folder, files = trained
    assert train("spam", files, tmp_path / "again", seed=3) == card
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    assert train("spam", files, tmp_path / "other", seed=4)["sha256"] != card["sha256"]


def test_no_text_stands_on_both_sides(trained: Trained, tmp_path: Path) -> None:
    twice = write(tmp_path / "mine.train.parquet", rows_of(1) + rows_of(1) + rows_of(11, 40))
    examples = read_examples("spam", RECIPES["spam"], [twice, trained[2][1]])
    texts = np.array(examples.texts.to_pylist())
    assert len(set(texts.tolist())) == len(texts)
    assert (examples.parts == VALIDATION).sum() == 120
    assert not set(texts[examples.parts == VALIDATION].tolist()) & set(texts[examples.parts != VALIDATION].tolist())


def test_parts_depend_on_the_words_alone() -> None:
    assert part_of("Look at THIS https://a.example @ann 12", True) == part_of("look at this!", True)
    parts = [part_of(f"{word} {other}", True) for word in NOUNS for other in NOUNS for word in (word, word[::-1])]
    assert {FIT, VALIDATION} == set(parts)
    assert parts.count(FIT) > 0.7 * len(parts)
    assert VALIDATION not in [part_of(word, False) for word in NOUNS]
    assert fold_of("Look at THIS https://a.example 12") == fold_of("look at this!")
    assert {fold_of(f"{word} {other}") for word in NOUNS for other in NOUNS} == set(range(FOLDS))


def test_the_odds_of_the_classes_are_the_root_of_what_they_are_in_each_set(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.parquet", rows_of(1, 30)), write(tmp_path / "b.parquet", rows_of(5, 100)[50:])]
    examples = read_examples("spam", RECIPES["spam"], files)
    weights = row_weights(examples, 0.1)
    assert weights.mean() == pytest.approx(1)
    for name in ("a", "b"):
        spam = weights[(examples.sets == name) & examples.labels].sum()
        ham = weights[(examples.sets == name) & ~examples.labels].sum()
        share = examples.labels[examples.sets == name].mean()
        assert spam / ham == pytest.approx((share / (1 - share)) ** 0.5)
        assert spam + ham == pytest.approx((examples.sets == name).sum())


def test_sets_of_one_class_count_for_a_share_of_the_others(tmp_path: Path) -> None:
    lent = [(text, "en", "en") for text in sentences(GOOD, 500, 3)]
    files = [write(tmp_path / "a.parquet", rows_of(1, 30)), write(tmp_path / "tatoeba_laser.train.parquet", lent)]
    examples = read_examples("spam", RECIPES["spam"], files)
    weights, alone = row_weights(examples, 0.25), examples.sets == "tatoeba_laser"
    assert weights[alone].sum() == pytest.approx(0.25 * weights[~alone].sum())


def test_labels_of_ones_own_are_told_by_the_positive_one(tmp_path: Path) -> None:
    mine = [(text, "Junk" if label == "spam" else "fine by me", lang) for text, label, lang in rows_of(1)]
    file = write(tmp_path / "mine.parquet", mine)
    with pytest.raises(ConfigError, match=r"unknown label 'fine by me': .*--positive LABEL"):
        train("spam", [file], tmp_path / "model")
    card = train("spam", [file], tmp_path / "model", positive="junk")
    assert card["labels"]["negative"] == "every other"
    assert card["validation"]["raw"]["all"]["macro_f1"] > 0.9
    bad, good = Classifier.load("spam", str(tmp_path / "model")).score(
        pa.array(["win a free boat call 0800 now", "the bakery was closed on monday"])
    )
    assert bad.as_py() > 0.8 > 0.2 > good.as_py()


@pytest.mark.parametrize(
    ("yes", "no"), [("yes", "no"), ("1", "0"), (" True", "FALSE"), ("INFORMATIVE", "UNINFORMATIVE")]
)
def test_plain_labels_are_understood(yes: str, no: str, tmp_path: Path) -> None:
    rows = [(text, yes if label == "spam" else no, lang) for text, label, lang in rows_of(1, 30)]
    examples = read_examples("quality", RECIPES["quality"], [write(tmp_path / "mine.parquet", rows)])
    assert examples.labels.sum() == len(set(text for text, label, _ in rows if label == yes))


def test_a_known_set_lends_its_rows_as_a_class_only_in_languages_of_both_classes(tmp_path: Path) -> None:
    lent = [(text, lang, lang) for lang in ("en", "de") for text in sentences(GOOD, 20, ord(lang[0]))]
    files = [write(tmp_path / "a.parquet", rows_of(1, 30)), write(tmp_path / "tatoeba_laser.train.parquet", lent)]
    examples = read_examples("spam", RECIPES["spam"], files)
    assert set(examples.languages.to_pylist()) == {"en"}
    rows = examples.sets == "tatoeba_laser"
    assert rows.sum() == 20
    assert not examples.labels[rows].any()


def test_another_language_can_be_learnt(tmp_path: Path) -> None:
    file = write(tmp_path / "deutsch.parquet", rows_of(1, 200, "de"))
    assert train("spam", [file], tmp_path / "model")["languages"] == ["de"]


@pytest.mark.parametrize(
    ("stage", "rows", "said"),
    [
        ("spam", [("win a prize", "spma", "en")], "unknown label 'spma': did you mean 'spam'"),
        ("spam", [("win a prize", "spam", "en")] * 40, "no language has rows of both classes"),
        ("spam", [("win a prize", "spam", "en"), ("hello you there", "ham", "de")], "no language has rows of both"),
        ("spam", [], "no language has rows of both classes"),
        ("spam", [(None, "spam", "en"), ("hello", None, "en")], "no language has rows of both classes"),
        (
            "spam",
            [("win a prize", "spam", "en"), ("hello you there", "ham", "en")],
            "rows to learn from: expected both",
        ),
        ("spma", [], "stage 'spma' has no classifier: did you mean 'spam'"),
    ],
)
def test_rows_that_cannot_teach_are_refused_in_one_line(stage: str, rows: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        train(stage, [write(tmp_path / "x.parquet", rows)], tmp_path / "model")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"text": ["a"], "label": ["spam"]}, "no column 'lang', it has text, label"),
        ({"text": ["a"], "label": [1], "lang": ["en"]}, "column 'label' should be text, it is int64"),
    ],
)
def test_files_of_another_shape_are_refused(table: dict[str, list[Any]], said: str, tmp_path: Path) -> None:
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=said):
        train("spam", [tmp_path / "x.parquet"], tmp_path / "model")


def test_files_that_are_no_parquet_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("text,label,lang\n")
    for file in (tmp_path / "x.parquet", tmp_path / "missing.parquet"):
        with pytest.raises(ConfigError, match="is not a readable Parquet file"):
            train("spam", [file], tmp_path / "model")
    with pytest.raises(ConfigError, match="no --data given"):
        train("spam", [], tmp_path / "model")


def test_a_folder_that_cannot_be_written_is_named(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SetupError, match="cannot write the model of stage 'spam'"):
        train("spam", trained[2], tmp_path / "taken")


def test_figures_of_known_scores() -> None:
    labels = np.array([True] * 4 + [False] * 4)
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.3, 0.2, 0.1])
    assert roc_auc(scores, labels) == pytest.approx((4 + 4 + 4 + 1.5) / 16)
    assert macro_f1(scores >= 0.5, labels) == pytest.approx(0.75)
    assert tpr_at_fpr(scores, labels, 0.01) == pytest.approx(0.75)
    figures = measure(np.append(scores, np.nan), np.append(labels, True))
    assert (figures["rows"], figures["scored"], figures["false_positive_rate"]) == (9, 8, 0.25)
    assert "roc_auc" not in measure(scores[:4], labels[:4])
    assert measure(np.array([np.nan]), np.array([True])) == {"rows": 1, "scored": 0}


@pytest.mark.parametrize("stage", ["quality", "spam", "toxicity"])
def test_the_shipped_cards_tell_the_truth(stage: str, real_data: Path) -> None:
    model = Classifier.load(stage)
    card = json.loads((Path(__file__).parents[2] / "filters" / "models" / stage / CARD_FILE).read_text("utf-8"))
    collected = [name for name in card["files"] if name != "contrasts.train.parquet"]  # which is not measured
    files = [file for name in collected for file in sorted((real_data / "labelled").rglob(name))]
    assert [file.name for file in files] == collected
    told, found = card["validation"], evaluate(model, read_examples(stage, RECIPES[stage], files))
    for name in ("raw", "masked"):
        for figure, value in told[name]["all"].items():
            assert found[name]["all"][figure] == pytest.approx(value, abs=0.005), f"{name} {figure}"
