"""A packed shard holds each document's tokens whole, says whose they are, and is the same however they came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.tokens import packed, sets
from pipelines.tokens.packed import Published, fill, finish_packed, group_sequences, span_rows, write_packed
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from schemas.errors import ConfigError, RunError
from schemas.tokens import DOCUMENT, Manifest, packed_shard

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LANGUAGES = ("en", "ja", None)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The shipped tokenizer; id 0 ends a document."""
    return load_tokenizer("default")


def documents(count: int = 400) -> pa.RecordBatch:
    """Make documents from a word to thousands of tokens."""
    sizes = np.random.default_rng(1).pareto(1.1, count) * 12
    rows = [
        {
            "document_id": f"d{number}",
            "text": " ".join(f"word{number % 17}" for _ in range(1 + int(min(size, 900)))),
            "post_ids": [f"p{number}", f"q{number}"],
            "author_count": 2,
            "language": LANGUAGES[number % 3],
            "domain": "x",
            "created_at": None if number % 50 == 7 else NOON + timedelta(minutes=number),
        }
        for number, size in enumerate(sizes)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT)


def make_set(root: Path, tokenizer: Tokenizer, context: int = 512, **facts: Any) -> Manifest:
    """Write the next version of the member `news`."""
    folder = root / sets.next_version(root, "news")
    summaries = write_packed([documents()], tokenizer, folder, "20260504", context)
    return finish_packed(
        folder, summaries, sets.Origin("c0ffee", {"toxicity": "aa"}, tokenizer), Published(context, **facts)
    )


def spans(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """Every span of a version as a row."""
    found: list[dict[str, Any]] = []
    for shard in manifest.shards:
        for rows in pq.read_table(folder / shard.file).to_batches():
            found += span_rows(rows, manifest.context_tokens or 0)[0].to_pylist()
    return found


@pytest.mark.parametrize("context", [512, 700, 8192, 131_072])
def test_documents_come_back_token_for_token(tokenizer: Tokenizer, tmp_path: Path, context: int) -> None:
    manifest = make_set(tmp_path, tokenizer, context)
    folder = tmp_path / sets.folder_name(manifest)
    assert sets.verify(folder) == []
    said: dict[str, list[int]] = {}
    for span in spans(folder, manifest):
        said.setdefault(span["document_id"], []).extend(span["tokens"])
    batch = documents()
    expected = [[*run, 0] for run in tokenizer.encode(batch.column("text")).to_pylist()]
    whole = {name: run for name, run in zip(batch.column(0).to_pylist(), expected, strict=True) if len(run) <= context}
    assert {name: said[name] for name in whole} == whole
    cut = set(said) - set(whole)
    assert bool(cut) == (context < 1000)
    assert {name: sorted(said[name]) for name in cut} == {
        name: sorted(run) for name, run in zip(batch.column(0).to_pylist(), expected, strict=True) if name in cut
    }
    assert manifest.tokens == sum(map(len, expected))


def test_rows_are_what_the_schema_says(tokenizer: Tokenizer, tmp_path: Path) -> None:
    manifest = make_set(tmp_path, tokenizer)
    (shard,) = manifest.shards
    file = pq.ParquetFile(tmp_path / sets.folder_name(manifest) / shard.file)
    assert file.schema_arrow.equals(packed_shard(512))
    rows = file.read().to_pylist()
    assert shard.file == "shard-20260504-00000.parquet"
    assert (len(rows), shard.documents) == (shard.sequences, sum(len(row["documents"]) for row in rows))
    for row in rows:
        edges = row["cu_seqlens"]
        assert (edges[0], edges[-1], len(edges)) == (0, row["filled"], len(row["documents"]) + 1)
        assert len(row["tokens"]) == 512
        assert not any(row["tokens"][row["filled"] :])
        assert all(
            owner["post_ids"] == [f"p{owner['document_id'][1:]}", f"q{owner['document_id'][1:]}"]
            for owner in row["documents"]
        )
    by_id = {row["document_id"]: row for row in documents().to_pylist()}
    owners = [owner for row in rows for owner in row["documents"]]
    assert all(by_id[owner["document_id"]]["language"] == owner["language"] for owner in owners)
    assert all(by_id[owner["document_id"]]["created_at"] == owner["created_at"] for owner in owners)
    assert fill(manifest) > 0.98


def test_the_same_documents_give_the_same_bytes(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "BLOCK_TOKENS", 9000)
    monkeypatch.setattr(packed, "GROUP_TOKENS", 4096)
    batch = documents()
    hashes = []
    for size in (400, 1, 7):
        folder = tmp_path / str(size)
        parts = [batch.slice(start, size) for start in range(0, batch.num_rows, size)]
        shards = [summary.shard for summary in write_packed(parts, tokenizer, folder, "x", 1024)]
        hashes.append([shard.sha256 for shard in shards])
        assert len(shards) > 3
        assert all(shard.tokens <= 9000 for shard in shards)
        for shard in shards:
            path = folder / shard.file
            assert hashlib.sha256(path.read_bytes()).hexdigest() == shard.sha256
            metadata = pq.ParquetFile(path).metadata
            sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
            assert all(rows == group_sequences(1024) == 4 for rows in sizes[:-1])
    assert hashes[0] == hashes[1] == hashes[2]


def test_the_manifest_says_how_it_was_made(tokenizer: Tokenizer, tmp_path: Path) -> None:
    facts: dict[str, Any] = {
        "swarm": {"window": {"days": 7}},
        "mix": {"en": {"asked": 0.5, "achieved": 0.4}},
        "table_versions": {"posts": 12},
        "days": {"2026-05-04": {"shards": ["shard-20260504-00000.parquet"]}},
    }
    manifest = make_set(tmp_path, tokenizer, **facts)
    read = sets.read_manifest(tmp_path / sets.folder_name(manifest))
    assert read == manifest
    assert {name: getattr(read, name) for name in facts} == facts
    assert (read.context_tokens, read.sequences) == (512, sum(shard.sequences for shard in read.shards))
    assert (read.first_created_at, read.last_created_at) == (NOON, NOON + timedelta(minutes=399))
    assert sum(read.languages.values()) == read.tokens
    with pytest.raises(RunError, match="finished and never changes"):
        write_packed([documents()], tokenizer, tmp_path / sets.folder_name(manifest), "x", 512)


def test_nothing_to_pack_is_no_shard(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert write_packed([], tokenizer, tmp_path / "v000001", "x", 512) == []
    with pytest.raises(ConfigError, match="512 to"):
        write_packed([], tokenizer, tmp_path / "v000001", "x", 100)


def change(rows: pa.Table, name: str, edit: Callable[[list[Any]], None]) -> pa.Table:
    """Change a column of some rows."""
    values = rows.column(name).to_pylist()
    edit(values)
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


BROKEN: dict[str, tuple[str, Callable[[list[Any]], None], str]] = {
    "a boundary moved": ("cu_seqlens", lambda rows: rows[3].__setitem__(-1, 511 - rows[3][-2]), "boundaries"),
    "another fill": ("filled", lambda rows: rows.__setitem__(0, 5), "boundaries"),
    "a document lost": ("documents", lambda rows: rows[2].pop(), "other than one document"),
    "a word in the padding": (
        "tokens", lambda rows: next(row for row in rows if row[-2:] == [0, 0]).__setitem__(-1, 77), "padding"),
    "an id that is none": ("tokens", lambda rows: rows[0].__setitem__(0, 99_999_999), "beyond the vocabulary"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_rows_that_contradict_themselves_are_found(tokenizer: Tokenizer, tmp_path: Path, what: str) -> None:
    """Somebody who edits a shard and its manifest, hash and all."""
    name, edit, told = BROKEN[what]
    manifest = make_set(tmp_path, tokenizer)
    folder = tmp_path / sets.folder_name(manifest)
    path = folder / manifest.shards[0].file
    rows = pq.read_table(path)
    pq.write_table(change(rows, name, edit), path, row_group_size=manifest.group_sequences)
    data = json.loads((folder / "manifest.json").read_text())
    data["shards"][0] |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(data))
    assert told in "\n".join(sets.verify(folder))


def test_a_manifest_that_was_edited_is_found(tokenizer: Tokenizer, tmp_path: Path) -> None:
    manifest = make_set(tmp_path, tokenizer)
    path = tmp_path / sets.folder_name(manifest) / "manifest.json"
    for key, value, told in (
        ("sequences", 3, "'sequences' adds up"),
        ("context_tokens", 1024, "not those of a packed shard of 1024"),
        ("group_sequences", 7, "row groups of other than 7"),
        ("context_tokens", None, "not those of a token shard"),
        ("schema_version", 2, "schema_version 2: this swarmfeed reads 1"),
    ):
        data = json.loads(path.read_text())
        path.write_text(json.dumps(data | {key: value}))
        assert told in "\n".join(sets.verify(path.parent)), key
        path.write_text(json.dumps(data))
    assert sets.verify(path.parent) == []
