"""Run a stream from Kafka for long under faults, then compare its tables with what was sent, row by row.

python -m bench.soak --minutes 60 --rate 1000

The driver, a Python worker, the JVM and the broker are killed in turn at moments drawn from a seed; whoever ends is
started again. The events are wild: bursts of twenty times the rate, quiet stretches, deletions of earlier posts,
accounts that go, repeats, clocks in the future, records that nothing can read.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import delays, maven, prepare, produce, record, side, soak_events
from bench.delays import Epochs
from bench.kafka_broker import Broker
from bench.prepare import BenchError, say
from bench.produce import Stretch
from bench.record import Target as Bound
from bench.soak_check import Delivered, Verdict, judge
from bench.stream_process import DOWN, StreamProcess, Target, Watch
from pipelines.tables import open_table

TOPIC = "events"
SLOTS = ("steady",) * 6 + ("burst",) * 3 + ("quiet",) * 3  # of equal length, in an order drawn from the seed
BURST_TIMES = 20
BURST_SECONDS = 10.0  # or a sixth of a slot where that is shorter
FAULTS_PER_MINUTE = 0.5
LEAST_FAULTS = 4  # one of each kind
BROKER_DOWN_SECONDS = (2.0, 20.0)
TICK_SECONDS = 0.25
WARM_UP_SECONDS = 2.0
LOOK_SECONDS = 5.0
EXCUSED_SECONDS = 120.0  # how long after a fault it may be why the stream ends
DRAIN_SECONDS = 1200.0
FORGET_MINUTES = 0.5


class Fault(StrEnum):
    """What is killed."""

    DRIVER = "driver"
    WORKER = "worker"
    JVM = "jvm"
    BROKER = "broker"


def fault_plan(seconds: float, chance: random.Random) -> list[tuple[float, Fault]]:
    """Return what is killed and when, in seconds from the start: each kind as often as any other, give or take one."""
    count = max(LEAST_FAULTS, round(seconds / 60 * FAULTS_PER_MINUTE))
    kinds: list[Fault] = []
    while len(kinds) < count:
        kinds += chance.sample(list(Fault), len(Fault))
    room = seconds / count
    return [((number + chance.uniform(0.3, 0.9)) * room, kinds[number]) for number in range(count)]


def stretches(seconds: float, rate: float, chance: random.Random) -> list[Stretch]:
    """Return at which rates events are sent: slots that are steady, begin with a burst, or are quiet for a half.

    >>> sum(stretch.seconds for stretch in stretches(120, 10, random.Random(1)))
    120.0
    """
    slot = seconds / len(SLOTS)
    found = []
    for kind in chance.sample(SLOTS, len(SLOTS)):
        special = {"steady": 0.0, "burst": min(BURST_SECONDS, slot / 6), "quiet": slot / 2}[kind]
        if special:
            found.append(Stretch(special, {"burst": rate * BURST_TIMES, "quiet": 0.0}[kind]))
        found.append(Stretch(slot - special, rate))
    return found


@dataclass
class Soak:
    """The stream, its broker, and everybody who hurts or mends them."""

    broker: Broker
    stream: StreamProcess
    epochs: Epochs
    plan: list[tuple[float, Fault]]
    chance: random.Random
    began: float = field(default_factory=time.monotonic)
    hits: Counter[str] = field(default_factory=Counter)  # FAULT in PHASE
    starts: int = 1
    unprovoked: list[str] = field(default_factory=list)  # ends that no fault explains
    watch: Watch = field(default_factory=Watch)
    memory: list[tuple[float, int]] = field(default_factory=list)  # minutes since the start, bytes of the stream
    _excused_until: float = 0.0  # an end before that follows from a fault
    _broker_back: float | None = None
    _next_look: float = 0.0

    def tick(self) -> None:
        """Mend what is due to be mended, kill what is due to be killed, look at the rest."""
        now = time.monotonic() - self.began
        self._mend(now)
        if self.plan and self.plan[0][0] <= now and self._hurt(self.plan[0][1], now):
            self.plan.pop(0)
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self.epochs.look()
            if self.stream.status is None:
                self.memory.append((now / 60, self.watch.look({"stream": self.stream.pid})["stream"]))
        time.sleep(TICK_SECONDS)

    def settle(self) -> None:
        """Wait until everything that was sent is committed."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.broker.pid is None:
            self.tick()
        ends = delays.end_offsets(self.broker.address, TOPIC)
        while self.epochs.done() != ends:
            if time.monotonic() > deadline:
                raise BenchError(f"there is a lag after {DRAIN_SECONDS:.0f} s:\n{self.stream.last_words()}")
            self.tick()

    def _mend(self, now: float) -> None:
        if self._broker_back is not None and now >= self._broker_back:
            self.broker.start()
            self._broker_back = None
        if self.stream.status is None:
            return
        if now > self._excused_until:
            self.unprovoked.append(f"status {self.stream.status}: {self.stream.last_words()[-500:]}")
            say(f"the stream ended by itself, {self.unprovoked[-1]}")
        self.stream.start()
        self.starts += 1
        if self.broker.pid is None:  # a stream cannot start without one
            self._excused_until = now + EXCUSED_SECONDS

    def _hurt(self, fault: Fault, now: float) -> bool:
        """Kill; False when there is nothing to be killed yet."""
        phase = self.stream.phase()
        if fault is Fault.BROKER:
            if self._broker_back is not None:
                return False
            self.broker.kill()
            self._broker_back = now + self.chance.uniform(*BROKER_DOWN_SECONDS)
        elif phase == DOWN or not self.stream.kill(Target(fault.value), self.chance.random()):
            return False
        if fault is not Fault.BROKER:
            self._excused_until = now + EXCUSED_SECONDS
        self.hits[f"{fault} in {phase}"] += 1
        say(f"minute {now / 60:.1f}: killed the {fault} in {phase}")
        return True


def open_tombstones(out: Path) -> int:
    """Return how many deletions are not done yet."""
    delta = open_table(out, "tombstones")
    if delta is None:
        return 0
    done = delta.to_pyarrow_dataset().to_table(columns=["done_at"]).column("done_at")
    return int(done.null_count)


def wait_for_deletions(soak: Soak, seconds: float) -> int:
    """Wait until no deletion is open, or for so many seconds; return how many are open then."""
    deadline = time.monotonic() + seconds
    while (left := open_tombstones(soak.epochs.out)) and time.monotonic() < deadline:
        soak.tick()
    return left


def write_events(asked: argparse.Namespace, sent: Sequence[Stretch], path: Path) -> Path:
    """Write the events of a soak to a file, a line each."""
    count = sum(stretch.lines for stretch in sent)
    say(f"making {count:,} events")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for event in soak_events.events(count, asked.seed, datetime.now(UTC), asked.rate):
            file.write(event + b"\n")
    return path


def soak(work: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Run the stream under faults and return what became of it."""
    chance = random.Random(asked.seed)
    seconds = asked.minutes * 60
    plan, sent = (
        fault_plan(seconds, chance),
        [Stretch(WARM_UP_SECONDS, asked.rate), *stretches(seconds, asked.rate, chance)],
    )
    events, out = write_events(asked, sent, work / "events.jsonl"), work / "out"
    with Broker(work / "kafka") as broker:
        broker.create_topic(TOPIC, asked.cores)
        stream = StreamProcess(stream_words(broker, out, asked), work / "stream.log", work / "scratch")
        with stream:
            warm = Soak(broker, stream, Epochs(out), [], chance)  # nothing is hurt until an epoch is done
            count = under_faults(warm, produce.start(events, broker.address, TOPIC, 0, sent[:1]))
            warm.settle()
            running = Soak(broker, stream, warm.epochs, plan, chance)
            count += under_faults(running, produce.start(events, broker.address, TOPIC, count, sent[1:]))
            running.settle()
            left = wait_for_deletions(running, asked.forget_seconds)
            summary = stream.stop()
            stragglers = stream.left_behind()
        delivered = Delivered()
        for message in delays.messages(broker.address, TOPIC):
            delivered.add(message.partition(), message.offset(), message.value() or b"")
    if sum(delivered.kinds.values()) != count:
        raise BenchError(f"{count:,} events were sent, the topic has {sum(delivered.kinds.values()):,}")
    return {
        "events": dict(delivered.kinds),
        "epochs": len(running.epochs.committed_at()),
        "faults": dict(running.hits),
        "faults_left": len(running.plan),
        "starts": running.starts,
        "unprovoked_ends": len(running.unprovoked),
        "left_behind": stragglers,
        "open_tombstones": left,
        "memory": running.memory,
        "cpu_seconds": running.watch.cpu_seconds(),
        "last_start": summary["epochs"],
        "verdict": judge(delivered, out),
    }


def under_faults(running: Soak, sender: subprocess.Popen[bytes]) -> int:
    """Hurt and mend until all is sent; return how many events that were."""
    try:
        while sender.poll() is None:
            running.tick()
    except BaseException:
        sender.kill()
        raise
    return produce.finish(sender)


def stream_words(broker: Broker, out: Path, asked: argparse.Namespace) -> list[str]:
    """Return the arguments of the stream."""
    words = [f"kafka://{broker.address}/{TOPIC}", "--out", str(out), "--format", "jetstream"]
    words += ["--master", f"local[{asked.cores}]"]
    jars = ",".join(map(str, maven.connector_jars()))
    settings = (f"spark.jars=[{jars}]", f"upkeep.forget_minutes={FORGET_MINUTES}", *asked.settings)
    return words + [word for setting in settings for word in ("--set", setting)]


def show(found: dict[str, Any]) -> None:
    """Print what happened and what is wrong."""
    console = Console(width=None if Console().is_terminal else 110)
    verdict: Verdict = found["verdict"]
    console.print(f"epochs: {found['epochs']:,}, starts: {found['starts']}")
    console.print("events: " + ", ".join(f"{count:,} {kind}" for kind, count in found["events"].items()))
    console.print("faults: " + ", ".join(f"{count} {what}" for what, count in sorted(found["faults"].items())))
    for name, value in asdict(verdict).items():
        console.print(f"{name.replace('_', ' ')}: {value:,}")


def run(asked: argparse.Namespace) -> list[Bound]:
    """Run the soak, print and write the result."""
    machine = side.machine(asked.cores)
    os.sched_setaffinity(0, prepare.chosen_cores(asked.cores))  # inherited by all that is started
    work: Path = asked.work.resolve() / "soak"
    shutil.rmtree(work, ignore_errors=True)
    found = soak(work, asked)
    show(found)
    verdict: Verdict = found["verdict"]
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {name: getattr(asked, name) for name in ("minutes", "rate", "seed", "settings")},
        **found,
        "verdict": asdict(verdict),
    }
    say(f"written to {record.write(result, 'soak', asked.out).name}")
    if verdict.clean and not asked.keep:
        shutil.rmtree(work)
    return [
        Bound("rows lost", verdict.lost, 0, most=True),
        Bound("rows doubled", verdict.doubled, 0, most=True),
        Bound("deleted posts that are kept", verdict.deleted_kept, 0, most=True),
        Bound("ends that no fault explains", found["unprovoked_ends"], 0, most=True),
    ]


def options() -> argparse.ArgumentParser:
    """Return what can be asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.partition("\n")[0])
    side.add_options(parser)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1000, help="events a second, when nothing else is on")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--forget-seconds", type=float, default=180, help="how long deletions may take at the end")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="a setting of the stream")
    parser.add_argument("--keep", action="store_true", help="leave events, tables and logs, also when all is well")
    return parser


def main() -> None:
    """Read the options and run."""
    asked = options().parse_args()
    side.finish(lambda: run(asked))


if __name__ == "__main__":
    main()
