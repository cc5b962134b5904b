"""Verify that what was forgotten is gone: every file below an output folder, decoded where it is coded."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.upkeep.leaks import Looked, Search, Wanted
from pipelines.upkeep.receipts import read_key, read_receipts
from schemas.errors import ConfigError

ALONE_BYTES = 64 << 20  # a folder smaller than this is looked through sooner than workers start
WORKER_FILES = 4  # handed to a worker at once


@dataclass(frozen=True)
class Verified:
    """What was looked through and what was found; `same_words` are rows of posts by others, which are no leak."""

    leaks: tuple[tuple[str, str], ...]  # file, what
    ids: int
    receipts: int  # of those ids
    same_words: int
    files: int
    bytes: int
    seconds: float

    @property
    def clean(self) -> bool:
        """Tell whether nothing was found."""
        return not self.leaks

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        leaks = [{"file": file, "what": what} for file, what in self.leaks]
        return {**vars(self), "leaks": leaks, "clean": self.clean}


def verify_forgotten(root: Path, ids: Sequence[str], workers: int | None = None) -> Verified:
    """Look for some posts in every file of a folder: for their ids, and by their receipts for texts and tokens.

    Raises ConfigError where the folder is none that was written by a run.
    """
    if not (root / "posts" / "_delta_log").is_dir():
        raise ConfigError(f"{root}: no posts table there; expected a folder that `swarmfeed run --out` wrote")
    began = time.monotonic()
    hasher = read_key(root)
    named = {hasher.text(name) for name in ids}
    lines = [line for line in read_receipts(root) if line.id in named]
    wanted = Wanted(
        tuple(ids),
        hasher,
        frozenset(text for line in lines for text in line.texts),
        frozenset(run for line in lines for run in line.tokens),
    )
    looked = _look(root, wanted, workers or len(os.sched_getaffinity(0)))
    _tell_apart(looked)
    return Verified(
        leaks=tuple((one.file, f"{what} ({count})") for one in looked for what, count in sorted(one.leaks.items())),
        ids=len(ids),
        receipts=len({line.id for line in lines}),
        same_words=sum(one.same_words for one in looked),
        files=len(looked),
        bytes=sum(one.bytes for one in looked),
        seconds=round(time.monotonic() - began, 3),
    )


def _look(root: Path, wanted: Wanted, workers: int) -> list[Looked]:
    """Look through every file, the largest first, in several processes where that pays."""
    sizes = {path: _size(path) for path in sorted(root.rglob("*")) if path.is_file()}
    files = sorted(sizes, key=lambda path: -sizes[path])
    if workers < 2 or sum(sizes.values()) < ALONE_BYTES:
        return sorted(look_through(root, wanted, files), key=lambda one: one.file)
    parts = [files[at : at + WORKER_FILES] for at in range(0, len(files), WORKER_FILES)]
    count = len(parts)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        found = [one for some in pool.map(look_through, [root] * count, [wanted] * count, parts) for one in some]
    return sorted(found, key=lambda one: one.file)


def _tell_apart(looked: Sequence[Looked]) -> None:
    """Count a text that a report or a log holds as a leak, unless a post of somebody else says the same."""
    theirs = {text for one in looked for text in one.others}
    for one in looked:
        for text, count in one.loose.items():
            if text in theirs:
                one.same_words += count
            else:
                one.leaks["a text"] += count


def look_through(root: Path, wanted: Wanted, files: Iterable[Path]) -> list[Looked]:
    """Look through some files in this process."""
    search = Search(wanted)
    return [search.look(root, path) for path in files]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
