"""A rank that is killed: reads a token set and appends a line for each batch to a file, until somebody ends it."""

from __future__ import annotations

import json
import os
import time
import zlib
from typing import Any, NamedTuple

from pipelines.feed import TokenFeed

SEED = 7
STEP_SECONDS = 0.005  # a trainer's step


class Rank(NamedTuple):
    """Which rank reads what, from which state on, and where it writes its lines."""

    folder: str
    member: str
    rank: int
    world: int
    batch: int
    log: str
    state: dict[str, Any] | None


def entry(batch: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return what a line says of a batch: place, sequence and checksum of each row, and the state behind it."""
    checksums = [zlib.crc32(row.tobytes()) for row in batch["tokens"]]
    rows = zip(batch["position"].tolist(), batch["sequence"].tolist(), checksums, strict=True)
    return {"rows": [row for row in rows if row[0] >= 0], "state": state}


def consume(rank: Rank) -> None:
    """Read until killed."""
    feed = TokenFeed(rank.folder, rank.member, rank.rank, rank.world, SEED, rank.batch)
    if rank.state is not None:
        feed.load_state_dict(rank.state)
    file = os.open(rank.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for found in feed:
        time.sleep(STEP_SECONDS)
        os.write(file, (json.dumps(entry(found, feed.state_dict())) + "\n").encode())
