"""What is forgotten leaves packed sets too, every version of them, and is found where it is left."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from epochs import Output, everywhere

from pipelines.tokens import sets
from pipelines.tokens.packed import Published, finish_packed, span_rows, write_packed
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep import requests
from pipelines.upkeep.cleaning import clean
from pipelines.upkeep.compaction import compact
from pipelines.upkeep.forgetting import forget
from pipelines.upkeep.receipts import read_receipts
from pipelines.upkeep.requests import Request
from pipelines.upkeep.verifying import verify_forgotten
from schemas.tokens import DOCUMENT, Manifest

MINE, OTHER = ("original-0001", "copy-00000002"), ("another-0003", "late-00000011", "by-author-004")


def publish(output: Output, *shards: tuple[str, ...]) -> Manifest:
    """Pack the documents of some posts, those of each shard by themselves, as the next version of `news`."""
    rows = {row["document_id"]: row for row in output.rows("documents")}
    tokenizer = load_tokenizer("default")
    folder = output.root / sets.next_version(output.root, "news")
    summaries = []
    for number, names in enumerate(shards):
        batch = pa.RecordBatch.from_pylist([rows[name] for name in names if name in rows], schema=DOCUMENT)
        summaries += write_packed([batch], tokenizer, folder, f"{number:06d}", 512)
    return finish_packed(folder, summaries, sets.Origin("c0ffee", {}, tokenizer), Published(512))


def held(root: Path, manifest: Manifest) -> set[str]:
    """The documents of a version."""
    folder = root / sets.folder_name(manifest)
    assert sets.verify(folder) == []
    tables = [pq.read_table(folder / shard.file) for shard in manifest.shards]
    parts = [span_rows(batch, 512)[0] for table in tables for batch in table.to_batches()]
    return {name for part in parts for name in part.column("document_id").to_pylist()}


def test_a_post_leaves_every_version_that_holds_it(output: Output) -> None:
    first = publish(output, MINE, OTHER)
    second = publish(output, OTHER)
    third = publish(output, ("original-0001", "late-00000011"))
    versions = (first, second, third)
    documents = [held(output.root, manifest) for manifest in versions]
    assert "original-0001" in documents[0] & documents[2]
    before = verify_forgotten(output.root, ["original-0001"])
    assert {f"sets/news/{manifest.version}/{manifest.shards[0].file}" for manifest in (first, third)} <= {
        file for file, _ in before.leaks
    }
    requests.leave(output.root, Request(ids=("original-0001",)))
    forget(output.upkeep())
    assert everywhere(output.root, "original-0001") == []
    after = verify_forgotten(output.root, ["original-0001"])
    assert after.leaks == ()
    places = {place for line in read_receipts(output.root) for place in line.versions if place.startswith("news/")}
    assert places == {f"news/{first.version}", f"news/{third.version}"}
    left = sets.current(output.root, "news")
    assert [manifest.sequences_of for manifest in left] == [first.version, None, third.version]
    assert [held(output.root, manifest) for manifest in left] == [some - {"original-0001"} for some in documents]
    assert left[1] == second
    assert left[0].receipts == ("000001",)


def test_tokens_that_are_left_in_a_packed_set_are_found(output: Output) -> None:
    requests.leave(output.root, Request(ids=("another-0003",)))
    rows = {row["document_id"]: row for row in output.rows("documents")}
    forget(output.upkeep())
    assert verify_forgotten(output.root, ["another-0003"]).clean
    batch = pa.RecordBatch.from_pylist([{**rows["another-0003"], "document_id": "x", "post_ids": ["x"]}], DOCUMENT)
    write_packed([batch], load_tokenizer("default"), output.root / "sets" / "news" / "v000001", "000000", 512)
    found = verify_forgotten(output.root, ["another-0003"])
    assert found.same_words == 1, "the same tokens, of a post by somebody else"
    owner = {**rows["another-0003"], "post_ids": ["x"]}
    batch = pa.RecordBatch.from_pylist([owner], DOCUMENT)
    write_packed([batch], load_tokenizer("default"), output.root / "sets" / "news" / "v000001", "000000", 512)
    found = verify_forgotten(output.root, ["another-0003"])
    assert {"a run of tokens (1)", "an id in column document_id (1)"} <= {what for _, what in found.leaks}


def test_packed_versions_are_left_alone_by_compaction(output: Output) -> None:
    versions = [publish(output, OTHER) for _ in range(3)]
    upkeep = output.upkeep()
    compact(upkeep)
    clean(upkeep)
    assert sets.versions(output.root, "news") == versions
