"""Posts from a real Kafka: every message once, whatever of broker and stream goes away in between."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from output import curate, posts
from pyspark.sql import SparkSession

from bench.kafka_broker import Broker
from bench.stream_process import StreamProcess
from pipelines import forget
from pipelines.index import STATE
from pipelines.simulate import Simulation, write
from pipelines.stream.kafka import read_messages, read_properties
from pipelines.tables import table_files
from pipelines.upkeep.requests import Request
from schemas.config import InputConfig
from schemas.errors import ConfigError

pytestmark = pytest.mark.timeout(600)  # each starts a stream of its own, some a broker
SWARMFEED = str(Path(sys.executable).with_name("swarmfeed"))
PATIENCE_SECONDS = 120.0


def produce(broker: Broker, topic: str, messages: Sequence[bytes | None]) -> None:
    """Send messages to the partitions of a topic in turn."""
    producer = Producer({"bootstrap.servers": broker.address, "message.timeout.ms": 60_000})
    for number, message in enumerate(messages):
        producer.produce(topic, value=message, partition=number % 2)
    assert producer.flush(60) == 0


def follow(*words: object) -> tuple[int, dict[str, Any], str]:
    """Run `swarmfeed stream --once` and return its status, its summary and what it said last on stderr."""
    done = subprocess.run([SWARMFEED, "stream", *map(str, words), "--once", "--json"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout or "{}"), (done.stderr.strip() or "-").splitlines()[-1]


def verdicts(out: Path) -> list[tuple[Any, ...]]:
    return sorted((row["id"], row["text"], row["duplicate_of"] or "", json.dumps(row["verdict"])) for row in posts(out))


def until(what: Callable[[], bool]) -> None:
    """Wait for something to become so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_a_topic_gives_what_the_same_lines_give_in_a_file(
    spark: SparkSession, broker: Broker, kafka_jars: str, tmp_path: Path
) -> None:
    write(Simulation(posts=400, seed=21), tmp_path / "posts.jsonl")
    lines = [line for line in (tmp_path / "posts.jsonl").read_bytes().split(b"\n") if line.strip()]
    broker.create_topic("lines", 2)
    produce(broker, "lines", [*lines, None])
    source = f"kafka://{broker.address}/lines"
    words = (source, "--out", tmp_path / "out", "--set", f"spark.jars={kafka_jars}", "--set", "spark.master=local[2]")
    status, done, _ = follow(*words)
    assert status == 0
    report = curate([tmp_path / "posts.jsonl"], tmp_path / "batch")
    assert done["posts"] == report["posts"]
    key = Path(STATE, "receipts", "key")  # what stands for a forgotten id depends on it
    (tmp_path / "batch" / key).parent.mkdir()
    shutil.copy(tmp_path / "out" / key, tmp_path / "batch" / key)
    forget.run(forget.ForgetOrder(tmp_path / "batch", Request(), wait=False))  # a stream does so when it ends
    assert verdicts(tmp_path / "out") == verdicts(tmp_path / "batch")
    for file in table_files(tmp_path / "out", "quarantine"):
        for row in pq.read_table(file).to_pylist():
            partition = int(row["file"].removeprefix(f"{source}/"))
            assert row["raw"] == lines[2 * row["line"] + partition][: len(row["raw"])]
    status, done, _ = follow(*words)
    assert (status, done["epochs"]) == (0, 0)
    status, _, said = follow(source.replace("lines", "liens"), "--out", tmp_path / "other", *words[3:])
    assert (status, said) == (2, f"swarmfeed: kafka://{broker.address}/liens: no topic 'liens' there; create it first")


def test_a_stream_without_the_connector_says_how_to_get_it(tmp_path: Path) -> None:
    status, _, said = follow("kafka://localhost:9/posts", "--out", tmp_path / "out", "--set", "spark.master=local[1]")
    assert status == 1
    assert "spark.packages=[org.apache.spark:spark-sql-kafka-0-10_2.13:" in said


def test_a_broker_that_dies_and_comes_back_loses_and_doubles_nothing(
    broker: Broker, kafka_jars: str, tmp_path: Path
) -> None:
    def some(first: int) -> list[bytes | None]:
        return [
            json.dumps(
                {"id": str(number), "text": f"Item {number} of the list is {number * 7919 % 10007} miles away"}
            ).encode()
            for number in range(first, first + 50)
        ]

    def seen() -> int:
        return sum(pq.read_metadata(file).num_rows for file in table_files(tmp_path / "out", "posts"))

    broker.create_topic("alive", 2)
    produce(broker, "alive", some(0))
    words = [f"kafka://{broker.address}/alive", "--out", str(tmp_path / "out"), "--set", f"spark.jars={kafka_jars}"]
    words += ["--set", "spark.master=local[2]", "--set", "stream.trigger_seconds=0.5"]
    with StreamProcess(words, tmp_path / "log", tmp_path / "scratch") as stream:
        until(lambda: seen() == 50)
        broker.kill()
        until(lambda: (stream.health() or {}).get("source", {}).get("status") == "down")
        broker.restart()
        produce(broker, "alive", some(50))
        until(lambda: seen() == 100)
        done = stream.stop()
    assert done["posts"]["read"] == 100
    assert sorted(int(row["id"]) for row in posts(tmp_path / "out")) == list(range(100))


def test_client_settings_come_from_a_file_as_kafkas_tools_read_it(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# who we are\n\nsecurity.protocol = SASL_SSL\nsasl.jaas.config=a b=c;\n")
    assert read_properties(str(file)) == {"security.protocol": "SASL_SSL", "sasl.jaas.config": "a b=c;"}
    assert read_properties(None) == {}
    file.write_text("security.protocol=SSL\nhunter2\n")
    with pytest.raises(ConfigError, match="line 2: expected key=value") as refused:
        read_properties(str(file))
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_properties(str(tmp_path / "none"))


def test_how_long_a_message_may_be_is_a_setting() -> None:
    messages = [json.dumps({"id": str(number), "text": "a" * length}).encode() for number, length in ((1, 9), (2, 99))]
    columns = {"value": messages, "partition": pa.array([3, 3], pa.int32()), "offset": [7, 8]}
    (records,) = read_messages(pa.record_batch(columns), iter(()), "topic", InputConfig(max_record_bytes=60))
    assert records.posts.column("id").to_pylist() == ["1"]
    assert records.quarantine.select(["file", "line", "fault"]).to_pylist() == [
        {"file": "topic/3", "line": 8, "fault": "too_long"}
    ]
