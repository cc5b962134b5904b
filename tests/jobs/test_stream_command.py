"""`swarmfeed stream` as people run it: for long, watched, asked to forget, and stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.stream_process import StreamProcess
from pipelines.simulate import Simulation, write
from pipelines.tables import table_files

SWARMFEED = str(Path(sys.executable).with_name("swarmfeed"))
PATIENCE_SECONDS = 150.0


def until(what: Callable[[], Any]) -> None:
    """Wait for something to become so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def ids(out: Path) -> list[str]:
    return [name for file in table_files(out, "posts") for name in pq.read_table(file).column("id").to_pylist()]


@pytest.mark.timeout(600)
def test_a_stream_runs_is_watched_forgets_and_stops_behind_its_epoch(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write(Simulation(posts=300, seed=31), tmp_path / "first.jsonl")
    write(Simulation(posts=200, seed=32), tmp_path / "second.jsonl")
    words = [f"files://{source}", "--out", str(out), "--set", "spark.master=local[2]"]
    words += ["--set", "stream.trigger_seconds=0.2"]
    with StreamProcess(words, tmp_path / "log", tmp_path / "scratch") as stream:
        (tmp_path / "first.jsonl").rename(source / "first.jsonl")
        until(lambda: len(ids(out)) > 250)
        told = stream.health()
        assert told is not None
        assert told["status"] == "ok"
        with urllib.request.urlopen(f"http://127.0.0.1:{stream.port}/metrics") as answer:
            assert b'swarmfeed_posts_total{route="kept"}' in answer.read()
        second = [SWARMFEED, "stream", *words, "--once"]
        refused = subprocess.run(second, capture_output=True, text=True)
        assert refused.returncode == 2
        assert "another run is writing there" in refused.stderr
        asked = ids(out)[:3]
        (tmp_path / "ids").write_text("\n".join(asked))
        subprocess.run([SWARMFEED, "forget", out, "--ids", tmp_path / "ids"], check=True, capture_output=True)
        assert not set(asked) & set(ids(out))
        (tmp_path / "second.jsonl").rename(source / "second.jsonl")
        until(lambda: len(ids(out)) > 400)
        done = stream.stop()
    assert done["epochs"] == 2
    texts = {
        text for file in table_files(out, "posts") for text in pq.read_table(file).column("text").to_pylist() if text
    }
    log = (tmp_path / "log").read_text()
    assert [json.loads(line)["event"] for line in log.splitlines()] == [
        "started", "epoch_done", "deletions_done", "epoch_done", "stopped"
    ]  # fmt: skip
    assert not [text for text in texts if len(text) > 8 and text in log]
    verified = [SWARMFEED, "verify-forgotten", out, "--ids", tmp_path / "ids"]
    assert subprocess.run(verified, capture_output=True).returncode == 0
