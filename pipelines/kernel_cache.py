"""Where executors keep compiled kernels when the code comes in a zip: by its content, so that the next run finds them.

Spark unpacks `--py-files` into a new folder for every run and executor, and numba files compiled kernels under the
path of their source: each would compile everything again, a minute of a core. numba finds this class by the name that
pipelines.session puts into the executors' environment (numba before 0.62 ignores it and compiles).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import ZipCacheLocator

IN_ZIP = ".zip/" in __file__
LOCATORS = f"{__name__}.ByContent,UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator"


class ByContent(ZipCacheLocator):  # type: ignore[misc]
    """Keep the kernels of a zip in the user's cache folder, under a hash of the whole zip.

    The whole of it, because a kernel holds compiled copies of what it calls in other modules.
    """

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        inside = Path(self._internal_path).parent.as_posix().replace("/", ".")
        self._cache_path = str(_folder(self._zip_path) / inside)


@cache
def _folder(zip_path: str) -> Path:
    """Return a folder that this user may write and no other user could have filled; a fresh one where there is none."""
    with open(zip_path, "rb") as file:  # noqa: PTH123
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    name = f"swarmfeed-kernels-{digest}"
    for place in (Path("~/.cache").expanduser(), Path(tempfile.gettempdir())):
        folder = place / f"{name}-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, RuntimeError):
            continue
        status = folder.stat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix=name))
