"""Kill a stream again and again, and compare what it leaves with an undisturbed run: row for row, token for token.

python -m bench.crashes --kills 30 --posts 60000 --max-posts-per-epoch 5000

The driver, a Python worker and the JVM are killed in turn, in each phase of an epoch as often as in any other, at a
random moment of it. Whoever is killed, the stream is started again when it ends, until all posts are read.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench import record, side
from bench.prepare import BenchError, say
from bench.stream_process import DOWN, StreamProcess, Target
from pipelines.simulate import Simulation, write
from pipelines.tables import PARTITIONS, open_table
from pipelines.tokens.sets import current, folder_name, members, verify

PHASES = ("annotate", "duplicates", "decide", "index", "commit")
FILES = 3
POLL_SECONDS = 0.004  # the shortest phases take some hundredths of a second
PATIENCE_SECONDS = 600.0  # until a phase comes: a start may have to compile kernels
END_SECONDS = 120.0  # until a driver ends that has lost its JVM
LATER_SHARE = 0.25  # of the blows fall on a later epoch than the first of a life: else nothing would get done
WHEN_DONE: Mapping[str, tuple[str, ...]] = {"tombstones": ("done_at",)}  # columns that say when, which may differ
TOKENS = "tokens"

Rows = dict[str, Counter[bytes]]  # by table: digest of a row, and how often it is there


@dataclass(frozen=True)
class Blow:
    """What is to be killed and when: in which phase, how far into it (0 to 1), in how many epochs from now."""

    target: Target
    phase: str
    fraction: float
    later: int
    choice: float  # which of several processes


@dataclass(frozen=True)
class Hit:
    """What was killed, in which phase of which epoch."""

    target: Target
    phase: str
    epoch: int | None


@dataclass
class Usual:
    """How long each phase usually takes, in seconds, as seen from outside."""

    seconds: Counter[str] = field(default_factory=Counter)
    epochs: set[int] = field(default_factory=set)

    def watch(self, stream: StreamProcess) -> None:
        """Look on until the stream has ended."""
        before = time.monotonic()
        while stream.status is None:
            told = stream.health()
            now = time.monotonic()
            if told is not None and told["phase"] in PHASES:
                self.seconds[told["phase"]] += now - before
                self.epochs.add(told["epoch"])
            before = now
            time.sleep(POLL_SECONDS)

    def __getitem__(self, phase: str) -> float:
        return float(self.seconds[phase]) / max(1, len(self.epochs))


@dataclass(frozen=True)
class Trial:
    """What became of the disturbed run: where it was hit, how often it was started, how its tables differ."""

    hits: list[Hit]
    starts: int
    rows: dict[str, int]  # of the undisturbed run, by table
    lost: dict[str, int]
    more: dict[str, int]
    left_behind: int  # processes of killed drivers that did not end by themselves

    @property
    def equal(self) -> bool:
        """Tell whether both runs left the same."""
        return not any(self.lost.values()) and not any(self.more.values())


def plan(kills: int, seed: int) -> list[Blow]:
    """Return blows that fall on every target and every phase alike."""
    chance = random.Random(seed)
    targets = list(Target)
    phases = {target: chance.sample(PHASES, len(PHASES)) for target in targets}
    blows = []
    for number in range(kills):
        target = targets[number % len(targets)]
        phase = phases[target][number // len(targets) % len(PHASES)]
        blows.append(Blow(target, phase, chance.random(), int(chance.random() < LATER_SHARE), chance.random()))
    return blows


def strike(stream: StreamProcess, blow: Blow, usual: Usual) -> Hit | None:
    """Wait for the moment and kill; None when the stream ended before, or there was nothing to kill."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    first: int | None = None
    while stream.status is None:
        told = stream.health() or {"phase": DOWN, "epoch": None}
        if told["phase"] in PHASES:
            first = told["epoch"] if first is None else first
            if told["phase"] == blow.phase and told["epoch"] >= first + blow.later:
                time.sleep(blow.fraction * usual[blow.phase])
                told = stream.health() or told  # it may have moved on
                hit = Hit(blow.target, told["phase"], told["epoch"])
                return hit if stream.kill(blow.target, blow.choice) else None
        if time.monotonic() > deadline:
            raise BenchError(f"no epoch came to {blow.phase}; the end of the log:\n{stream.last_words()}")
        time.sleep(POLL_SECONDS)
    return None


def recover(stream: StreamProcess, hit: Hit) -> None:
    """Wait until the blow has had its effect: without driver or JVM the stream ends, without a worker it may go on."""
    if hit.target is not Target.WORKER:
        if stream.wait(END_SECONDS) is None:
            raise BenchError(f"the driver outlived its {hit.target} by {END_SECONDS:.0f} s")
        return
    deadline = time.monotonic() + END_SECONDS
    while stream.status is None and stream.phase() == hit.phase:
        if time.monotonic() > deadline:
            raise BenchError(f"an epoch stood still in {hit.phase} after it had lost a worker")
        time.sleep(POLL_SECONDS)


def disturb(stream: StreamProcess, blows: Sequence[Blow], usual: Usual) -> tuple[list[Hit], int]:
    """Run a stream to its end under blows; return where they fell, and how often it had to be started.

    Raises BenchError when it came to its end before all had fallen, or ended badly though it was not hit any more.
    """
    stream.start()
    hits, starts = list[Hit](), 1
    for blow in blows:
        while (hit := strike(stream, blow, usual)) is None:
            if stream.status == 0:
                raise BenchError(f"all was read after {len(hits)} of {len(blows)} blows: give it more posts")
            if stream.status is not None:
                stream.start()
                starts += 1
        say(f"killed the {hit.target} in {hit.phase} of epoch {hit.epoch}")
        hits.append(hit)
        recover(stream, hit)
    if stream.status is None and stream.wait(PATIENCE_SECONDS) == 0:
        return hits, starts
    if stream.status is not None:
        stream.start()
        starts += 1
    stream.finish(PATIENCE_SECONDS)
    return hits, starts


def rows(out: Path) -> Rows:
    """Return digests of all rows of all tables, and of all documents of all token sets. Names of files do not count."""
    found: Rows = {}
    for table in PARTITIONS:
        delta = open_table(out, table)
        batches = delta.to_pyarrow_dataset().to_batches() if delta else iter(())
        found[table] = _digests(batches, WHEN_DONE.get(table, ()))
    found[TOKENS] = Counter()
    for manifest in (one for member in members(out) for one in current(out, member)):
        folder = out / folder_name(manifest)
        wrong = verify(folder)
        if wrong:
            raise BenchError(f"a token set is not what its manifest says: {wrong[0]}")
        for shard in manifest.shards:
            found[TOKENS] += _digests(pq.ParquetFile(folder / shard.file).iter_batches(), ())
    return found


def _digests(batches: Iterator[pa.RecordBatch], without: Sequence[str]) -> Counter[bytes]:
    counted: Counter[bytes] = Counter()
    for batch in batches:
        for row in batch.drop_columns([name for name in without if name in batch.schema.names]).to_pylist():
            text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=bytes.hex)
            counted[hashlib.blake2b(text, digest_size=16).digest()] += 1
    return counted


def missing(there: Rows, here: Rows) -> dict[str, int]:
    """Count by table the rows that are `there` and not `here`, each as often as it is.

    >>> missing({"posts": Counter([b"a", b"b", b"b"])}, {"posts": Counter([b"b"])})
    {'posts': 2}
    """
    return {table: (counted - here[table]).total() for table, counted in there.items()}


def input_folder(folder: Path, posts: int, seed: int) -> Path:
    """Write simulated posts, deletions and broken lines into some files, and return their folder."""
    for number in range(FILES):
        write(Simulation(posts // FILES, seed=seed + number), folder / f"posts-{number}.jsonl")
    return folder


def trial(work: Path, asked: argparse.Namespace) -> Trial:
    """Make both runs in a folder and compare them; `asked` has kills, posts, max_posts_per_epoch, seed and cores."""
    posts = input_folder(work / "input", asked.posts, asked.seed)

    def run(name: str) -> StreamProcess:
        words = [f"files://{posts}", "--out", str(work / name), "--once", "--master", f"local[{asked.cores}]"]
        words += ["--max-posts-per-epoch", str(asked.max_posts_per_epoch)]
        return StreamProcess(words, work / f"{name}.log", work / f"{name}-scratch")

    usual = Usual()
    with run("undisturbed") as calm:
        usual.watch(calm)
        done = calm.finish(END_SECONDS)
    say(f"undisturbed: {done['epochs']} epochs")
    rough = run("disturbed")
    try:
        hits, starts = disturb(rough, plan(asked.kills, asked.seed), usual)
        left_behind = rough.left_behind()
    finally:
        rough.end()
    wanted, found = rows(work / "undisturbed"), rows(work / "disturbed")
    counts = {table: counted.total() for table, counted in wanted.items()}
    return Trial(hits, starts, counts, missing(wanted, found), missing(found, wanted), left_behind)


def show(found: Trial) -> None:
    """Print where the blows fell and whether the tables are the same."""
    console = Console(width=None if Console().is_terminal else 110)
    table = Table(title=f"{len(found.hits)} kills, {found.starts} starts")
    table.add_column("")
    phases = [*PHASES, *sorted({hit.phase for hit in found.hits} - set(PHASES))]
    for phase in phases:
        table.add_column(phase, justify="right")
    counted = Counter((hit.target, hit.phase) for hit in found.hits)
    for target in Target:
        table.add_row(target, *(str(counted[target, phase]) for phase in phases))
    console.print(table)
    for name, count in found.rows.items():
        console.print(f"{name}: {count:,} rows, {found.lost[name]} lost, {found.more[name]} more")
    console.print("equal" if found.equal else "NOT EQUAL")


def run(asked: argparse.Namespace) -> list[record.Target]:
    """Run the trial, print and write the result."""
    machine = side.machine(asked.cores)
    work: Path = asked.work.resolve() / "crashes"
    shutil.rmtree(work, ignore_errors=True)
    found = trial(work, asked)
    show(found)
    result: dict[str, Any] = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {name: getattr(asked, name) for name in ("kills", "posts", "max_posts_per_epoch", "seed")},
        "hits": Counter(f"{hit.target} in {hit.phase}" for hit in found.hits),
        "starts": found.starts,
        "rows": found.rows,
        "lost": found.lost,
        "more": found.more,
        "left_behind": found.left_behind,
    }
    say(f"written to {record.write(result, 'crashes', asked.out).name}")
    differing = sum(found.lost.values()) + sum(found.more.values())
    if found.equal and not asked.keep:
        shutil.rmtree(work)
    return [record.Target("rows that differ", differing, 0, most=True)]


def options() -> argparse.ArgumentParser:
    """Return what can be asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.crashes", description=__doc__.partition("\n")[0])
    side.add_options(parser)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--posts", type=int, default=60_000)
    parser.add_argument("--max-posts-per-epoch", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--keep", action="store_true", help="leave the folders of both runs, also when they are equal")
    return parser


def main() -> None:
    """Read the options and run."""
    asked = options().parse_args()
    side.finish(lambda: run(asked))


if __name__ == "__main__":
    main()
