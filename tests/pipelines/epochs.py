"""An output folder made epoch by epoch, by the real step and the real index, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import filters
from filters.stage import configure
from pipelines import report, summary, tables
from pipelines import step as stepping
from pipelines.exchange import Run, in_this_process
from pipelines.index import open_index
from pipelines.ledger import Change, claim, publish
from pipelines.sources import Records
from pipelines.staging import Workplan, stage_part
from pipelines.tables import open_table
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep import Upkeep
from schemas.config import Config
from schemas.post import POST, QUARANTINE, TOMBSTONE

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
Row = dict[str, Any]
WORDS = [
    "The ferry to the island leaves at seven from the old stone pier near the market.",
    "My grandmother bakes rye bread with caraway every Saturday before the sun comes up.",
    "Nobody in our street remembers who planted the walnut tree beside the bus stop.",
    "The library will stay open until nine this week because of the reading marathon.",
    "After two years of work the village has its own small brewery and a choir again.",
    "We counted fourteen storks on the meadow behind the school, more than ever before.",
    "Someone left a perfectly good cello on the platform of the northern railway station.",
    "The new bridge is narrower than the old one, but it does not shake in the wind.",
]


def post(name: str, words: int | str, minutes: int = 0, **more: Any) -> dict[str, Any]:
    """Make a post."""
    text = WORDS[words] if isinstance(words, int) else words
    author = more.pop("author", f"author-of-{name}")
    made = AT + timedelta(minutes=minutes)
    return {"id": name, "author_id": author, "created_at": made, "text": text, "source": "test", **more}


def everywhere(root: Path, word: str) -> list[str]:
    """Every file whose plain or decoded content says a word."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.read_table(path, partitioning=None).to_pylist()).encode()
        if word.encode() in content:
            found.append(str(path.relative_to(root)))
    return found


@dataclass(frozen=True)
class Here(stepping.Workshop):
    """Works in this process."""

    @property
    def run(self) -> Run:
        """Do tasks one after the other."""
        return in_this_process


@dataclass(frozen=True)
class Output:
    """A folder that epochs go into."""

    root: Path
    config: Config = field(default_factory=Config)

    @property
    def schemas(self) -> dict[str, pa.Schema]:
        """The tables there."""
        return tables.table_schemas(configure(filters.STAGES, self.config.stages))

    def epoch(self, posts: Sequence[Row], events: Sequence[Row] = (), bad: Sequence[Row] = ()) -> Row:
        """Take posts, tombstones and quarantined records through one epoch and write its report."""
        stages = configure(filters.STAGES, self.config.stages)
        index = open_index(self.root, self.config.duplicates)
        with claim(self.root, self.schemas, index) as staging:
            epoch = len(tables.epochs(self.root))
            spark: Any = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=2))
            shop = Here(spark, self.config, stages, load_tokenizer("default"), index, self.root, staging)
            result = stepping.StepResult(epoch, sets.next_version(self.root, "default"), seconds={"stage": 1.0})
            (staging / result.token_set).mkdir(parents=True)
            rows = zip((posts, events, bad), (POST, TOMBSTONE, QUARANTINE), strict=True)
            records = Records(*(pa.RecordBatch.from_pylist(list(some), schema=schema) for some, schema in rows))
            result.staged = [stage_part(0, "here.jsonl", [records], Workplan(stages[:-1], str(staging), epoch))]
            stepping.finish(result, shop)
            totals = summary.summarise(result, shop)
            files = tuple(file for part in (*result.staged, *result.decided) for file in part.files)
            metadata = {"swarmfeed.epoch": str(epoch), "swarmfeed.config": totals["config_hash"]}
            folders = (result.token_set,) if totals["tokens"]["kept"] else ()
            change = Change({tables.EPOCHS: epoch}, AT, metadata, files, folders=folders, index=result.index)
            publish(self.root, change, self.schemas, index)
        return report.write(self.root, {**totals, "seconds": 1.0, "startup_seconds": 0.0, "posts_per_second": 1.0})

    def upkeep(self) -> Upkeep:
        """What its upkeep is done with."""
        index = open_index(self.root, self.config.duplicates)
        return Upkeep(self.root, self.schemas, self.config, index, in_this_process)

    def rows(self, table: str) -> list[Row]:
        """Every row of a table."""
        delta = open_table(self.root, table)
        rows: list[Row] = delta.to_pyarrow_table().to_pylist() if delta is not None else []
        return rows

    def tokens(self) -> dict[str, list[int]]:
        """Token ids by document, of the versions a trainer reads."""
        shards = [
            self.root / sets.folder_name(manifest) / shard.file
            for manifest in sets.current(self.root, "default")
            for shard in manifest.shards
        ]
        rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
        assert len({row["document_id"] for row in rows}) == len(rows)
        return {row["document_id"]: row["tokens"] for row in rows}
