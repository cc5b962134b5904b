"""What was replaced stays for those who read it, then goes; what an epoch is about to publish is never touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tiny_epochs import SCHEMAS, Feed, everything, keep, token_rows

from pipelines import ledger, tables
from pipelines.index import STATE
from pipelines.ledger import claim
from pipelines.tables import Commit, commit_files, newest_epoch, open_table
from pipelines.tokens import sets
from pipelines.upkeep.cleaning import Cleaned, clean
from pipelines.upkeep.compaction import compact
from schemas.errors import RunError


def read_old(out: Path, files: list[str], versions: list[Any]) -> tuple[int, int]:
    """Count the posts of a list of files, and the documents of some versions, that were looked up earlier."""
    posts = sum(pq.ParquetFile(file).read().num_rows for file in files)
    folders = [(out / sets.folder_name(manifest), manifest) for manifest in versions]
    documents = [
        pq.read_table(folder / shard.file).num_rows for folder, manifest in folders for shard in manifest.shards
    ]
    return posts, sum(documents)


def test_a_reader_goes_on_until_the_hours_have_passed(tmp_path: Path) -> None:
    Feed(tmp_path).add(10)
    files, versions = tables.table_files(tmp_path, "posts"), sets.current(tmp_path, "default")
    delta = open_table(tmp_path, "posts")
    assert delta is not None
    before = everything(tmp_path)
    compact(keep(tmp_path))
    assert clean(keep(tmp_path, keep_hours=1)) == Cleaned(0, 0)
    assert read_old(tmp_path, files, versions) == (30, 20)
    assert delta.to_pyarrow_table().num_rows == 30, "a table that was opened before"
    assert clean(keep(tmp_path, keep_hours=0)) == Cleaned(files=40, versions=10)
    assert not any(Path(file).exists() for file in files)
    assert sorted(path.name for path in (tmp_path / "sets" / "default").iterdir()) == ["v000011"]
    assert everything(tmp_path) == before
    assert clean(keep(tmp_path, keep_hours=0)) == Cleaned(0, 0)
    assert sets.next_version(tmp_path, "default") == "sets/default/v000012"


def test_the_clock_decides_about_versions(tmp_path: Path) -> None:
    Feed(tmp_path).add(10)
    compact(keep(tmp_path))
    now = datetime.now(UTC)
    for hours, expected in ((1.9, 0), (2.1, 10)):
        assert clean(keep(tmp_path, keep_hours=2), now + timedelta(hours=hours)).versions == expected


def test_a_version_that_stands_for_one_that_stood_for_others(tmp_path: Path) -> None:
    """Merged twice within the hours: each goes when its own time has come, and none comes back."""
    feed = Feed(tmp_path)
    for _ in range(8):
        feed.add(8)
        compact(keep(tmp_path))
    rows = token_rows(tmp_path)
    assert len(sets.replaced(tmp_path, "default")) > 64
    clean(keep(tmp_path, keep_hours=0))
    assert sets.replaced(tmp_path, "default") == []
    assert token_rows(tmp_path) == rows


def test_what_is_staged_or_half_published_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (feed := Feed(tmp_path)).add(10)
    compact(keep(tmp_path))

    def fails(*arguments: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "commit_files", fails)
        with pytest.raises(OSError, match="no space"):
            feed.add()
    feed.epoch += 1
    with pytest.raises(RunError, match="has to be finished first"):
        clean(keep(tmp_path, keep_hours=0))
    staged = tmp_path / STATE / "staging" / "posts" / "part-of-an-epoch.parquet"
    staged.parent.mkdir(parents=True, exist_ok=True)
    staged.write_bytes(b"rows")
    with claim(tmp_path, SCHEMAS) as staging:
        (staging / "posts").mkdir()
        staged.write_bytes(b"rows")
        clean(keep(tmp_path, keep_hours=0))
        assert staged.read_bytes() == b"rows"
    assert len(everything(tmp_path)[0]["posts"]) == 33


def test_left_over_files_go(tmp_path: Path) -> None:
    Feed(tmp_path).add(1)
    lost = tmp_path / "posts" / "route=kept" / "part-lost.parquet"
    lost.write_bytes(b"rows")
    assert clean(keep(tmp_path, keep_hours=1)).files == 0, "it may be young because it is on its way"
    assert clean(keep(tmp_path, keep_hours=0)).files == 1
    assert not lost.exists()


def test_a_log_is_shortened_and_still_knows_its_transactions(tmp_path: Path) -> None:
    """Deltalake writes a checkpoint every twenty commits and drops what is older than the setting, by file time."""
    Feed(tmp_path).add(1)
    clean(keep(tmp_path, keep_hours=12))
    delta = open_table(tmp_path, "posts")
    assert delta is not None
    assert delta.metadata().configuration["delta.logRetentionDuration"] == "interval 13 hours"
    delta.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 hours"})
    for epoch in range(1, 65):
        commit = Commit({tables.EPOCHS: epoch}, datetime.now(UTC), {"swarmfeed.epoch": str(epoch)})
        commit_files(tmp_path, "posts", SCHEMAS["posts"], ([], []), commit)
    log = [path.name for path in (tmp_path / "posts" / "_delta_log").iterdir()]
    assert any("checkpoint.parquet" in name for name in log)
    assert len(log) < 30
    assert newest_epoch(tmp_path) == 64
    assert len(everything(tmp_path)[0]["posts"]) == 3
