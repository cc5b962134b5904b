"""Fetch through Maven the jars that Kafka needs: Spark's connector, and a broker for tests and benchmarks.

python -m bench.maven     fetches both, prints the connector's jars as `swarmfeed --set spark.jars=[...]` takes them

    .jars/connector/   Spark's Kafka connector and those jars it needs that pyspark does not ship
    .jars/broker/      a whole broker
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.prepare import BenchError, say
from bench.side import ROOT

JARS = ROOT / ".jars"
SCALA = "2.13"
CONNECTOR = f"org.apache.spark:spark-sql-kafka-0-10_{SCALA}"
CONNECTOR_RELEASES = ("4.2.0", "4.1.1", "4.1.0")  # tried, newest first, where there is none of pyspark's own version
BEYOND_PYSPARK = (  # of what the connector asks for, pyspark brings the rest
    f"spark-sql-kafka-0-10_{SCALA}",
    f"spark-token-provider-kafka-0-10_{SCALA}",
    "kafka-clients",
    "commons-pool2",
)
BROKER = (f"org.apache.kafka:kafka_{SCALA}:3.9.1", "org.slf4j:slf4j-simple:1.7.36")  # it says nothing without a logger
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_SECONDS = 600
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>swarmfeed</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""


class MavenError(BenchError):
    """Maven is missing, or did not bring what it was asked for."""


def installed() -> bool:
    """Tell whether there is a Maven to fetch with."""
    return shutil.which("mvn") is not None


def connector_jars(folder: Path = JARS) -> list[Path]:
    """Return the jars of Spark's Kafka connector, fetched first where they are absent.

    Its version is pyspark's, or the newest below it that can be had.
    """
    own = version("pyspark")
    found = folder / "connector" / f"pyspark-{own}"
    if not found.is_dir():
        _fetch_connector(own, found)
    return sorted(found.glob("*.jar"))


def _fetch_connector(own: str, found: Path) -> None:
    for release in (own, *(older for older in CONNECTOR_RELEASES if _number(older) < _number(own))):
        try:
            _fetch([f"{CONNECTOR}:{release}"], found, BEYOND_PYSPARK)
        except MavenError as error:
            if not installed():
                raise
            say(str(error))
        else:
            say(f"{CONNECTOR}:{release} for pyspark {own}")
            return
    raise MavenError(f"no {CONNECTOR} of {own} or before could be fetched")


def broker_jars(folder: Path = JARS) -> Path:
    """Return the folder of a broker's jars, fetched first where it is absent."""
    found = folder / "broker" / BROKER[0].rpartition(":")[2]
    if not found.is_dir():
        _fetch(BROKER, found)
    return found


def _number(release: str) -> tuple[int, ...]:
    """Return a version as numbers.

    >>> _number("4.10.1") > _number("4.2.0.dev1")
    True
    """
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])


def _fetch(coordinates: Sequence[str], folder: Path, only: Sequence[str] = ()) -> None:
    """Copy the jars of some coordinates, and all they need to run or `only` these, into a folder that appears whole."""
    if not installed():
        raise MavenError("mvn is missing: apt-get install maven")
    folder.parent.mkdir(parents=True, exist_ok=True)
    parts = ("groupId", "artifactId", "version")
    dependencies = "".join(
        f"<dependency>{''.join(f'<{tag}>{word}</{tag}>' for tag, word in zip(parts, one.split(':'), strict=True))}"
        "</dependency>"
        for one in coordinates
    )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as work:
        pom, jars = Path(work, "pom.xml"), Path(work, "jars")
        pom.write_text(POM.format(dependencies=dependencies))
        command = [
            "mvn",
            "--batch-mode",
            "--quiet",
            "-Dstyle.color=never",
            "--file",
            str(pom),
            COPY,
            "-DincludeScope=runtime",
        ]
        command += [f"-DoutputDirectory={jars}", f"-DincludeArtifactIds={','.join(only)}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
        except subprocess.TimeoutExpired:
            raise MavenError(f"mvn did not bring {coordinates[0]} in {FETCH_SECONDS} s") from None
        if done.returncode or not jars.is_dir():
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "[ERROR] nothing")
            raise MavenError(f"mvn did not bring {coordinates[0]}, it said: {said.partition('] ')[2][:300]}")
        if not folder.is_dir():  # another process may have been faster
            jars.rename(folder)


def main() -> None:
    """Fetch everything and print the connector's jars."""
    broker_jars()
    print(f"[{','.join(map(str, connector_jars()))}]")


if __name__ == "__main__":
    main()
