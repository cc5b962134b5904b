"""What stays of what was forgotten: one line a post, in hashes that only who holds the folder's key can compare.

receipts/key             32 random bytes, made once
receipts/NNNNNN.jsonl    a line for each post that was taken out, see `Receipt`
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from pipelines.index import STATE

FOLDER = f"{STATE}/receipts"
KEY = "key"
KEY_BYTES, HASH_BYTES = 32, 16
PSEUDONYM = "gone:"


@dataclass(frozen=True)
class Receipt:
    """A post that was taken out: hashes of its id, of every form of its text and of its tokens, and where it stood."""

    id: str
    texts: tuple[str, ...]  # as posted, cleaned, redacted, rendered
    tokens: tuple[str, ...]
    source: str | None
    asked_at: str | None  # ISO 8601; when the request, or the epoch with the event, was committed
    done_at: str
    tables: tuple[str, ...]
    versions: tuple[str, ...]  # MEMBER/VERSION of the token sets that held it

    @classmethod
    def from_json(cls, line: str) -> Receipt:
        """Read a line of a receipt."""
        data = json.loads(line)
        return cls(**{name: tuple(value) if type(value) is list else value for name, value in data.items()})


@dataclass(frozen=True)
class Hasher:
    """Hashes with the key of one folder; see BLAKE2b, RFC 7693."""

    key: bytes

    def text(self, text: str) -> str:
        """Return the hash of an id or a text, in hexadecimal."""
        return self.data(text.encode())

    def data(self, data: bytes) -> str:
        """Return the hash of bytes, in hexadecimal."""
        return hashlib.blake2b(data, key=self.key, digest_size=HASH_BYTES).hexdigest()

    def tokens(self, tokens: pa.Array) -> list[str]:
        """Return the hash of each document's tokens; shape (rows,) lists of int32."""
        offsets = tokens.offsets.to_pylist()
        values = memoryview(tokens.values.cast(pa.int32()).to_numpy()).cast("B")
        return [self.data(values[4 * start : 4 * end]) for start, end in itertools.pairwise(offsets)]

    def pseudonym(self, name: str) -> str:
        """Return what stands in place of an id, so that those who referred to it still share something."""
        return PSEUDONYM + self.text(name)[:16]


def open_key(root: Path) -> Hasher:
    """Read the key of a folder, or make it: readable by its owner alone."""
    path = root / FOLDER / KEY
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        pending = path.with_name(f".{KEY}")
        pending.unlink(missing_ok=True)
        with os.fdopen(os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        pending.replace(path)
    return Hasher(path.read_bytes())


def read_key(root: Path) -> Hasher:
    """Read the key of a folder; another one where it has none, and so no receipts."""
    path = root / FOLDER / KEY
    return Hasher(path.read_bytes() if path.exists() else bytes(KEY_BYTES))


def next_number(root: Path) -> int:
    """Return the number of the next receipt."""
    return max((int(path.stem) for path in _files(root)), default=0) + 1


def write_receipt(folder: Path, number: int, lines: Iterable[Receipt]) -> str:
    """Write a receipt below `folder`, which mirrors the output folder, and return its path there."""
    name = f"{FOLDER}/{number:06d}.jsonl"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(line)) + "\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    return name


def read_receipts(root: Path) -> Iterator[Receipt]:
    """Yield every post that was ever taken out of a folder."""
    for _, receipt in numbered_receipts(root):
        yield receipt


def numbered_receipts(root: Path) -> Iterator[tuple[int, Receipt]]:
    """Yield every post that was ever taken out of a folder, with the number of its receipt."""
    for path in _files(root):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield int(path.stem), Receipt.from_json(line)


def _files(root: Path) -> list[Path]:
    return sorted(path for path in (root / FOLDER).glob("*.jsonl") if path.stem.isdigit())
