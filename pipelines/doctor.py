"""Look at the machine and say what is missing for a run, and what to do about it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.session import java_version, start
from schemas.config import SparkConfig
from schemas.errors import SwarmfeedError
from schemas.version import VERSION

State = Literal["ok", "warn", "fail"]

MIN_PYTHON = (3, 11)
MIN_MEMORY_GIB = 6
MIN_DISK_GIB = 5
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
PROBE_SECONDS = 60
STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*([^;]*)$")  # without markers: what every installation needs
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do when it is not well."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine(folder: Path) -> list[Check]:
    """Return every check, the ones a run cannot do without first; `folder` is where results would go."""
    looks: tuple[Callable[[], Check], ...] = (
        _python,
        packages,
        _java,
        _spark,
        lambda: disk("output folder", folder),
        lambda: disk("scratch folder", Path(os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir()).split(",")[0])),
        _memory,
        _models,
        _gpu,
    )
    return [look() for look in looks]


def print_checks(checks: list[Check], console: Console) -> None:
    """Print the checks as a table, then what to do, then whether a run would work."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        table.add_row(Text(check.state, STYLES[check.state]), Text(check.name), Text(check.found))
    console.print(table)
    for check in checks:
        if check.advice:
            console.print(Text.assemble((f"{check.name}: ", STYLES[check.state]), check.advice), soft_wrap=True)
    failed = [check.name for check in checks if check.state == "fail"]
    last = f"A run would fail: {', '.join(failed)}." if failed else "A run would work."
    console.print(Text(f"swarmfeed {VERSION}. {last}", "bold"), soft_wrap=True)


def to_dict(checks: list[Check]) -> dict[str, Any]:
    """Return the checks as plain data; `ok` is false when a run would fail."""
    return {
        "ok": all(check.state != "fail" for check in checks),
        "version": VERSION,
        "checks": [asdict(check) for check in checks],
    }


def _python() -> Check:
    found = f"{platform.python_version()}, {sys.executable}"
    well = sys.version_info >= MIN_PYTHON
    return Check("Python", "ok" if well else "fail", found, "" if well else "install Python 3.11 or newer")


def packages() -> Check:
    """Compare what is installed with what this release asks for."""
    try:
        wanted = importlib.metadata.requires("swarmfeed") or []
    except importlib.metadata.PackageNotFoundError:
        return Check(
            "packages", "warn", "swarmfeed itself is not installed", "pip install swarmfeed checks its packages"
        )
    needed = [match.groups() for match in map(_REQUIREMENT.match, wanted) if match]
    wrong = [text for name, bounds in needed if (text := misfit(name, bounds))]
    if wrong:
        return Check("packages", "fail", "; ".join(wrong), "pip install --upgrade swarmfeed installs versions that fit")
    shown = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pyspark", "pyarrow", "deltalake"))
    return Check("packages", "ok", f"{len(needed)} as needed: {shown}")


def misfit(name: str, bounds: str) -> str:
    """Say what is wrong with an installed package, or nothing.

    >>> misfit("pyarrow", ">=1"), misfit("no-such-package", ">=1")
    ('', 'no-such-package is missing')
    """
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is missing"
    have = _numbers(version)
    for sign, bound in _BOUND.findall(bounds):
        if (have >= _numbers(bound)) != (sign == ">="):
            return f"{name} {version}, wanted {bounds.strip()}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release of a version, without zeros at its end: 2.0 is no newer than 2."""
    release = re.match(r"[0-9.]*", version)
    numbers = [int(part) for part in (release[0] if release else "").split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _java() -> Check:
    try:
        return Check("Java", "ok", f"{java_version()}, {os.environ.get('JAVA_HOME') or shutil.which('java')}")
    except SwarmfeedError as error:
        return Check("Java", "fail", "missing or too old", str(error))


def _spark() -> Check:
    """Start Spark (or take the session there is) and send one batch through a Python worker and back."""
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    try:
        session = start(SparkConfig(master="local[1]", driver_memory="512m"), "swarmfeed doctor")
        try:
            rows = session.range(0, 3, 1, 1).mapInArrow(_through, "id long").collect()
            version = session.version
        finally:
            if running is None:
                session.stop()
    except SwarmfeedError as error:
        return Check("Spark", "fail", "cannot start", str(error))
    except Exception as error:
        return Check("Spark", "fail", f"a job of one batch failed: {type(error).__name__}", str(error).splitlines()[0])
    well = [row.id for row in rows] == [0, 1, 2]
    return Check("Spark", "ok" if well else "fail", f"{version}, a batch went to a Python worker and came back")


def _through(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def disk(name: str, folder: Path) -> Check:
    """Look whether a folder, or the nearest one above it that exists, can be written and has room."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check(name, "fail", f"{place} cannot be written", "choose another folder, or change its owner or mode")
    free = shutil.disk_usage(place).free / 2**30
    if free < MIN_DISK_GIB:
        advice = "make room: a run holds its posts twice until it publishes them"
        return Check(name, "warn", f"{free:.1f} GiB free at {place}", advice)
    return Check(name, "ok", f"{free:,.0f} GiB free at {place}")


def _memory() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = memory_bytes() / 2**30
    if memory < MIN_MEMORY_GIB:
        advice = "give the run less to hold at once: --set spark.master=local[1] --set spark.driver_memory=1g"
        return Check("memory", "warn", f"{memory:.1f} GiB, {cores} cores", advice)
    return Check("memory", "ok", f"{memory:.0f} GiB, {cores} cores")


def memory_bytes() -> int:
    """Return how much memory this process may use: the machine's, or less where a container limits it."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in map(Path, CGROUP_LIMITS):
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def _models() -> Check:
    """Load every stage and compare the files of each model with the hash on its card."""
    import filters
    from filters.stage import configure

    try:
        stages = configure(filters.STAGES, {})
        folders = [folder for folder in files("filters.models").iterdir() if folder.joinpath("card.json").is_file()]
        wrong = sorted(folder.name for folder in folders if changed(folder))
    except (SwarmfeedError, OSError) as error:
        return Check("models", "fail", "missing or damaged", str(error))
    if wrong:
        return Check("models", "fail", f"not as on its card: {', '.join(wrong)}", "install swarmfeed again")
    return Check("models", "ok", f"{len(stages)} stages load; {len(folders)} models are as on their cards")


def changed(model: Traversable) -> bool:
    """Tell whether the files of a model are others than its card says: one sha256, or one for each file."""
    told = json.loads(model.joinpath("card.json").read_text(encoding="utf-8"))["sha256"]
    weights = [file for file in model.iterdir() if file.is_file() and not file.name.startswith("card.")]
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights}
    return hashes != (told if isinstance(told, dict) else dict.fromkeys(hashes, told))


def _gpu() -> Check:
    """Look for a GPU and the library that would use it; a run needs neither."""
    if shutil.which("nvidia-smi") is None:
        return Check("GPU", "ok", "none; not needed, every stage runs on the CPU")
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return Check("GPU", "warn", "nvidia-smi fails", "mend the driver, or ignore it: a run needs no GPU")
    found = answer.stdout.strip().replace("\n", "; ")
    if importlib.util.find_spec("cudf") is None:
        return Check("GPU", "ok", f"{found}; cudf is not installed", "to use the GPU: pip install 'swarmfeed[gpu]'")
    return Check("GPU", "ok", f"{found}; cudf {importlib.metadata.version('cudf-cu12')}")
