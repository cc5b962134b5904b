"""Forget a thousand posts out of many, start-up included, and verify it by a scan of every file.

python -m bench.forget --posts 1000000 --ids 1000
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import disk, prepare, record, side
from bench.measure import Measurement, measure
from bench.prepare import BenchError, say
from bench.record import Target
from pipelines.tables import table_files

AT_MOST = 60.0  # seconds, for a thousand of a million
SEED = 1
LOG_LINES = 15


def run(words: Sequence[str | Path], work: Path, cores: Sequence[int]) -> tuple[Measurement, dict[str, Any]]:
    """Run a swarmfeed command and return what it cost and what it says; raise BenchError when it failed."""
    command = [str(Path(sys.executable).with_name("swarmfeed")), *map(str, words), "--json"]
    log = work / "forget.log"
    seen = measure(command, log, cores, side.our_environment())
    last = seen.stdout.strip().rpartition("\n")[2]
    if seen.exit_status or not last.startswith("{"):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise BenchError(f"swarmfeed {words[0]} ended with status {seen.exit_status}; the end of its log:\n{tail}")
    return seen, json.loads(last)


def choose(out: Path, count: int, file: Path) -> None:
    """Write ids of so many posts, spread over the whole table, one a line."""
    found = [pq.ParquetFile(path).read(["id"]).column("id") for path in sorted(table_files(out, "posts"))]
    ids = np.array(pa.chunked_array(found).unique().to_pylist())
    if len(ids) < count:
        raise BenchError(f"there are {len(ids):,} posts to choose from: ask for as many or fewer --ids")
    chosen = np.random.default_rng(SEED).choice(ids, count, replace=False)
    file.write_text("".join(f"{name}\n" for name in sorted(chosen.tolist())))


def prepare_output(asked: argparse.Namespace, work: Path, cores: Sequence[int]) -> Path:
    """Simulate posts and curate them into a folder."""
    raw, out = work / "forget.jsonl", work / "forget"
    shutil.rmtree(out, ignore_errors=True)
    run(["simulate", "--posts", str(asked.posts), "--seed", str(SEED), "--out", raw], work, cores)
    run(["run", raw, "--out", out, "--master", f"local[{len(cores)}]"], work, cores)
    raw.unlink()
    return out


def forget(asked: argparse.Namespace) -> list[Target]:
    """Measure, print and write the result; return what the command's exit status depends on."""
    machine = side.machine(asked.cores)
    work, cores = asked.work.resolve(), prepare.chosen_cores(asked.cores)
    work.mkdir(parents=True, exist_ok=True)
    out, ids = prepare_output(asked, work, cores), work / "forget-ids.txt"
    choose(out, asked.ids, ids)
    before = disk.folder_bytes(out)
    master = ["--master", f"local[{len(cores)}]"]
    cost, done = run(["forget", out, "--ids", ids, *master], work, cores)
    check, found = run(["verify-forgotten", out, "--ids", ids], work, cores)
    figures = {
        "posts": asked.posts,
        "ids": asked.ids,
        "seconds": round(cost.wall_seconds, 2),
        "cpu_seconds": round(cost.cpu_seconds, 2),
        "peak_bytes": cost.peak_bytes,
        "verify_seconds": round(check.wall_seconds, 2),
        "verify_peak_bytes": check.peak_bytes,
        "bytes_before": before,
        "bytes_after": disk.folder_bytes(out),
        "taken": {name: value for name, value in done.items() if name != "requests"},
        "found": {name: found[name] for name in ("clean", "files", "bytes", "receipts", "same_words")},
    }
    say(f"{asked.ids:,} of {asked.posts:,} posts: {cost.wall_seconds:.1f} s; verified in {check.wall_seconds:.1f} s")
    bound = AT_MOST if asked.at_most is None else asked.at_most
    target = Target(f"seconds to forget {asked.ids:,} of {asked.posts:,} posts", cost.wall_seconds, bound, most=True)
    say(str(target))
    config = {"posts": asked.posts, "ids": asked.ids, "cores": asked.cores, "seed": SEED}
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": config,
        "figures": figures,
        "targets": [target.entry()],
    }
    say(f"written to {record.write(result, f'forget-{asked.posts}', asked.out).name}")
    return [target] if asked.at_most is not None else []


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.forget", description=__doc__.partition("\n")[0])
    parser.add_argument("--posts", type=int, default=1_000_000, help="how many posts are simulated (%(default)s)")
    parser.add_argument("--ids", type=int, default=1000, help="how many of them must go (%(default)s)")
    parser.add_argument("--out", type=Path, default=side.HERE / "results", help="where the result file goes")
    parser.add_argument("--work", type=Path, default=side.HERE / "data", help="where the output folder is made")
    parser.add_argument("--cores", type=int, default=2, help="how many cores it gets (%(default)s)")
    parser.add_argument("--at-most", type=float, help=f"exit with 1 when it takes more seconds ({AT_MOST:g})")
    asked = parser.parse_args()
    side.finish(lambda: forget(asked))


if __name__ == "__main__":
    main()
