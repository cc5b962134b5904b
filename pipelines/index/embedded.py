"""The index that needs no server: sorted Arrow files under DIR/.swarmfeed/index, mapped into memory to be looked up.

A log-structured merge tree: every epoch adds a run of files that never change; when eight runs of about one size have
come together they are merged into one of the next, leaving out what expired. `manifest.json` names the runs; replacing
it is the change. A file that only expired posts have rows in is dropped whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.kernels.sorted_keys import find_sorted
from pipelines.duplicates.history import COPIES, EVENTS, KINDS, Owners, RunFile, rows_of
from pipelines.duplicates.keys import Keys
from pipelines.duplicates.records import RECORD, Longs
from pipelines.duplicates.search import Expiry
from pipelines.exchange import Run, map_rows
from pipelines.index import STAGED, STATE, Learnt
from pipelines.index.compaction import merge
from pipelines.index.forgetting import REFS, find_refs, without
from schemas.errors import RunError

FOLDER = "index"
MANIFEST = "manifest.json"
FAN_OUT = 8  # runs of one size that are merged into one
SMALL_ROWS = {
    "entries": 1 << 20,
    "records": 1 << 16,
    "copies": 1 << 16,
    "events": 1 << 16,
}  # runs below this are of one size

SortedRun = tuple[RunFile, ...]


@dataclass(frozen=True)
class Manifest:
    """Which runs make up the index, what they hold, and since when."""

    epoch: int | None = None
    first_day: int = 0
    days: Mapping[int, int] = field(default_factory=dict)
    runs: tuple[SortedRun, ...] = ()  # each of one kind, oldest first

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """Read what `to_dict` made, by way of JSON."""
        return cls(
            epoch=data["epoch"],
            first_day=data["first_day"],
            days={int(day): posts for day, posts in data["days"].items()},
            runs=tuple(tuple(RunFile(**file) for file in run) for run in data["runs"]),
        )

    def files(self, kind: str) -> tuple[RunFile, ...]:
        """Return every file of a kind."""
        return tuple(file for run in self.runs for file in run if file.kind == kind)


class EmbeddedIndex:
    """Keep the index as files below an output folder; see the module."""

    def __init__(self, root: Path) -> None:
        self._folder = root / STATE / FOLDER
        try:
            self._manifest = Manifest.from_dict(json.loads((self._folder / MANIFEST).read_text()))
        except (FileNotFoundError, NotADirectoryError):  # what is wrong with the folder is found when it is claimed
            self._manifest = Manifest()

    @property
    def epoch(self) -> int | None:
        """Return the last epoch it learnt from, None before the first."""
        return self._manifest.epoch

    @property
    def days(self) -> Mapping[int, int]:
        """Return how many posts of each day, since 1970, it holds."""
        return self._manifest.days

    def history(self) -> EmbeddedHistory:
        """Return what it knows now, to look things up in."""
        return EmbeddedHistory(str(self._folder), self._manifest)

    def plan(self, run: Run, learnt: Learnt, staging: Path) -> dict[str, Any]:
        """Return the change that an epoch makes: the manifest to come, files to move in and to remove.

        Merges what has come together; merged files wait in the staging folder like those of the epoch.
        """
        fresh = [tuple(file for file in learnt.files if file.kind == kind and file.rows) for kind in KINDS]
        live = [_live(run, learnt.expiry) for run in self._manifest.runs]
        runs = [run for run in (*live, *fresh) if run]
        while crowd := _crowd(runs):
            at = runs.index(crowd[0])
            merged = merge(run, self._where(crowd), learnt.expiry, str(staging / STAGED))
            runs = [run for run in runs if run not in crowd]
            runs[at:at] = [merged] if merged else []
        return self._change(Manifest(learnt.epoch, learnt.expiry.first_day, learnt.days, tuple(runs)))

    def forget(self, run: Run, ids: Path, staging: Path) -> dict[str, Any]:
        """Return the change that takes some posts out; `ids` is an Arrow file of them. The files with them go."""
        manifest = self._manifest
        where = {kind: self._where([manifest.files(kind)]) for kind in REFS}
        refs = find_refs(run, where["records"], ids)
        files = [file for kind in REFS for file in where[kind]] if len(refs) else []
        folder = str(staging / STAGED)
        left = run(len(files), lambda task: without(files[task], refs, folder))
        instead = {Path(old.path).name: new for old, new in zip(files, left, strict=True) if new is not old}
        runs = [tuple(instead.get(file.path, file) for file in one) for one in manifest.runs]
        runs = [tuple(file for file in one if file.rows) for one in runs]
        return self._change(replace(manifest, runs=tuple(one for one in runs if one)))

    def _change(self, manifest: Manifest) -> dict[str, Any]:
        """Return the change to a manifest; what it names with a folder waits in the staging folder."""
        runs = manifest.runs
        moves = [Path(file.path).name for run in runs for file in run if Path(file.path).is_absolute()]
        named = tuple(tuple(replace(file, path=Path(file.path).name) for file in run) for run in runs)
        kept = {file.path for run in named for file in run}
        removes = [file.path for run in self._manifest.runs for file in run if file.path not in kept]
        return {"manifest": replace(manifest, runs=named).to_dict(), "moves": moves, "removes": removes}

    def apply(self, change: Mapping[str, Any], staging: Path) -> None:
        """Make a planned change; making it again does nothing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in change["moves"]:
            if (staging / STAGED / name).exists():
                (staging / STAGED / name).rename(self._folder / name)
        pending = self._folder / f".{MANIFEST}"
        with pending.open("w") as file:
            json.dump(change["manifest"], file)
            file.flush()
            os.fsync(file.fileno())
        pending.replace(self._folder / MANIFEST)
        for name in change["removes"]:
            (self._folder / name).unlink(missing_ok=True)
        self._manifest = Manifest.from_dict(json.loads(json.dumps(change["manifest"])))

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._manifest = Manifest()

    def _where(self, runs: Iterable[SortedRun]) -> list[RunFile]:
        """Return the files of runs with where they are now."""
        return [replace(file, path=str(self._folder / file.path)) for run in runs for file in run]


@dataclass(frozen=True)
class EmbeddedHistory:
    """Looks things up in the files of an index, one binary search a file."""

    folder: str
    manifest: Manifest

    def owners(self, keys: Keys) -> Owners:
        """Return every owner of some keys, sorted and distinct."""
        found: list[Owners] = []
        for file in self._reaching("entries", keys):
            low, high = np.searchsorted(keys, np.array([file.first, file.last], np.uint64), side="left")
            rows = self._rows(file)
            wanted, held = find_sorted(keys[low : high + 1], np.asarray(rows.column("key")))
            ref, day = (np.asarray(rows.column(name).take(pa.array(held))) for name in ("ref", "day"))
            found.append(Owners(wanted + low, ref, day.astype(np.int64)))
        if not found:
            return Owners(*(np.zeros(0, np.int64) for _ in Owners._fields))
        owners = Owners(*(np.concatenate(column) for column in zip(*found, strict=True)))
        held = Expiry(self.manifest.first_day).holds(owners.day)  # whether or not it has been merged away yet
        return Owners(*(column[held] for column in owners))

    def records(self, refs: Longs) -> pa.Table:
        """Return the record of each ref, sorted and distinct. Raises RunError when one is missing."""
        found = []
        for file in sorted(self._reaching("records", refs), key=lambda file: file.first):
            rows = self._rows(file)
            held = np.asarray(rows.column("ref"))
            wanted = refs[(refs >= file.first) & (refs <= file.last)]
            place = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
            found.append(rows.take(pa.array(place[held[place] == wanted])))
        records = pa.concat_tables([RECORD.empty_table(), *found])
        if records.num_rows != len(refs):
            lost = len(refs) - records.num_rows
            raise RunError(f"the duplicate index lacks {lost} posts it names: remove {self.folder}; the next run "
                           "rebuilds it from the posts table")  # fmt: skip
        return records

    def copies(self, originals: Longs) -> pa.Table:
        """Return what is known of the clusters of some originals, sorted and distinct."""
        found = [rows_of(self._rows(file), "original", originals) for file in self._reaching("copies", originals)]
        return pa.concat_tables([COPIES.empty_table(), *found])

    def events(self, names: Longs) -> pa.Table:
        """Return what events said of some names, sorted and distinct."""
        found = [rows_of(self._rows(file), "name", names) for file in self._reaching("events", names)]
        return pa.concat_tables([EVENTS.empty_table(), *found])

    def _reaching(self, kind: str, keys: Keys | Longs) -> Sequence[RunFile]:
        """Return the files of a kind that may hold some of the sorted keys."""
        if not len(keys):
            return []
        low, high = int(keys[0]), int(keys[-1])
        return [file for file in self.manifest.files(kind) if file.first <= high and file.last >= low]

    def _rows(self, file: RunFile) -> pa.Table:
        return map_rows(Path(self.folder) / file.path)


def _live(run: SortedRun, expiry: Expiry) -> SortedRun:
    """Leave out the files of a run in which every row has expired."""
    return tuple(file for file in run if file.last_day is None or file.last_day >= expiry.first_day)


def _crowd(runs: Sequence[SortedRun]) -> list[SortedRun]:
    """Return the runs of one kind and about one size that have come together, none when no size is crowded."""
    by_size: dict[tuple[str, int], list[SortedRun]] = defaultdict(list)
    for run in runs:
        rows = sum(file.rows for file in run)
        level, bound = 0, SMALL_ROWS[run[0].kind]
        while rows >= bound:
            level, bound = level + 1, bound * FAN_OUT
        by_size[run[0].kind, level].append(run)
    return next((crowd for crowd in by_size.values() if len(crowd) >= FAN_OUT), [])
