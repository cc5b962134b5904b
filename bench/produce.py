"""Send the lines of a file to Kafka at a rate, from a process of its own that takes little time from the others.

python -m bench.produce FILE --broker HOST:PORT --topic NAME --skip 20000 600x6000 5x0 5x120000

Each word is a stretch of SECONDSxRATE. A message carries, as its timestamp, when it was handed over. The
end of the file ends it. Prints one JSON line: how many lines were sent, and how many of them the broker did not take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench import measure, side
from bench.prepare import BenchError

TICK_SECONDS = 0.02
PATIENCE_MILLIS = 600_000  # how long a broker may be away before a message is given up
FLUSH_SECONDS = 600.0


@dataclass(frozen=True)
class Stretch:
    """So many seconds at so many lines a second.

    >>> str(Stretch.parse("600x6000"))
    '600x6000'
    """

    seconds: float
    rate: float

    @classmethod
    def parse(cls, word: str) -> Stretch:
        """Read SECONDSxRATE."""
        seconds, _, rate = word.partition("x")
        return cls(float(seconds), float(rate))

    def __str__(self) -> str:
        return f"{self.seconds:g}x{self.rate:g}"

    @property
    def lines(self) -> int:
        """Return how many lines it sends."""
        return round(self.seconds * self.rate)


def send(lines: Iterator[bytes], broker: str, topic: str, stretches: Sequence[Stretch]) -> dict[str, Any]:
    """Send lines, stretch by stretch, and wait until the broker has them."""
    failed: list[object] = []
    producer = Producer(
        {
            "bootstrap.servers": broker,
            "linger.ms": 50,
            "batch.num.messages": 20_000,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
            "enable.idempotence": True,  # a broker that is killed gets nothing twice
            "message.timeout.ms": PATIENCE_MILLIS,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failed.append(error),
            "log_level": 0,
        }
    )
    began = time.monotonic()
    sent = sum(_send_stretch(lines, producer, topic, stretch) for stretch in stretches)
    left = producer.flush(FLUSH_SECONDS)
    return {"sent": sent, "failed": len(failed) + left, "seconds": round(time.monotonic() - began, 3)}


def _send_stretch(lines: Iterator[bytes], producer: Producer, topic: str, stretch: Stretch) -> int:
    """Send what is due at every tick; return how many lines that were."""
    began, sent = time.monotonic(), 0
    while sent < stretch.lines or time.monotonic() - began < stretch.seconds:
        due = min(stretch.lines, round((time.monotonic() - began) * stretch.rate)) - sent
        some = list(islice(lines, due))
        for line in some:
            _put(producer, topic, line)
        sent += len(some)
        if len(some) < due:
            return sent  # the file has ended
        producer.poll(0)
        time.sleep(TICK_SECONDS)
    return sent


def _put(producer: Producer, topic: str, line: bytes) -> None:
    while True:
        try:
            return producer.produce(topic, line)
        except BufferError:  # the broker is away, or slower: wait until there is room
            producer.poll(0.1)


def start(file: Path, broker: str, topic: str, skip: int, stretches: Sequence[Stretch]) -> subprocess.Popen[bytes]:
    """Start a process that sends; `finish` waits for it."""
    command = [sys.executable, "-m", "bench.produce", str(file), "--broker", broker, "--topic", topic]
    command += ["--skip", str(skip), *map(str, stretches)]
    return measure.start(
        command, None, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, environment=side.our_environment()
    )


def finish(sender: subprocess.Popen[bytes]) -> int:
    """Wait for a process that sends and return how many lines it sent. Raises BenchError when some did not arrive."""
    out = sender.communicate()[0]
    if sender.returncode:
        raise BenchError(f"the producer ended with status {sender.returncode}")
    said = json.loads(out)
    if said["failed"]:
        raise BenchError(f"the broker did not take {said['failed']:,} of {said['sent']:,} lines")
    return int(said["sent"])


def main() -> None:
    """Read the options and send."""
    parser = argparse.ArgumentParser(prog="python -m bench.produce", description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("stretches", type=Stretch.parse, nargs="+", metavar="SECONDSxRATE")
    parser.add_argument("--broker", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--skip", type=int, default=0, help="so many lines from the start are not sent")
    asked = parser.parse_args()
    with asked.file.open("rb") as file:
        lines = (line.rstrip(b"\n") for line in islice(file, asked.skip, None))
        print(json.dumps(send(lines, asked.broker, asked.topic, asked.stretches)))


if __name__ == "__main__":
    main()
