"""A stream gives the answer of the batch job, each micro-batch once, and says no where going on would be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from output import curate, posts
from pyspark.sql import SparkSession

from pipelines import ledger
from pipelines.index import STATE
from pipelines.simulate import Simulation, write
from pipelines.stream.job import StreamOrder, stream
from pipelines.tables import epochs, open_table, table_files
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.post import POST

ROWS = 6000
ROUTED = ("kept", "rejected", "quarantined")


class Crash(Exception):  # noqa: N818
    """Stands for whatever may stop an epoch."""


def follow(source: Path, out: Path, most: int = 100_000, **sections: Any) -> dict[str, Any]:
    """Stream what is in a folder."""
    config = Config.parse({"stream": {"max_posts_per_epoch": most}, **sections})
    return stream(StreamOrder(f"files://{source}", out, config, once=True))


def said(out: Path) -> list[tuple[Any, ...]]:
    """What is said of each post that does not depend on what later epochs bring."""
    return sorted(
        (row["id"], row["text"], row["duplicate_of"] or "", row["duplicates"]["kind"] or "", json.dumps(row["verdict"]))
        for row in posts(out)
    )


def tokens(out: Path) -> list[tuple[str, list[int]]]:
    """Token ids by document, over all versions of the set."""
    rows = [row for file in out.glob("sets/default/*/shard-*.parquet") for row in pq.read_table(file).to_pylist()]
    return sorted((row["document_id"], row["tokens"]) for row in rows)


def versions(out: Path) -> list[int]:
    """How often the tables were committed to."""
    return [table.version() for name in ("posts", "documents") if (table := open_table(out, name))]


@pytest.fixture(scope="module")
def real_posts(real_data: Path) -> pa.Table:
    """Some thousand real posts of each set, in the order of time."""
    files = sorted((real_data / "posts").glob("*.parquet"))
    tables = [pa.Table.from_batches([next(pq.ParquetFile(file).iter_batches(ROWS))]) for file in files]
    return pa.concat_tables(tables, promote_options="default").sort_by(
        [("created_at", "ascending"), ("id", "ascending")]
    )


@pytest.fixture(scope="module")
def at_once(spark: SparkSession, real_posts: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The real posts as one file in a folder, and what the batch job makes of it."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "in").mkdir()
    pq.write_table(real_posts, folder / "in" / "posts.parquet")
    curate([folder / "in"], folder / "out")
    return folder / "in", folder / "out"


@pytest.mark.parametrize("micro_batches", [1, 3, 17])
def test_however_many_micro_batches_the_answer_is_that_of_the_batch_job(
    at_once: tuple[Path, Path], real_posts: pa.Table, tmp_path: Path, micro_batches: int
) -> None:
    source, out = at_once
    done = follow(source, tmp_path / "out", most=-(-real_posts.num_rows // micro_batches))
    assert done["epochs"] == micro_batches
    assert said(tmp_path / "out") == said(out)
    assert tokens(tmp_path / "out") == tokens(out)


def test_late_posts_are_judged_by_when_they_came(spark: SparkSession, real_posts: pa.Table, tmp_path: Path) -> None:
    harvested = [json.loads(extra or "{}").get("harvested") or "" for extra in real_posts.column("extra").to_pylist()]
    order = sorted((when, row) for row, when in enumerate(harvested) if when)
    assert [row for _, row in order] != sorted(row for _, row in order), "expected posts that came late"
    late = real_posts.take([row for _, row in order])
    third = -(-late.num_rows // 3)
    (tmp_path / "in").mkdir()
    for number in range(3):
        piece = tmp_path / "in" / f"{number}.parquet"
        pq.write_table(late.slice(number * third, third), piece)
        curate([piece], tmp_path / "batch")
    done = follow(tmp_path / "in", tmp_path / "out", most=third)
    assert done["epochs"] == 3
    assert done["posts"]["read"] == late.num_rows == sum(done["posts"][route] for route in ROUTED)
    assert said(tmp_path / "out") == said(tmp_path / "batch")
    assert tokens(tmp_path / "out") == tokens(tmp_path / "batch")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with one simulated file, malformed records among its lines."""
    (tmp_path / "in").mkdir()
    write(Simulation(posts=600, seed=8), tmp_path / "in" / "a.jsonl")
    return tmp_path / "in"


def test_every_record_is_accounted_for_and_garbage_does_not_stop_the_stream(
    spark: SparkSession, source: Path, tmp_path: Path
) -> None:
    (source / "b.jsonl").write_bytes(
        b'{"id": "1"\n\xff\xfe\n{"id": 1.5, "text": "x"}\n[]\n{"id": "late", "text": "a post"}\n'
    )
    done = follow(source, tmp_path / "out", most=250, input={"format": "canonical"})
    assert done["epochs"] == 3
    assert done["posts"]["read"] == sum(done["posts"][route] for route in ROUTED)
    rows = posts(tmp_path / "out")
    gone = [line for file in (tmp_path / "out" / STATE).glob("receipts/*.jsonl") for line in file.open()]
    assert len(rows) + len(gone) == done["posts"]["kept"] + done["posts"]["rejected"]
    assert "late" in {row["id"] for row in rows}
    bad = [row for file in table_files(tmp_path / "out", "quarantine") for row in pq.read_table(file).to_pylist()]
    assert len(bad) == done["posts"]["quarantined"]
    assert [row["line"] for row in bad if row["file"].endswith("b.jsonl")] == [1, 2, 3, 4]


def test_nothing_new_is_no_epoch_and_no_commit(spark: SparkSession, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    follow(source, out)
    before = versions(out)
    (source / "blank.jsonl").write_text("\n\n")
    (source / "empty.jsonl").write_text("")
    assert follow(source, out)["epochs"] == 0
    assert versions(out) == before


@pytest.mark.parametrize("after", [None, "record", "tables"])
def test_an_epoch_that_fails_is_taken_again_and_counts_once(
    spark: SparkSession, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str | None
) -> None:
    calm, out = tmp_path / "calm", tmp_path / "out"
    follow(source, calm, most=250)
    real_publish, real_recover, calls = ledger.publish, ledger.recover, iter(range(100))

    def dies(*given: Any) -> None:
        if next(calls) != 1:
            real_publish(*given)
            return
        with monkeypatch.context() as within:
            if after == "record":
                within.setattr(ledger, "recover", lambda *_: False)
            if after is not None:
                real_publish(*given)
        raise Crash

    monkeypatch.setattr("pipelines.stream.epochs.publish", dies)
    follow(source, out, most=250)
    assert ledger.recover is real_recover
    assert next(calls) > 2
    assert len(epochs(out)) == len(epochs(calm)) == 3
    assert said(out) == said(calm)
    assert tokens(out) == tokens(calm)


def test_another_configuration_is_refused_by_name_unless_it_is_accepted(
    spark: SparkSession, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    follow(source, out)
    with pytest.raises(ConfigError, match=r"duplicates\.threshold: 0\.7 there, 0\.8 asked for.*--new-config"):
        follow(source, out, duplicates={"threshold": 0.8})
    config = Config.parse({"duplicates": {"threshold": 0.8}, "stages": {"verdict": {"keep_copies": 2}}})
    with pytest.raises(ConfigError, match=r"stages\.verdict\.keep_copies: unset there, 2 asked for"):
        stream(StreamOrder(f"files://{source}", out, config, once=True))
    assert stream(StreamOrder(f"files://{source}", out, config, once=True, accept_config=True))["epochs"] == 0
    with pytest.raises(ConfigError, match=r"0\.8 there, 0\.7 asked for"):
        follow(source, out)
    follow(
        source,
        out,
        duplicates={"threshold": 0.8},
        stages={"verdict": {"keep_copies": 2}},
        spark={"driver_memory": "3g"},
    )


def test_another_source_is_refused(spark: SparkSession, source: Path, tmp_path: Path) -> None:
    follow(source, tmp_path / "out")
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=r"holds a stream from files://.*/in, not from files://.*/other"):
        follow(tmp_path / "other", tmp_path / "out")


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("posts.jsonl", "expected a source such as kafka://"),
        ("kafak://localhost/posts", "did you mean 'kafka'"),
        ("kafka://localhost:9092", "expected kafka://HOST:PORT"),
        ("files:///no/such/folder", "no such folder"),
    ],
)
def test_what_names_no_source_is_refused_before_anything_starts(tmp_path: Path, word: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        stream(StreamOrder(word, tmp_path / "out", Config(), once=True))


def test_a_stream_does_not_read_what_it_writes(tmp_path: Path) -> None:
    for folder, out in ((tmp_path, tmp_path / "out"), (tmp_path / "out" / "in", tmp_path / "out")):
        folder.mkdir(parents=True, exist_ok=True)
        with pytest.raises(ConfigError, match="must not read its output"):
            stream(StreamOrder(f"files://{folder}", out, Config(), once=True))


def test_posts_of_a_batch_run_are_known_to_a_stream(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    row = {"id": "1", "text": "The harbour bridge is closed to lorries until Thursday morning, says the council."}
    pq.write_table(pa.Table.from_pylist([row], POST), tmp_path / "first.parquet")
    pq.write_table(pa.Table.from_pylist([row | {"id": "2"}], POST), tmp_path / "in" / "second.parquet")
    curate([tmp_path / "first.parquet"], tmp_path / "out")
    follow(tmp_path / "in", tmp_path / "out")
    assert {row["id"]: row["duplicate_of"] for row in posts(tmp_path / "out")} == {"1": None, "2": "1"}
