"""A real Kafka broker of one node on this machine, for tests and benchmarks: start it, kill it, start it again."""

from __future__ import annotations

import base64
import contextlib
import secrets
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from bench import maven
from bench.prepare import BenchError

HOST = "127.0.0.1"
JVM = ("-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # starts fast, stays small
LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)
SETTINGS = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.enable=false
num.network.threads=1
num.io.threads=2
background.threads=1
"""
ANSWER_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG_LINES = 15


class Broker:
    """One broker: within the block it runs, behind it nothing of it does. Its topics live in `folder`.

    It answers on `address`, also after a restart; the port is a free one unless it is given.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port, self._controller = (port or free_port()), free_port()
        self.address = f"{HOST}:{self.port}"
        self._cluster = base64.urlsafe_b64encode(b"kafka-" + secrets.token_bytes(10)).decode().rstrip("=")
        self._settings = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Broker:
        self._format()
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        """Return the process id of the broker, None while it is down."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and wait until it answers; BenchError, with the end of its log, when it does not."""
        if self._process:
            return
        with self._log.open("ab") as log:
            command = self._java("kafka.Kafka", str(self._settings))
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Let it close its files and end."""
        if self._process:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_SECONDS)
        self.kill()

    def restart(self) -> None:
        """Start it again, on the same port and with the same topics; one that still runs is stopped first."""
        self.stop()
        self.start()

    def create_topic(self, name: str, partitions: int = 1) -> str:
        """Make a topic and return its name once it can be written to."""
        admin = self._admin()  # lives until the answer is there
        asked = admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
        asked[name].result(timeout=ANSWER_SECONDS)
        return name

    def topics(self) -> dict[str, int]:
        """Return its topics, each with its number of partitions."""
        told = self._admin().list_topics(timeout=ANSWER_SECONDS).topics
        return {name: len(topic.partitions) for name, topic in told.items()}

    @property
    def _log(self) -> Path:
        return self.folder / "broker.log"

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})  # silent while nobody answers

    def _java(self, *what: str) -> list[str]:
        return ["java", *JVM, *LOGGING, "-cp", f"{maven.broker_jars()}/*", *what]

    def _format(self) -> None:
        """Write its settings and lay out its folder, a new one."""
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(
            SETTINGS.format(host=HOST, port=self.port, controller=self._controller, data=data.resolve())
        )
        tool = self._java("kafka.tools.StorageTool", "format", "-t", self._cluster, "-c", str(self._settings))
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"the folder of a broker could not be laid out: {(done.stderr or done.stdout).strip()}")

    def _wait(self) -> None:
        """Return once the broker tells its topics; another's answer, on a port that was taken, does not count."""
        admin = self._admin()
        deadline = time.monotonic() + ANSWER_SECONDS
        while self._process and self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):
                if admin.list_topics(timeout=1).cluster_id == self._cluster:
                    return
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise BenchError(f"the broker at {self.address} does not answer; the end of its log:\n{tail}")


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
