"""A folder's files get into the journal once each, whole and in order, whatever moment the watch dies at."""

from __future__ import annotations

import gzip
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.journal import Journal
from pipelines.sources import read_split
from pipelines.stream.folder import FolderWatch, cut_lines
from schemas.config import Config
from schemas.errors import ConfigError
from schemas.post import POST


class Crash(BaseException):
    """Stands for kill -9: nothing may catch it."""


def lines(first: int, count: int) -> str:
    return "".join(f'{{"id": "{number}", "text": "post {number}"}}\n' for number in range(first, first + count))


def watch(tmp_path: Path, most: int = 3) -> FolderWatch:
    (tmp_path / "in").mkdir(exist_ok=True)
    config = Config.parse({"stream": {"max_posts_per_epoch": most}})
    return FolderWatch(tmp_path / "in", Journal(tmp_path / "journal"), config, refusals.append)


refusals: list[str] = []


def ids(tmp_path: Path) -> list[list[str]]:
    """The ids of each entry of the journal."""
    config = Config().input
    return [
        [
            name
            for split in entry.splits
            for records in read_split(split, config)
            for name in records.posts.column("id").to_pylist()
        ]
        for entry in Journal(tmp_path / "journal").entries()
    ]


def test_files_are_cut_into_entries_of_at_most_an_epoch_and_taken_by_path(tmp_path: Path) -> None:
    watching = watch(tmp_path)
    (tmp_path / "in" / "b.jsonl").write_text(lines(0, 4))
    rows = [{"id": f"p{number}", "text": "a post"} for number in range(4)]
    pq.write_table(pa.Table.from_pylist(rows, POST), tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "c.jsonl.gz").write_bytes(gzip.compress(lines(90, 5).encode()))
    watching.find_all()
    watching.find_all()
    assert ids(tmp_path) == [
        ["p0", "p1"],
        ["p2", "p3"],
        ["0", "1", "2"],
        ["3"],
        ["90", "91", "92", "93", "94"],
    ]


def test_a_file_is_taken_when_two_looks_find_it_the_same(tmp_path: Path) -> None:
    watching, file = watch(tmp_path), tmp_path / "in" / "a.jsonl"
    file.write_text(lines(0, 1))
    watching.look()
    assert ids(tmp_path) == []
    file.write_text(lines(0, 2))
    watching.look()
    assert ids(tmp_path) == []
    watching.look()
    watching.look()
    assert ids(tmp_path) == [["0", "1"]]


def test_what_was_found_is_known_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(lines(0, 1))
    watch(tmp_path).find_all()
    Journal(tmp_path / "journal").release(1)
    (tmp_path / "in" / "b.jsonl").write_text(lines(5, 1))
    watch(tmp_path).find_all()
    assert ids(tmp_path) == [["5"]]


@pytest.mark.parametrize("crash_at", range(5))
def test_a_file_is_taken_once_whatever_moment_the_watch_dies_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(lines(0, 7))
    real, calls = os.fsync, iter(range(100))

    def dies(descriptor: int) -> None:
        if next(calls) == crash_at:
            raise Crash
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", dies)
        with suppress(Crash):
            watch(tmp_path).find_all()
            assert crash_at == 4  # nothing was left to die at
    watch(tmp_path).find_all()
    assert ids(tmp_path) == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_a_file_that_cannot_be_told_stops_a_run_over_what_is_there_and_not_a_stream(tmp_path: Path) -> None:
    watching = watch(tmp_path)
    (tmp_path / "in" / "a.jsonl").write_text('{"name": 1}\n')
    (tmp_path / "in" / "b.jsonl").write_text(lines(0, 1))
    with pytest.raises(ConfigError, match="cannot tell its format"):
        watching.find_all()
    refusals.clear()
    watching.look()
    watching.look()
    assert ids(tmp_path) == [["0"]]
    assert "cannot tell its format" in refusals[0]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        FolderWatch(tmp_path / "none", Journal(tmp_path / "journal"), Config(), refusals.append)


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\nb\nc", "a\nb\nc\n", "\n\n\n\n", "a\n" * 50])
@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_cuts_hold_every_byte_once_and_end_behind_lines(
    tmp_path: Path, text: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.stream.folder.CHUNK_BYTES", 5)
    file = tmp_path / "a.jsonl"
    file.write_text(text)
    cuts: list[Any] = list(cut_lines(str(file), most))
    pieces = [text[start:end] for start, end, _ in cuts]
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces[:-1])
    assert all(piece.count("\n") == most for piece in pieces[:-1])
    assert all(piece.count("\n") <= count <= most for piece, (_, _, count) in zip(pieces, cuts, strict=True))
