"""What later epochs must know of the posts of a part."""

from __future__ import annotations

import numpy as np

from pipelines.duplicates.history import RunFile, write_run
from pipelines.duplicates.records import DAY_MICROS, micros_of, records_of
from pipelines.duplicates.search import Search
from pipelines.exchange import map_rows


def write_records(search: Search, part: int) -> RunFile:
    """Write the records of the posts of a part that the index holds on to."""
    posts = map_rows(search.staged.files[part])
    rows = np.flatnonzero(search.expiry.holds(micros_of(posts) // DAY_MICROS))
    records = records_of(posts, rows, search.staged.numbering.refs(part, rows))
    return write_run(search.index_folder, "records", records)
