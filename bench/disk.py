"""Watch how much disk a command uses while it runs: the most that its folders held at once, sampled."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

INTERVAL_SECONDS = 0.25


def folder_bytes(folder: Path) -> int:
    """Return what the files below a folder hold together; 0 when it is not there. Files may go meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size  # noqa: PTH118
            except OSError:
                continue  # gone since the folder was listed
    return total


@contextmanager
def watched(folders: Mapping[str, Path]) -> Iterator[dict[str, int]]:
    """Sample the folders until the block ends; what is handed out then holds the most bytes of each, by its name."""
    most = dict.fromkeys(folders, 0)
    stop = threading.Event()

    def sample() -> None:
        for name, folder in folders.items():
            most[name] = max(most[name], folder_bytes(folder))

    def watch() -> None:
        while not stop.wait(INTERVAL_SECONDS):
            sample()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()
        sample()
