"""Time datatrove, swarmfeed and Spark alone on the same real posts, one after the other; write down what was seen.

python -m bench.run --rows 300000 --real-data DIR
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import prepare, record, side
from bench.measure import measure
from bench.prepare import say
from bench.record import Target
from bench.side import Line, Rounds

HERE = Path(__file__).parent
ROOT = HERE.parent
WARM_ROWS = 1000
SIDES = ("peer", "swarmfeed", "floor")
TIMES = 20.0  # what swarmfeed is held to: so many times the peer's posts a second
STRETCH = 40.0
TIMES_WITH_STARTUP = 12.0


@dataclass(frozen=True)
class Bench:
    """What the sides share: where to work, on which cores, with which models."""

    work: Path
    real_data: Path
    cores: list[int]
    tokenizer: Path
    peer_python: Path | None = None
    language_model: Path | None = None
    classifiers: tuple[Path, ...] = ()

    def peer(self, posts: Path, drop: bool = False) -> Line:
        """Run the peer over a folder of posts and return its line."""
        command = [str(self.peer_python), str(HERE / "peer_datatrove.py"), "--input", str(posts)]
        command += ["--work", str(self.work / "peer"), "--workers", str(len(self.cores))]
        command += ["--language-model", str(self.language_model), "--tokenizer", str(self.tokenizer)]
        for path in self.classifiers:
            command += ["--classifier", str(path)]
        if drop:
            command.append("--drop")
        log = self.work / "peer.log"
        seen = measure(command, log, self.cores, prepare.peer_environment(self.work))
        return side.line("datatrove, rules drop" if drop else "datatrove", seen, log)

    def swarmfeed(self, posts: Sequence[Path]) -> Line:
        """Run the installed command over files of posts and return its line."""
        out = self.work / "swarmfeed"
        shutil.rmtree(out, ignore_errors=True)
        command = side.swarmfeed_command(posts, out, len(self.cores))
        if self.tokenizer != prepare.SHIPPED_TOKENIZER:
            command += ["--set", f"tokens.tokenizer={self.tokenizer}"]
        log = self.work / "swarmfeed.log"
        return side.line("swarmfeed", measure(command, log, self.cores), log)

    def floor(self, posts: Path) -> Line:
        """Let Spark alone read and write a folder of posts and return its line."""
        command = [sys.executable, "-m", "bench.floor", "--input", str(posts), "--work", str(self.work / "floor")]
        command += ["--cores", str(len(self.cores))]
        log = self.work / "floor.log"
        return side.line("Spark, no stages", measure(command, log, self.cores, side.our_environment()), log)


def set_up(work: Path, real_data: Path, cores: int, sides: Sequence[str]) -> Bench:
    """Make what the chosen sides need and return where it is."""
    files = prepare.post_files(real_data)
    tokenizer = prepare.tokenizer(files, work / "models")
    chosen = prepare.chosen_cores(cores)
    if "peer" not in sides:
        return Bench(work, real_data, chosen, tokenizer)
    python = prepare.peer_python(ROOT / ".venv-bench")
    return Bench(
        work,
        real_data,
        chosen,
        tokenizer,
        python,
        prepare.language_model(work / "models"),
        tuple(prepare.classifiers(python, real_data, work / "models")),
    )


def timed(bench: Bench, rows: int, sides: Sequence[str], repeats: int) -> tuple[int, dict[str, Line]]:
    """Run the sides in turn over the first posts; return how many posts, and each side's middle line."""
    files = prepare.post_files(bench.real_data)
    warm, _ = prepare.input_folder(files, WARM_ROWS, len(bench.cores), bench.work / "warm")
    posts, count = prepare.input_folder(files, rows, len(bench.cores), bench.work / "input")
    runs = {
        "peer": bench.peer,
        "swarmfeed": lambda folder: bench.swarmfeed(sorted(folder.iterdir())),
        "floor": bench.floor,
    }
    return count, side.take_turns({name: runs[name] for name in sides}, Rounds(warm, posts, count, repeats))


def compared(lines: Mapping[str, Line]) -> dict[str, float]:
    """Compare swarmfeed with the peer and with the floor, as far as they ran."""
    found: dict[str, float] = {}
    if {"peer", "swarmfeed"} <= set(lines):
        found |= side.ratios(lines["swarmfeed"], lines["peer"])
    if {"floor", "swarmfeed"} <= set(lines):
        found["times the floor"] = lines["floor"]["posts_per_second"] / lines["swarmfeed"]["posts_per_second"]
    return found


def targets(found: Mapping[str, float], asked: argparse.Namespace) -> list[Target]:
    """Return what the ratios are held to; no target without both sides."""
    if "ratio" not in found:
        return []
    return [
        Target("ratio", found["ratio"], TIMES if asked.at_least is None else asked.at_least),
        Target("ratio, stretch", found["ratio"], STRETCH),
        Target(
            "ratio with start-up",
            found["ratio with start-up"],
            TIMES_WITH_STARTUP if asked.at_least_with_startup is None else asked.at_least_with_startup,
        ),
    ]


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    made = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.partition("\n")[0])
    side.add_options(made, rows=300_000)
    made.add_argument("--only", choices=SIDES, help="run that side alone, without a ratio")
    made.add_argument("--all", dest="every", action="store_true", help="also run swarmfeed over every post")
    made.add_argument("--peer-drops", action="store_true", help="also run the peer with its rules dropping posts")
    made.add_argument("--at-least", type=float, help=f"exit with 1 when the ratio is lower (target: {TIMES:g})")
    made.add_argument(
        "--at-least-with-startup",
        type=float,
        help=f"exit with 1 when the ratio of whole commands is lower (target: {TIMES_WITH_STARTUP:g})",
    )
    return made


def main() -> None:
    """Time the sides on the same real posts; print a table and write a result file."""
    asked = parser().parse_args()
    if min(asked.rows, asked.cores, asked.repeats) < 1:
        parser().error("--rows, --cores and --repeats are at least 1")
    if asked.only and (asked.at_least, asked.at_least_with_startup) != (None, None):
        parser().error("--at-least compares both sides: leave --only out")
    side.finish(lambda: compare(asked))


def compare(asked: argparse.Namespace) -> list[Target]:
    """Run what was asked for, print and write the result; return what the command's exit status depends on."""
    machine = side.machine(asked.cores)
    sides = [asked.only] if asked.only else list(SIDES)
    bench = set_up(asked.work.resolve(), asked.real_data.resolve(), asked.cores, sides)
    count, lines = timed(bench, asked.rows, sides, asked.repeats)
    extra = [side.checked(line, rows) for line, rows in further(bench, asked, sides)]
    found = compared(lines)
    held = targets(found, asked)
    record.show([*lines.values(), *extra], found, held)
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {
            "rows": count,
            "cores": asked.cores,
            "repeats": asked.repeats,
            "seed": 1,  # of the peer's classifiers; nothing else draws lots
            "tokenizer": "shipped" if bench.tokenizer == prepare.SHIPPED_TOKENIZER else "trained for the benchmark",
            "tokenizer_sha256": hashlib.sha256(bench.tokenizer.read_bytes()).hexdigest(),
        },
        **lines,
        "extra": extra,
        "ratios": found,
        "targets": [target.entry() for target in held],
    }
    path = record.write(result, "full" if asked.every else str(count), asked.out)
    say(f"written to {path.name}")
    asked_for = {"ratio": asked.at_least, "ratio with start-up": asked.at_least_with_startup}
    return [target for target in held if asked_for.get(target.name) is not None]


def further(bench: Bench, asked: argparse.Namespace, sides: Sequence[str]) -> Iterator[tuple[Line, int]]:
    """Yield the line of each further run asked for, with how many posts it was given. None counts for the ratio."""
    if asked.peer_drops and "peer" in sides:
        say("the peer again, its rules dropping posts")
        folder = bench.work / "input"
        yield bench.peer(folder, drop=True), prepare.count_rows(sorted(folder.iterdir()))
    if asked.every and "swarmfeed" in sides:
        say("swarmfeed over every post")
        files = prepare.post_files(bench.real_data)
        yield {**bench.swarmfeed(files), "name": "swarmfeed, all posts"}, prepare.count_rows(files)


if __name__ == "__main__":
    main()
