"""What a result file says: hardware, versions, configuration and both sides' figures; and the table made of it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PACKAGES = ("swarmfeed", "pyspark", "pyarrow", "numba", "numpy", "deltalake", "tokenizers", "fasttext-predict")
MEBIBYTE = 1 << 20
TITLE = "the same posts, the same cores, one after the other"


@dataclass(frozen=True)
class Target:
    """A figure and the bound it is held to, from below or (`most`) from above; None stands for no figure, a miss.

    >>> str(Target("ratio", 24.2, 20)), str(Target("memory ratio", 1.4, 1.3, most=True))
    ('ratio: 24.20, at least 20: reached', 'memory ratio: 1.40, at most 1.3: MISSED')
    """

    name: str
    value: float | None
    bound: float
    most: bool = False

    @property
    def reached(self) -> bool:
        """Tell whether the figure keeps to its bound; the bound itself does, NaN does not."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.most else self.value >= self.bound

    def __str__(self) -> str:
        value = "-" if self.value is None else f"{self.value:.2f}"
        bound = f"at {'most' if self.most else 'least'} {self.bound:g}"
        return f"{self.name}: {value}, {bound}: {'reached' if self.reached else 'MISSED'}"

    def entry(self) -> dict[str, Any]:
        """Return what a result file says of it."""
        return {**asdict(self), "reached": self.reached}


def hardware(cores: int) -> dict[str, Any]:
    """Describe the machine without naming it; `load` is the one-minute load before anything was run."""
    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line.startswith("MemTotal:")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "cores_used": cores,
        "memory_bytes": memory[0] if memory else None,
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def versions() -> dict[str, str]:
    """Return the versions swarmfeed ran with: Python, its packages, Java, and the commit."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    java = _first_line(["java", "-version"])
    commit = _first_line(["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"])
    changed = _first_line(["git", "-C", str(Path(__file__).parent), "status", "--porcelain", "--untracked-files=no"])
    return {**found, "java": java or "absent", "commit": f"{commit}{' and changes' if changed else ''}"}


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    lines = (done.stdout or done.stderr).splitlines()  # java prints its version on stderr
    return lines[0] if lines and done.returncode == 0 else ""


def write(result: Mapping[str, Any], name: str, folder: Path) -> Path:
    """Write `folder/DATE-NAME.json`, or DATE-NAME-2 and so on: a record is never overwritten. Return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.now(UTC).date().isoformat()}-{name}"
    path = folder / f"{stem}.json"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.json"
        number += 1
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def show(
    lines: Iterable[Mapping[str, Any]], ratios: Mapping[str, float], targets: Iterable[Target] = (), title: str = TITLE
) -> None:
    """Print one row per line of figures, then the ratios, then what was reached."""
    table = Table(title=title)
    table.add_column("")
    for heading in ("posts", "posts/s", "seconds", "start-up s", "peak MiB", "CPU s", "kept", "tokens"):
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(
            str(line["name"]),
            f"{line['posts']:,}",
            f"{line['posts_per_second']:,.0f}",
            f"{line['seconds']:.1f}",
            f"{line['startup_seconds']:.1f}",
            f"{line['peak_bytes'] / MEBIBYTE:,.0f}",
            f"{line['cpu_seconds']:.1f}",
            _count(line.get("kept")),
            _count(line.get("tokens")),
        )
    console = Console(width=None if Console().is_terminal else 110)
    console.print(table)
    for name, value in ratios.items():
        console.print(f"{name}: {value:.2f}")
    for target in targets:
        console.print(str(target))


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
