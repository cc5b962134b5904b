"""Curate posts from Kafka as they are sent: how long each takes to a committed table, at which rate, at what cost.

python -m bench.stream --rate 6000 --seconds 600 --at-least 5800 --median-at-most 10 --p95-at-most 20

Broker, producer and `swarmfeed stream` share the cores. The posts are simulated beforehand, all of them different, and
sent at a fixed rate; then the stream is stopped, a backlog is sent, and the stream, started again, works it off as fast
as it can: the highest rate held.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import delays, maven, prepare, produce, record, side
from bench.delays import Epochs, Offsets, Times
from bench.kafka_broker import Broker
from bench.prepare import BenchError, say
from bench.produce import Stretch
from bench.record import MEBIBYTE, Target
from bench.stream_process import MAPPED, StreamProcess, Watch
from pipelines.simulate import Simulation, write

TOPIC = "posts"
WARM_UP_SECONDS = 10  # of posts that do not count
BACKLOG_RATE = 100_000
LOOK_SECONDS = 1.0
MINUTE = 60
START_SECONDS = 400.0  # the first run on a machine compiles kernels
DRAIN_SECONDS = 600.0
THIRD = 2  # the minute that memory and lag are compared with: by then everything has been used
PARTS = ("stream", "broker", "producer")


@dataclass
class Scene:
    """What runs, and what was seen of it."""

    broker: Broker
    stream: StreamProcess
    epochs: Epochs
    lines: Path
    sent: int = 0
    watch: Watch = field(default_factory=Watch)
    looked_at: list[float] = field(default_factory=list)  # Unix seconds of each sample of the watch


def send(scene: Scene, stretch: Stretch) -> tuple[float, float]:
    """Send a stretch of posts and watch everything meanwhile; return when it began and ended, in Unix seconds."""
    sender = produce.start(scene.lines, scene.broker.address, TOPIC, scene.sent, [stretch])
    began = time.time()
    try:
        while sender.poll() is None:
            look(scene, sender)
    except BaseException:
        sender.kill()
        raise
    scene.sent += produce.finish(sender)
    return began, time.time()


def look(scene: Scene, sender: subprocess.Popen[bytes] | None = None) -> None:
    """Take one sample, and as long as it takes until the next is due. Raises BenchError when the stream has ended."""
    began = time.monotonic()
    if scene.stream.status is not None:
        raise BenchError(f"the stream ended; the end of its log:\n{scene.stream.last_words()}")
    pids = (scene.stream.pid, scene.broker.pid, sender.pid if sender else None)
    roots = {name: pid for name, pid in zip(PARTS, pids, strict=True) if pid}
    scene.watch.look(roots)
    scene.looked_at.append(time.time())
    scene.epochs.look()
    time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - began)))


def drain(scene: Scene, seconds: float) -> None:
    """Wait until all that was sent is committed."""
    ends = delays.end_offsets(scene.broker.address, TOPIC)
    deadline = time.monotonic() + seconds
    while scene.epochs.done() != ends:
        if time.monotonic() > deadline:
            raise BenchError(f"after {seconds:.0f} s there were still posts that were not committed")
        look(scene)


def by_minute(at: list[float], values: list[float], span: tuple[float, float]) -> list[float]:
    """Return the mean of values of each whole minute of a span.

    >>> by_minute([0, 30, 61, 150], [1, 3, 5, 9], (0, 120))
    [2.0, 5.0]
    """
    minutes: list[list[float]] = [[] for _ in range(int((span[1] - span[0]) // MINUTE))]
    for moment, value in zip(at, values, strict=True):
        minute = int((moment - span[0]) // MINUTE)
        if 0 <= minute < len(minutes):
            minutes[minute].append(value)
    return [float(np.mean(some)) if some else float("nan") for some in minutes]


def growth(minutes: list[float]) -> float | None:
    """Return the last minute over the third, None when there are no four minutes.

    >>> growth([1, 1, 2, 3, 3]), growth([1, 2, 3])
    (1.5, None)
    """
    return minutes[-1] / minutes[THIRD] if len(minutes) > THIRD + 1 else None


def steady_rate(committed: list[tuple[float, Offsets]]) -> float | None:
    """Return the posts a second between the first commit and the last, None when there are no two.

    >>> steady_rate([(1.0, {0: 500}), (2.0, {0: 600}), (6.0, {0: 1000})])
    100.0
    """
    if len(committed) < 2:
        return None
    (first, start), (last, end) = committed[0], committed[-1]
    return (sum(end.values()) - sum(start.values())) / (last - first)


def at_rate(scene: Scene, asked: argparse.Namespace) -> dict[str, Any]:
    """Send at the rate asked for and return the figures."""
    send(scene, Stretch(WARM_UP_SECONDS, asked.rate))
    drain(scene, START_SECONDS)
    scene.watch, scene.looked_at = Watch(), []
    say(f"sending {asked.rate:,} posts a second for {asked.seconds:,} s")
    span = send(scene, Stretch(asked.seconds, asked.rate))
    cpu = scene.watch.cpu_seconds()
    drain(scene, DRAIN_SECONDS)
    committed = scene.epochs.committed()
    times = delays.sent_at(scene.broker.address, TOPIC)
    sent, took = delays.delays(times, committed)
    took = took[sent >= span[0]]
    within = [(at, end) for at, end in committed if span[0] <= at <= span[1]]
    moments: Times = np.arange(span[0], span[1])
    lags = delays.lag(times, committed, moments)
    memory, mapped = (
        [float(sample.get(name, 0)) for sample in scene.watch.samples] for name in ("stream", f"stream{MAPPED}")
    )
    return {
        "posts": len(took),
        "epochs": len(within),
        "posts_per_second": steady_rate(within),
        "delay_seconds": {
            "median": float(np.median(took)),
            "p95": float(np.percentile(took, 95)),
            "max": float(took.max()),
        },
        "lag_posts_by_minute": by_minute(moments.tolist(), lags.tolist(), span),
        "memory_bytes_by_minute": by_minute(scene.looked_at, memory, span),
        "mapped_bytes_by_minute": by_minute(scene.looked_at, mapped, span),
        "cpu_seconds": cpu,
        "seconds": span[1] - span[0],
    }


def highest(scene: Scene, posts: int) -> dict[str, Any]:
    """Let the stream work off a backlog and return how fast it was."""
    scene.stream.stop()
    say(f"sending a backlog of {posts:,} posts")
    done = len(scene.epochs.committed())
    backlog = produce.start(
        scene.lines, scene.broker.address, TOPIC, scene.sent, [Stretch(posts / BACKLOG_RATE, BACKLOG_RATE)]
    )
    scene.sent += produce.finish(backlog)
    scene.stream.start()
    drain(scene, START_SECONDS + DRAIN_SECONDS)
    return {"posts": posts, "posts_per_second": steady_rate(scene.epochs.committed()[done:])}


def targets(found: Mapping[str, Any], asked: argparse.Namespace) -> list[Target]:
    """Return what the figures are held to, as far as a bound was given."""
    delay = found["delay_seconds"]
    all_of_them = (
        Target("posts a second", found["posts_per_second"], asked.at_least),
        Target("median seconds from Kafka to table", delay["median"], asked.median_at_most, most=True),
        Target("95th percentile of it", delay["p95"], asked.p95_at_most, most=True),
        Target(
            "memory of the last minute over the third",
            growth(found["memory_bytes_by_minute"]),
            asked.memory_growth_at_most,
            most=True,
        ),
        Target(
            "lag of the last minute over the third",
            growth(found["lag_posts_by_minute"]),
            asked.lag_growth_at_most,
            most=True,
        ),
    )
    return [target for target in all_of_them if target.bound is not None]


def show(found: Mapping[str, Any], best: Mapping[str, Any] | None, held: list[Target]) -> None:
    """Print the figures."""
    console = Console(width=None if Console().is_terminal else 110)
    table = Table(title=f"{found['posts']:,} posts from Kafka, {found['epochs']} epochs")
    for heading in ("minute", "memory MiB", "mapped MiB", "lag, posts"):
        table.add_column(heading, justify="right")
    names = ("memory_bytes_by_minute", "mapped_bytes_by_minute", "lag_posts_by_minute")
    for minute, (memory, mapped, behind) in enumerate(zip(*(found[name] for name in names), strict=True), 1):
        table.add_row(str(minute), f"{memory / MEBIBYTE:,.0f}", f"{mapped / MEBIBYTE:,.0f}", f"{behind:,.0f}")
    console.print(table)
    console.print(f"posts a second: {_count(found['posts_per_second'])}")
    console.print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in found["delay_seconds"].items()))
    console.print("CPU seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in found["cpu_seconds"].items()))
    if best:
        console.print(f"highest rate held: {_count(best['posts_per_second'])} posts a second")
    for target in held:
        console.print(str(target))


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def run(asked: argparse.Namespace) -> list[Target]:
    """Run the benchmark, print and write the result."""
    machine = side.machine(asked.cores)
    os.sched_setaffinity(0, prepare.chosen_cores(asked.cores))  # inherited by all that is started
    work: Path = asked.work.resolve() / "stream"
    shutil.rmtree(work, ignore_errors=True)
    rows = round(asked.rate * (WARM_UP_SECONDS + asked.seconds)) + (asked.highest or 0)
    say(f"simulating {rows:,} posts")
    lines = work / "posts.jsonl"
    write(Simulation(rows, seed=asked.seed, rate=asked.rate, start=datetime.now(UTC)), lines)
    try:
        with Broker(work / "kafka") as broker:
            broker.create_topic(TOPIC, asked.cores)
            stream = StreamProcess(stream_words(broker, work / "out", asked), work / "stream.log", work / "scratch")
            with stream:
                scene = Scene(broker, stream, Epochs(work / "out"), lines)
                found = at_rate(scene, asked)
                best = highest(scene, asked.highest) if asked.highest else None
                stream.stop()
    finally:
        if not asked.keep:
            shutil.rmtree(work, ignore_errors=True)
    held = targets(found, asked)
    show(found, best, held)
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rate": asked.rate, "seconds": asked.seconds, "seed": asked.seed, "settings": asked.settings},
        "found": found,
        "highest": best,
        "targets": [target.entry() for target in held],
    }
    say(f"written to {record.write(result, 'stream', asked.out).name}")
    return held


def stream_words(broker: Broker, out: Path, asked: argparse.Namespace) -> list[str]:
    """Return the arguments of the stream."""
    words = [f"kafka://{broker.address}/{TOPIC}", "--out", str(out), "--master", f"local[{asked.cores}]"]
    jars = ",".join(map(str, maven.connector_jars()))
    return words + [word for setting in (f"spark.jars=[{jars}]", *asked.settings) for word in ("--set", setting)]


def options() -> argparse.ArgumentParser:
    """Return what can be asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__.partition("\n")[0])
    side.add_options(parser)
    parser.add_argument("--rate", type=int, default=6000, help="posts a second that are sent (%(default)s)")
    parser.add_argument("--seconds", type=int, default=600, help="for how long (%(default)s)")
    parser.add_argument("--highest", type=int, metavar="POSTS", help="then work off a backlog of so many posts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="a setting of the stream")
    parser.add_argument("--keep", action="store_true", help="leave posts, tables and logs in the work folder")
    parser.add_argument("--at-least", type=float, help="posts a second")
    parser.add_argument("--median-at-most", type=float, help="seconds from Kafka to table")
    parser.add_argument("--p95-at-most", type=float, help="seconds")
    parser.add_argument("--memory-growth-at-most", type=float, help="memory of the last minute over the third")
    parser.add_argument("--lag-growth-at-most", type=float, help="lag of the last minute over the third")
    return parser


def main() -> None:
    """Read the options and run."""
    asked = options().parse_args()
    side.finish(lambda: run(asked))


if __name__ == "__main__":
    main()
