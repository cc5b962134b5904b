"""Time the search for duplicates alone: datatrove's four MinHash steps beside swarmfeed's sketch and search.

python -m bench.duplicates --rows 300000 --real-data DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench import prepare, record, side
from bench.measure import measure
from bench.prepare import say
from bench.record import Target
from bench.side import HERE, ROOT, Line, Rounds

WARM_ROWS = 1000
SIDES = ("peer", "swarmfeed")
TIMES = 20.0  # what swarmfeed is held to: so many times the peer's posts a second


def peer(python: Path, work: Path, cores: list[int], posts: Path) -> Line:
    """Run the peer's four MinHash steps over a folder of posts and return its line."""
    command = [str(python), str(HERE / "peer_datatrove.py"), "--only-minhash", "--input", str(posts)]
    command += ["--work", str(work / "peer"), "--workers", str(len(cores))]
    log = work / "peer-minhash.log"
    return side.line("datatrove, MinHash", measure(command, log, cores, prepare.peer_environment(work)), log)


def swarmfeed(work: Path, cores: list[int], posts: Path) -> Line:
    """Run our search over a folder of posts and return its line."""
    command = [sys.executable, "-m", "bench.ours_duplicates", "--input", str(posts)]
    command += ["--work", str(work / "search"), "--cores", str(len(cores))]
    log = work / "search.log"
    return side.line("swarmfeed, search", measure(command, log, cores, side.our_environment()), log)


def compare(asked: argparse.Namespace) -> list[Target]:
    """Run both sides, print and write the result; return what the command's exit status depends on."""
    machine = side.machine(asked.cores)
    work, cores = asked.work.resolve(), prepare.chosen_cores(asked.cores)
    files = prepare.post_files(asked.real_data.resolve())
    runs: dict[str, Callable[[Path], Line]] = {"swarmfeed": partial(swarmfeed, work, cores)}
    if asked.only != "swarmfeed":
        runs = {"peer": partial(peer, prepare.peer_python(ROOT / ".venv-bench"), work, cores), **runs}
    if asked.only == "peer":
        del runs["swarmfeed"]
    warm, _ = prepare.input_folder(files, WARM_ROWS, len(cores), work / "warm")
    posts, count = prepare.input_folder(files, asked.rows, len(cores), work / "input")
    lines = side.take_turns(runs, Rounds(warm, posts, count, asked.repeats))
    ratios = side.ratios(lines["swarmfeed"], lines["peer"]) if set(SIDES) <= set(lines) else {}
    held = [Target("ratio", ratios["ratio"], TIMES if asked.at_least is None else asked.at_least)] if ratios else []
    record.show(lines.values(), ratios, held)
    found = duplicates(lines)
    for name, share in found.items():
        say(f"{name}: {share['posts']:,} posts are duplicates, {share['share']:.1%}")
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rows": count, "cores": asked.cores, "repeats": asked.repeats},
        **lines,
        "duplicates": found,
        "ratios": ratios,
        "targets": [target.entry() for target in held],
    }
    say(f"written to {record.write(result, f'duplicates-{count}', asked.out).name}")
    return held if asked.at_least is not None else []


def duplicates(lines: Mapping[str, Line]) -> dict[str, dict[str, float]]:
    """Return what each side calls a duplicate: how many posts, and their share."""
    found = {name: line["posts"] - line["kept"] for name, line in lines.items()}
    return {name: {"posts": posts, "share": posts / lines[name]["posts"]} for name, posts in found.items()}


def main() -> None:
    """Time both sides on the same real posts; print a table and write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.duplicates", description=__doc__.partition("\n")[0])
    side.add_options(made, rows=300_000)
    made.add_argument("--only", choices=SIDES, help="run that side alone, without a ratio")
    made.add_argument("--at-least", type=float, help=f"exit with 1 when the ratio is lower (target: {TIMES:g})")
    asked = made.parse_args()
    if min(asked.rows, asked.cores, asked.repeats) < 1:
        made.error("--rows, --cores and --repeats are at least 1")
    if asked.only and asked.at_least is not None:
        made.error("--at-least compares both sides: leave --only out")
    side.finish(lambda: compare(asked))


if __name__ == "__main__":
    main()
