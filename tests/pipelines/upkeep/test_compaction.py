"""Small files become few large ones with the same rows, beside epochs, beside readers, and whatever crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny_epochs import Feed, everything, files_of, keep, table_rows, token_rows

from pipelines import ledger, tables
from pipelines.index import STATE
from pipelines.ledger import claim
from pipelines.tokens import links, sets
from pipelines.upkeep import compaction, merging
from pipelines.upkeep.compaction import compact
from pipelines.upkeep.merging import in_order
from schemas.errors import RunError


class Crash(BaseException):
    """Stands for kill -9: nothing may catch it."""


def test_the_same_rows_in_few_files(tmp_path: Path) -> None:
    (feed := Feed(tmp_path, posts=3)).add(20)
    before = everything(tmp_path)
    assert len(list(files_of(tmp_path))) == 80
    done = compact(keep(tmp_path))
    assert everything(tmp_path) == before
    assert sorted((file.table, *file.partition.values(), file.rows) for file in files_of(tmp_path)) == [
        ("documents", 60),
        ("posts", "kept", 60),
        ("posts", "rejected", 20),
        ("quarantine", 20),
    ]
    assert (done.files_before, done.files_after, done.versions_before, done.versions_after) == (80, 4, 20, 1)
    [version] = sets.current(tmp_path, "default")
    assert len(version.shards) == 1
    assert not (tmp_path / STATE / "upkeep").exists()
    assert compact(keep(tmp_path)).bytes == 0, "and then there is nothing to do"
    feed.add()
    assert len(table_rows(tmp_path)["posts"]) == 84


def test_files_are_as_an_epoch_would_write_them(tmp_path: Path) -> None:
    Feed(tmp_path, posts=4).add(10)
    compact(keep(tmp_path))
    for file in files_of(tmp_path):
        rows = pq.ParquetFile(tmp_path / file.table / file.path).read()
        if file.table in merging.ORDER:
            keys = [(name, "ascending") for name in merging.ORDER[file.table]]
            assert rows.select([key for key, _ in keys]).equals(rows.select([key for key, _ in keys]).sort_by(keys))
    delta = tables.open_table(tmp_path, "posts")
    assert delta is not None
    actions = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    kept = next(action for action in actions if action["partition.route"] == "kept")
    assert (kept["min.epoch"], kept["max.epoch"]) == (0, 9)
    assert kept["min.id"] is None, "what a log says stays there when a post must go"
    assert kept["num_records"] == 40
    assert kept["min.created_at"] is not None
    metadata = pq.ParquetFile(tmp_path / "posts" / kept["path"]).metadata.row_group(0)
    packed = {
        metadata.column(n).path_in_schema.partition(".")[0]: metadata.column(n).compression
        for n in range(metadata.num_columns)
    }
    assert (packed["sketch"], packed["text"]) == ("UNCOMPRESSED", "ZSTD")


def test_epochs_that_come_meanwhile_stay(tmp_path: Path) -> None:
    (feed := Feed(tmp_path)).add(20)
    upkeep = keep(tmp_path)
    ran: list[int] = []

    def run(count: int, work: Callable[[int], Any], even: bool = False) -> list[Any]:
        said = [work(task) for task in range(count)]
        feed.add()  # while the merged files wait to be published
        ran.append(count)
        return said

    done = compact(compaction.Upkeep(tmp_path, upkeep.schemas, upkeep.config, upkeep.index, run))
    assert len(ran) == feed.epoch - 20 >= 5
    assert done.files_after < done.files_before
    reference = tmp_path / "undisturbed"
    Feed(reference).add(feed.epoch)
    assert everything(tmp_path) == everything(reference)


def test_hundreds_of_epochs_stay_in_few_files_and_are_rarely_rewritten(tmp_path: Path) -> None:
    feed, upkeep = Feed(tmp_path), keep(tmp_path)
    written: Counter[str] = Counter()  # rows by table, times they were rewritten
    most_files = most_versions = 0
    for _ in range(20):
        feed.add(10)
        before = {(file.table, file.path): file for file in files_of(tmp_path)}
        compact(upkeep)
        after = {(file.table, file.path): file for file in files_of(tmp_path)}
        for key in after.keys() - before.keys():
            written[f"{after[key].table} {after[key].partition}"] += after[key].rows
        most_files = max(most_files, len(after))
        most_versions = max(most_versions, len(sets.current(tmp_path, "default")))
    rows = {name: len(found) for name, found in table_rows(tmp_path).items()}
    assert rows == {"posts": 600, "documents": 400, "quarantine": 200, "tombstones": 0}
    assert most_files <= 4 * 7 * 3, "fewer than eight files at each of three levels"
    assert most_versions <= 7 * 5
    assert len(token_rows(tmp_path)) == 400
    for name, total in {"documents {}": 400, "quarantine {}": 200}.items():
        assert written[name] <= total * 3, "a row is rewritten once a level at most: to 8, to 64, to 512"


def test_two_folders_alike_are_compacted_alike(tmp_path: Path) -> None:
    said = []
    for name in ("a", "b"):
        Feed(tmp_path / name).add(20)
        compact(keep(tmp_path / name))
        files = [
            (file.table, *file.partition.values(), (tmp_path / name / file.table / file.path).read_bytes())
            for file in files_of(tmp_path / name)
        ]
        said.append((sorted(files), sets.current(tmp_path / name, "default")))
    assert said[0] == said[1]


def test_files_of_open_tombstones_keep_their_age(tmp_path: Path) -> None:
    """Ten files with an open one each, then ten whose tombstones are done."""
    Feed(tmp_path, tombstones="open").add(10)
    waiting = tables.open_files(tmp_path)
    assert len(waiting) == 10
    feed = Feed(tmp_path, epoch=10, tombstones="done")
    feed.add(10)
    before = table_rows(tmp_path)
    compact(keep(tmp_path))
    assert tables.open_files(tmp_path) == waiting
    assert len(tables.data_files(tmp_path, "tombstones")) == 11
    assert table_rows(tmp_path) == before


def test_a_pass_can_be_halted_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Feed(tmp_path).add(10)
    before = everything(tmp_path)
    done = compact(keep(tmp_path), halt=lambda: True)
    assert (done.files_after, done.versions_after) == (1, 0)
    monkeypatch.setattr(compaction, "PASS_BYTES", 1)
    assert compact(keep(tmp_path)).files_after == 1
    assert everything(tmp_path) == before
    assert not (tmp_path / STATE / "upkeep").exists()


def test_large_files_and_full_ones_are_left_alone(tmp_path: Path) -> None:
    Feed(tmp_path).add(20)
    compact(keep(tmp_path, small_file_bytes=1))
    assert len([file for file in files_of(tmp_path) if file.table == "posts"]) == 40


def test_a_merge_that_loses_rows_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Feed(tmp_path).add(10)
    before = everything(tmp_path)
    monkeypatch.setattr(merging, "_one_after_the_other", lambda streams: ())
    monkeypatch.setattr(merging, "in_order", lambda streams, keys: in_order(streams[1:], keys))
    with pytest.raises(RunError, match="rows went into a merge and"):
        compact(keep(tmp_path))
    assert everything(tmp_path) == before


def test_merging_holds_few_rows_and_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of batches of two, with equal times, equal ids and times that are missing."""
    schema = pa.schema([("created_at", pa.timestamp("us", "UTC")), ("id", pa.string()), ("from", pa.int64())])
    streams = []
    for stream, times in enumerate(([1, 1, 5, 7, 9, None], [1, 2, 5, 5, 6, 6, 6, None, None], [], [0], [10, 11])):
        rows = [{"created_at": time, "id": f"{number // 2}", "from": stream} for number, time in enumerate(times)]
        rows.sort(key=lambda row: (row["created_at"] is None, row["created_at"] or 0, row["id"]))
        streams.append(pa.Table.from_pylist(rows, schema=schema).to_batches(max_chunksize=2))
    pieces = list(in_order([iter(stream) for stream in streams], ("created_at", "id")))
    assert max(piece.num_rows for piece in pieces) <= 2 * 4
    merged = pa.concat_tables(pieces)
    whole = pa.Table.from_batches([batch for stream in streams for batch in stream])
    keys = ["created_at", "id"]
    assert merged.select(keys).equals(whole.sort_by([(key, "ascending") for key in keys]).select(keys))
    assert pc.value_counts(merged["from"]).to_pylist() != []


# kept, rejected, documents, quarantine: record, move, commit and the record's removal each; the set has six steps
@pytest.mark.parametrize("crash_at", range(22))
def test_a_crash_at_any_step_is_mended_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """The crash is a value: the how-manieth rename, unlink, commit or link does not return."""
    (feed := Feed(tmp_path)).add(9)
    before = everything(tmp_path)
    calls = iter(range(1000))

    def dies(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(calls) == crash_at:
                raise Crash
            return real(*arguments, **named)

        return call

    upkeep = keep(tmp_path)
    with monkeypatch.context() as patched:
        for name in ("rename", "unlink", "replace"):
            patched.setattr(Path, name, dies(getattr(Path, name)))
        patched.setattr(ledger, "commit_files", dies(tables.commit_files))
        patched.setattr(links.os, "link", dies(links.os.link))
        with pytest.raises(Crash):
            compact(upkeep)
    assert token_rows(tmp_path) == before[1]
    with claim(tmp_path, upkeep.schemas):
        pass
    assert everything(tmp_path) == before
    feed.add()
    compact(keep(tmp_path))
    assert len(table_rows(tmp_path)["posts"]) == 30
    assert len(list(files_of(tmp_path))) <= 8, "four merged, and four of the last epoch where it came too late"
    assert len(token_rows(tmp_path)) == 20


def test_a_failed_epoch_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (feed := Feed(tmp_path)).add(10)

    def fails(*arguments: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "commit_files", fails)
        with pytest.raises(OSError, match="no space"):
            feed.add()
    with pytest.raises(RunError, match="has to be finished first"):
        compact(keep(tmp_path))
    with claim(tmp_path, keep(tmp_path).schemas):
        pass
    compact(keep(tmp_path))
    assert len(table_rows(tmp_path)["posts"]) == 33
