"""A run that is stopped or loses its JVM ends in one line, at once, and shows nothing of what it had begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.simulate import Simulation, write

ROOT = Path(__file__).parents[2]


def kill_jvm(run: int) -> None:
    """Kill the children of the command: its JVM."""
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(run)], capture_output=True, text=True, check=True)
    for child in told.stdout.split():
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.parametrize(
    ("stop", "status", "said"),
    [
        # a terminal's Ctrl-C reaches every process of the group
        (lambda run: os.killpg(run, signal.SIGINT), 130, "swarmfeed: stopped; nothing was published\n"),
        (kill_jvm, 1, "swarmfeed: Spark's JVM was lost, most likely out of memory; nothing was published; "),
    ],
    ids=["ctrl-c", "jvm-lost"],
)
def test_a_run_that_is_stopped(tmp_path: Path, stop: Callable[[int], None], status: int, said: str) -> None:
    write(Simulation(posts=40_000, seed=1), tmp_path / "posts.jsonl")
    out = tmp_path / "out"
    words = [sys.executable, "-m", "jobs.cli", "run", tmp_path / "posts.jsonl", "--out", out, "--master", "local[1]"]
    run = subprocess.Popen(
        list(map(str, words)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 150
    while not list(out.glob(".swarmfeed/staging/part-*")):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    stop(run.pid)
    told, error = run.communicate(timeout=60)
    assert (run.returncode, told) == (status, ""), error
    assert error.startswith(said)
    assert error.count("\n") == 1
    assert [path.name for path in out.iterdir()] == [".swarmfeed"]
    assert [path.name for path in (out / ".swarmfeed").iterdir()] == ["lock"]
