"""Which stream an output folder belongs to: its source, and the configuration its posts were judged by.

A stream that goes on with another configuration would mix two policies in one folder without saying so: it is refused
with the difference named, unless the user accepts it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.journal import write_durably
from schemas.errors import ConfigError

FILE = "stream.json"
CHECKPOINT = "checkpoint"  # folder of Spark's own record of offsets


@dataclass(frozen=True)
class Identity:
    """What must be the same when a stream is started again; `name` tells its offsets from those of another one."""

    name: str
    source: str
    config: Mapping[str, Any]
    models: Mapping[str, str]  # sha256 by stage

    @property
    def application(self) -> str:
        """Return whose transactions the tables count this stream's micro-batches as."""
        return f"swarmfeed.stream.{self.name}"


def settle(state: Path, asked: Identity, accept: bool) -> Identity:
    """Return the identity of the stream in a folder, or make it the one asked for where there is none.

    Raises ConfigError when it reads another source, or, unless `accept`, has another configuration.
    """
    there = _read(state)
    if there is not None:
        _compare(there, asked, accept)
        asked = Identity(there.name, asked.source, asked.config, asked.models)
    write_durably(state / FILE, json.dumps(asdict(asked), indent=2) + "\n")
    return asked


def new(source: str, config: Mapping[str, Any], models: Mapping[str, str]) -> Identity:
    """Return an identity that no stream has yet."""
    return Identity(uuid.uuid4().hex[:16], source, config, models)


def _read(state: Path) -> Identity | None:
    """Return who left a checkpoint; without one nothing is known of offsets, and another stream may begin."""
    if not (state / CHECKPOINT).is_dir():
        return None
    try:
        return Identity(**json.loads((state / FILE).read_text()))
    except FileNotFoundError:
        return None


def _compare(there: Identity, asked: Identity, accept: bool) -> None:
    if there.source != asked.source:
        raise ConfigError(
            f"this folder holds a stream from {there.source}, not from {asked.source}: choose another --out, or remove "
            f"{CHECKPOINT} from its state to begin anew"
        )
    pairs = ((_flat(there.config), _flat(asked.config)), (_flat(there.models, "model."), _flat(asked.models, "model.")))
    changed = [line for old, new in pairs for line in _differences(old, new)]
    if changed and not accept:
        raise ConfigError(
            f"this folder's stream runs with another configuration ({'; '.join(changed)}): go on with that one, or "
            "accept the new one with --new-config"
        )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key}: {_short(old.get(key))} there, {_short(new.get(key))} asked for"


def _short(value: Any) -> str:
    text = "unset" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
