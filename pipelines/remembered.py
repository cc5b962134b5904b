"""What an output folder was last written with: what keeps it up later, without settings of its own, does so alike."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.index import STATE
from pipelines.journal import write_durably
from schemas.config import Config

FILE = "settings.json"


def remember(out: Path, config: Config) -> None:
    """Note in an output folder what it is written with; not how Spark was started, which is the machine's matter."""
    told = config.model_dump(mode="json", exclude={"spark"})
    write_durably(out / STATE / FILE, json.dumps(told, indent=2) + "\n")


def remembered(out: Path) -> Path | None:
    """Return the file of settings that a folder was last written with; None where nothing was written."""
    path = out / STATE / FILE
    return path if path.is_file() else None
