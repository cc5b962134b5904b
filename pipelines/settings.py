"""Read the configuration of a run from a file and from key=value words, checked once on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from schemas.config import Config
from schemas.errors import ConfigError


def load_config(file: Path | None = None, words: Sequence[str] = (), models: Sequence[str] = ()) -> Config:
    """Return the config of a YAML or JSON file with `key=value` words and `STAGE=FOLDER` models laid over it.

    Keys are dotted paths (`duplicates.threshold=0.8`), values YAML. Raises ConfigError naming the key and the file.
    """
    where = f"config {file}" if file else "--set"
    data = read_settings(file, where) if file else {}
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


def read_settings(file: Path, where: str) -> dict[str, Any]:
    """Read the keys and values of a YAML or JSON file; raise ConfigError where it is none."""
    try:
        data = _value(file.read_text(encoding="utf-8"), where)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: cannot be read: {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected keys and values, got {type(data).__name__}")
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
