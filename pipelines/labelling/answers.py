"""The answers so far, a line each, beside the labels: nothing is asked or paid for twice, whatever dies in between.

A line holds hashes and marks, never a text. A post that cannot be labelled is a line too, with what went wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from pipelines.labelling.rubric import Marks
from schemas.errors import ConfigError


@dataclass(frozen=True)
class Answer:
    """What became of a question, and what it cost in tokens; without marks there is a fault."""

    key: str
    marks: Marks | None
    fault: str | None
    tokens_in: int
    tokens_out: int


def key_of(model: str, rubric: str, text: str) -> str:
    """Return the name of a question: the same text, put to the same model by the same rubric, is one question."""
    return hashlib.sha256("\0".join((model, rubric, text)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Answers:
    """The answers in a file, by key; every new one is on disk before the next is counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.by_key: dict[str, Answer] = {}
        self.tokens_in = self.tokens_out = 0  # of all of them, those to other rubrics or models too
        whole = 0
        if path.exists():
            for line, end in _lines(path):
                self._note(_parse(line, path))
                whole = end
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab")
        self._file.truncate(whole)  # a line that a crash cut

    def add(self, answer: Answer) -> None:
        """Keep an answer."""
        self._file.write(json.dumps(asdict(answer)).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(answer)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _note(self, answer: Answer) -> None:
        self.by_key[answer.key] = answer
        self.tokens_in += answer.tokens_in
        self.tokens_out += answer.tokens_out


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the whole lines of a file, and where each ends."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if line.endswith(b"\n"):
                yield line, end


def _parse(line: bytes, path: Path) -> Answer:
    try:
        return Answer(**json.loads(line))
    except (ValueError, TypeError):
        raise ConfigError(f"{path}: expected the answers of an earlier call; move it away to ask anew") from None
