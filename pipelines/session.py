"""Start Spark the way swarmfeed wants it, or take the session that spark-submit has made."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from pipelines import kernel_cache
from schemas.config import SparkConfig
from schemas.errors import ConfigError, SetupError

ARROW_BATCH_ROWS = 8192
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
EVERY_START = b"Using incubator modules: jdk.incubator.vector"  # Spark asks for that module, Java always says so
MASTER = re.compile(r"local|local\[(\d+|\*)(,\d+)?\]|local-cluster\[\d+,\d+,\d+\]|yarn|(spark|k8s)://.+")
MEMORY = re.compile(r"\d+[kmgt]b?", re.IGNORECASE)
QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # our JVM schedules and waits: it should start fast
# The heap follows what it holds: left alone it starts at a share of the machine's memory, filled before it collects.
HEAP = "-Xms96m -Xmn64m -XX:MinHeapFreeRatio=20 -XX:MaxHeapFreeRatio=40"
JAVA_OPTIONS = (  # and need not verify, class by class, the jars it came with
    f"{QUICK_START} {HEAP} -XX:+IgnoreUnrecognizedVMOptions "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
RETAINED = "20"
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
    """Return the running session, or start one: on `config.master`, or where spark-submit says when it runs us.

    Raises ConfigError for a master or a memory Spark would not understand, SetupError where Java is missing or old.
    """
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started the JVM already
    if not submitted:
        _check(config)
    running = SparkSession.getActiveSession()
    if running is not None:
        return running
    if not submitted:
        java_version()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # pyspark reads workers' Python from here alone
    conf = SparkConf().setAppName(name).setAll(_settings(config).items())
    if not submitted:
        conf.setAll(_own(config).items())
    session = _connect(conf, None if submitted else _gateway(conf))
    # This server of pyspark's prints a traceback when the JVM is lost; what that means is said once, by us.
    session.sparkContext._accumulatorServer.handle_error = lambda *_: None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # pyspark's own calls the JVM in the middle of a call
    if submitted and not session.sparkContext.getConf().contains("spark.log.level"):
        session.sparkContext.setLogLevel("FATAL")  # Spark's errors quote what workers say (see log4j2.properties)
    return session


def _connect(conf: SparkConf, gateway: JavaGateway | None) -> SparkSession:
    try:
        if gateway is not None:
            SparkContext(conf=conf, gateway=gateway)
        return SparkSession.builder.config(conf=conf).getOrCreate()
    except (Py4JError, PySparkException) as error:
        said = str(error.java_exception.getMessage()) if isinstance(error, Py4JJavaError) else str(error)
        master = conf.get("spark.master", "the master of spark-submit")
        raise SetupError(f"Spark did not start on {master}, is it there? ({said.splitlines()[0]})") from error


def _gateway(conf: SparkConf) -> JavaGateway:
    """Start the JVM and pass on, to stderr, what it says, but for the line that Java prints at every start of Spark.

    Raises SetupError with what it said when it does not start.
    """
    os.environ.setdefault("SPARK_LAUNCHER_OPTS", QUICK_START)  # of the JVM that puts the command line together
    reader, writer = os.pipe()
    said: list[str] = []
    started = threading.Event()
    thread = threading.Thread(target=_pass_on, args=(reader, said, started), daemon=True)
    thread.start()
    try:
        gateway = launch_gateway(conf, {"stdout": writer, "stderr": writer})
    except PySparkException:
        os.close(writer)
        thread.join(timeout=10)
        reason = "; ".join(line.strip() for line in said if not line.lstrip().startswith("at "))[:300]
        raise SetupError(f"Spark's JVM did not start ({reason}): run `swarmfeed doctor`") from None
    os.close(writer)
    started.set()
    return gateway


def _pass_on(reader: int, said: list[str], started: threading.Event) -> None:
    """Keep the JVM's lines until it has started, write them to stderr from then on."""
    with open(reader, "rb") as lines:
        for line in lines:
            if EVERY_START in line:
                continue
            if started.is_set():
                os.write(2, line)  # not sys.stderr: its lock must be free when the interpreter leaves
            else:
                said.append(line.decode(errors="replace"))


def _check(config: SparkConfig) -> None:
    """Refuse what Spark itself refuses with a Java stack trace."""
    if not MASTER.fullmatch(config.master):
        raise ConfigError(
            f"spark.master: expected local[N], spark://HOST:PORT, yarn or k8s://URL, got {config.master!r}"
        )
    if not MEMORY.fullmatch(config.driver_memory):
        raise ConfigError(f"spark.driver_memory: expected a size such as 2g or 1500m, got {config.driver_memory!r}")


def _settings(config: SparkConfig) -> dict[str, str]:
    """Return what a run needs wherever it runs."""
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "true",
        "spark.scheduler.mode": "FAIR",  # between what runs at once: a stream's epochs and its upkeep
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(ARROW_BATCH_ROWS),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.parquet.compression.codec": "snappy",
        "spark.python.worker.faulthandler.enabled": "true",
        "spark.python.unix.domain.socket.enabled": "true",  # a task over TCP waits 40 ms for a delayed acknowledgement
    }
    if kernel_cache.IN_ZIP:
        settings["spark.executorEnv.NUMBA_CACHE_LOCATOR_CLASSES"] = kernel_cache.LOCATORS
    if config.shuffle_partitions:
        settings["spark.sql.shuffle.partitions"] = str(config.shuffle_partitions)
    return settings


def _own(config: SparkConfig) -> dict[str, str]:
    """Return the settings of a session that swarmfeed starts by itself; under spark-submit they are spark-submit's."""
    local = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    return {
        "spark.master": config.master,
        "spark.driver.memory": config.driver_memory,
        "spark.ui.enabled": "false",
        "spark.ui.retainedJobs": RETAINED,  # what nobody looks at, a stream would hold a thousand of
        "spark.ui.retainedStages": RETAINED,
        "spark.ui.retainedTasks": RETAINED,
        "spark.sql.ui.retainedExecutions": RETAINED,
        "spark.ui.showConsoleProgress": "false",
        "spark.jars": ",".join(config.jars),
        "spark.jars.packages": ",".join(config.packages),
        "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} -Dlog4j2.configurationFile={LOG_SETTINGS}",
    } | (local if config.master.startswith("local") else {})
