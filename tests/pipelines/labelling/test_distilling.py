"""From posts to a head of one's own: simulate, run, have a server rate them, train on its answers, score with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chat_server import MARKS, ChatServer, Says, serving
from output import curate
from pyspark.sql import SparkSession

from filters.credibility import Credibility
from filters.labelled import RECIPES, read_examples
from jobs import cli
from pipelines.simulate import Simulation, write
from pipelines.training import train
from schemas.errors import ConfigError


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in words])
    assert isinstance(left.value.code, int)
    return left.value.code


def rated(text: str, times: int) -> Says:
    """Rate as somebody would who believes whatever has an article."""
    return Says(json.dumps(MARKS | {"truthfulness": None if not text.isascii() else 5 if "the " in text else 1}))


def test_posts_to_a_head_of_ones_own(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, out = tmp_path / "posts.jsonl", tmp_path / "out"
    write(Simulation(posts=2000, seed=21), raw)
    curate([raw], out)
    labels, head, scores = tmp_path / "labels.parquet", tmp_path / "head", tmp_path / "scores.parquet"
    with serving(ChatServer(rated)) as server:
        words = ("--endpoint", server.url, "--model", "tiny", "--out", labels, "--posts", 500)
        assert call("label", out, *words) == 0
    assert call("train", "credibility", "--data", labels, "--out", head) == 0
    card = json.loads((head / "card.json").read_text())
    assert card["stage"] == "credibility"
    assert "en" in card["languages"]
    capsys.readouterr()
    assert (
        call("score", raw, "--stages", "credibility,clean_text", "--model", f"credibility={head}", "--out", scores) == 0
    )
    rows = pq.read_table(scores).to_pylist()
    told = [
        (row["credibility"]["score"], "the " in row["clean_text"]["text"])
        for row in rows
        if row["credibility"] and row["credibility"]["score"] is not None and row["clean_text"]["text"].isascii()
    ]
    assert len(told) > 100
    values, truth = (np.array(column) for column in zip(*told, strict=True))
    assert (values[truth][:, None] > values[~truth]).mean() > 0.9, "the head has learnt what the server says"
    assert Credibility(model=str(head)).sha256 == card["sha256"]


def test_sure_answers_teach_and_others_do_not(tmp_path: Path) -> None:
    marks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, None]
    texts = [f"the number of this sentence is written out {'x' * (place + 1)}" for place in range(len(marks))]
    columns = {"text": texts, "lang": ["en"] * len(marks), "truthfulness": pa.array(marks, pa.float32())}
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    examples = read_examples("credibility", RECIPES["credibility"], [tmp_path / "labels.parquet"])
    assert sorted(zip(examples.texts.to_pylist(), examples.labels.tolist(), strict=True)) == [
        (text, mark > 0.5) for text, mark in zip(texts, marks, strict=True) if mark is not None and mark != 0.6
    ]


@pytest.mark.parametrize("stage", ["quality", "toxicity", "ai_text"])
def test_other_heads_take_labels_too(stage: str, tmp_path: Path) -> None:
    mark = RECIPES[stage].mark
    assert mark
    texts = [f"word number {'abcdefgh'[place]} of the list and some more" for place in range(8)]
    columns = {"text": texts, "lang": ["en"] * 8, mark.column: pa.array([0.0, 1.0] * 4, pa.float32())}
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    examples = read_examples(stage, RECIPES[stage], [tmp_path / "labels.parquet"])
    assert examples.labels.tolist().count(True) == 4


def test_labels_of_another_kind_are_a_clear_error(tmp_path: Path) -> None:
    columns = {"text": ["a b c d"], "lang": ["en"], "truthfulness": ["true"]}
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    with pytest.raises(ConfigError, match="column 'truthfulness' should be numbers, it is string"):
        train("credibility", [tmp_path / "labels.parquet"], tmp_path / "head")
    pq.write_table(pa.table({"text": ["a"], "lang": ["en"], "quality": [0.5]}), tmp_path / "labels.parquet")
    with pytest.raises(ConfigError, match="has no column 'label'"):
        train("credibility", [tmp_path / "labels.parquet"], tmp_path / "head")
