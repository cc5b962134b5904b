"""Read the configuration of a run from a file and from key=value words, checked once on the driver.

OUT/.swarmfeed/settings.json tells what a folder was last written with: what keeps it up later does so alike.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.index import STATE
from pipelines.journal import write_durably
from schemas.config import Config
from schemas.errors import ConfigError

FILE = "settings.json"


def remember(out: Path, config: Config) -> None:
    """Note in an output folder what it is written with; not how Spark was started, which is the machine's matter."""
    told = config.model_dump(mode="json", exclude={"spark"})
    write_durably(out / STATE / FILE, json.dumps(told, indent=2) + "\n")


def load_config(
    file: Path | None = None, words: Sequence[str] = (), models: Sequence[str] = (), out: Path | None = None
) -> Config:
    """Return the config of a YAML or JSON file with `key=value` words and `STAGE=FOLDER` models laid over it.

    Without a file it is that which the output folder `out` was last written with, or the defaults. Keys are dotted
    paths (`duplicates.threshold=0.8`), values YAML. Raises ConfigError naming the key and the file.
    """
    remembered = out / STATE / FILE if out else None
    if file is None and remembered is not None and remembered.is_file():
        file = remembered
    data = _read(file) if file else {}
    where = f"config {file}" if file else "--set"
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {word!r}: expected key=value, as in duplicates.threshold=0.8")
        _put(data, key.split("."), _value(value, f"--set {word}"), where)
    for word in models:
        stage, equals, folder = word.partition("=")
        if not equals or not folder:
            raise ConfigError(f"--model {word!r}: expected STAGE=FOLDER, as in toxicity=my-model")
        _put(data, ["stages", stage, "model"], folder, where)
    return Config.parse(data, where)


def _read(file: Path) -> dict[str, Any]:
    try:
        data = _value(file.read_text(encoding="utf-8"), f"config {file}")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {file}: cannot be read: {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"config {file}: expected keys and values, got {type(data).__name__}")
    return data


def _value(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = str(error).splitlines()[0]
        raise ConfigError(f"{where}: not YAML: {line}") from None


def _put(data: dict[str, Any], path: list[str], value: Any, where: str) -> None:
    for depth, name in enumerate(path[:-1]):
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError(f"{where}: '{'.'.join(path[: depth + 1])}' holds a value, not a section")
    data[path[-1]] = value
