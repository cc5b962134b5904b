"""Versions of a packed token set as a loader sees them: found by number, read as plain JSON, checked before use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyarrow import fs

from schemas.errors import ConfigError, RunError, nearest

SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"

_VERSION = re.compile(r"v(\d{6,})")


@dataclass(frozen=True)
class ShardFile:
    """A file of a version, as its manifest describes it."""

    file: str
    sha256: str
    bytes: int
    sequences: int
    tokens: int


@dataclass(frozen=True)
class PackedVersion:
    """What a loader needs of a manifest."""

    version: str
    folder: str
    context_tokens: int
    group_sequences: int
    tokenizer: str  # sha256
    shards: tuple[ShardFile, ...]
    sequences_of: str  # the version that first had these sequences: itself, unless posts were forgotten
    age: int  # the least number of what it stands for: how new its content is
    replaces: frozenset[str]

    @property
    def sequences(self) -> int:
        """Return how many sequences it has."""
        return sum(shard.sequences for shard in self.shards)

    def group_rows(self) -> npt.NDArray[np.int64]:
        """Return the sequences of each row group, shard by shard."""
        sizes = [np.zeros(0, np.int64)]
        for shard in self.shards:
            full, rest = divmod(shard.sequences, self.group_sequences)
            sizes.append(np.array([self.group_sequences] * full + [rest] * bool(rest), np.int64))
        return np.concatenate(sizes)


def open_folder(path: str, filesystem: Any = None) -> tuple[fs.FileSystem, str]:
    """Return a file system and the path of a folder there: a local path, a URL of pyarrow or fsspec, or one of each.

    `filesystem` is one of pyarrow.fs or of fsspec; fsspec is imported only for a URL that pyarrow does not know.
    """
    if filesystem is not None:
        known = isinstance(filesystem, fs.FileSystem)
        return (filesystem if known else fs.PyFileSystem(fs.FSSpecHandler(filesystem))), path.rstrip("/")
    if "://" not in path:
        return fs.LocalFileSystem(), path.rstrip("/") or "/"
    try:
        found, inside = fs.FileSystem.from_uri(path)
    except ValueError:  # a scheme that pyarrow does not know
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise ConfigError(f"{path}: pyarrow knows no such file system: pip install fsspec") from None
        try:
            found, inside = url_to_fs(path)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"{path}: {error}") from None
        found = fs.PyFileSystem(fs.FSSpecHandler(found))
    return found, inside.rstrip("/")


class Member:
    """The token set of a member of a swarm, in an output folder."""

    def __init__(self, path: str, name: str, filesystem: Any = None) -> None:
        """Find the member; raise ConfigError, with the nearest name, where there is none of that name."""
        self.files, root = open_folder(path, filesystem)
        self.name = name
        self.folder = f"{root}/sets/{name}"
        names = self._names(f"{root}/sets")
        if name not in names:
            hint = nearest(name, names) if names else "the folder has no token sets"
            raise ConfigError(f"member '{name}' has no token set in {path}: {hint}")

    def newest(self) -> PackedVersion:
        """Return the version that a trainer is to read: the newest content that no other version stands for.

        Numbers decide, never a clock. Raises ConfigError where there is none.
        """
        found = self.versions()
        old = {name for one in found for name in one.replaces}
        standing = [one for one in found if one.version not in old]
        if not standing:
            raise ConfigError(f"member '{self.name}' has no finished version below {self.folder}")
        return max(standing, key=lambda one: (one.age, number(one.version)))

    def versions(self) -> list[PackedVersion]:
        """Return every finished version, by number; one that goes while this reads is left out."""
        read = (self.version(name) for name in self.names())
        return [one for one in read if one is not None]

    def names(self) -> list[str]:
        """Return the names of all versions, by number, finished or not."""
        return sorted((name for name in self._names(self.folder) if _VERSION.fullmatch(name)), key=number)

    def heir(self, sequences_of: str) -> PackedVersion | None:
        """Return the newest version that has the sequences of one, less what was forgotten since."""
        heirs = [one for one in self.versions() if one.sequences_of == sequences_of]
        return heirs[-1] if heirs else None

    def _names(self, folder: str) -> list[str]:
        found = self.files.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        return [one.base_name for one in found if one.type == fs.FileType.Directory]

    def version(self, version: str) -> PackedVersion | None:
        """Return a version, None where it is not there or has no manifest."""
        path = f"{self.folder}/{version}/{MANIFEST_FILE}"
        try:
            with self.files.open_input_stream(path) as stream:
                text = stream.read()
        except FileNotFoundError:
            return None
        return parse(json_of(text, path), f"{self.folder}/{version}")


def number(version: str) -> int:
    """Return the number in the name of a version."""
    return int(version[1:])


def json_of(text: bytes, path: str) -> dict[str, Any]:
    """Read a manifest; raise RunError when it is no JSON object."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise RunError(f"{path}: damaged: {error}") from None
    if not isinstance(data, dict):
        raise RunError(f"{path}: damaged: expected an object")
    return data


def parse(data: dict[str, Any], folder: str) -> PackedVersion:
    """Check a manifest and return what a loader needs of it.

    Raises ConfigError for another schema version and for a set that is not packed, RunError for one that was edited.
    """
    path = f"{folder}/{MANIFEST_FILE}"
    if data.get("schema_version") != SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: schema_version {data.get('schema_version')!r}: this loader reads {SCHEMA_VERSION}; "
            "install the swarmfeed that wrote it, or publish the member again"
        )
    if data.get("context_tokens") is None:
        raise ConfigError(f"{path}: its rows are documents, not packed sequences: `swarmfeed publish` makes those")
    try:
        shards = tuple(ShardFile(*(kind(one[key]) for key, kind in _SHARD_KEYS.items())) for one in data["shards"])
        name = str(data["version"])
        read = PackedVersion(
            version=name,
            folder=folder,
            context_tokens=int(data["context_tokens"]),
            group_sequences=int(data["group_sequences"]),
            tokenizer=str(data["tokenizer"]["sha256"]),
            shards=shards,
            sequences_of=str(data["sequences_of"] or name),
            age=min(map(number, (name, *data["replaces"]))),
            replaces=frozenset(data["replaces"]),
        )
        said = (int(data["sequences"]), int(data["tokens"]), data["member"], name)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged: {type(error).__name__} {error}") from None
    member, version = folder.split("/")[-2:]
    expected = (read.sequences, sum(shard.tokens for shard in shards), member, version)
    if said != expected or read.group_sequences < 1:
        raise RunError(
            f"{path}: edited: it says sequences, tokens, member, version {said}; its shards and its folder"
            f" say {expected}"
        )
    return read


_SHARD_KEYS: dict[str, type] = {"file": str, "sha256": str, "bytes": int, "sequences": int, "tokens": int}
