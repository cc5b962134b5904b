"""Start Spark the way swarmfeed wants it, or take the session that spark-submit has made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from schemas.config import SparkConfig
from schemas.errors import SetupError

ARROW_BATCH_ROWS = 8192
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
JAVA_HINT = "install a JDK 17 or newer (Debian: apt-get install openjdk-17-jdk-headless) or set JAVA_HOME"


def java_version() -> int:
    """Return the major version of the Java that Spark would start; raise SetupError without one."""
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    try:
        answer = subprocess.run([java or "java", "-version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        raise SetupError(f"Java was not found: {JAVA_HINT}") from None
    quoted = (answer.stderr + answer.stdout).split('"')
    numbers = quoted[1].split(".") if len(quoted) > 1 else ["0"]
    major = int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0].split("-")[0])
    if major < 17:
        raise SetupError(f"Java {major} is too old for Spark 4: {JAVA_HINT}")
    return major


def start(config: SparkConfig, name: str = "swarmfeed") -> SparkSession:
    """Return the running session, or start one on `config.master`; raise SetupError where Java is missing or old."""
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    java_version()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # pyspark reads workers' Python from here alone
    builder = SparkSession.builder.appName(name)
    for key, value in _settings(config).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    return session


def _settings(config: SparkConfig) -> dict[str, str]:
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_BATCH_ROWS),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.compression.codec": "snappy",
        "spark.python.worker.faulthandler.enabled": "true",
    }
    if config.shuffle_partitions:
        settings["spark.sql.shuffle.partitions"] = str(config.shuffle_partitions)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not under spark-submit, which has settings of its own
        settings |= {
            "spark.master": config.master,
            "spark.driver.memory": config.driver_memory,
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
        }
    return settings
