"""An output folder that gains tiny epochs: rows that a real epoch left, under other ids, by the real writers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import invented_output
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import filters
from filters.stage import configure
from pipelines import tables
from pipelines.exchange import in_this_process
from pipelines.index import STATE, open_index
from pipelines.ledger import Change, empty, publish
from pipelines.tables import DataFile, DataFileWriter
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep import Upkeep
from schemas.config import Config
from schemas.post import QUARANTINE
from schemas.tokens import DOCUMENT

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SCHEMAS = tables.table_schemas(configure(filters.STAGES, {}))


@cache
def template() -> dict[str, pa.Table]:
    """One kept and one rejected post with every stage column, and the document of the first."""
    texts = ["We walked along the river and watched the boats until it was dark.", "ok"]
    posts = [{"id": f"t{n}", "text": text, "created_at": NOON, "source": "x"} for n, text in enumerate(texts)]
    with TemporaryDirectory() as folder:
        invented_output.curate(Path(folder), posts)
        found = {}
        for table in ("posts", "documents"):
            delta = tables.open_table(Path(folder), table)
            assert delta is not None
            found[table] = delta.to_pyarrow_table()
    assert found["posts"].num_rows == 2
    assert found["documents"].num_rows == 1
    return found


def keep(out: Path, **settings: Any) -> Upkeep:
    """Return what keeps an output folder up, in this process."""
    config = Config.parse({"upkeep": settings, "tokens": {"shard_tokens": 4000}})
    return Upkeep(out, SCHEMAS, config, open_index(out, config.duplicates), in_this_process)


@dataclass
class Feed:
    """Adds epochs of `posts` kept posts, a rejected one and a quarantined record."""

    out: Path
    posts: int = 2
    epoch: int = 0
    tombstones: str = ""  # open, done or none

    def add(self, count: int = 1) -> None:
        """Add some epochs."""
        for _ in range(count):
            self._add(empty(self.out / STATE / "staging"))
            self.epoch += 1

    def _add(self, staging: Path) -> None:
        documents = self._documents()
        token_set = sets.next_version(self.out, "default")
        tokenizer = load_tokenizer("default")
        shards = sets.write_shards([documents], tokenizer, staging / token_set, "000000", 4000)
        sets.finish(staging / token_set, shards, sets.Origin("c0ffee", {}, tokenizer))
        files = [self._write(staging, "documents", documents)]
        for route, count in (("kept", self.posts), ("rejected", 1)):
            rows = template()["posts"].filter(pc.field("route") == route)
            files.append(self._write(staging, "posts", self._posts(rows, count), {"route": route}))
        bad = pa.RecordBatch.from_pylist([{"raw": b"{", "fault": "bad_json", "line": self.epoch}], schema=QUARANTINE)
        files.append(self._write(staging, "quarantine", bad))
        if self.tombstones:
            done = NOON if self.tombstones == "done" else None
            gone = [{"kind": "post_deleted", "post_id": f"gone-{self.epoch}", "event_at": NOON, "done_at": done}]
            schema = SCHEMAS["tombstones"]
            files.append(self._write(staging, "tombstones", pa.RecordBatch.from_pylist(gone, schema=schema)))
        metadata = {"swarmfeed.epoch": str(self.epoch), "swarmfeed.input": f"tiny:{self.epoch}"}
        change = Change({tables.EPOCHS: self.epoch}, NOON, metadata, tuple(files), folders=(token_set,))
        publish(self.out, change, SCHEMAS)

    def _posts(self, rows: pa.Table, count: int) -> pa.Table:
        route = rows.column("route")[0].as_py()
        rows = pa.concat_tables([rows] * count)
        ids = [f"{route}-{self.epoch:05d}-{number}" for number in range(count)]
        times = [self._time(number) if number % 5 or route == "kept" else None for number in range(count)]
        rows = _set(rows, "id", ids)
        rows = _set(rows, "created_at", times)
        rows = _set(rows, "epoch", [self.epoch] * count)
        return rows.sort_by([("created_at", "ascending"), ("id", "ascending")])

    def _documents(self) -> pa.RecordBatch:
        document = template()["documents"].to_pylist()[0]
        rows = []
        for number in range(self.posts):
            name = f"kept-{self.epoch:05d}-{number}"
            rows.append({**document, "document_id": name, "post_ids": [name], "created_at": self._time(number)})
        rows.sort(key=lambda row: (row["created_at"], row["document_id"]))
        return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT)

    def _time(self, number: int) -> datetime:
        """Times of neighbouring epochs lie among each other, and some are equal."""
        return NOON + timedelta(seconds=self.epoch * 2 + number * 37 % 11)

    def _write(
        self, staging: Path, table: str, rows: pa.RecordBatch | pa.Table, partition: dict[str, str] | None = None
    ) -> DataFile:
        writer = DataFileWriter(staging, table, SCHEMAS[table], partition)
        writer.write(rows)
        file = writer.finish()
        assert file is not None
        return file


def _set(rows: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


def table_rows(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, in an order that does not depend on files."""
    found = {}
    for table in SCHEMAS:
        rows = [row for file in tables.table_files(out, table) for row in pq.ParquetFile(file).read().to_pylist()]
        found[table] = sorted(rows, key=str)
    return found


def token_rows(out: Path) -> list[dict[str, Any]]:
    """Every row that a trainer reads."""
    found: list[dict[str, Any]] = []
    for manifest in sets.current(out, "default"):
        folder = out / sets.folder_name(manifest)
        assert sets.verify(folder) == []
        for shard in manifest.shards:
            found += pq.read_table(folder / shard.file).to_pylist()
    return sorted(found, key=lambda row: row["document_id"])


def everything(out: Path) -> tuple[Any, ...]:
    """What compaction must not change."""
    return table_rows(out), token_rows(out)


def files_of(out: Path) -> Iterator[DataFile]:
    """Every file of every table."""
    for table in SCHEMAS:
        yield from tables.data_files(out, table)
