"""Time datatrove and swarmfeed on the same real posts, one after the other, and write down what was seen.

python -m bench.run --rows 50000 --real-data DIR
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import prepare, record
from bench.measure import Measurement, measure
from bench.prepare import BenchError, say

HERE = Path(__file__).parent
ROOT = HERE.parent
WARM_ROWS = 1000
QUIET_LOAD = 0.5
SIDES = ("peer", "swarmfeed")


@dataclass(frozen=True)
class Bench:
    """What both sides share: where to work, on which cores, with which models."""

    work: Path
    real_data: Path
    cores: list[int]
    tokenizer: Path
    peer_python: Path | None = None
    language_model: Path | None = None
    classifiers: tuple[Path, ...] = ()

    def peer(self, posts: Path, drop: bool = False) -> dict[str, Any]:
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
        return _line("datatrove, rules drop" if drop else "datatrove", seen, log)

    def swarmfeed(self, posts: Sequence[Path]) -> dict[str, Any]:
        """Run the installed command over files of posts and return its line."""
        out = self.work / "swarmfeed"
        shutil.rmtree(out, ignore_errors=True)
        command = [str(Path(sys.executable).with_name("swarmfeed")), "run", *map(str, posts), "--out", str(out)]
        command += ["--json", "--master", f"local[{len(self.cores)}]"]
        if self.tokenizer != prepare.SHIPPED_TOKENIZER:
            command += ["--set", f"tokens.tokenizer={self.tokenizer}"]
        log = self.work / "swarmfeed.log"
        return _line("swarmfeed", measure(command, log, self.cores), log)


def _line(name: str, seen: Measurement, log: Path) -> dict[str, Any]:
    """Join what a side says of itself with what was measured from outside; refuse figures that cannot be true."""
    last = seen.stdout.strip().rpartition("\n")[2]
    if seen.exit_status or not last.startswith("{"):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
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
    """Return posts read, posts kept and tokens written, from either side's summary."""
    posts, tokens = said["posts"], said.get("tokens")
    if isinstance(posts, dict):
        return int(posts["read"]), posts.get("kept"), tokens.get("kept") if isinstance(tokens, dict) else tokens
    return int(posts), said.get("kept"), tokens


def middle(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the line with the middle speed (the lower of the two middle ones), with all the speeds beside it."""
    speed = statistics.median_low([line["posts_per_second"] for line in lines])
    chosen = next(line for line in lines if line["posts_per_second"] == speed)
    return {**chosen, "all_posts_per_second": [round(line["posts_per_second"], 1) for line in lines]}


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


def timed(bench: Bench, rows: int, sides: Sequence[str], repeats: int) -> tuple[int, dict[str, dict[str, Any]]]:
    """Warm both sides up on a few posts, then run them in turn; return how many posts, and each side's middle line."""
    files = prepare.post_files(bench.real_data)
    warm, _ = prepare.input_folder(files, WARM_ROWS, len(bench.cores), bench.work / "warm")
    posts, count = prepare.input_folder(files, rows, len(bench.cores), bench.work / "input")
    lines: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for attempt in range(repeats + 1):
        folder = posts if attempt else warm  # the first round fills caches (page, bytecode, compiled kernels): untimed
        say(f"round {attempt} of {repeats}, {count:,} posts" if attempt else "warming both sides up, untimed")
        for side in sides:
            line = bench.peer(folder) if side == "peer" else bench.swarmfeed(sorted(folder.iterdir()))
            if attempt:
                lines[side].append(_checked(line, count))
                say(f"{line['name']}: {line['posts_per_second']:,.0f} posts/s, {line['seconds']:.1f} s")
    return count, {side: middle(found) for side, found in lines.items()}


def _checked(line: dict[str, Any], rows: int) -> dict[str, Any]:
    if line["posts"] != rows:
        raise BenchError(f"{line['name']} read {line['posts']:,} posts, it was given {rows:,}")
    return line


def ratios(sides: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Compare swarmfeed with the peer: posts a second, and the same over the whole command, start-up included."""
    if set(SIDES) - set(sides):
        return {}
    ours, theirs = sides["swarmfeed"], sides["peer"]
    return {
        "ratio": ours["posts_per_second"] / theirs["posts_per_second"],
        "ratio with start-up": theirs["wall_seconds"] / ours["wall_seconds"],
        "ratio per CPU second": theirs["cpu_seconds"] / ours["cpu_seconds"],
        "memory ratio": ours["peak_bytes"] / theirs["peak_bytes"],
    }


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    made = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__.partition("\n")[0])
    made.add_argument("--rows", type=int, default=50_000, help="how many posts, from the first (%(default)s)")
    made.add_argument(
        "--real-data", type=Path, default=ROOT.parent / "shared" / "data", help="has posts/ and labelled/"
    )
    made.add_argument("--out", type=Path, default=HERE / "results", help="where the result file goes")
    made.add_argument("--work", type=Path, default=HERE / "data", help="where both sides write; models are kept there")
    made.add_argument("--cores", type=int, default=2, help="how many cores each side gets (%(default)s)")
    made.add_argument("--repeats", type=int, default=1, help="how often each side runs; the middle run counts")
    made.add_argument("--only", choices=SIDES, help="run that side alone, without a ratio")
    made.add_argument("--all", dest="every", action="store_true", help="also run swarmfeed over every post")
    made.add_argument("--peer-drops", action="store_true", help="also run the peer with its rules dropping posts")
    made.add_argument("--at-least", type=float, default=0.0, help="exit with 1 when the ratio is lower")
    return made


def main() -> None:
    """Time both sides on the same real posts; print a table and write a result file."""
    asked = parser().parse_args()
    if min(asked.rows, asked.cores, asked.repeats) < 1:
        parser().error("--rows, --cores and --repeats are at least 1")
    try:
        ratio = compare(asked)
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    if ratio is not None and ratio < asked.at_least:
        say(f"the ratio is {ratio:.2f}, at least {asked.at_least:g} was asked for")
        sys.exit(1)


def compare(asked: argparse.Namespace) -> float | None:
    """Run what was asked for, print and write the result; return the ratio, None when one side ran alone."""
    machine = record.hardware(asked.cores)
    if machine["load"] > QUIET_LOAD:
        say(f"something else is running (load {machine['load']}): the figures will be too low")
    sides = [asked.only] if asked.only else list(SIDES)
    bench = set_up(asked.work.resolve(), asked.real_data.resolve(), asked.cores, sides)
    count, lines = timed(bench, asked.rows, sides, asked.repeats)
    extra = [_checked(line, rows) for line, rows in further(bench, asked, sides)]
    found = ratios(lines)
    record.show([*lines.values(), *extra], found)
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
    }
    path = record.write(result, "full" if asked.every else str(count), asked.out)
    say(f"written to {path.name}")
    return found.get("ratio")


def further(bench: Bench, asked: argparse.Namespace, sides: Sequence[str]) -> Iterator[tuple[dict[str, Any], int]]:
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
