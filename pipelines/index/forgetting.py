"""Take posts out of the sorted files of an index: by their ids first, which only records hold, then by their refs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.duplicates.history import RunFile, write_run
from pipelines.duplicates.records import Longs
from pipelines.exchange import Run, map_rows

REFS = {"entries": "ref", "records": "ref", "copies": "original"}  # what names a post; events name none


def find_refs(run: Run, files: Sequence[RunFile], ids: Path) -> Longs:
    """Return the refs of the posts with some ids, sorted, out of files of records; `ids` is an Arrow file of them."""
    found = run(len(files), lambda task: refs_in(files[task], ids))
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def refs_in(file: RunFile, ids: Path) -> Longs:
    """Return the refs of the posts with some ids in a file of records."""
    rows = map_rows(file.path)
    wanted = map_rows(ids).column("id").combine_chunks()
    return np.asarray(rows.column("ref").filter(pc.is_in(rows.column("id"), value_set=wanted)))


def without(file: RunFile, refs: Longs, folder: str) -> RunFile:
    """Return the file itself when it names none of some posts, else a new one in `folder` without them."""
    rows = map_rows(file.path)
    hit = pc.is_in(rows.column(REFS[file.kind]), value_set=pa.array(refs))
    if not pc.any(hit).as_py():
        return file
    return write_run(folder, file.kind, rows.filter(pc.invert(hit)).combine_chunks())
