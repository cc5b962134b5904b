"""Options and fixtures shared by the whole suite."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from filters import STAGES
from filters.stage import configure
from pipelines.session import start
from pipelines.step import rehearse
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.config import Config, SparkConfig


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests on real posts find them; they skip, saying so, where the folder is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    parser.addoption("--real-data", type=Path, default=default, help="folder with posts/, threads/, labelled/, ...")


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels once, before processes that run tests beside each other would all do it."""
    if getattr(config.option, "numprocesses", None):  # of the process that starts them
        rehearse(configure(STAGES, {}), load_tokenizer("default"), Config())


@pytest.fixture(scope="session")
def real_data(request: pytest.FixtureRequest) -> Path:
    """The folder of real posts, or a skip that says what was looked for."""
    folder: Path = request.config.getoption("--real-data")
    if not (folder / "posts").is_dir():
        pytest.skip(f"no real posts at {folder}: give --real-data DIR")
    return folder


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One local Spark for the whole suite: two threads, small shuffles, no UI."""
    session = start(SparkConfig(master="local[2]", driver_memory="1g", shuffle_partitions=4))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real redis-server of this test run's own."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: apt-get install redis-server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("redis-server did not start")
