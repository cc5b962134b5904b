"""`swarmfeed stream` as a child process: start it, watch it, kill a part of it, start it again, stop it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench import measure, side
from bench.kafka_broker import HOST, free_port
from bench.prepare import BenchError

HEALTH_SECONDS = 2.0
STOP_SECONDS = 120.0
LEAVE_SECONDS = 30.0  # for what a driver leaves behind to end
LOG_LINES = 20
MAPPED = ", mapped"  # what is put behind a name in a sample: pages of files that its processes look at
DOWN = "down"  # what stands for a phase while nothing answers


class Target(StrEnum):
    """A part of the stream that can be killed."""

    DRIVER = "driver"
    WORKER = "worker"  # a Python process that does tasks
    JVM = "jvm"


class StreamProcess:
    """One stream; each `start` is a new process that goes on with the same output folder.

    Its temporary files go to `scratch`, what it says to `log`. A part that was killed is not cleaned up after: what is
    left of a killed driver has to end by itself, as on a machine without a supervisor that does it.
    """

    def __init__(self, words: Sequence[str], log: Path, scratch: Path) -> None:
        self.port = free_port()
        self.log, self._scratch = log, scratch
        program = str(Path(sys.executable).with_name("swarmfeed"))
        self._command = [program, "stream", *words, "--json", "--debug", "--set", f"stream.metrics_port={self.port}"]
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> StreamProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> None:
        """Start a process; the one before must have ended."""
        for folder in (self._scratch, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        local = {"SPARK_LOCAL_DIRS": str(self._scratch), "TMPDIR": str(self._scratch)}
        environment = {**side.our_environment(), **local}
        with self.log.open("ab") as errors, self._said.open("wb") as out:
            self._children.append(
                measure.start(self._command, None, stdout=out, stderr=errors, environment=environment)
            )

    @property
    def pid(self) -> int:
        """Return the id of the newest driver."""
        return self._children[-1].pid

    @property
    def status(self) -> int | None:
        """Return the exit status of the newest driver, None while it runs."""
        return self._children[-1].poll() if self._children else 0

    def wait(self, seconds: float) -> int | None:
        """Wait for the end of the driver; None when it does not come in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._children[-1].wait(timeout=seconds)
        return None

    def health(self) -> dict[str, Any] | None:
        """Return what it says of its health, None while nobody answers."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=HEALTH_SECONDS)
        try:
            connection.request("GET", "/health")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return answer

    def phase(self) -> str:
        """Return the phase of the epoch that is under way, or DOWN."""
        told = self.health()
        return DOWN if told is None else str(told["phase"])

    def parts(self) -> dict[Target, list[int]]:
        """Return the process ids of each part of the newest driver's tree."""
        own = measure.tree(self.pid, measure.process_table())
        java = {one.pid for one in own if one.pid != self.pid and _name(one.pid) == "java"}
        daemons = {one.pid for one in own if one.parent in java and one.pid not in java}
        workers = [one.pid for one in own if one.parent in daemons]
        return {Target.DRIVER: [self.pid], Target.JVM: sorted(java), Target.WORKER: workers}

    def kill(self, target: Target, choice: float = 0.0) -> bool:
        """End a part as kill -9 does; of several the one that `choice`, in [0, 1), falls on. False: there is none."""
        found = self.parts()[target] if self.status is None else []
        if not found:
            return False
        try:
            os.kill(found[int(choice * len(found))], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> dict[str, Any]:
        """Let it finish its epoch and end; return its summary. Raises BenchError when it failed or does not end."""
        if self.status is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.finish(STOP_SECONDS)

    def finish(self, seconds: float) -> dict[str, Any]:
        """Wait until it ends by itself and return its summary. Raises BenchError when it failed or does not end."""
        status = self.wait(seconds)
        last = self._said.read_text(errors="replace").strip().rpartition("\n")[2]
        if status != 0 or not last.startswith("{"):
            what = "did not end" if status is None else f"ended with status {status}"
            raise BenchError(f"the stream {what}; the end of its log:\n{self.last_words()}")
        summary: dict[str, Any] = json.loads(last)
        return summary

    def last_words(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def left_behind(self) -> list[str]:
        """Return the names of what is still there of drivers that have ended, though it had a while to end too."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    def _left(self) -> list[str]:
        table = measure.process_table()
        ended = [child.pid for child in self._children if child.poll() is not None]
        return [_name(one.pid) for pid in ended for one in measure.tree(pid, table)]

    def end(self) -> None:
        """Kill whatever is left of any of its processes."""
        for child in self._children:
            measure.end(child)

    @property
    def _said(self) -> Path:
        return self.log.with_suffix(".stdout")


class Watch:
    """Adds up over time what named process trees take: memory by sample, processor time by process."""

    def __init__(self) -> None:
        self.samples: list[dict[str, int]] = []  # bytes by name
        self._ticks: dict[str, dict[tuple[int, int], int]] = {}

    def look(self, roots: Mapping[str, int]) -> dict[str, int]:
        """Take a sample of the trees below some processes; return the bytes each holds, and maps (see MAPPED)."""
        table = measure.process_table()
        sample = {}
        for name, root in roots.items():
            own = measure.tree(root, table)
            sizes = [measure.held_and_mapped_bytes(one.pid) for one in own]
            sample[name] = sum(held for held, _ in sizes)
            sample[f"{name}{MAPPED}"] = sum(mapped for _, mapped in sizes)
            self._ticks.setdefault(name, {}).update({(one.pid, one.started): one.ticks for one in own})
        self.samples.append(sample)
        return sample

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each tree had, up to the last sample of each of its processes."""
        return {name: sum(ticks.values()) / os.sysconf("SC_CLK_TCK") for name, ticks in self._ticks.items()}


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
