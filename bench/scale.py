"""Run swarmfeed over more and more posts and see whether cost grows with them and memory does not.

python -m bench.scale --posts 250000 1000000 --real-data DIR

The first number is how many real posts; for more they are repeated with seeded edits (see edits.py).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench import disk, edits, prepare, record, side
from bench.measure import measure
from bench.prepare import BenchError, say
from bench.record import Target
from bench.side import Line

STARTUP_ROWS = 1000  # a run over so few is all start-up
STARTUP_RUNS = 3  # the middle one counts
CPU_TIMES = 1.15  # what it is held to: CPU seconds a post, most posts over fewest
MEMORY_TIMES = 1.3
PEAK_GIB = 6.0
GIBIBYTE = 1 << 30
MILLION = 1_000_000
TABLES = ("posts", "quarantine", "tombstones", "documents")  # folders of the output
INDEXES = ("index", ".swarmfeed/index")


def curate(posts: Path, work: Path, cores: Sequence[int]) -> Line:
    """Run swarmfeed over a folder of posts and return its line, with the bytes it had and left on disk."""
    out, scratch = work / "scale", work / "scale-spark"
    for folder in (out, scratch):
        shutil.rmtree(folder, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = side.swarmfeed_command(sorted(posts.iterdir()), out, len(cores))
    log = work / "scale.log"
    with disk.watched({"out": out, "shuffle": scratch}) as most:
        seen = measure(command, log, cores, {"SPARK_LOCAL_DIRS": str(scratch)})
    found = side.line("swarmfeed", seen, log)
    left = disk.folder_bytes(out)
    found["bytes"] = {
        "staged": max(0, most["out"] - left),  # there while it ran, gone when it was done
        "shuffle": most["shuffle"],
        "tables": sum(disk.folder_bytes(out / name) for name in TABLES),
        "token sets": disk.folder_bytes(out / "sets"),
        "index": sum(disk.folder_bytes(out / name) for name in INDEXES),
    }
    return found


def startup_cpu_seconds(posts: pa.Table, work: Path, cores: Sequence[int]) -> float:
    """Return the CPU seconds of a run over few posts, once everything is cached."""
    folder, _ = edits.input_folder(posts.slice(0, STARTUP_ROWS), STARTUP_ROWS, len(cores), work / "warm")
    say(f"what starting up costs: {STARTUP_RUNS} runs over {STARTUP_ROWS:,} posts, and one before that fills caches")
    lines = [curate(folder, work, cores) for _ in range(STARTUP_RUNS + 1)][1:]
    return statistics.median_low([line["cpu_seconds"] for line in lines])


def per_million(line: Mapping[str, Any], startup: float) -> dict[str, float]:
    """Return what a million posts cost by this run: CPU seconds with and without starting up, bytes, tokens.

    Starting up is a run over STARTUP_ROWS posts, so those are taken off the posts too.
    """
    posts = line["posts"]
    figures = {
        "CPU s": (line["cpu_seconds"] - startup) / (posts - STARTUP_ROWS) * MILLION,
        "CPU s with start-up": line["cpu_seconds"] / posts * MILLION,
        "tokens": (line["tokens"] or 0) / posts * MILLION,
    }
    return figures | {f"{name} MB": count / posts for name, count in line["bytes"].items()}


def targets(lines: Sequence[Line], startup: float, asked: argparse.Namespace) -> list[Target]:
    """Return what the run over most posts is held to, beside the run over fewest."""
    fewest, most = lines[0], lines[-1]
    times = f"{most['posts'] / fewest['posts']:g} times the posts"
    cost = per_million(most, startup)["CPU s"] / per_million(fewest, startup)["CPU s"]
    memory = most["peak_bytes"] / fewest["peak_bytes"]
    return [
        Target(f"CPU a post at {times}", cost, _bound(asked.cpu_at_most, CPU_TIMES), most=True),
        Target(f"peak memory at {times}", memory, _bound(asked.memory_at_most, MEMORY_TIMES), most=True),
        Target(
            f"peak GiB at {most['posts']:,} posts",
            most["peak_bytes"] / GIBIBYTE,
            _bound(asked.gib_at_most, PEAK_GIB),
            most=True,
        ),
    ]


def _bound(asked: float | None, default: float) -> float:
    return default if asked is None else asked


def show(found: Sequence[Mapping[str, float]], lines: Sequence[Line]) -> None:
    """Print what a million posts cost in each run."""
    table = Table(title="for each million posts")
    table.add_column("")
    for line in lines:
        table.add_column(f"{line['posts']:,}", justify="right")
    for name in found[0]:
        table.add_row(name, *(f"{figures[name]:,.1f}" for figures in found))
    table.add_row("duplicates, share", *(f"{duplicate_share(line):.3f}" for line in lines))
    Console(width=None if Console().is_terminal else 110).print(table)


def duplicate_share(line: Line) -> float:
    """Return the share of posts that the run called a duplicate: edits are not to change it."""
    return float(sum(line["said"]["duplicates"].values()) / line["posts"])


def run_size(posts: pa.Table, rows: int, repeats: int, place: tuple[Path, list[int]]) -> Line:
    """Make so many posts of the real ones, run over them and return the middle line; `place` is folder and cores."""
    work, cores = place
    folder, edited = edits.input_folder(posts, rows, len(cores), work / "edited")
    changed = f", {edited['changed']:.1%} of the repeated ones edited" if "changed" in edited else ""
    say(f"{rows:,} posts{changed}")
    runs = [side.checked(curate(folder, work, cores), rows) for _ in range(repeats)]
    return {**side.middle(runs), "edits": edited}


def grow(asked: argparse.Namespace) -> list[Target]:
    """Run each size, print and write the result; return what the command's exit status depends on."""
    machine = side.machine(asked.cores)
    work, cores = asked.work.resolve(), prepare.chosen_cores(asked.cores)
    posts = prepare.first_rows(prepare.post_files(asked.real_data.resolve()), asked.posts[0])
    if posts.num_rows < asked.posts[0]:
        raise BenchError(f"there are {posts.num_rows:,} real posts: begin --posts with as many or fewer")
    startup = startup_cpu_seconds(posts, work, cores)
    lines = [run_size(posts, rows, asked.repeats, (work, cores)) for rows in asked.posts]
    found = [per_million(line, startup) for line in lines]
    held = targets(lines, startup, asked)
    show(found, lines)
    record.show(lines, {"start-up, CPU seconds": startup}, held, title="swarmfeed at each size")
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"posts": asked.posts, "cores": asked.cores, "repeats": asked.repeats, "seed": edits.SEED},
        "startup_cpu_seconds": startup,
        "runs": [{**line, "per_million": figures} for line, figures in zip(lines, found, strict=True)],
        "targets": [target.entry() for target in held],
    }
    say(f"written to {record.write(result, 'scale', asked.out).name}")
    wanted = (asked.cpu_at_most, asked.memory_at_most, asked.gib_at_most)
    return [target for target, bound in zip(held, wanted, strict=True) if bound is not None]


def main() -> None:
    """Run swarmfeed at each size; print tables and write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.partition("\n")[0])
    made.add_argument("--posts", type=int, nargs="+", default=[250_000, MILLION], help="sizes, ascending (%(default)s)")
    side.add_options(made)
    made.add_argument("--cpu-at-most", type=float, help=f"exit with 1 when CPU a post grows more ({CPU_TIMES:g})")
    made.add_argument("--memory-at-most", type=float, help=f"the same of peak memory ({MEMORY_TIMES:g})")
    made.add_argument("--gib-at-most", type=float, help=f"the same of its GiB ({PEAK_GIB:g})")
    asked = made.parse_args()
    if len(asked.posts) < 2 or sorted(set(asked.posts)) != asked.posts or asked.posts[0] <= STARTUP_ROWS:
        made.error(f"--posts: two sizes or more, ascending, each above {STARTUP_ROWS}")
    if min(asked.cores, asked.repeats) < 1:
        made.error("--cores and --repeats are at least 1")
    side.finish(lambda: grow(asked))


if __name__ == "__main__":
    main()
