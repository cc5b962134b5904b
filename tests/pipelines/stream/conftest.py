"""What tests of streams share: a real broker and the jars with which Spark reads from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import maven
from bench.kafka_broker import Broker


@pytest.fixture(scope="session")
def maven_installed() -> None:
    """Skip, saying so, where the jars cannot be fetched."""
    if not maven.installed():
        pytest.skip("mvn is missing, which fetches Kafka: apt-get install maven")


@pytest.fixture(scope="session")
def kafka_jars(maven_installed: None) -> str:
    """The jars of Spark's Kafka connector, as `--set spark.jars=` takes them."""
    return f"[{','.join(map(str, maven.connector_jars()))}]"


@pytest.fixture(scope="session")
def broker(maven_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for the whole suite: a test makes topics of its own in it. Who kills it starts it again."""
    with Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running
