"""How Spark is started: the settings a run relies on, and one clear line where it cannot start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipelines.session import java_version, start
from schemas.config import SparkConfig
from schemas.errors import ConfigError, SetupError

ROOT = Path(__file__).parents[2]


def test_the_running_session_is_taken(spark: SparkSession) -> None:
    assert start(SparkConfig(master="local[7]")) is spark
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.sparkContext.master == "local[2]"


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the suite's own session invisible to `start`."""
    monkeypatch.setattr(SparkSession, "getActiveSession", staticmethod(lambda: None))


@pytest.mark.parametrize("master", ["", "spork://host", "local[two]", "host:7077", "mesos://host"])
def test_a_master_that_is_none(no_session: None, master: str) -> None:
    with pytest.raises(ConfigError, match=r"spark\.master: expected"):
        start(SparkConfig(master=master))


@pytest.mark.parametrize("memory", ["", "lots", "2", "2 g", "-1g"])
def test_a_memory_that_is_none(no_session: None, memory: str) -> None:
    with pytest.raises(ConfigError, match=r"spark\.driver_memory: expected a size such as 2g"):
        start(SparkConfig(driver_memory=memory))


def test_java_is_missing(no_session: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="Java was not found: install a JDK 17"):
        start(SparkConfig())


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "21.0.2" 2024-01-16', 21),
        ('openjdk version "17" 2021-09-14', 17),
        ('openjdk version "22-ea" 2024', 22),
        ('java version "1.8.0_292"', 8),
        ("no version at all", 0),
    ],
)
def test_what_java_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, version: int) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if version >= 17:
        assert java_version() == version
    else:
        with pytest.raises(SetupError, match=f"Java {version} is too old for Spark 4"):
            java_version()


def test_a_jvm_that_does_not_start_says_why() -> None:
    code = (
        "from pipelines.session import start; from schemas.config import SparkConfig; "
        "start(SparkConfig(driver_memory='900000g'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert "SetupError: Spark's JVM did not start" in last
    assert "Could not reserve enough space" in last or "Invalid maximum heap size" in last
