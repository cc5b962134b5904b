"""Calibrate a folder through the command: figures of the run, a policy that a run takes as is, a page, clear errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chat_server import MARKS, ChatServer, Says, serving
from epochs import WORDS, Output, post
from output import curate, posts
from pydantic import SecretStr
from pyspark.sql import SparkSession

from filters.stage import configure
from filters.verdict import Verdict
from jobs import cli
from pipelines.calibration import CalibrationOrder, calibrate, wish_of
from pipelines.calibration.labels import read_labels
from pipelines.labelling import LabelOrder, label_posts
from pipelines.labelling.endpoint import Endpoint
from pipelines.settings import load_config
from pipelines.simulate import Simulation, write
from pipelines.tables import open_table

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main([str(word) for word in words])
        assert isinstance(left.value.code, int)
        return (left.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated stream."""
    path = tmp_path_factory.mktemp("raw") / "posts.jsonl"
    write(Simulation(posts=3000, seed=11), path)
    return path


@pytest.fixture(scope="module")
def curated(spark: SparkSession, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stream curated by the default policy, but for one setting outside of the verdict."""
    out = tmp_path_factory.mktemp("curated") / "out"
    curate([raw], out, duplicates={"threshold": 0.8})
    return out


def test_a_run_with_the_policy_is_what_deciding_again_by_it_gives(
    call: Call, raw: Path, curated: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    words = ("--keep", 0.3, "--cost", "max_hashtag_share=0.001", "--out", policy, "--json")
    status, said, err = call("calibrate", curated, *words)
    assert (status, err) == (0, "")
    figures = json.loads(said)
    config = load_config(policy)
    assert config.duplicates.threshold == 0.8, "what the posts were read with"
    (verdict,) = configure((Verdict,), {"verdict": config.stages["verdict"]})
    table = open_table(curated, "posts").to_pyarrow_table()  # type: ignore[union-attr]
    again = pa.Table.from_batches(
        [
            pa.record_batch({"id": batch.column("id"), "verdict": verdict(batch.select(list(Verdict.reads)))})
            for batch in table.to_batches()
        ]
    ).to_pylist()
    (fresh := tmp_path / "fresh").mkdir()
    report = curate([raw], fresh, **config.model_dump())
    deleted = {row["id"] for row in posts(fresh) if row["duplicates"]["deleted"]}  # of those no scores are left
    assert len(deleted) < len(again) / 4
    assert decisions(posts(fresh), deleted) == decisions(again, deleted)
    assert figures["kept"] == report["posts"]["kept"]
    assert 0.3 <= figures["kept"] / figures["posts"] < 0.32
    assert {one["key"] for one in figures["moved"]} >= {"min_quality", "max_spam", "max_toxicity"}


def decisions(rows: list[dict[str, Any]], leave_out: set[str]) -> list[tuple[str, str]]:
    return sorted((row["id"], str(row["verdict"])) for row in rows if row["id"] not in leave_out)


def test_without_a_wish_the_present_policy_is_measured_and_written(
    call: Call, curated: Path, raw: Path, tmp_path: Path
) -> None:
    status, said, _ = call("calibrate", curated, "--out", tmp_path / "policy.yaml", "--json")
    assert status == 0
    figures = json.loads(said)
    report = json.loads((curated / "reports" / "epoch-000000" / "report.json").read_text())
    assert figures["kept"] == report["posts"]["kept"]
    assert figures["moved"] == []
    deleted = report["reasons"].get("deleted", 0)
    assert figures["posts"] == report["posts"]["kept"] + report["posts"]["rejected"] - deleted
    for name, count in report["reasons"].items():
        assert figures["reasons"][name]["posts"] <= count, name
        assert figures["reasons"][name]["posts"] >= count - deleted, name
    assert configure((Verdict,), {"verdict": load_config(tmp_path / "policy.yaml").stages["verdict"]}) == (Verdict(),)
    assert load_config(tmp_path / "policy.yaml").stages["verdict"]["max_spam"] == Verdict.max_spam


def test_settings_of_the_call_are_measured(call: Call, curated: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    words = ("--set", "stages.verdict.max_spam=0.5", "--set", "stages.verdict.per_language.no.min_words=1")
    status, said, _ = call("calibrate", curated, *words, "--out", policy, "--json")
    spam = next(one for one in json.loads(said)["thresholds"] if one["key"] == "max_spam")
    assert (status, spam["threshold"]) == (0, 0.5)
    section = load_config(policy).stages["verdict"]
    assert section["per_language"]["no"] == {"min_words": 1}, "Norwegian is no boolean"
    assert call("calibrate", curated, "--config", policy, "--json")[1] != ""


def test_the_page_shows_every_threshold_and_no_post(call: Call, curated: Path, tmp_path: Path) -> None:
    page = tmp_path / "curves.html"
    status, _, err = call("calibrate", curated, "--page", page, "--keep", 0.3)
    assert status == 0
    assert "kept" in err or err == ""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|@import|url\(", text)
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert all(key in text for key in ("max_spam", "min_readable_chars", "keep_copies", "max_contamination"))
    assert text.count("<polyline") > 40
    for points in re.findall(r'<polyline points="([^"]*)"', text):
        assert all(0 <= float(number) <= 100 for pair in points.split() for number in pair.split(","))
    assert not any(row["text"] in text for row in posts(curated) if len(row["text"]) > 20)


class Balanced(HTMLParser):
    """Notes which tags are open; fails where one is closed that is not the last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_scores_of_a_file_are_enough(call: Call, tmp_path: Path) -> None:
    rows = [{"id": str(number), "text": text} for number, text in enumerate([*WORDS, "short", "#a #b #c"])]
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = tmp_path / "scores.parquet"
    assert call("score", tmp_path / "posts.jsonl", "--stages", "language,quality", "--out", scores)[0] == 0
    status, said, _ = call("calibrate", scores, "--json")
    figures = json.loads(said)
    assert (status, figures["posts"], figures["kept"]) == (0, len(rows), len(WORDS))
    chars = next(one for one in figures["thresholds"] if one["key"] == "min_readable_chars")
    assert chars["languages"]["en"]["threshold"] == 16
    status, said, _ = call("calibrate", scores)
    assert status == 0
    assert "80.0% kept of 10 posts" in said
    assert "min_readable_chars" in said


def test_labels_stand_for_their_strata(call: Call, tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    output.epoch([post(f"p{n}", f"{WORDS[n % 8]} It was day {n} of {n * n}.", n) for n in range(40)])
    output.epoch([post("short", "Yes!", 50), post("shorter", "No!", 51)])
    labels = tmp_path / "labels.parquet"

    def reply(text: str, times: int) -> Says:
        return Says(json.dumps(MARKS | {"quality": 0 if len(text) < 9 else 4}))

    with serving(ChatServer(reply)) as server:
        endpoint = Endpoint(server.url, "tiny", SecretStr("key"))
        label_posts(LabelOrder(output.root, endpoint, labels, posts=8), lambda done: None)
    read = read_labels(labels, output.root)
    table = pq.read_table(labels)
    whole = {row["id"] for row in output.rows("posts") if row["duplicate_of"] is None}
    assert read.weights.sum() == pytest.approx(len(whole))
    assert len(table) == 8
    status, said, _ = call("calibrate", output.root, "--labels", labels, "--json")
    short = next(one for one in json.loads(said)["thresholds"] if one["key"] == "min_readable_chars")["labels"]
    assert (status, short["mark"], short["posts"], short["rejected"]) == (0, "quality", 8, 2)
    assert (short["precision"], short["recall"], short["deserving"]) == (1, 1, pytest.approx(2 / len(whole), abs=1e-4))
    page = tmp_path / "page.html"
    status, said, _ = call("calibrate", output.root, "--labels", labels, "--page", page)
    assert "precision" in said
    assert "against the labels" in page.read_text()


def _file(path: Path, **data: Any) -> Path:
    pq.write_table(pa.table(data), path)
    return path


def _bad_calls(folder: Path, good: Path) -> dict[str, tuple[list[object], str]]:
    (empty := folder / "empty").mkdir()
    (text := folder / "scores.txt").write_text("hello")
    (policy := folder / "old.yaml").write_text("stages: {}\n")
    none = _file(folder / "none.parquet", spam=pa.array([], pa.struct([("score", pa.float32())])))
    return {
        "no folder": ([folder / "gone"], "gone: no such file or folder"),
        "no table": ([empty], "empty: no posts table there; expected a folder that `swarmfeed run --out` wrote"),
        "no parquet": ([text], "expected Parquet, as `swarmfeed score --out` writes it"),
        "no scores": ([_file(folder / "a.parquet", id=["1"])], "no scores there; expected some of the columns"),
        "no posts": ([none], "none.parquet: no posts there to judge"),
        "no struct": ([_file(folder / "b.parquet", spam=[0.5])], "spam: expected the column of a stage, got double"),
        "no number": ([_file(folder / "c.parquet", spam=[{"score": "x"}])], "spam: expected struct<score: float>"),
        "unknown to move": ([good, "--keep", 1, "--move", "max_spamm"], "--move: unknown threshold 'max_spamm': did"),
        "unknown cost": ([good, "--cost", "max_spa=1"], "--cost: unknown threshold 'max_spa': did you mean"),
        "no cost": ([good, "--cost", "max_spam"], "--cost 'max_spam': expected KEY=SHARE"),
        "cost over all": ([good, "--cost", "max_spam=3"], "--cost max_spam: expected a share from 0 to 1, got 3"),
        "not a number": ([good, "--cost", "max_spam=nan"], "--cost max_spam: expected a share from 0 to 1, got nan"),
        "negative": ([good, "--keep", -0.1], "--keep: expected a share from 0 to 1, got -0.1"),
        "copies": ([good, "--keep", 0.1, "--move", "keep_copies"], "keep_copies is a count of copies"),
        "both": ([good, "--keep", 0.1, "--move", "max_spam", "--cost", "max_spam=0"], "--move max_spam: it stands"),
        "move alone": ([good, "--move", "max_spam"], "--move: expected with --keep"),
        "each alone": ([good, "--each-language"], "--each-language: expected with --keep or --cost"),
        "too much": ([good, "--keep", 1], "--keep 1: without min_quality, max_spam, max_toxicity the other"),
        "written": ([good, "--out", policy], "old.yaml: there is one already"),
        "page written": ([good, "--page", policy], "old.yaml: there is one already"),
        "no place": ([good, "--out", folder / "no" / "p.yaml"], "to write it in"),
        "no labels": ([good, "--labels", folder / "gone.parquet"], "expected a file that `swarmfeed label` wrote"),
        "setting": ([good, "--set", "stages.verdict.max_spm=1"], "unknown key 'stages.verdict.max_spm': did you mean"),
        "config": ([good, "--config", folder / "gone.yaml"], "gone.yaml: cannot be read"),
    }  # fmt: skip


def test_bad_calls_are_one_line_and_status_2(call: Call, curated: Path, tmp_path: Path) -> None:
    for name, (words, expected) in _bad_calls(tmp_path, curated).items():
        status, said, err = call("calibrate", *words)
        assert (status, said) == (2, ""), name
        assert expected in err, name
        assert len(err.splitlines()) == 1, name
    assert (tmp_path / "old.yaml").read_text() == "stages: {}\n"


def test_real_scores_give_the_figures_of_their_run(real_data: Path, tmp_path: Path, call: Call) -> None:
    rows = next(pq.ParquetFile(real_data / "posts" / "reddit-posts.parquet").iter_batches(4000))
    pq.write_table(pa.Table.from_batches([rows]), tmp_path / "posts.parquet")
    scores = tmp_path / "scores.parquet"
    stages = "language,quality,spam,toxicity,ai_text,verdict"
    assert call("score", tmp_path / "posts.parquet", "--stages", stages, "--out", scores)[0] == 0
    figures = calibrate(CalibrationOrder(scores))
    kept = [one["keep"] for one in pq.read_table(scores).column("verdict").to_pylist()]
    assert figures["kept"] == sum(kept)
    assert 0.5 < figures["kept"] / figures["posts"] < 1
    moved = calibrate(CalibrationOrder(scores, wish=wish_of(0.5, [], [], False)))
    assert 0.5 <= moved["kept"] / moved["posts"] < 0.52
