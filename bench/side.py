"""Run each side in turn and join what it says of itself with what was measured from outside: one line of figures."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import record
from bench.measure import Measurement
from bench.prepare import BenchError, say
from bench.record import Target

Line = dict[str, Any]
HERE = Path(__file__).parent
ROOT = HERE.parent
LOG_LINES = 15  # of a side that failed
QUIET_LOAD = 0.5


@dataclass(frozen=True)
class Rounds:
    """What every side is given: a folder of posts to warm up on, the folder that counts, its rows, how many rounds."""

    warm: Path
    posts: Path
    rows: int
    repeats: int


def line(name: str, seen: Measurement, log: Path) -> Line:
    """Return a side's figures; raise BenchError when it failed or when they cannot be true."""
    last = seen.stdout.strip().rpartition("\n")[2]
    if seen.exit_status or not last.startswith("{"):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise BenchError(f"{name} ended with status {seen.exit_status} and no summary; the end of its log:\n{tail}")
    said = json.loads(last)
    posts, kept, tokens = _counts(said)
    seconds = float(said["seconds"])
    if seconds > seen.wall_seconds:
        raise BenchError(f"{name} says it took {seconds:.1f} s, the whole command took {seen.wall_seconds:.1f} s")
    return {
        "name": name,
        "posts": posts,
        "posts_per_second": posts / seconds,
        "seconds": seconds,
        "startup_seconds": seen.wall_seconds - seconds,  # all of the command that is not between read and commit
        "wall_seconds": seen.wall_seconds,
        "cpu_seconds": seen.cpu_seconds,
        "peak_bytes": seen.peak_bytes,
        "kept": kept,
        "tokens": tokens,
        "said": {  # without machine paths
            key: value for key, value in said.items() if not str(value).startswith("/")
        },
    }


def _counts(said: Mapping[str, Any]) -> tuple[int, int | None, int | None]:
    """Return posts read, posts kept and tokens written, from any side's summary."""
    posts, tokens = said["posts"], said.get("tokens")
    if isinstance(posts, dict):
        return int(posts["read"]), posts.get("kept"), tokens.get("kept") if isinstance(tokens, dict) else tokens
    return int(posts), said.get("kept"), tokens


def checked(found: Line, rows: int) -> Line:
    """Return the line when its side read as many posts as it was given; raise BenchError otherwise."""
    if found["posts"] != rows:
        raise BenchError(f"{found['name']} read {found['posts']:,} posts, it was given {rows:,}")
    return found


def middle(lines: Sequence[Line]) -> Line:
    """Return the line with the middle speed (the lower of the two middle ones), with all the speeds beside it."""
    speed = statistics.median_low([line["posts_per_second"] for line in lines])
    chosen = next(line for line in lines if line["posts_per_second"] == speed)
    return {**chosen, "all_posts_per_second": [round(line["posts_per_second"], 1) for line in lines]}


def take_turns(sides: Mapping[str, Callable[[Path], Line]], rounds: Rounds) -> dict[str, Line]:
    """Warm every side up on a few posts, then run them in turn; return each side's middle line."""
    lines: dict[str, list[Line]] = {name: [] for name in sides}
    for attempt in range(rounds.repeats + 1):
        folder = rounds.posts if attempt else rounds.warm  # the first fills caches (pages, bytecode, kernels): untimed
        say(f"round {attempt} of {rounds.repeats}, {rounds.rows:,} posts" if attempt else "warming up, untimed")
        for name, run in sides.items():
            found = run(folder)
            if attempt:
                lines[name].append(checked(found, rounds.rows))
                say(f"{found['name']}: {found['posts_per_second']:,.0f} posts/s, {found['seconds']:.1f} s")
    return {name: middle(found) for name, found in lines.items()}


def ratios(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    """Compare two lines: posts a second, and the same over the whole command, start-up included."""
    return {
        "ratio": ours["posts_per_second"] / theirs["posts_per_second"],
        "ratio with start-up": theirs["wall_seconds"] / ours["wall_seconds"],
        "ratio per CPU second": theirs["cpu_seconds"] / ours["cpu_seconds"],
        "memory ratio": ours["peak_bytes"] / theirs["peak_bytes"],
    }


def swarmfeed_command(posts: Sequence[Path], out: Path, cores: int) -> list[str]:
    """Return the installed command that curates files of posts into a folder."""
    command = [str(Path(sys.executable).with_name("swarmfeed")), "run", *map(str, posts), "--out", str(out)]
    return [*command, "--json", "--master", f"local[{cores}]"]


def our_environment() -> dict[str, str]:
    """Return the variables under which our own scripts find the packages of this folder, their workers too."""
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), *([before] if before else [])])}


def add_options(parser: argparse.ArgumentParser, rows: int | None = None) -> None:
    """Add the options every comparison has; `rows` is how many posts it takes by default, None for no such option."""
    if rows is not None:
        parser.add_argument("--rows", type=int, default=rows, help="how many posts, from the first (%(default)s)")
    parser.add_argument(
        "--real-data", type=Path, default=ROOT.parent / "shared" / "data", help="has posts/ and labelled/"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where the result file goes")
    parser.add_argument("--work", type=Path, default=HERE / "data", help="where the sides write; models are kept there")
    parser.add_argument("--cores", type=int, default=2, help="how many cores each side gets (%(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="how often each side runs; the middle run counts")


def machine(cores: int) -> dict[str, Any]:
    """Describe the machine for the result file; say so when something else is running on it."""
    found = record.hardware(cores)
    if found["load"] > QUIET_LOAD:
        say(f"something else is running (load {found['load']}): the figures will be too low")
    return found


def finish(compare: Callable[[], Sequence[Target]]) -> None:
    """Run a comparison; exit with 1 when it cannot be made, or when a target that was asked for is missed."""
    try:
        missed = [target for target in compare() if not target.reached]
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    for target in missed:
        say(str(target))
    if missed:
        sys.exit(1)
