"""A version made of others holds their documents, token for token, without those that must go, and stands for them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.exchange import in_this_process, write_rows
from pipelines.tokens import links, sets
from pipelines.tokens.rewriting import Rewrite, complete, rewrite
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from schemas.errors import RunError
from schemas.tokens import DOCUMENT, TOKEN_SHARD, Manifest

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LANGUAGES = ("en", "ja", None)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The shipped tokenizer."""
    return load_tokenizer("default")


def add_version(root: Path, tokenizer: Tokenizer, numbers: Sequence[int], config_hash: str = "c0ffee") -> Manifest:
    """Write the next version of the member `news`: a document of two posts for each number, two shards at least."""
    rows = [
        {
            "document_id": f"d{number}",
            "text": f"words of {number} " * (1 + number % 7),
            "post_ids": [f"p{number}", f"q{number}"],
            "author_count": 2,
            "language": LANGUAGES[number % 3],
            "domain": "x",
            "created_at": NOON + timedelta(minutes=number),
        }
        for number in numbers
    ]
    folder = root / sets.next_version(root, "news")
    summaries = []
    for part, some in enumerate((rows[::2], rows[1::2])):
        batch = pa.RecordBatch.from_pylist(some, schema=DOCUMENT)
        summaries += sets.write_shards([batch], tokenizer, folder, f"{part:06d}", 10_000)
    return sets.finish(folder, summaries, sets.Origin(config_hash, {"toxicity": "aa"}, tokenizer))


def order(root: Path, versions: Sequence[Manifest], **settings: Any) -> Rewrite:
    """Ask for one version of some."""
    names = tuple(manifest.version for manifest in versions)
    chosen = {"shard_tokens": 10_000, **settings}
    return Rewrite(root, "news", names, root / ".swarmfeed" / "upkeep", **chosen)


def publish(root: Path, manifest: Manifest) -> Path:
    """Move a version that is complete to where readers look."""
    name = sets.folder_name(manifest)
    return (root / ".swarmfeed" / "upkeep" / name).rename(root / name)


def ids_to_drop(root: Path, ids: Sequence[str]) -> str:
    """Write ids the way they travel."""
    path = root / "ids.arrow"
    write_rows(path, pa.table({"id": pa.array(ids, pa.string())}))
    return str(path)


def rows(root: Path, manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """Every row of some versions, by document."""
    found: list[dict[str, Any]] = []
    for manifest in manifests:
        assert sets.verify(root / sets.folder_name(manifest)) == []
        for shard in manifest.shards:
            found += pq.read_table(root / sets.folder_name(manifest) / shard.file).to_pylist()
    return sorted(found, key=lambda row: row["document_id"])


def counted(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a manifest should say of some rows."""
    languages: dict[str, int] = {}
    for row in rows:
        language = row["language"] or "und"
        languages[language] = languages.get(language, 0) + len(row["tokens"])
    times = [row["created_at"] for row in rows]
    return {
        "documents": len(rows),
        "tokens": sum(languages.values()),
        "languages": languages,
        "first_created_at": min(times, default=None),
        "last_created_at": max(times, default=None),
    }


def said(manifest: Manifest) -> dict[str, Any]:
    """What a manifest does say of them."""
    return {name: getattr(manifest, name) for name in counted([])}


def test_merged_versions_are_one_with_the_same_rows(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = [add_version(tmp_path, tokenizer, range(start, start + 10)) for start in range(0, 50, 10)]
    before = rows(tmp_path, old)
    draft = rewrite(in_this_process, order(tmp_path, old))
    later = add_version(tmp_path, tokenizer, range(50, 60))  # by an epoch, in between
    manifest = complete(draft)
    assert sets.current(tmp_path, "news") == [*old, later], "nothing is seen before it is published"
    publish(tmp_path, manifest)
    assert manifest.version == "v000007"
    assert sets.current(tmp_path, "news") == [manifest, later], "the oldest content first"
    assert sets.replaced(tmp_path, "news") == old
    assert rows(tmp_path, [manifest]) == before
    assert said(manifest) == counted(before)
    assert len(manifest.shards) == 1
    assert (manifest.replaces, manifest.forgotten) == (tuple(one.version for one in old), 0)


def test_shards_are_filled_and_full_ones_are_linked(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = [add_version(tmp_path, tokenizer, range(start, start + 20)) for start in range(0, 100, 20)]
    sizes = [shard.tokens for manifest in old for shard in manifest.shards]
    manifest = complete(rewrite(in_this_process, order(tmp_path, old, shard_tokens=max(sizes))))
    folder = publish(tmp_path, manifest)
    assert all(shard.tokens <= max(sizes) for shard in manifest.shards)
    assert rows(tmp_path, [manifest]) == rows(tmp_path, old)
    linked = {path.stat().st_ino for path in folder.iterdir() if path.stat().st_nlink > 1}
    assert linked <= {path.stat().st_ino for one in old for path in (tmp_path / sets.folder_name(one)).iterdir()}
    half = complete(rewrite(in_this_process, order(tmp_path, [manifest], shard_tokens=1)))
    assert [shard.sha256 for shard in half.shards] == [shard.sha256 for shard in manifest.shards]


@pytest.mark.parametrize("merge", [False, True])
def test_what_is_dropped_is_gone_and_the_rest_is_untouched(tokenizer: Tokenizer, tmp_path: Path, merge: bool) -> None:
    old = [add_version(tmp_path, tokenizer, range(start, start + 12)) for start in range(0, 36, 12)]
    gone = {0, 2, 13, 35}
    drop = ids_to_drop(tmp_path, ["p0", "q2", "p13", "q13", "q35", "never seen"])
    draft = rewrite(in_this_process, order(tmp_path, old, drop=drop, merge=merge))
    assert draft.dropped == 4
    manifest = complete(draft, ["receipt"])
    publish(tmp_path, manifest)
    expected = [row for row in rows(tmp_path, old) if row["document_id"] not in {f"d{number}" for number in gone}]
    assert rows(tmp_path, [manifest]) == expected
    assert said(manifest) == counted(expected), "the first and the last are among what went"
    assert (manifest.forgotten, manifest.receipts) == (4, ("receipt",))
    if not merge:
        whole = {shard.sha256 for one in old for shard in one.shards}
        kept = [shard.sha256 in whole for shard in manifest.shards]
        assert kept == [False, True, True, False, True, False], "d0, d2; d13; d35"
    again = complete(rewrite(in_this_process, order(tmp_path, [manifest], drop=ids_to_drop(tmp_path, ["p1"]))))
    assert (again.forgotten, again.receipts) == (5, ("receipt",))


def test_a_version_without_documents_keeps_its_number(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = add_version(tmp_path, tokenizer, range(3))
    drop = ids_to_drop(tmp_path, ["p0", "p1", "p2"])
    manifest = complete(rewrite(in_this_process, order(tmp_path, [old], drop=drop)))
    publish(tmp_path, manifest)
    assert said(manifest) == counted([])
    assert rows(tmp_path, [manifest]) == []
    for path in (tmp_path / sets.folder_name(old)).iterdir():
        path.unlink()
    (tmp_path / sets.folder_name(old)).rmdir()
    assert sets.next_version(tmp_path, "news") == "sets/news/v000003"
    empty = complete(rewrite(in_this_process, order(tmp_path, [manifest])))
    assert empty.replaces == ("v000001", "v000002")


def test_what_a_replaced_version_stood_for_does_not_come_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """A version goes at once when it holds what must be forgotten; those it was merged from may still be there."""
    old = [add_version(tmp_path, tokenizer, range(start, start + 4)) for start in (0, 4, 8)]
    merged = complete(rewrite(in_this_process, order(tmp_path, old[:2])))
    publish(tmp_path, merged)
    drop = ids_to_drop(tmp_path, ["p5"])
    forgotten = complete(rewrite(in_this_process, order(tmp_path, [merged], drop=drop)))
    publish(tmp_path, forgotten)
    for path in (tmp_path / sets.folder_name(merged)).iterdir():
        path.unlink()
    assert forgotten.replaces == ("v000001", "v000002", "v000004")
    assert sets.current(tmp_path, "news") == [forgotten, old[2]]


def test_versions_of_two_origins_stay_two(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = [add_version(tmp_path, tokenizer, range(2)), add_version(tmp_path, tokenizer, range(2, 4), "decaf")]
    with pytest.raises(RunError, match="v000001, v000002 differ"):
        rewrite(in_this_process, order(tmp_path, old))


@pytest.mark.parametrize("drop", [False, True])
def test_the_same_versions_give_the_same_bytes(tokenizer: Tokenizer, tmp_path: Path, drop: bool) -> None:
    said = []
    for name in ("a", "b"):
        root = tmp_path / name
        old = [add_version(root, tokenizer, range(start, start + 30)) for start in range(0, 90, 30)]
        ids = ids_to_drop(root, ["p7", "p77"]) if drop else None
        settings = {"shard_tokens": 400, "drop": ids}
        manifest = complete(rewrite(in_this_process, order(root, old, **settings)))
        folder = root / ".swarmfeed" / "upkeep" / sets.folder_name(manifest)
        said.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(said[0]) > 3
    assert said[0] == said[1]


def test_a_task_that_runs_twice_does_no_harm(tokenizer: Tokenizer, tmp_path: Path) -> None:
    def twice(count: int, work: Any, even: bool = False) -> list[Any]:
        return [[work(task), work(task)][1] for task in range(count)]

    old = [add_version(tmp_path, tokenizer, range(start, start + 12)) for start in range(0, 36, 12)]
    drop = ids_to_drop(tmp_path, ["p13"])
    manifest = complete(rewrite(twice, order(tmp_path, old, drop=drop, merge=False)))
    publish(tmp_path, manifest)
    assert manifest.documents == len(rows(tmp_path, [manifest])) == 35


def test_a_file_system_without_links_gets_copies(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = add_version(tmp_path, tokenizer, range(8))

    def refuse(source: str, target: Path) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(links.os, "link", refuse)
    manifest = complete(rewrite(in_this_process, order(tmp_path, [old], merge=False)))
    publish(tmp_path, manifest)
    assert rows(tmp_path, [manifest]) == rows(tmp_path, [old])


def test_a_reader_that_looks_while_versions_change_sees_one_moment(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each manifest it reads, the version it is about to read is replaced and deleted."""
    old = add_version(tmp_path, tokenizer, range(6))
    real, changes = sets.read_manifest, itertools.count()

    def change(folder: Path) -> Manifest:
        if next(changes) < 3:
            with monkeypatch.context() as plain:
                plain.setattr(sets, "read_manifest", real)
                publish(tmp_path, complete(rewrite(in_this_process, order(tmp_path, [real(folder)]))))
            (folder / sets.MANIFEST_FILE).unlink()
        return real(folder)

    before = rows(tmp_path, [old])
    monkeypatch.setattr(sets, "read_manifest", change)
    found = sets.current(tmp_path, "news")
    assert [manifest.version for manifest in found] == ["v000004"]
    assert rows(tmp_path, found) == before


def test_rows_keep_their_types(tokenizer: Tokenizer, tmp_path: Path) -> None:
    old = [add_version(tmp_path, tokenizer, range(2)), add_version(tmp_path, tokenizer, range(2, 4))]
    manifest = complete(rewrite(in_this_process, order(tmp_path, old)))
    file = pq.ParquetFile(publish(tmp_path, manifest) / manifest.shards[0].file)
    assert file.schema_arrow.equals(TOKEN_SHARD)
