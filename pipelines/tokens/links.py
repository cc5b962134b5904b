"""Give a file that stays as it is a name in another version: a hard link, or a copy where there are none."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path


def link_file(source: str | Path, target: Path) -> None:
    """Make `target` the same file as `source`; harmless when an earlier attempt did."""
    try:
        with contextlib.suppress(FileExistsError):  # an earlier attempt of the same task made it
            os.link(source, target)
    except OSError:  # a file system without links
        pending = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        shutil.copyfile(source, pending)
        pending.replace(target)
