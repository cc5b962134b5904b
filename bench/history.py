"""Time an epoch that finds a full index beside the same epoch that finds an empty one.

python -m bench.history --rows 50000 --bands 20000000 --real-data DIR

The index is filled with invented posts of the days that the epoch's posts are of, so that every key is looked up among
keys that could count; none of them is alike.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench import disk, prepare, record, side
from bench.measure import measure
from bench.prepare import say
from bench.record import Target
from bench.side import Line
from pipelines.duplicates.history import ENTRY, RunFile, write_run
from pipelines.duplicates.keys import PER_POST
from pipelines.duplicates.records import DAY_MICROS, RECORD
from pipelines.duplicates.search import Expiry
from pipelines.exchange import in_this_process
from pipelines.index import STAGED, Learnt, open_index
from schemas.config import DuplicatesConfig

AT_MOST = 1.3  # times the epoch without history
FIRST_ROWS = 1000  # of the epoch before, which makes the folder
CHUNK_POSTS = 100_000
SIGNATURE_BYTES = 1 + 3 * 80  # of a post of 80 shingles: a level and three bytes each


def fill(out: Path, bands: int, days: np.ndarray) -> None:
    """Teach the index of a folder so many keys of invented posts, spread over some days, as part of its last epoch."""
    rng = np.random.default_rng(1)
    index = open_index(out, DuplicatesConfig())
    staging = out / "filling"
    posts = -(-bands // PER_POST)
    files: list[RunFile] = []
    for first in range(0, posts, CHUNK_POSTS):
        files += _invent(rng, np.arange(first, min(posts, first + CHUNK_POSTS)) + (1 << 30), days, staging / STAGED)
    held = dict(index.days)
    for day in days.tolist():
        held[day] = held.get(day, 0) + posts // len(days)
    learnt = Learnt(index.epoch or 0, held, Expiry(int(days.min())), tuple(files))
    index.apply(index.plan(in_this_process, learnt, staging), staging)
    shutil.rmtree(staging)


def _invent(rng: np.random.Generator, refs: np.ndarray, days: np.ndarray, folder: Path) -> list[RunFile]:
    """Write the keys and the records of some invented posts."""
    day = rng.choice(days, len(refs))
    keys = rng.integers(0, 1 << 64, (len(refs), PER_POST), np.uint64).reshape(-1)
    order = np.argsort(keys)
    owner = np.repeat(np.arange(len(refs)), PER_POST)[order]
    entries = pa.table([keys[order], refs[owner], day[owner].astype(np.int32)], schema=ENTRY)
    signatures = rng.bytes(SIGNATURE_BYTES * len(refs))
    ends = np.arange(len(refs) + 1, dtype=np.int32) * SIGNATURE_BYTES
    binary = pa.Array.from_buffers(pa.binary(), len(refs), [None, pa.py_buffer(ends), pa.py_buffer(signatures)])
    records = [
        pa.array(refs),
        pa.array([f"invented-{ref}" for ref in refs.tolist()]),
        pa.array(rng.integers(1, 1 << 62, len(refs))),
        pa.array(day * DAY_MICROS),
        pa.array(np.zeros(len(refs), np.int64)),
        pa.array(rng.integers(1, 1 << 62, len(refs))),
        binary,
    ]
    tables = {"entries": entries, "records": pa.table(records, schema=RECORD)}
    return [write_run(str(folder), kind, rows) for kind, rows in tables.items()]


def compare(asked: argparse.Namespace) -> list[Target]:
    """Run the epoch over both folders in turn, print and write the result."""
    machine = side.machine(asked.cores)
    work, cores = asked.work.resolve(), prepare.chosen_cores(asked.cores)
    files = prepare.post_files(asked.real_data.resolve())
    posts = prepare.first_rows(files, FIRST_ROWS + asked.rows)
    first, _ = prepare.write_folder(posts.slice(0, FIRST_ROWS), 1, work / "history-first")
    folder, rows = prepare.write_folder(posts.slice(FIRST_ROWS), len(cores), work / "history-input")
    days = np.unique(np.asarray(posts.column("created_at").cast(pa.int64())) // DAY_MICROS)

    def run(name: str, inputs: Path, out: Path) -> Line:
        command = side.swarmfeed_command(sorted(inputs.iterdir()), out, len(cores))
        log = work / "history.log"
        return side.line(name, measure(command, log, cores), log)

    say(f"filling an index with {asked.bands:,} keys over {len(days)} days")
    folders = {"no history": work / "history-empty", f"{asked.bands:,} bands held": work / "history-full"}
    for out in folders.values():
        shutil.rmtree(out, ignore_errors=True)
        run("first", first, out)
    fill(work / "history-full", asked.bands, days)
    held = disk.folder_bytes(work / "history-full" / ".swarmfeed" / "index")
    lines: dict[str, list[Line]] = {name: [] for name in folders}
    for _ in range(asked.repeats):
        for name, out in folders.items():
            lines[name].append(side.checked(run(name, folder, _copy(out)), rows))
            say(f"{name}: {lines[name][-1]['seconds']:.2f} s")
    empty, full = (side.middle(found) for found in lines.values())
    ratios = {"seconds": full["seconds"] / empty["seconds"], "CPU": full["cpu_seconds"] / empty["cpu_seconds"]}
    bound = asked.at_most if asked.at_most is not None else AT_MOST
    targets = [Target("an epoch with history beside one without", ratios["seconds"], bound, most=True)]
    record.show([empty, full], ratios, targets, "the same epoch with a full and an empty index")
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rows": rows, "bands": asked.bands, "days": len(days), "repeats": asked.repeats},
        "index_bytes": held,
        "lines": [empty, full],
        "ratios": ratios,
    }
    say(f"written to {record.write(result, 'history', asked.out).name}")
    return targets if asked.at_most is not None else []


def _copy(out: Path) -> Path:
    """Return a copy of an output folder to add an epoch to."""
    copy = out.with_name(f"{out.name}-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(out, copy)
    return copy


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__.partition("\n")[0])
    side.add_options(parser, rows=50_000)
    parser.add_argument("--bands", type=int, default=20_000_000, help="how many keys the index holds (%(default)s)")
    parser.add_argument("--at-most", type=float, help="exit with 1 when the epoch takes more than so many times")
    asked = parser.parse_args()
    side.finish(lambda: compare(asked))


if __name__ == "__main__":
    main()
