"""Stages over a file without Spark: input order, nulls where a stage failed, one answer for every container."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import zstandard

import filters
from filters.stage import configure
from pipelines.score import Scored, score
from pipelines.simulate import Simulation, write
from schemas.columns import SPAM
from schemas.config import Config
from schemas.errors import ConfigError, RunError

ROOT = Path(__file__).parents[2]
POSTS = [{"id": str(number), "text": f"Post number {number} about rain and bread."} for number in range(25)]
SMALL_BATCHES = Config.parse({"input": {"batch_rows": 4, "split_rows": 7, "split_bytes": 100}})


def save(path: Path, posts: list[dict[str, Any]] = POSTS) -> Path:
    """Write posts into a file of the kind its name says."""
    table = pa.Table.from_pylist(posts)
    lines = b"".join(orjson.dumps(post) + b"\n" for post in posts)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=6)
    elif path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines))
    elif path.suffix == ".zst":
        path.write_bytes(zstandard.compress(lines))
    else:
        path.write_bytes(lines)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "a.csv"])
def test_every_container_gives_the_same_rows_in_input_order(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.parquet"
    assert score([str(save(tmp_path / name))], ["sketch", "clean_text"], out, SMALL_BATCHES) == Scored(25, 0, 0)
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == [post["id"] for post in POSTS]
    assert [row["clean_text"]["text"] for row in rows] == [post["text"] for post in POSTS]
    assert len({row["sketch"]["fingerprint"] for row in rows}) == 25


def test_files_come_in_the_order_they_are_named(tmp_path: Path) -> None:
    late, early = save(tmp_path / "z.jsonl", POSTS[:3]), save(tmp_path / "a.parquet", POSTS[3:5])
    score([str(late), str(early), str(late)], ["sketch"], tmp_path / "out.parquet", Config())
    assert pq.read_table(tmp_path / "out.parquet").column("id").to_pylist() == ["0", "1", "2", "3", "4"]


def test_columns_have_the_types_of_their_stages(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    names = [kind.name for kind in filters.STAGES]
    score([str(save(tmp_path / "a.jsonl"))], names, out, Config())
    schema = pq.read_schema(out)
    assert schema.names == ["id", *names]
    for stage in configure(filters.STAGES, {}):
        assert schema.field(stage.name).type == stage.output


def test_only_what_was_asked_for_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    score([str(save(tmp_path / "a.jsonl"))], ["verdict"], out, Config())
    assert pq.read_table(out).column_names == ["id", "verdict"]
    assert pq.read_table(out).column("verdict").null_count == 0


def test_the_answers_are_those_of_the_stages(tmp_path: Path) -> None:
    made = write(Simulation(posts=400, seed=9), tmp_path / "a.jsonl")
    out = tmp_path / "out.parquet"
    done = score([str(tmp_path / "a.jsonl")], ["quality", "language"], out, Config())
    assert done.posts + done.quarantined < made.lines  # some lines are tombstones
    assert done.posts == pq.read_metadata(out).num_rows > 350
    again = score([str(tmp_path / "a.jsonl")], ["quality", "language"], tmp_path / "again.parquet", SMALL_BATCHES)
    assert again == done
    assert pq.read_table(tmp_path / "again.parquet").to_pylist() == pq.read_table(out).to_pylist()


@dataclass(frozen=True)
class Picky:
    """A stage that fails on some texts."""

    name: ClassVar[str] = "spam"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    output: ClassVar[pa.StructType] = SPAM

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Say how long a text is; fail on one that asks for it."""
        texts = batch.column("text").to_pylist()
        if any("fail" in text for text in texts):
            raise ValueError("cannot say")
        return pa.array([{"score": len(text) / 100} for text in texts], SPAM)


@pytest.mark.parametrize("bad", [(), (0,), (24,), (3, 4, 5), tuple(range(25))])
def test_rows_that_make_a_stage_fail_are_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: tuple[int, ...]
) -> None:
    stages = tuple(Picky if kind.name == "spam" else kind for kind in filters.STAGES)
    monkeypatch.setattr(filters, "STAGES", stages)
    posts = [{"id": post["id"], "text": "fail" if int(post["id"]) in bad else post["text"]} for post in POSTS]
    out = tmp_path / "out.parquet"
    done = score([str(save(tmp_path / "a.jsonl", posts))], ["spam", "clean_text"], out, SMALL_BATCHES)
    assert done == Scored(25, 0, len(bad))
    rows = pq.read_table(out).to_pylist()
    assert [row["id"] for row in rows] == [post["id"] for post in POSTS]
    assert [int(row["id"]) for row in rows if row["spam"] is None] == list(bad)
    assert all((row["clean_text"] is None) == (row["spam"] is None) for row in rows)


def test_records_that_are_no_posts_are_counted(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jsonl", POSTS[:3])
    path.write_bytes(path.read_bytes() + b'nothing\n{"text": "no id"}\n{"id": "last", "text": "cut')
    assert score([str(path)], ["sketch"], tmp_path / "out.parquet", Config()) == Scored(3, 3, 0)


def test_an_empty_file_gives_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert score([str(tmp_path / "a.jsonl")], ["sketch"], tmp_path / "out.parquet", Config()) == Scored(0, 0, 0)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_an_unknown_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown stage 'toxcity': did you mean 'toxicity'"):
        score([str(save(tmp_path / "a.jsonl"))], ["toxcity"], tmp_path / "out.parquet", Config())


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out.parquet"
    score([str(save(tmp_path / "a.jsonl", POSTS[:2]))], ["sketch"], out, Config())
    before = out.read_bytes()
    monkeypatch.setattr(pq.ParquetWriter, "write_batch", full)
    with pytest.raises(RunError, match=r"out\.parquet: cannot be written: No space left on device"):
        score([str(save(tmp_path / "b.jsonl"))], ["sketch"], out, Config())
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl", "out.parquet"]


def test_neither_java_nor_pyspark_is_needed(tmp_path: Path) -> None:
    save(tmp_path / "a.jsonl")
    code = (
        "import sys\n"
        "for name in ('pyspark', 'py4j'): sys.modules[name] = None\n"  # importing either would raise
        "from jobs.cli import main; main(sys.argv[1:])\n"
    )
    words = ["score", str(tmp_path / "a.jsonl"), "--stages", "language,sketch", "--out", str(tmp_path / "o.parquet")]
    bare = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "SPARK_HOME", "PATH")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--json"], cwd=ROOT, env=bare, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"posts": 25, "quarantined": 0, "failed": 0}
    assert pq.read_metadata(tmp_path / "o.parquet").num_rows == 25
