"""Merge sorted files of an index into fewer, in as many tasks as their size asks for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from pipelines.duplicates.history import KINDS, RunFile, add_up, days_of, newest, write_run
from pipelines.duplicates.search import Expiry
from pipelines.exchange import Run, map_rows

TASK_ROWS = {
    "entries": 1 << 20,
    "records": 1 << 17,
    "copies": 1 << 20,
    "events": 1 << 20,
}  # what one task holds: about 50 MB at work, less than a part of an epoch takes
SAMPLES = 64  # keys of each file that the cuts are chosen from


def merge(run: Run, files: Sequence[RunFile], expiry: Expiry, folder: str) -> tuple[RunFile, ...]:
    """Merge files of one kind into new ones in `folder`, in key order, without what has expired."""
    kind = files[0].kind
    tasks = -(-sum(file.rows for file in files) // TASK_ROWS[kind])
    cuts = _cuts(files, tasks)
    ranges = list(pairwise([None, *cuts, None]))

    def work(task: int) -> RunFile:
        return merge_range(files, ranges[task], expiry, folder)

    return tuple(file for file in run(len(ranges), work, even=True) if file.rows)


def merge_range(files: Sequence[RunFile], keys: tuple[int | None, int | None], expiry: Expiry, folder: str) -> RunFile:
    """Merge the rows of some files from the first key up to, not with, the second; None is no bound."""
    kind = files[0].kind
    schema, name = KINDS[kind]
    pieces = []
    for file in files:
        rows = map_rows(file.path)
        held = np.asarray(rows.column(name))
        bounds = [np.searchsorted(held, np.array(key, held.dtype)) if key is not None else None for key in keys]
        start, end = bounds[0] or 0, len(held) if bounds[1] is None else bounds[1]
        piece = rows.slice(start, end - start)
        pieces.append(piece.filter(pa.array(expiry.holds(days_of(piece)))))
    merged = pa.concat_tables([schema.empty_table(), *pieces]).combine_chunks()
    if kind == "copies":
        return write_run(folder, kind, add_up(merged))
    if kind == "events":
        return write_run(folder, kind, newest(merged))
    return write_run(folder, kind, merged.take(pa.array(np.argsort(np.asarray(merged.column(name)), kind="stable"))))


def _cuts(files: Sequence[RunFile], tasks: int) -> list[int]:
    """Return the keys that cut the rows of some files into `tasks` stretches of about one size."""
    name = KINDS[files[0].kind][1]
    samples, weights = [], []
    for file in files:
        keys = np.asarray(map_rows(file.path).column(name))
        picked = keys[:: max(1, len(keys) // SAMPLES)]
        samples.append(picked)
        weights.append(np.full(len(picked), len(keys) / len(picked)))
    every, weight = np.concatenate(samples), np.concatenate(weights)
    order = np.argsort(every, kind="stable")
    reached = np.cumsum(weight[order])
    places = np.searchsorted(reached, reached[-1] * np.arange(1, tasks) / tasks)
    return sorted({int(key) for key in every[order][places]})
