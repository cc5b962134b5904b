"""What each phase of a step costs, in this process and on one core: the figures behind docs/scale.md.

python -m bench.phases --rows 200000 --real-data DIR

CPU seconds, bytes on disk and tokens for each million real posts; the index for each million posts that it holds; how
the cost of a look-up grows with the history; and what a redis-server of this command's own needs to keep the same.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

import filters
from bench import disk, prepare, record, side
from bench.cluster import held_bytes
from bench.prepare import BenchError, say
from bench.record import Target
from filters.kernels.sorted_keys import find_sorted
from filters.stage import configure
from pipelines.deciding import DecidedPart, DecisionPlan, decide_part
from pipelines.duplicates import Findings, Search
from pipelines.duplicates.choice import choose_owners
from pipelines.duplicates.clusters import count_clusters
from pipelines.duplicates.history import RunFile, write_run
from pipelines.duplicates.keys import Keys
from pipelines.duplicates.owners import find_owners
from pipelines.exchange import in_this_process, map_rows, read_box
from pipelines.index import Learnt, open_index
from pipelines.index.compaction import merge
from pipelines.index.embedded import FAN_OUT
from pipelines.sources import plan_splits, read_split
from pipelines.staging import StagedPart, Workplan, stage_part
from pipelines.step import StepResult, Workshop, lay_out_search
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.config import Config

MILLION = 1_000_000
WARM_ROWS = 2000
TOKEN_SET = "sets/default/v000001"
CORES = 2  # addresses are no fewer: as on two cores
EVERY_DAY = 36_500  # a horizon that holds all posts
REDIS_KEYS = 200_000  # looked up
PACKED = {"default": (), "unpacked": ("--hash-max-listpack-entries", "4")}  # as hashes that have outgrown packing
LOOKED_UP = 1 << 20
HISTORY_TIMES = (1, 8, 64)
LOOK_UPS = 5  # the fastest counts
READY_SECONDS = 20.0
T = TypeVar("T")


@dataclass
class Cost:
    """What an epoch cost: CPU seconds by phase, bytes by what they are for, counts; and what the index learnt."""

    posts: int = 0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    held: int = 0  # posts the index holds on to
    learnt_bytes: dict[str, int] = field(default_factory=dict)  # by kind of file
    learnt_rows: dict[str, int] = field(default_factory=dict)

    def clock(self, phase: str, work: Callable[[], T]) -> T:
        """Do some work and count its processor time."""
        began = time.process_time()
        done = work()
        self.cpu_seconds[phase] = time.process_time() - began
        return done

    def per_million(self) -> dict[str, float]:
        """Return what a million posts cost; of the index, what a million posts cost that it holds on to."""
        read, held = MILLION / self.posts, MILLION / self.held
        return (
            {f"CPU s, {phase}": seconds * read for phase, seconds in self.cpu_seconds.items()}
            | {"CPU s, together": sum(self.cpu_seconds.values()) * read}
            | {f"MB, {name}": size / self.posts for name, size in self.bytes.items()}
            | {name: count * read for name, count in self.counts.items()}
            | {f"index MB, {kind}": size / self.held for kind, size in self.learnt_bytes.items()}
            | {f"index rows, {kind}": rows * held for kind, rows in self.learnt_rows.items()}
        )


def take_step(files: Sequence[Path], config: Config, root: Path) -> tuple[Cost, Learnt, Workshop]:
    """Take one epoch through every phase below `root`, which is emptied; publish nothing."""
    shop = _shop(config, root)
    cost, result = Cost(), StepResult(0, TOKEN_SET)
    plan, splits = Workplan(shop.stages[:-1], str(shop.staging)), plan_splits(list(map(str, files)), config.input)

    def stage(part: int) -> StagedPart:
        return stage_part(part, splits[part].path, read_split(splits[part], config.input), plan)

    result.staged = cost.clock("stage", lambda: in_this_process(len(splits), stage))
    cost.posts = sum(part.posts for part in result.staged)
    search = lay_out_search(result, shop, CORES)
    finish = Finish(cost, shop, search)
    findings = finish.compare()
    decided = finish.decide(findings.decisions)
    days = sum((Counter(part.days) for part in result.staged), Counter())
    held = {day: posts for day, posts in days.items() if search.expiry.holds(np.array(day))}
    records = [part.records for part in decided if part.records is not None]
    learnt = Learnt(0, held, search.expiry, (*findings.entries, *records, *findings.copies))
    cost.bytes |= _bytes(shop.staging, result)
    cost.held, cost.counts = sum(held.values()), _counts(decided)
    _count_learnt(cost, learnt.files)
    return cost, learnt, shop


@dataclass(frozen=True)
class Finish:
    """The second half of a step, a phase at a time."""

    cost: Cost
    shop: Workshop
    search: Search

    def compare(self) -> Findings:
        """Do what `find_duplicates` does, and count each of its rounds by itself."""
        search, clock, run = self.search, self.cost.clock, in_this_process
        parts = len(search.staged.files)
        owners = clock("owners", lambda: run(search.addresses, partial(find_owners, search)))
        links = [found.links for found in owners]
        members = [one.members for one in clock("choice", lambda: run(parts, partial(choose_owners, search, links)))]
        counted = clock("clusters", lambda: run(search.addresses, partial(count_clusters, search, members)))
        said = tuple(one.decisions for one in counted)
        self.cost.bytes |= {"links": _size(links), "members": _size(members), "decisions": _size(said)}
        return Findings(said, tuple(found.entries for found in owners), tuple(one.copies for one in counted))

    def decide(self, said: Sequence[str]) -> list[DecidedPart]:
        """Decide every part."""
        shop = self.shop
        folders = str(shop.staging), str(shop.staging / TOKEN_SET)
        plan = DecisionPlan(shop.stages, shop.tokenizer, *folders, shop.config.tokens.shard_tokens, self.search)
        return self.cost.clock(
            "decide",
            lambda: in_this_process(
                len(self.search.staged.files), lambda part: decide_part(part, part, read_box(said, part), plan)
            ),
        )


def _shop(config: Config, root: Path) -> Workshop:
    shutil.rmtree(root, ignore_errors=True)
    staging = root / "staging"
    (staging / TOKEN_SET).mkdir(parents=True)
    nowhere = cast(SparkSession, None)  # the phases know no Spark
    stages = configure(filters.STAGES, config.stages)
    tokenizer = load_tokenizer(config.tokens.tokenizer)
    return Workshop(nowhere, config, stages, tokenizer, open_index(root, config.duplicates), root, staging)


def _bytes(staging: Path, result: StepResult) -> dict[str, int]:
    """Return what lies in the staging folder, by what it is for."""
    return {
        "staged posts": _size([part.file for part in result.staged]),
        "keys": _size([part.keys for part in result.staged]),
        "posts table": disk.folder_bytes(staging / "posts"),
        "documents table": disk.folder_bytes(staging / "documents"),
        "token set": disk.folder_bytes(staging / TOKEN_SET),
    }


def _size(paths: Sequence[str]) -> int:
    return sum(Path(path).stat().st_size for path in paths)


def _counts(decided: Sequence[DecidedPart]) -> dict[str, int]:
    return {
        "kept": sum(part.kept for part in decided),
        "duplicates": sum(sum(part.kinds.values()) for part in decided),
        "tokens": sum(one.shard.tokens for part in decided for one in part.shards),
    }


def _count_learnt(cost: Cost, files: Sequence[RunFile]) -> None:
    for kind in ("entries", "records", "copies"):
        of_kind = [file for file in files if file.kind == kind]
        cost.learnt_bytes[kind] = _size([file.path for file in of_kind])
        cost.learnt_rows[kind] = sum(file.rows for file in of_kind)


def look_up() -> dict[str, float]:
    """Return the CPU nanoseconds that a key costs which is looked up in a history, by how much longer that is."""
    chance = np.random.default_rng(1)
    found = {}
    for times in HISTORY_TIMES:
        gaps = (1 << 63) // (LOOKED_UP * times)  # keys spread evenly: sorted without sorting
        held = np.cumsum(chance.integers(1, 2 * gaps, LOOKED_UP * times, dtype=np.uint64))
        wanted = np.sort(chance.integers(0, held[-1], LOOKED_UP, dtype=np.uint64))
        find_sorted(wanted[:10], held[:10])  # compiled
        seconds = []
        for _ in range(LOOK_UPS):
            began = time.process_time()
            find_sorted(wanted, held)
            seconds.append(time.process_time() - began)
        found[f"{times} times as long"] = min(seconds) / LOOKED_UP * 1e9
    return found


def compaction(learnt: Learnt, folder: Path) -> dict[str, float]:
    """Return the CPU microseconds that a row costs when runs of an index are merged, by kind.

    The runs are the learnt files dealt out row by row, so their keys lie among each other as those of epochs do.
    """
    found = {}
    for kind in ("entries", "records"):
        learnt_rows = [map_rows(file.path) for file in learnt.files if file.kind == kind and file.rows]
        dealt = [rows.take(np.arange(run, rows.num_rows, FAN_OUT)) for rows in learnt_rows for run in range(FAN_OUT)]
        files = [write_run(str(folder), kind, rows.combine_chunks()) for rows in dealt]
        began = time.process_time()
        merge(in_this_process, files, learnt.expiry, str(folder))
        found[kind] = (time.process_time() - began) / sum(file.rows for file in files) * 1e6
    return found


# --- Redis ------------------------------------------------------------------------------------------------------------


def redis_bytes(files: Sequence[Path], options: Sequence[str], work: Path) -> dict[str, float]:
    """Teach a new redis-server one epoch of posts, all within the horizon; return bytes a post and CPU seconds."""
    with redis_server(options, work) as (url, memory):
        empty = memory()
        config = Config.parse({"duplicates": {"index": url, "horizon_days": EVERY_DAY}})
        cost, learnt, shop = take_step(files, config, work / "redis")
        keys = _keys(learnt)
        began = time.process_time()
        shop.index.apply(shop.index.plan(in_this_process, learnt, shop.staging), shop.staging)
        taught = time.process_time()
        shop.index.history().owners(keys)
        return {
            "posts": cost.held,
            "bytes a post": (memory() - empty) / cost.held,
            "client CPU s to write a million posts": (taught - began) / cost.held * MILLION,
            "client CPU microseconds to look up a key": (time.process_time() - taught) / len(keys) * 1e6,
        }


def _keys(learnt: Learnt) -> Keys:
    """Return some of the keys that an epoch left, sorted and distinct."""
    entries = next(file for file in learnt.files if file.kind == "entries")
    return np.unique(np.asarray(map_rows(entries.path).column("key")))[:REDIS_KEYS]


@contextmanager
def redis_server(options: Sequence[str], work: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """Run a redis-server on loopback; hand out its URL and what tells the bytes it uses. Raises BenchError without."""
    import redis

    program = shutil.which("redis-server")
    if program is None:
        raise BenchError("redis-server is missing: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
    server = subprocess.Popen([program, *words], cwd=work, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            deadline = time.monotonic() + READY_SECONDS
            while not _answers(client):
                if time.monotonic() > deadline:
                    raise BenchError("redis-server did not start")
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0", lambda: int(client.info("memory")["used_memory"])
    finally:
        server.terminate()
        server.wait()


def _answers(client: Any) -> bool:
    import redis

    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False


# --- the command ------------------------------------------------------------------------------------------------------


def measure_all(asked: argparse.Namespace) -> list[Target]:
    """Measure, print and write the result file."""
    machine = side.machine(1)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    work = asked.work.resolve() / "phases"
    files = prepare.post_files(asked.real_data.resolve())

    def first(rows: int) -> list[Path]:
        return sorted(prepare.input_folder(files, rows, 1, work / f"first-{rows}")[0].iterdir())

    take_step(first(WARM_ROWS), Config(), work / "warm")
    found, cost = measure_step(first(asked.rows), asked.repeats, work)
    found["look_up_nanoseconds"] = look_up()
    found["redis"] = [
        {"settings": name, **redis_bytes(first(rows), options, work)}
        for rows in asked.redis_rows
        for name, options in PACKED.items()
    ]
    show(found)
    config = {"rows": cost.posts, "posts_held": cost.held, "repeats": asked.repeats}
    config["split_rows"] = Config().input.split_rows
    result = {"hardware": machine, "versions": record.versions(), "config": config, **found}
    say(f"written to {record.write(result, 'phases', asked.out).name}")
    return []


def measure_step(posts: Sequence[Path], repeats: int, work: Path) -> tuple[dict[str, Any], Cost]:
    """Take a step several times; return what the cheapest cost (what disturbs only makes it dearer), and the peak."""
    say("every phase, one after the other")
    _forget_peak()
    steps = [take_step(posts, Config(), work / "step") for _ in range(repeats)]
    peak = held_bytes(os.getpid())[1]
    cost = min((one for one, _, _ in steps), key=lambda one: sum(one.cpu_seconds.values()))
    found = {
        "per_million": cost.per_million(),
        "peak_bytes_of_the_process": peak,
        "compaction_microseconds_a_row": compaction(steps[-1][1], work / "merged"),
    }
    return found, cost


def _forget_peak() -> None:
    """Let the peak of this process begin anew: what it has read to lay out the input does not count."""
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")


def show(found: Mapping[str, Any]) -> None:
    """Print what was measured."""
    table = Table(title="for each million posts, one core")
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in found["per_million"].items():
        table.add_row(name, f"{value:,.1f}")
    console = Console(width=None if Console().is_terminal else 110)
    console.print(table)
    console.print(f"peak of the process: {found['peak_bytes_of_the_process'] / (1 << 20):,.0f} MiB")
    for name, value in found["compaction_microseconds_a_row"].items():
        console.print(f"{name} merged: {value:.2f} microseconds a row")
    for name, value in found["look_up_nanoseconds"].items():
        console.print(f"a key looked up in a history {name}: {value:.0f} ns")
    for line in found["redis"]:
        console.print(
            f"Redis, {line['settings']}, {line['posts']:,.0f} posts: {line['bytes a post']:,.0f} bytes a post"
        )


def main() -> None:
    """Measure every phase; print a table and write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.phases", description=__doc__.partition("\n")[0])
    side.add_options(made, rows=200_000)
    made.add_argument("--redis-rows", type=int, nargs="*", default=[20_000, 300_000], help="posts that Redis is taught")
    asked = made.parse_args()
    if min(asked.rows, asked.repeats, *asked.redis_rows) < 1:
        made.error("--rows, --repeats and --redis-rows are at least 1")
    side.finish(lambda: measure_all(asked))


if __name__ == "__main__":
    main()
