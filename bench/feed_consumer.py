"""A rank that is killed: reads a token set and appends a line for each batch to a file, until somebody ends it.

python -m bench.feed_consumer FOLDER MEMBER RANK WORLD BATCH LOG [STATE]
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from typing import Any

from pipelines.feed import TokenFeed

SEED = 7


def entry(batch: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return what a line says of a batch: place, sequence and checksum of each row, and the state behind it."""
    checksums = [zlib.crc32(row.tobytes()) for row in batch["tokens"]]
    rows = zip(batch["position"].tolist(), batch["sequence"].tolist(), checksums, strict=True)
    return {"rows": [row for row in rows if row[0] >= 0], "state": state}


def main() -> None:
    """Read until killed."""
    folder, member, rank, world, batch, log, *state = sys.argv[1:]
    feed = TokenFeed(folder, member, int(rank), int(world), SEED, int(batch))
    if state:
        feed.load_state_dict(json.loads(state[0]))
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for found in feed:
        os.write(file, (json.dumps(entry(found, feed.state_dict())) + "\n").encode())


if __name__ == "__main__":
    main()
