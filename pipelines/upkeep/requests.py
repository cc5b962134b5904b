"""What `swarmfeed forget` asks of whoever holds the output folder: a small file each, taken by the holder's next pass.

requests/NAME.json    ids and authors that must go; readable by its owner alone, gone with them
requests/NAME.done    what was done, until whoever asked has read it
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.index import STATE
from schemas.errors import ConfigError

FOLDER = f"{STATE}/requests"


@dataclass(frozen=True)
class Request:
    """Posts by id, and authors with all of their posts, that must go."""

    ids: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()

    @classmethod
    def from_files(cls, ids: Path | None, authors: Path | None) -> Request:
        """Read what must go from files of one name a line. Raises ConfigError for a file that is none."""
        return cls(*(read_names(path) if path else () for path in (ids, authors)))


def read_names(path: Path) -> tuple[str, ...]:
    """Return the distinct names in a file, one a line, in order. Raises ConfigError when it is not such a file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected one id a line, in UTF-8") from None
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise ConfigError(f"{path}: expected one id a line, found none")
    return names


def leave(root: Path, request: Request) -> str:
    """Leave a request for the holder's next pass and return its name."""
    name = uuid.uuid4().hex
    write_request(root, name, request)
    return name


def write_request(root: Path, name: str, request: Request) -> str:
    """Write a request below a folder, at once and for its owner's eyes alone, and return its path there."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pending = folder / f".{name}.json"
    with os.fdopen(os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(request), file)
        file.flush()
        os.fsync(file.fileno())
    pending.replace(folder / f"{name}.json")
    return file_of(name)


def waiting(root: Path) -> dict[str, Request]:
    """Return what has been asked for and not been done, by name."""
    found = {}
    for path in sorted((root / FOLDER).glob("[!.]*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = Request(tuple(data["ids"]), tuple(data["authors"]))
    return found


def file_of(name: str) -> str:
    """Return where a request waits, below the output folder."""
    return f"{FOLDER}/{name}.json"


def write_answer(folder: Path, name: str, said: dict[str, Any]) -> str:
    """Write what was done below `folder`, which mirrors the output folder, and return its path there."""
    path = folder / FOLDER / f"{name}.done"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said), encoding="utf-8")
    return f"{FOLDER}/{name}.done"


def take_answer(root: Path, name: str) -> dict[str, Any] | None:
    """Return what was done, once; None while it has not been."""
    path = root / FOLDER / f"{name}.done"
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    path.unlink()
    return said
