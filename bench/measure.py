"""Run a command and measure its whole process tree from outside, through /proc: wall, processor time, peak memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SESSION_FIELD = 3  # positions in /proc/PID/stat counted from the state, which follows the command's name
_USER_TICKS_FIELD = 11
_SYSTEM_TICKS_FIELD = 12
_STARTED_FIELD = 19
_END_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """One line of the process table. `started` tells a process from a later one with the same id."""

    pid: int
    parent: int
    session: int
    ticks: int
    started: int


@dataclass(frozen=True)
class Measurement:
    """What a command cost. Memory is the highest sum of proportional set sizes seen over its tree."""

    exit_status: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    peak_processes: int
    samples: int
    stdout: str


@dataclass
class _Tally:
    """What the samples so far add up to."""

    ticks: dict[tuple[int, int], int] = field(default_factory=dict)
    peak_bytes: int = 0
    peak_processes: int = 0
    samples: int = 0

    def add(self, processes: Sequence[Process]) -> None:
        """Take one sample of the tree."""
        total = sum(proportional_bytes(process.pid) for process in processes)
        if total > self.peak_bytes:
            self.peak_bytes, self.peak_processes = total, len(processes)
        for process in processes:
            self.ticks[process.pid, process.started] = process.ticks
        self.samples += 1


def process_table() -> list[Process]:
    """Return every process of the machine that can be read; one that ended and waits for its parent is none."""
    table = []
    for folder in _PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            after_name = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # gone since the folder was listed
        if after_name[0] == "Z":
            continue
        table.append(
            Process(
                pid=int(folder.name),
                parent=int(after_name[1]),
                session=int(after_name[_SESSION_FIELD]),
                ticks=int(after_name[_USER_TICKS_FIELD]) + int(after_name[_SYSTEM_TICKS_FIELD]),
                started=int(after_name[_STARTED_FIELD]),
            )
        )
    return table


def tree(root: int, table: Sequence[Process]) -> list[Process]:
    """Return the descendants of `root`, and whatever else is in its session, `root` included.

    A worker whose parent ended is handed to process 1; the session still tells whose it was.

    >>> rows = [Process(5, 1, 5, 0, 0), Process(6, 5, 6, 0, 0), Process(7, 1, 5, 0, 0), Process(8, 1, 8, 0, 0)]
    >>> [process.pid for process in tree(5, rows)]
    [5, 6, 7]
    """
    wanted = {root}
    grew = True
    while grew:
        more = {row.pid for row in table if row.parent in wanted or row.session == root} - wanted
        wanted |= more
        grew = bool(more)
    return [row for row in table if row.pid in wanted]


def proportional_bytes(pid: int) -> int:
    """Return the memory a process holds, pages shared with others counted in shares; 0 when it is gone.

    Summed over a tree, forked workers that share their parent's pages are not counted twice.
    """
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    sizes = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return sizes[0] * 1024 if sizes else 0


def held_and_mapped_bytes(pid: int) -> tuple[int, int]:
    """Return what a process holds for itself, and the pages of files it looks at, which the kernel drops at need.

    Pages shared with others are counted in shares; 0 and 0 when the process is gone.
    """
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {words[0]: int(words[1]) * 1024 for words in map(str.split, lines[1:]) if len(words) > 1}
    return sizes.get("Pss_Anon:", 0) + sizes.get("Pss_Shmem:", 0), sizes.get("Pss_File:", 0)


def measure(
    command: Sequence[str],
    log: Path,
    cores: Sequence[int] | None = None,
    environment: Mapping[str, str] | None = None,
    interval_seconds: float = 0.2,
) -> Measurement:
    """Run `command` on the given cores and sample its tree until it ends; its stderr goes to `log`.

    Processor time is that of the last sample of each process, so up to `interval_seconds` of each may be missing.
    Whatever the command leaves running is ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    out_path = log.with_suffix(".stdout")
    tally = _Tally()
    began = time.monotonic()
    with log.open("wb") as errors, out_path.open("wb") as out:
        child = start(command, cores, stdout=out, stderr=errors, environment=environment)
        try:
            while child.poll() is None:
                tally.add(tree(child.pid, process_table()))
                _wait(child, interval_seconds)
            wall = time.monotonic() - began
        finally:
            end(child)
    return Measurement(
        exit_status=child.returncode,
        wall_seconds=wall,
        cpu_seconds=sum(tally.ticks.values()) / _TICKS_PER_SECOND,
        peak_bytes=tally.peak_bytes,
        peak_processes=tally.peak_processes,
        samples=tally.samples,
        stdout=out_path.read_text(errors="replace"),
    )


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the child's tree, by process id, and wait until it is gone."""
    deadline = time.monotonic() + _END_SECONDS
    while (left := tree(child.pid, process_table())) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(ProcessLookupError):  # ended by itself meanwhile
                os.kill(process.pid, signal.SIGKILL)
        child.poll()
        time.sleep(0.02)
    child.wait()


def start(
    command: Sequence[str],
    cores: Sequence[int] | None,
    stdout: IO[bytes],
    stderr: IO[bytes],
    environment: Mapping[str, str] | None,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, by which `tree` finds all it starts."""
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, cores)  # the child inherits it, and so does all it starts
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    finally:
        os.sched_setaffinity(0, before)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
