"""Search invented posts for duplicates without Spark: stage them, search, teach the index, epoch after epoch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from filters.sketch import Sketch
from pipelines.duplicates import Expiry, Search, find_duplicates
from pipelines.duplicates.history import NoHistory
from pipelines.duplicates.keys import write_keys
from pipelines.duplicates.memory import write_records
from pipelines.duplicates.records import DAY_MICROS, Numbering, StagedRecords, micros_of
from pipelines.exchange import in_this_process, map_rows, read_box, write_rows
from pipelines.index import STAGED, Index, Learnt, open_index
from schemas import columns
from schemas.config import DuplicatesConfig
from schemas.post import POST

Post = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a search says of one post."""

    id: str
    link: tuple[str | None, str | None, int | None]  # what it duplicates, how, and which copy of it this is
    cluster: tuple[int | None, int | None]  # posts and authors


def staged(parts: Sequence[Sequence[Post]], folder: Path, config: DuplicatesConfig, epoch: int = 0) -> Search:
    """Write parts of posts as staged files, as stage_part would, with no history behind them."""
    files, keys, days = [], [], Counter[int]()
    folder.mkdir(parents=True, exist_ok=True)
    for number, posts in enumerate(parts):
        rows = [{**row, "extra": json.dumps({"edited_at": row["version"]})} for row in posts]
        clean = pa.array([{"text": row["text"], "changed": False} for row in rows], columns.CLEAN_TEXT)
        sketch = Sketch()(pa.RecordBatch.from_arrays([clean], names=["clean_text"]))
        table = pa.Table.from_pylist(rows, POST).append_column(pa.field("sketch", columns.SKETCH), sketch)
        files.append(str(folder / f"part-{number}.arrow"))
        keys.append(str(folder / f"keys-{number}.arrow"))
        write_rows(Path(files[-1]), table)
        write_keys(map_rows(files[-1]), Path(keys[-1]))
        days.update((micros_of(table) // DAY_MICROS).tolist())
    return Search(
        staged=StagedRecords(tuple(files), Numbering.of([epoch] * len(files), [len(part) for part in parts])),
        keys=tuple(keys),
        history=NoHistory(),
        config=config,
        expiry=Expiry.of(days, config.horizon_days),
        addresses=4,
        folder=str(folder / "search"),
        index_folder=str(folder / STAGED),
    )


class Curation:
    """An output folder's index and the epochs that go through it."""

    def __init__(self, root: Path, config: DuplicatesConfig, index: Index | None = None) -> None:
        self.root, self.config = root, config
        self.index = index or open_index(root, config)
        self.next_epoch = 0

    def epoch(self, parts: Sequence[Sequence[Post]], addresses: int = 4) -> list[list[Said]]:
        """Take parts of posts through one epoch and return what is said of each post, part by part."""
        search, learnt = self.search(parts, addresses)
        decisions = self.opened(search, learnt[0])
        self.teach(search, learnt[1])
        self.next_epoch += 1
        return [
            [_said(post, rows.get(number)) for number, post in enumerate(posts)]
            for posts, rows in zip(parts, decisions, strict=True)
        ]

    def search(self, parts: Sequence[Sequence[Post]], addresses: int = 4) -> tuple[Search, tuple[Any, Learnt]]:
        """Search, and return what was found and what the index is to learn, which it does not yet know."""
        folder = self.root / f"staging-{self.next_epoch}"
        bare = staged(parts, folder, self.config, self.next_epoch)
        days = Counter(self.index.days)
        for file in bare.staged.files:
            days.update((micros_of(map_rows(file)) // DAY_MICROS).tolist())
        expiry = Expiry.of(days, self.config.horizon_days)
        search = Search(
            bare.staged, bare.keys, self.index.history(), self.config, expiry, addresses, bare.folder, bare.index_folder
        )
        found = find_duplicates(in_this_process, search)
        records = [write_records(search, part) for part in range(len(parts))]
        held = {day: posts for day, posts in days.items() if expiry.holds(np.array(day))}
        return search, (
            found.decisions,
            Learnt(self.next_epoch, held, expiry, (*found.entries, *records, *found.copies)),
        )

    def teach(self, search: Search, learnt: Learnt) -> None:
        """Publish an epoch to the index, by way of JSON as the redo record does."""
        staging = Path(search.index_folder).parent
        self.index.apply(json.loads(json.dumps(self.index.plan(in_this_process, learnt, staging))), staging)

    @staticmethod
    def opened(search: Search, decisions: Sequence[str]) -> list[dict[int, dict[str, Any]]]:
        """What was said of each row of each part; a row with a kind counts before one without."""
        parts = []
        for part in range(len(search.staged.files)):
            rows = sorted(read_box(decisions, part).to_pylist(), key=lambda row: row["kind"] is not None)
            linked = [row["row"] for row in rows if row["kind"]]
            assert len(set(linked)) == len(linked)
            parts.append({row["row"]: row for row in rows})
        return parts


def _said(post: Post, row: dict[str, Any] | None) -> Said:
    alone = (1, 1 if post.get("author_id") else 0)
    if row is None:
        return Said(post["id"], (None, None, 1), alone)
    return Said(
        post["id"],
        (row["duplicate_of"], row["kind"], row["copy"]),
        (row["cluster_size"], row["cluster_authors"]) if row["cluster_size"] else alone,
    )
