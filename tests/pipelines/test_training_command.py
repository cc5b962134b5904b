"""`swarmfeed train`: a model for any stage that takes one, the same bytes twice, and a folder that `score` uses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.labelled import UNKNOWN_LIMIT
from filters.language_model import CARD_FILE, WEIGHTS_FILE, LanguageModel, read_weights
from filters.language_names import UNKNOWN
from jobs import cli
from pipelines.language_card import LIMITS, page
from pipelines.training import TRAINABLE, train
from schemas.errors import ConfigError, SetupError

Row = tuple[str | None, str | None, str | None]

NOUNS = ("harbour", "lesson", "garden", "kettle", "window", "bakery", "ticket", "holiday", "river", "dinner", "bridge")
SPAM = ("win a free {} call 0800 {} now", "claim your {} prize text {} to win", "cheap {} followers click for {}")
HAM = ("meet me at the {} after {}", "the {} was closed because of the {}", "my sister likes {} more than {}")
SENTENCES = {
    "de": ("wir treffen uns morgen am {}", "das {} ist heute leider geschlossen", "ich habe mein {} vergessen"),
    "en": ("we will meet by the {} tomorrow", "the {} is closed today again", "i have forgotten my {} at home"),
    "es": ("mañana nos vemos en el {}", "el {} está cerrado hoy otra vez", "he olvidado mi {} en casa"),
}


def write(path: Path, rows: list[Row]) -> Path:
    texts, labels, languages = zip(*rows, strict=True)
    columns = {"text": texts, "label": labels, "lang": languages}
    pq.write_table(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), path)
    return path


def sentences(shapes: tuple[str, ...], count: int, seed: int) -> list[str]:
    draw = Random(seed)
    return [f"{draw.choice(shapes)} {seed}.{number}".replace("{}", draw.choice(NOUNS)) for number in range(count)]


def spam_rows(seed: int) -> list[Row]:
    rows: list[Row] = [(text, "spam", "en") for text in sentences(SPAM, 150, seed)]
    return rows + [(text, "ham", "en") for text in sentences(HAM, 250, seed + 1)]


def language_rows(count: int, seed: int) -> list[Row]:
    return [(text, name, name) for name, shapes in SENTENCES.items() for text in sentences(shapes, count, seed)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Invented files to train each kind of stage on."""
    folder = tmp_path_factory.mktemp("labelled")
    told = write(folder / "mine.train.parquet", language_rows(60, 1))
    return {
        "spam": [write(folder / "spam.parquet", spam_rows(5))],
        "language": [told, write(folder / "mine.val.parquet", language_rows(25, 9))],
        "tokenizer": [told],
    }


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in words])
    assert isinstance(left.value.code, int)
    return left.value.code


def strict(weights: bytes, folder: Path) -> None:
    """Write a language model of which every language needs more than certainty."""
    model = LanguageModel.from_bytes(weights)
    content = replace(model, needed=np.full_like(model.needed, 1.1)).to_bytes()
    folder.mkdir()
    (folder / WEIGHTS_FILE).write_bytes(content)
    (folder / CARD_FILE).write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("stage", ["spam", "language", "tokenizer"])
def test_the_same_call_writes_the_same_bytes(
    stage: str, files: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", stage, *(word for file in files[stage] for word in ("--data", file)), "--seed", 2]
    assert call(*words, "--out", tmp_path / "a") == 0
    assert "card.md says" in capsys.readouterr().err
    assert call(*words, "--out", tmp_path / "deep" / "b", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    written = bytes_of(tmp_path / "a")
    assert written == bytes_of(tmp_path / "deep" / "b")
    assert json.loads(written["card.json"]) == card
    assert card["stage"] == stage
    models = [data for name, data in written.items() if not name.startswith("card.")]
    assert [hashlib.sha256(data).hexdigest() for data in models] == [card["sha256"]]


def test_score_uses_the_folder(files: dict[str, list[Path]], tmp_path: Path) -> None:
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": "1", "text": "win a free kettle call 0800 123 now, claim your prize"}\n')
    language, spam = tmp_path / "language", tmp_path / "spam"
    strict(read_weights("shipped"), language)
    assert call("train", "spam", "--data", files["spam"][0], "--out", spam) == 0
    told = {}
    for name, models in {
        "shipped": (),
        "spam": (f"spam={spam}",),
        "both": (f"spam={spam}", f"language={language}"),
    }.items():
        chosen = [word for model in models for word in ("--model", model)]
        assert call("score", posts, "--stages", "language,spam", "--out", tmp_path / f"{name}.parquet", *chosen) == 0
        (told[name],) = pq.read_table(tmp_path / f"{name}.parquet").to_pylist()
    assert told["shipped"]["language"]["lang"] == told["spam"]["language"]["lang"] == "en"
    assert told["both"]["language"]["lang"] == UNKNOWN
    assert told["spam"]["spam"]["score"] > 0.8
    assert told["spam"]["spam"] != told["shipped"]["spam"]


def test_the_language_card_tells_what_was_found(files: dict[str, list[Path]], tmp_path: Path) -> None:
    card = train("language", files["language"], tmp_path / "model")
    ((name, rows),) = [(data["set"], data["rows"]) for data in card["data"]]
    assert (name, rows["fit"] + rows["tune"], rows["validation"]) == ("mine", 180, 75)
    assert "not known" in card["data"][0]["licence"]
    assert card["limits"] == [*LIMITS, UNKNOWN_LIMIT]
    figures = card["validation"]["raw"]
    assert set(figures["by_language"]) == set(SENTENCES)
    assert set(figures["by_set"]) == {"mine", "mine, known languages", "mine, common languages"}
    for group in (figures["all"], *figures["by_language"].values()):
        assert 0.9 < group["accuracy"] <= 1
        assert 0.9 < group["precision_where_told"] <= 1
        assert group["accuracy"] <= group["accuracy_if_always_told"]
    assert (tmp_path / "model" / "card.md").read_text(encoding="utf-8") == page(card)


def test_a_tenth_is_held_out_by_its_text_where_no_validation_file_is(tmp_path: Path) -> None:
    rows = language_rows(200, 3)
    whole = train("language", [write(tmp_path / "a.parquet", rows)], tmp_path / "whole")["data"][0]["rows"]
    assert sum(whole.values()) == 600
    assert 25 <= whole["validation"] <= 110
    turned = [write(tmp_path / "b.parquet", rows[300:]), write(tmp_path / "c.parquet", rows[:300])]
    halves = [data["rows"] for data in train("language", turned, tmp_path / "halves")["data"]]
    assert {name: sum(half[name] for half in halves) for name in whole} == whole


def test_a_known_set_of_another_stage_lends_its_texts_to_its_language(tmp_path: Path) -> None:
    lent = [(text, label, "en") for text, label, _ in spam_rows(5)]
    files = [write(tmp_path / "a.parquet", language_rows(60, 3)), write(tmp_path / "sms_spam.train.parquet", lent)]
    _, sms = train("language", files, tmp_path / "model")["data"]
    assert (sms["set"], sms["licence"], sms["languages"]) == ("sms_spam", "free for all purposes", 1)
    assert sum(sms["rows"].values()) == len(lent)


def test_posts_that_contradict_their_label_are_not_learnt_and_counted_apart(tmp_path: Path) -> None:
    def wrong(count: int, seed: int) -> list[Row]:
        return [(text, "de", "de") for text in sentences(SENTENCES["en"], count, seed)]

    files = [
        write(tmp_path / "mine.train.parquet", [*language_rows(220, 3), *wrong(30, 21)]),
        write(tmp_path / "mine.val.parquet", [*language_rows(20, 4), *wrong(10, 22)]),
    ]
    card = train("language", files, tmp_path / "model")
    (data,) = card["data"]
    assert data["left_out_as_doubtful"] == {"de": 30}
    assert (data["rows"]["fit"] + data["rows"]["tune"], data["rows"]["validation"]) == (660, 70)
    figures = card["validation"]["raw"]["by_set"]
    assert figures["mine, doubtful labels left out"]["accuracy"] > figures["mine"]["accuracy"]


def test_a_text_to_validate_on_is_not_fitted_on(tmp_path: Path) -> None:
    rows = language_rows(40, 3)
    named = [write(tmp_path / "a.train.parquet", rows), write(tmp_path / "a.val.parquet", rows[:15])]
    rows = train("language", named, tmp_path / "model")["data"][0]["rows"]
    assert (rows["fit"] + rows["tune"], rows["validation"]) == (105, 15)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["langage", "--data", "x.parquet"], "train: nothing to train for stage 'langage': did you mean 'language'?"),
        (["sketch", "--data", "x.parquet"], "train: nothing to train for stage 'sketch': expected one of: ai_text, "),
        *(
            ([stage, "--data", "gone.parquet"], f"train {stage}: gone.parquet: no such file")
            for stage in ("spam", "language", "tokenizer")
        ),
        (["language", "--data", "text.parquet"], "text.parquet is not a readable Parquet file"),
        (["spam", "--data", "text.parquet"], "text.parquet is not a readable Parquet file"),
        (["tokenizer", "--data", "text.parquet"], "text.parquet: expected Parquet"),
        (["language", "--data", "columns.parquet"], "columns.parquet has no column 'label', it has lang, text"),
        (["spam", "--data", "columns.parquet"], "columns.parquet has no column 'label', it has lang, text"),
        (["language", "--data", "names.parquet"], "label 'English': expected a BCP 47 tag"),
        (["language", "--data", "x.val.parquet"], "no rows to fit on: give a file that is not named *.val.parquet"),
        (["language"], "missing option '--data'"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_teach_is_one_line_and_status_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.parquet").write_text("text,label,lang\n")
    pq.write_table(pa.table({"lang": ["en"], "text": ["hello"]}), "columns.parquet")
    write(Path("names.parquet"), [("hello", "English", "English")])
    write(Path("x.val.parquet"), language_rows(3, 1))
    assert call("train", *words, "--out", "model") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said in err
    assert not Path("model").exists()


def test_the_python_call_without_files_is_refused(tmp_path: Path) -> None:
    for stage in TRAINABLE:
        with pytest.raises(ConfigError, match=f"train {stage}: no --data given"):
            train(stage, [], tmp_path / "model")


@pytest.mark.parametrize("stage", ["language", "tokenizer"])
def test_a_folder_that_cannot_be_written_is_named(stage: str, files: Any, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SetupError, match="taken"):
        train(stage, files[stage], tmp_path / "taken")
