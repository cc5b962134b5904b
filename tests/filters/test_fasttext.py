"""fastText models of the user's own: golden posts, what the report says of them, and what is said of wrong files."""

from __future__ import annotations

import doctest
import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import filters.fasttext
from filters.fasttext import Fasttext
from filters.language_lid import model_file
from filters.stage import Failure, annotate, configure
from pipelines.summary import config_hash, model_hashes
from schemas.columns import CLEAN_TEXT
from schemas.config import Config
from schemas.errors import ConfigError, SetupError

GOLDEN = Path(__file__).parents[1] / "golden" / "fasttext.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
NASTY = {"emoji_storm", "one_word", "copy_pasta", "rtl_mix", "zero_width", "20k_chars"}


def posts(texts: list[str | None]) -> pa.RecordBatch:
    rows = [None if text is None else {"text": text, "changed": False} for text in texts]
    return pa.record_batch({"clean_text": pa.array(rows, CLEAN_TEXT)})


def asked(stage: Fasttext, texts: list[str | None]) -> list[Any]:
    answer = stage(posts(texts))
    answer.validate(full=True)
    return answer.to_pylist()


def test_there_are_enough_golden_lines() -> None:
    assert len(LINES) >= 40
    assert {line["why"] for line in LINES} >= NASTY


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    stage = Fasttext(models={"lid": str(model_file())}, labels_per_model=line["labels_per_model"])
    (row,) = asked(stage, [line["text"]])
    if line["answers"] is None:
        assert row is None
        return
    told = [(one["model"], one["label"], pytest.approx(one["score"], abs=2e-4)) for one in row["answers"]]
    assert [tuple(answer) for answer in line["answers"]] == told


def test_examples_in_the_docstrings() -> None:
    result = doctest.testmod(filters.fasttext)
    assert result.attempted > 0
    assert result.failed == 0


def test_several_models_answer_by_name_and_no_more_labels_than_they_have() -> None:
    lid = str(model_file())
    stage = Fasttext(models={"z": lid, "a": lid}, labels_per_model=2)
    (first, nothing, again) = asked(stage, ["Guten Morgen, wie geht es dir?", None, "and a good morning to you"])
    assert [one["model"] for one in first["answers"]] == ["a", "a", "z", "z"]
    assert [one["label"] for one in first["answers"]][::2] == ["de", "de"]
    assert nothing is None
    assert [one["label"] for one in again["answers"]][::2] == ["en", "en"]
    (row,) = asked(Fasttext(models={"lid": lid}, labels_per_model=1000), ["the ferry leaves at noon"])
    assert len(row["answers"]) <= 176
    assert [one["score"] for one in row["answers"]] == sorted((one["score"] for one in row["answers"]), reverse=True)


def test_no_models_no_answer_and_no_hash() -> None:
    assert asked(Fasttext(), ["a post"]) == [None]
    assert model_hashes([Fasttext()]) == {}


def test_the_files_stand_in_the_report_and_the_config_hash(tmp_path: Path) -> None:
    path = tmp_path / "mine.ftz"
    shutil.copy(model_file(), path)
    config = Config.parse({"stages": {"fasttext": {"models": {"mine": str(path)}}}})
    stages = configure([Fasttext], config.stages)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    assert model_hashes(stages) == {"fasttext": hashlib.sha256(f"mine {content}\n".encode()).hexdigest()}
    before = config_hash(config, stages)
    assert before == config_hash(config, configure([Fasttext], config.stages))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    assert config_hash(config, configure([Fasttext], config.stages)) != before


def test_the_pickle_carries_no_model_and_a_worker_refuses_another_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.ftz"
    shutil.copy(model_file(), path)
    stage = Fasttext(models={"mine": str(path)})
    carried = pickle.dumps(stage)
    assert len(carried) < 2000
    filters.fasttext._model.cache_clear()  # as in a process that has not read it yet
    path.write_bytes(path.read_bytes() + b"\0")
    worker = pickle.loads(carried)
    with pytest.raises(SetupError, match=r"mine\.ftz: expected the file of sha256"):
        annotate(posts(["a post"]), [worker])
    path.unlink()
    with pytest.raises(SetupError, match="where every worker can read it"):
        worker(posts(["a post"]))


@pytest.mark.parametrize("content", [b"", b"not a model at all", None])
def test_a_file_that_is_no_model_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.bin"
    path.write_bytes(model_file().read_bytes()[:100_000] if content is None else content)
    with pytest.raises(SetupError, match=r"fasttext: .*mine\.bin: .*expected"):
        configure([Fasttext], {"fasttext": {"models": {"mine": str(path)}}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"model": {}}, "did you mean 'models'"),
        ({"models": "lid.176.ftz"}, "'models' must map names to files, got 'lid.176.ftz'"),
        ({"models": {"a": 3}}, "'models' must map names to files, got 'a': 3"),
        ({"models": {"a": "/no/such/file"}}, "/no/such/file cannot be read: No such file"),
        ({"labels_per_model": 0}, "'labels_per_model' must be a whole number from 1"),
        ({"labels_per_model": True}, "'labels_per_model' must be a whole number from 1"),
    ],
)
def test_wrong_settings(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure([Fasttext], {"fasttext": section})


def test_it_never_fails_on_a_row() -> None:
    stage = Fasttext(models={"lid": str(model_file())})
    batch, failures = annotate(posts([line["text"] for line in LINES]), [stage])
    assert failures == list[Failure]()
    assert batch.num_rows == len(LINES)
