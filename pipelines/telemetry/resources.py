"""Measure what the driver, its JVM and their Python workers take, and what is left of memory and disk."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pipelines.doctor import memory_bytes
from pipelines.telemetry.figures import Resources

PROC = Path("/proc")
RESIDENT = 1  # the field of /proc/PID/statm, in pages
PARENT = 1  # the field of /proc/PID/stat behind the command's name


def watch_resources(out: Path) -> Callable[[], Resources]:
    """Return the measurement of this process and of the disk below an output folder."""
    limit = memory_bytes()
    return lambda: Resources(process_memory(os.getpid()), limit, shutil.disk_usage(out).free)


def process_memory(pid: int) -> dict[str, int]:
    """Return resident bytes of a driver, of the Java below it and of everything else below it.

    A page that forked workers share counts once for each of them. All are 0 where there is no /proc.
    """
    taken = {"driver": _resident(pid), "jvm": 0, "workers": 0}
    children = _children()
    waiting = list(children[pid])
    while waiting:
        child = waiting.pop()
        taken["jvm" if _command(child) == "java" else "workers"] += _resident(child)
        waiting.extend(children[child])
    return taken


def _children() -> dict[int, list[int]]:
    """Return the processes that each process started."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in PROC.glob("[0-9]*"):
        if fields := _read(folder / "stat").rpartition(")")[2].split():
            children[int(fields[PARENT])].append(int(folder.name))
    return children


def _command(pid: int) -> str:
    return _read(PROC / str(pid) / "comm").strip()


def _resident(pid: int) -> int:
    fields = _read(PROC / str(pid) / "statm").split()
    return int(fields[RESIDENT]) * os.sysconf("SC_PAGE_SIZE") if fields else 0


def _read(path: Path) -> str:
    """Return what a file of /proc says; nothing when its process has ended meanwhile."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
