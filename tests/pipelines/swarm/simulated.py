"""Simulated posts of a week in an output folder, and swarms that read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from epochs import Output

from pipelines.exchange import in_this_process
from pipelines.simulate import Simulation, write
from pipelines.sources import plan_splits, read_split
from pipelines.swarm.publishing import PublishOrder, run_publish
from pipelines.tokens import sets
from pipelines.upkeep.forgetting import forget
from pipelines.upkeep.requests import Request, leave
from schemas.config import InputConfig
from schemas.swarm import Swarm
from schemas.tokens import Manifest

LINES = 4000
DAYS = 7
LATE = datetime(2026, 1, 5, 12, tzinfo=UTC)

WORDS = [
    "harbour",
    "walnut",
    "bridge",
    "choir",
    "ferry",
    "lantern",
    "museum",
    "orchard",
    "quarry",
    "violin",
    "market",
    "teacher",
    "garden",
    "winter",
    "river",
    "stone",
    "paper",
    "engine",
    "island",
    "baker",
    "ladder",
    "window",
    "summer",
    "captain",
    "copper",
    "meadow",
    "village",
    "letter",
    "basket",
    "candle",
    "mirror",
    "thunder",
    "carpet",
    "shoulder",
    "pocket",
    "forest",
    "butter",
    "castle",
    "silver",
    "needle",
    "feather",
    "planet",
    "kitchen",
    "blanket",
    "hammer",
    "tunnel",
]

MEMBERS: dict[str, Any] = {
    "all": {"window": {"days": 3}, "context_tokens": 512, "replay": {"share": 0.3, "days": 2}},
    "small": {
        "window": {"days": 3},
        "languages": ["en", "es", "ja"],
        "budget_tokens": 9000,
        "mix": {"by": "language", "shares": {"en": 0.5, "ja": 0.25, "es": 0.25}},
        "caps": {"author": 2, "campaign": 1},
        "context_tokens": 512,
        "replay": {"share": 0.1, "days": 2},
    },
}


def swarm(members: dict[str, Any] | None = None, **more: Any) -> Swarm:
    """A swarm file."""
    return Swarm.parse({"members": members or MEMBERS, **more})


def simulate(folder: Path) -> Path:
    """Curate simulated posts of a week, take out what must go, and return the output folder."""
    raw = folder / "posts.jsonl"
    write(Simulation(posts=LINES, seed=3, rate=LINES / (DAYS * 86_400)), raw)
    out = folder / "curated"
    read = [records for split in plan_splits([str(raw)], InputConfig()) for records in read_split(split, InputConfig())]
    posts, events = (pa.concat_batches([getattr(one, name) for one in read]) for name in ("posts", "tombstones"))
    Output(out).epoch(posts.to_pylist(), events.to_pylist())
    forget(Output(out).upkeep())
    return out


def add_posts(out: Path, posts: Sequence[dict[str, Any]]) -> None:
    """Curate more posts into a folder."""
    Output(out).epoch(posts)


def forget_posts(out: Path, *ids: str) -> None:
    """Take posts out of a folder."""
    leave(out, Request(ids=ids))
    forget(Output(out).upkeep())


def late_post(number: int, **more: Any) -> dict[str, Any]:
    """A post that nobody made before."""
    words = np.random.default_rng(number).permutation(WORDS)[:14]
    text = f"{' '.join(words)}. ".capitalize()
    made = LATE + timedelta(minutes=number)
    return {"id": f"late{number}", "author_id": f"late-author{number}", "created_at": made, "text": text, **more}


def publish(out: Path, file: Swarm | None = None, until: int | None = None) -> dict[str, Any]:
    """Publish and return what became of each member."""
    told: dict[str, Any] = run_publish(asked(out, file, until))["members"]
    return told


def asked(out: Path, file: Swarm | None = None, until: int | None = None) -> PublishOrder:
    """What is asked of a command, done in this process."""
    return PublishOrder(out, file or swarm(), until=until, run=in_this_process)


def newest(out: Path, member: str) -> Manifest:
    """The newest version of a member."""
    return sets.current(out, member)[-1]


def shards(out: Path, manifest: Manifest) -> dict[str, bytes]:
    """The bytes of every shard of a version."""
    folder = out / sets.folder_name(manifest)
    return {shard.file: (folder / shard.file).read_bytes() for shard in manifest.shards}
