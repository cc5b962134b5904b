"""A packed version without what was forgotten differs only where it must, and a feed in mid-epoch goes on in it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packed_sets import CONTEXT, add_version

from pipelines.exchange import in_this_process, write_rows
from pipelines.feed import TokenFeed
from pipelines.feeding import order, prefetch
from pipelines.tokens import sets
from pipelines.tokens.rewriting import Rewrite, complete, rewrite
from schemas.errors import RunError
from schemas.tokens import Manifest


def forget(root: Path, manifest: Manifest, posts: Sequence[str], delete: bool = False) -> Manifest:
    """Publish a version without some posts, and delete the one it is made of."""
    drop = root / "posts.arrow"
    write_rows(drop, pa.table({"id": pa.array(posts, pa.string())}))
    staging = root / ".swarmfeed" / "upkeep"
    asked = Rewrite(root, "news", (manifest.version,), staging, 10_000, str(drop), merge=False)
    made = complete(rewrite(in_this_process, asked), ["000001"])
    name = sets.folder_name(made)
    (staging / name).rename(root / name)
    if delete:
        shutil.rmtree(root / sets.folder_name(manifest))
    return made


def rows_of(root: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """Every row of a version, in the order of its shards."""
    folder = root / sets.folder_name(manifest)
    assert sets.verify(folder) == []
    return [row for shard in manifest.shards for row in pq.read_table(folder / shard.file).to_pylist()]


def spans(row: dict[str, Any]) -> list[tuple[str, list[int]]]:
    """The documents of a row and their tokens."""
    edges = row["cu_seqlens"]
    return [
        (owner["document_id"], row["tokens"][start:end])
        for owner, start, end in zip(row["documents"], edges, edges[1:], strict=False)
    ]


def test_the_rest_moves_up_and_nothing_else_changes(tmp_path: Path) -> None:
    old = add_version(tmp_path)
    before = rows_of(tmp_path, old)
    gone = {owner["document_id"] for owner in before[1]["documents"]}  # all of a sequence
    gone |= {before[9]["documents"][0]["document_id"], before[20]["documents"][-1]["document_id"]}
    new = forget(tmp_path, old, [f"p{name[1:]}" for name in sorted(gone)])
    after = rows_of(tmp_path, new)
    assert len(after) == len(before)
    for left, right in zip(before, after, strict=True):
        assert spans(right) == [span for span in spans(left) if span[0] not in gone]
        if spans(left) == spans(right):
            assert left == right
    assert (after[1]["filled"], after[1]["cu_seqlens"], after[1]["documents"]) == (0, [0], [])
    assert new.forgotten == len(gone)
    assert new.documents == old.documents - len(gone)
    assert new.tokens == sum(row["filled"] for row in after) == sum(new.languages.values())
    assert [shard.file for shard in new.shards] == [shard.file for shard in old.shards]
    assert [shard.sequences for shard in new.shards] == [shard.sequences for shard in old.shards]
    assert new.shards[0].sha256 != old.shards[0].sha256
    assert new.shards[1] == old.shards[1]
    files = [tmp_path / sets.folder_name(manifest) / old.shards[1].file for manifest in (old, new)]
    assert files[0].stat().st_ino == files[1].stat().st_ino, "a shard that stays as it is costs a link"
    assert (new.sequences_of, new.replaces, new.receipts) == (old.version, (old.version,), ("000001",))
    same = ("context_tokens", "group_sequences", "swarm", "tokenizer", "config_hash", "sequences")
    assert all(getattr(new, name) == getattr(old, name) for name in same)


def test_every_piece_of_a_document_that_was_cut_goes(tmp_path: Path) -> None:
    old = add_version(tmp_path, shards=(4,), sizes=[5 * CONTEXT, 100, 200, 2 * CONTEXT])
    pieces = [owner["document_id"] for row in rows_of(tmp_path, old) for owner in row["documents"]]
    assert pieces.count("d0") == 3
    new = forget(tmp_path, old, ["q0"])
    left = [owner["document_id"] for row in rows_of(tmp_path, new) for owner in row["documents"]]
    assert left == [name for name in pieces if name != "d0"]
    assert new.forgotten == pieces.count("d0")


def test_packed_versions_are_never_put_together(tmp_path: Path) -> None:
    manifests = [add_version(tmp_path, shards=(2,), first=number * 100) for number in range(2)]
    staging = tmp_path / ".swarmfeed" / "upkeep"
    for versions in (manifests, manifests[:1]):
        names = tuple(manifest.version for manifest in versions)
        with pytest.raises(RunError, match="packed versions stand alone"):
            rewrite(in_this_process, Rewrite(tmp_path, "news", names, staging, 10_000))


def test_a_feed_goes_on_in_mid_epoch_without_what_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "LANES", 2)  # so that not all of it is in memory at once
    monkeypatch.setattr(prefetch, "AHEAD", 1)
    old = add_version(tmp_path)
    before = rows_of(tmp_path, old)
    expected = [number for batch in TokenFeed(tmp_path, "news", epochs=1, batch=1) for number in batch["sequence"]]
    late = expected[-1]
    feed = TokenFeed(tmp_path, "news", epochs=2, batch=1, prefetch=1)
    reader = iter(feed)
    found = [int(next(reader)["sequence"][0]) for _ in range(3)]
    state = feed.state_dict()
    add_version(tmp_path, shards=(1,), first=900)  # a newer window waits for the end of the epoch
    newest = old
    for _ in range(2):  # the heir of an heir
        owner = before[late]["documents"].pop()["document_id"]
        newest = forget(tmp_path, newest, [f"p{owner[1:]}"], delete=True)
    rest = []
    for batch in reader:
        if feed.state_dict()["epoch"]:
            break
        rest.append(batch)
    found += [int(number) for batch in rest for number in batch["sequence"]]
    assert found == expected
    assert rest[-1]["tokens"][0].tolist() == rows_of(tmp_path, newest)[late]["tokens"]
    assert feed.state_dict()["version"] == "v000002", "and then follows the newest content, not the highest number"
    again = TokenFeed(tmp_path, "news", epochs=1, batch=1)
    again.load_state_dict(state)
    assert [int(number) for batch in again for number in batch["sequence"]] == expected[3:]
    assert again.state_dict()["version"] == newest.version == "v000004"
