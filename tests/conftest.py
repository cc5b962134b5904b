"""Options and fixtures shared by the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipelines.session import start
from schemas.config import SparkConfig


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests on real posts find them; they skip, saying so, where the folder is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    parser.addoption("--real-data", type=Path, default=default, help="folder with posts/, threads/, labelled/, ...")


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
