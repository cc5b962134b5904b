"""The style model: what it refuses and leaves unsaid, that it is trained the same every time, what its card says."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import filters
from filters import style_training
from filters.card import page
from filters.classifier import CARD_FILE, WEIGHTS_FILE
from filters.clean_text import clean_strings
from filters.evaluation import evaluate
from filters.labelled import RECIPES, read_examples
from filters.style_model import StyleModel
from filters.verdict import AI_TEXT_FLAG
from pipelines.training import train
from schemas.errors import ConfigError, SetupError

STAGE = "ai_text"
SHIPPED = Path(filters.__file__).parent / "models" / STAGE
TEXTS = (
    "The council voted last night to close the old swimming pool, and nobody asked the children.",
    "Did you know that some of our innovative solutions are transforming entire communities? Learn more today!",
    None,
    "",
    "too few words",
    "x" * 20_000,
    "שלום abc مرحبا one two three four five six",
)
PEOPLE = ("lol", "omg", "my", "bus", "is", "late", "again", "tbh", "dog", "ate", "it", "no", "way", "i", "u", "cant")
MACHINES = (
    "Discover",
    "solutions",
    "for",
    "the",
    "community",
    "and",
    "opportunities",
    "of",
    "growth",
    "in",
    "the",
    "industry",
)


def write(path: Path, rows: int, seed: int, human: str = "human", machine: str = "ai") -> Path:
    """Write a labelled set whose people write loosely and whose machines write in sentences."""
    draws = random.Random(seed)
    texts, labels = [], []
    for number in range(rows):
        words = draws.choices(MACHINES if number % 2 else PEOPLE, k=draws.randint(6, 20))
        texts.append(" ".join(words) + (f" {number}." if number % 2 else f" {number}!!"))
        labels.append(machine if number % 2 else human)
    pq.write_table(pa.table({"text": texts, "label": labels, "lang": ["en"] * rows}), path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A model trained on two small sets by the command's own function, and the files it was trained on."""
    root = tmp_path_factory.mktemp("trained")
    files = [write(root / "one.train.parquet", 600, 1), write(root / "two.train.parquet", 600, 2)]
    train(STAGE, files, root / "model", seed=3)
    return root / "model", files


def test_training_learns_the_style_and_the_card_says_so(trained: tuple[Path, list[Path]]) -> None:
    folder, _ = trained
    card = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    assert card["validation"]["raw"]["all"]["accuracy"] > 0.95
    assert card["validation"]["masked"]["all"]["accuracy"] > 0.95
    assert set(card["leave_one_set_out"]) == set(card["leave_one_set_out_masked"]) == {"one", "two"}
    assert (folder / "card.md").read_text(encoding="utf-8") == page(card)
    model = StyleModel.load(STAGE, str(folder))
    low, high = model.score(
        pa.array(["omg my bus is late again tbh 7!!", "Discover the opportunities of growth 7."])
    ).to_pylist()
    assert low < 0.4 < 0.6 < high


def test_the_same_files_and_seed_give_the_same_bytes(trained: tuple[Path, list[Path]], tmp_path: Path) -> None:
    file = trained[1][:1]
    first, again, other = (train(STAGE, file, tmp_path / str(run), seed) for run, seed in enumerate((3, 3, 4)))
    assert first["sha256"] == again["sha256"] != other["sha256"]
    assert (tmp_path / "0" / WEIGHTS_FILE).read_bytes() == (tmp_path / "1" / WEIGHTS_FILE).read_bytes()


def test_labels_of_ones_own(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.train.parquet", 400, 5, human="person", machine="bot")
    with pytest.raises(ConfigError, match="--positive"):
        train(STAGE, [file], tmp_path / "no")
    assert train(STAGE, [file], tmp_path / "yes", positive="bot")["validation"]["raw"]["all"]["accuracy"] > 0.95


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give more rows of both classes"):
        train(STAGE, [write(tmp_path / "mine.train.parquet", 6, 1)], tmp_path / "model")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the shipped model, to be spoilt."""
    for name in (WEIGHTS_FILE, CARD_FILE):
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    return tmp_path


def spoil(folder: Path, weights: bytes) -> None:
    """Write other weights and a card that vouches for them."""
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CARD_FILE).write_text(json.dumps({"sha256": hashlib.sha256(weights).hexdigest()}), encoding="utf-8")


@pytest.mark.parametrize("keep", [0, 10, 2000, -1])
def test_a_truncated_model_is_refused(copy: Path, keep: int) -> None:
    spoil(copy, (SHIPPED / WEIGHTS_FILE).read_bytes()[:keep])
    with pytest.raises(SetupError, match=r"weights\.npz cannot be read"):
        StyleModel.load(STAGE, str(copy))


def test_another_models_weights_are_refused(copy: Path) -> None:
    spoil(copy, (SHIPPED.parent / "spam" / WEIGHTS_FILE).read_bytes())
    with pytest.raises(SetupError, match=r"weights\.npz cannot be read"):
        StyleModel.load(STAGE, str(copy))
    (copy / WEIGHTS_FILE).write_bytes((SHIPPED / WEIGHTS_FILE).read_bytes())
    with pytest.raises(SetupError, match="the card says"):
        StyleModel.load(STAGE, str(copy))


def test_scores_are_probabilities_and_null_where_nothing_is_to_be_said() -> None:
    scores = StyleModel.load(STAGE, "shipped").score(pa.array(TEXTS))
    assert scores.type == pa.float32()
    assert [score.is_valid for score in scores] == [True, True, False, False, False, False, True]
    assert all(0 <= score <= 1 for score in scores.drop_null().to_pylist())


def test_cutting_and_pickling_change_nothing() -> None:
    model, texts = StyleModel.load(STAGE, "shipped"), pa.array(TEXTS)
    whole = model.score(texts)
    for cut in range(len(TEXTS) + 1):
        assert pa.concat_arrays([model.score(texts.slice(0, cut)), model.score(texts.slice(cut))]).equals(whole)
    assert model.score(texts.cast(pa.large_string())).equals(whole)
    assert pickle.loads(pickle.dumps(model)).score(texts).equals(whole)


def test_the_shipped_card_names_its_model_and_its_licences() -> None:
    card = json.loads((SHIPPED / CARD_FILE).read_text(encoding="utf-8"))
    model = StyleModel.load(STAGE, "shipped")
    assert (card["sha256"], card["languages"]) == (model.sha256, list(model.languages)) == (model.sha256, ["en"])
    assert (SHIPPED / WEIGHTS_FILE).stat().st_size < 500_000
    assert all("not known" not in data["licence"] for data in card["data"])
    assert (SHIPPED / "card.md").read_text(encoding="utf-8") == page(card)


def test_the_shipped_card_tells_the_truth(real_data: Path) -> None:
    card = json.loads((SHIPPED / CARD_FILE).read_text(encoding="utf-8"))
    files = [file for name in card["files"] for file in sorted((real_data / "labelled").rglob(name))]
    assert [file.name for file in files] == card["files"]
    found = evaluate(StyleModel.load(STAGE, "shipped"), read_examples(STAGE, RECIPES[STAGE], files))
    for name in ("raw", "masked"):
        for figure, value in card["validation"][name]["all"].items():
            assert found[name]["all"][figure] == pytest.approx(value, abs=0.005), f"{name} {figure}"


@pytest.mark.parametrize("name", ["reddit-posts", "ira-tweets"])
def test_the_flag_accuses_one_in_a_hundred_of_people_at_most_in_every_length(real_data: Path, name: str) -> None:
    table = pq.read_table(real_data / "posts" / f"{name}.parquet", columns=["text", "lang_hint"])
    if name == "ira-tweets":
        table = table.filter(pc.equal(table["lang_hint"], "English"))
    texts, _ = clean_strings(table["text"].combine_chunks())
    flagged = StyleModel.load(STAGE, "shipped").score(texts).fill_null(0).to_numpy(zero_copy_only=False) > AI_TEXT_FLAG
    band = np.digitize(pc.utf8_length(texts).to_numpy(), (50, 100, 200))
    for length in range(4):
        assert flagged[band == length].mean() <= 0.01, f"band {length}"


def test_timelines_of_one_maker_are_found(trained: tuple[Path, list[Path]]) -> None:
    folder, files = trained
    examples = read_examples(STAGE, RECIPES[STAGE], files)
    draws = np.random.RandomState(0)
    makers = style_training.makers_of(examples)
    lines, machine = style_training.draw_timelines(examples.texts, makers, (50, (20, 20)), draws)
    assert lines.starts.tolist() == list(range(0, 2001, 20))
    scores = StyleModel.load(STAGE, str(folder)).evidence(
        style_training.measure_timelines(StyleModel.load(STAGE, str(folder)), lines)
    )
    assert scores[machine].min() > scores[~machine].max()
