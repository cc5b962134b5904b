"""A journal keeps what a stream has still to read, in order, whatever moment its writer dies at."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from pipelines.journal import Journal
from pipelines.sources import Split
from pipelines.stream.journal_feed import JournalReader, share_out

SPLIT = Split("posts.jsonl", "canonical", "jsonl", end=9)


def filled(folder: Path, *records: int) -> Journal:
    journal = Journal(folder)
    for count in records:
        journal.append([SPLIT], count, cursor=f"behind {count}")
    return journal


def test_entries_come_back_in_order_and_outlive_the_process(tmp_path: Path) -> None:
    filled(tmp_path, 3, 5)
    again = Journal(tmp_path)
    assert [(entry.number, entry.splits, entry.records) for entry in again.entries()] == [
        (0, (SPLIT,), 3),
        (1, (SPLIT,), 5),
    ]
    assert (again.begin, again.end, again.cursor) == (0, 2, "behind 5")


def test_released_entries_go_with_their_own_files_and_numbers_go_on(tmp_path: Path) -> None:
    journal, own, other = Journal(tmp_path / "journal"), tmp_path / "own", tmp_path / "other"
    own.write_text("a")
    other.write_text("b")
    journal.append([SPLIT], 1, cursor="one", owned=[str(own)])
    journal.release(1)
    journal.release(1)
    assert not own.exists()
    assert other.exists()
    again = Journal(tmp_path / "journal")
    assert (again.begin, again.end, again.cursor, list(again.entries())) == (1, 1, "one", [])
    assert again.append([SPLIT], 1).number == 1


def test_a_release_that_stopped_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    journal = filled(tmp_path, 1, 1, 1)
    before = {path: path.read_bytes() for path in tmp_path.glob("0*.json")}
    journal.release(2)
    for path, data in before.items():  # as if only the list's new beginning had been written
        path.write_bytes(data)
    again = Journal(tmp_path)
    assert [entry.number for entry in again.entries()] == [2]
    again.release(3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["released.json"]


def test_a_file_that_was_not_yet_renamed_is_no_entry(tmp_path: Path) -> None:
    journal = filled(tmp_path, 1)
    (tmp_path / ".000000000001.json").write_text("{")
    assert [entry.number for entry in journal.entries()] == [0]
    assert journal.append([SPLIT], 1).number == 1


@pytest.mark.parametrize(
    ("start", "limit", "end"),
    [
        (0, ReadMaxRows(10), 2),
        (0, ReadMaxRows(1), 1),  # one entry always goes, however large
        (1, ReadMaxRows(100), 4),
        (4, ReadMaxRows(10), 4),
        (0, ReadAllAvailable(), 4),
    ],
)
def test_an_epoch_takes_whole_entries_up_to_the_bound(
    tmp_path: Path, start: int, limit: ReadMaxRows | ReadAllAvailable, end: int
) -> None:
    filled(tmp_path, 4, 6, 1, 90)
    reader = JournalReader(str(tmp_path), 10)
    assert reader.getDefaultReadLimit() == ReadMaxRows(10)
    assert reader.latestOffset({"entry": start}, limit) == {"entry": end}


def test_a_run_over_what_is_there_does_not_take_what_comes_later(tmp_path: Path) -> None:
    journal = filled(tmp_path, 4, 6)
    reader = JournalReader(str(tmp_path), 100)
    reader.prepareForTriggerAvailableNow()
    journal.append([SPLIT], 1)
    assert reader.latestOffset({"entry": 0}, ReadMaxRows(100)) == {"entry": 2}


def test_an_epoch_names_its_entries(tmp_path: Path) -> None:
    filled(tmp_path, 1, 1, 1)
    reader = JournalReader(str(tmp_path), 10)
    assert reader.initialOffset() == {"entry": 0}
    assert reader.partitions({"entry": 1}, {"entry": 1}) == []
    (partition,) = reader.partitions({"entry": 1}, {"entry": 3})
    assert [batch.column("entry").to_pylist() for batch in reader.read(partition)] == [[1, 2]]


@pytest.mark.parametrize(
    ("records", "parts", "most", "shares"),
    [
        ([100, 100, 100, 100], 2, 1000, [2, 2]),
        ([1] * 10, 2, 1000, [5, 5]),
        ([100, 100, 100], 2, 100, [1, 1, 1]),
        ([500, 1, 1], 2, 100, [1, 2]),
        ([7], 4, 100, [1]),
        ([], 4, 100, []),
    ],
)
def test_entries_are_shared_out_in_order(
    tmp_path: Path, records: list[int], parts: int, most: int, shares: list[int]
) -> None:
    entries = list(filled(tmp_path, *records).entries())
    groups = share_out(entries, parts, most)
    assert [len(group) for group in groups] == shares
