"""Ranks that are killed at random moments, and whether what they take next is exactly what follows."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import feed_consumer
from bench.prepare import BenchError, say
from pipelines.feed import TokenFeed

RANKS = 8
SEED = 1
WAIT_SECONDS = 300
MEMBER = "kills"


class Kills:
    """Kill all ranks at random moments, go on from a state of one of them with another number of ranks, and compare."""

    def __init__(self, out: Path, work: Path) -> None:
        self._out, self._work = out, work
        self._draw = random.Random(SEED)
        self._processes = multiprocessing.get_context("forkserver")  # it imports what they need once
        self._processes.set_forkserver_preload(
            ["bench.feed_kills", "bench.side", "pipelines.tokens.packed"]
        )  # what the main module imports
        self._state: dict[str, Any] | None = None
        self._expected = self._undisturbed()
        self._held: list[list[int]] = []
        self.sequences = 0  # that were taken up to the states that were gone on from
        self.lost_batches = 0  # taken behind those states, and taken again
        self.by_world = dict.fromkeys(range(1, RANKS + 1), 0)

    def _undisturbed(self) -> Iterator[list[int]]:
        """Yield what one rank that nobody kills takes, a sequence at a time."""
        for batch in TokenFeed(self._out, MEMBER, seed=feed_consumer.SEED, batch=1):
            yield from feed_consumer.entry(batch, {})["rows"]

    def kill(self) -> bool:
        """Let some ranks read, kill them, and tell whether all that they took is what follows."""
        world, batch = self._draw.randint(1, RANKS), self._draw.randint(1, 4)
        logs = self._read(world, batch)
        full = min(map(len, logs))
        taken = self._draw.randint(0, full)  # the state that survived
        steps = [[log[step] for log in logs] for step in range(full)]
        rows = [sorted(row for line in step for row in line["rows"]) for step in steps]
        while len(self._held) < sum(map(len, rows)):
            self._held.append([int(value) for value in next(self._expected)])
        right = [row for step in rows for row in step] == self._held[: sum(map(len, rows))]
        right &= all(line["state"] == step[0]["state"] for step in steps for line in step)
        if taken:
            self._state = self._draw.choice(steps[taken - 1])["state"]
        done = sum(map(len, rows[:taken]))
        del self._held[:done]
        self.sequences += done
        self.lost_batches += sum(map(len, logs)) - taken * world
        self.by_world[world] += 1
        return right

    def _read(self, world: int, batch: int) -> list[list[dict[str, Any]]]:
        """Start ranks, kill them at a random moment and return the lines of each."""
        logs = [self._work / f"rank-{rank}.jsonl" for rank in range(world)]
        children = []
        for rank, log in enumerate(logs):
            log.unlink(missing_ok=True)
            told = feed_consumer.Rank(str(self._out), MEMBER, rank, world, batch, str(log), self._state)
            children.append(self._processes.Process(target=feed_consumer.consume, args=(told,), daemon=True))
            children[-1].start()
        try:
            self._wait(logs[self._draw.randrange(world)], self._draw.randint(1, 40))
            time.sleep(self._draw.random() / 50)
        finally:
            self._draw.shuffle(children)
            for child in children:
                child.kill()  # SIGKILL
            for child in children:
                child.join()
        return [_lines(log) for log in logs]

    def _wait(self, log: Path, lines: int) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while not log.exists() or log.read_bytes().count(b"\n") < lines:
            if time.monotonic() > until:
                raise BenchError(f"a rank took no {lines} batches in {WAIT_SECONDS} s")
            time.sleep(0.01)


def _lines(log: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log."""
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def kill_all(out: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Kill as often as was asked for and count how often what came next was exact."""
    kills = Kills(out, asked.work)
    exact = 0
    for number in range(asked.kills):
        exact += kills.kill()
        if number % 10 == 9:
            say(f"{exact} of {number + 1} kills resumed exactly; {kills.sequences:,} sequences in order")
    return {
        "kills": asked.kills,
        "exact": exact,
        "sequences": kills.sequences,
        "batches_taken_again": kills.lost_batches,
        "kills_by_ranks": {str(world): count for world, count in kills.by_world.items()},
    }
