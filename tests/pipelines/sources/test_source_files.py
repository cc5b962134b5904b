"""Files of every container: nothing lost, nothing doubled, the same however they are split."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines.sources import Split, plan_splits, read_split
from schemas.config import InputConfig
from schemas.errors import ConfigError
from schemas.post import POST

WHOLE = InputConfig(format="canonical")


def read(path: Path, config: InputConfig = WHOLE) -> dict[str, Any]:
    """Read all splits of a path, in order, through their JSON form."""
    splits = plan_splits([str(path)], config)
    parts = [part for split in splits for part in read_split(Split.from_json(split.to_json()), config)]
    return {
        "splits": len(splits),
        "posts": [row for part in parts for row in part.posts.to_pylist()],
        "quarantine": [row for part in parts for row in part.quarantine.to_pylist()],
        "tombstones": [row for part in parts for row in part.tombstones.to_pylist()],
        "notices": sum(part.notices for part in parts),
    }


def line(number: int, text: str = "words") -> bytes:
    return json.dumps({"id": str(number), "text": f"{text} {number}"}).encode()


def ids(found: dict[str, Any]) -> list[int]:
    return sorted(int(row["id"]) for row in found["posts"])


def places(found: dict[str, Any]) -> list[tuple[int, str]]:
    return sorted((row["line"], row["fault"]) for row in found["quarantine"])


MIXED = b"\r\n".join(
    [
        line(1),
        b"",
        b"not json",
        line(2, "\u00e9\U0001f642" * 40),
        b'{"id":"3"}',
        b"   ",
        b"\xff\xfe",
        line(4),
        b"[]",
        line(5),
    ]
)
MIXED_BAD = [(3, "bad_json"), (5, "missing_text"), (7, "bad_encoding"), (9, "bad_json")]


@pytest.mark.parametrize("split_bytes", [1, 7, 33, 100, 1000])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n\r\n"])
def test_byte_ranges_give_the_same_rows_and_true_line_numbers(tmp_path: Path, split_bytes: int, ending: bytes) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + MIXED + ending)
    found = read(path, InputConfig(format="canonical", split_bytes=split_bytes, batch_rows=2))
    assert ids(found) == [1, 2, 4, 5]
    assert places(found) == MIXED_BAD
    assert {row["file"] for row in found["quarantine"]} == {str(path)}
    assert found["quarantine"][0]["raw"].rstrip() == b"not json"


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_files_are_dealt_out_without_loss(tmp_path: Path, suffix: str) -> None:
    lines = [line(number, "y" * 50_000) if number % 40 else b"bad" for number in range(1, 261)]  # 13 MB
    path = tmp_path / f"big.jsonl.{suffix}"
    _compress(path, b"\n".join(lines), suffix)
    one = read(path, InputConfig(format="canonical"))
    many = read(path, InputConfig(format="canonical", split_bytes=path.stat().st_size // 3))
    assert one["splits"] == 1 < many["splits"]
    assert ids(one) == ids(many) == [number for number in range(1, 261) if number % 40]
    assert places(one) == places(many) == [(number, "bad_json") for number in range(40, 261, 40)]


def _compress(path: Path, data: bytes, suffix: str) -> None:
    path.write_bytes(gzip.compress(data) if suffix == "gz" else zstandard.compress(data))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_members_and_frames_follow_each_other(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"two.jsonl.{suffix}"
    _compress(path, line(1) + b"\n", suffix)
    first = path.read_bytes()
    _compress(path, line(2) + b"\n", suffix)
    path.write_bytes(first + path.read_bytes())
    assert ids(read(path)) == [1, 2]
    assert read(path)["quarantine"] == []


@pytest.mark.parametrize("suffix", ["gz", "zst"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.01])
def test_a_cut_archive_keeps_what_can_be_read(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = random.Random(7)
    lines = [line(number, noise.randbytes(1000).hex()) for number in range(400)]
    path = tmp_path / f"cut.jsonl.{suffix}"
    _compress(path, b"\n".join(lines) + b"\n", suffix)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    found = read(path)
    assert ids(found) == list(range(len(found["posts"])))
    assert [row["fault"] for row in found["quarantine"]] == ["truncated"]
    assert found["quarantine"][0]["line"] in (len(found["posts"]) + 1, len(found["posts"]))
    if kept > 0.4:
        assert len(found["posts"]) > 400 * kept * 0.6


@pytest.mark.parametrize("junk", [b"junk behind", b"\x1f\x8bjunk"])
def test_junk_behind_an_archive_is_said(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "junk.jsonl.gz"
    path.write_bytes(gzip.compress(line(1) + b"\n") + junk)
    found = read(path)
    assert ids(found) == [1]
    assert [row["fault"] for row in found["quarantine"]] == ["truncated"]


def test_the_last_line_of_a_cut_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_bytes(line(1) + b"\n" + line(2)[:-4])
    assert places(read(path)) == [(2, "truncated")]
    path.write_bytes(line(1) + b"\n" + line(2))
    assert ids(read(path)) == [1, 2]


@pytest.mark.parametrize("split_bytes", [1 << 30, 3_000_000, 100_000])
def test_a_line_longer_than_allowed_streams_past(tmp_path: Path, split_bytes: int) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(line(1) + b"\n" + line(2, "x" * 10_000_000) + b"\n" + line(3) + b"\nbad\n")
    config = InputConfig(format="canonical", split_bytes=split_bytes)
    found = read(path, config)
    assert ids(found) == [1, 3]
    assert places(found) == [(2, "too_long"), (4, "bad_json")]
    long = found["quarantine"][0]
    assert long["raw_bytes"] == len(line(2, "x" * 10_000_000))
    assert long["raw"] == line(2, "x" * 10_000_000)[: 1 << 20]


def test_memory_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "endless.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(3):
            file.write(line(number) + b"\n")
        for _ in range(64):
            file.write(b"x" * (1 << 20))  # 64 MB without a newline
    tracemalloc.start()
    found = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ids(found) == [0, 1, 2]
    assert found["quarantine"][0]["raw_bytes"] == 64 << 20
    assert peak < 24 << 20


def test_a_record_may_be_as_long_as_configured(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1, "z" * 100) + b"\n" + line(2) + b"\n")
    assert places(read(path, InputConfig(format="canonical", max_record_bytes=100))) == [(1, "too_long")]


def test_extensions_are_checked_against_the_content(tmp_path: Path) -> None:
    path = tmp_path / "really-gzip.jsonl"
    path.write_bytes(gzip.compress(line(1)))
    assert ids(read(path)) == [1]


# --- CSV ------------------------------------------------------------------------------------------------------------


def test_csv_quotes_newlines_and_empty_fields(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "text", "created_at", "likes", "lang_hint"])
    writer.writerow(["1", 'two\nlines, a "quote"\r\n', "2020-01-01", "4", ""])
    writer.writerow(["2", "", "", "", "de"])
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())
    first, second = read(path)["posts"]
    assert (first["text"], first["lang_hint"], first["created_at"].year) == ('two\nlines, a "quote"\r\n', None, 2020)
    assert (second["text"], second["created_at"], second["lang_hint"]) == ("", None, "de")


def test_csv_bad_rows_are_quarantined_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    rows = [
        b"id,text",
        b"1,a",
        b"2,b,c",
        b"3",
        b"4,\xff",
        b"5,a\0b",
        b",e",
        b'6,"a"b',
        b'7,"x\ny"',
        b"8,h",
        b"",
        b"9,i",
    ]
    path.write_bytes(b"\n".join(rows))
    found = read(path)
    assert ids(found) == [1, 7, 8, 9]
    expected = [(3, "bad_type"), (4, "bad_type"), (5, "bad_encoding"), (6, "nul"), (7, "missing_id"), (8, "bad_type")]
    assert places(found) == expected


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_csv_splits_share_the_records(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"posts.csv{suffix}"
    body = "".join(f'{number},"line\n""{number}"""\n' for number in range(5000))
    data = ("id,text\n" + body + "bad\n").encode()
    path.write_bytes(data) if not suffix else _compress(path, data, suffix[1:])
    many = read(path, InputConfig(split_bytes=max(1, path.stat().st_size // 4)))
    assert many["splits"] >= 4
    assert ids(many) == list(range(5000))
    assert places(many) == [(10_002, "bad_type")]


def test_an_unpaired_quote_costs_its_line(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    rest = b"".join(b"%d,%s\n" % (number, b"w" * 90) for number in range(2, 200))
    path.write_bytes(b'id,text\n0,a\n1,"never closed\n' + rest)
    found = read(path, InputConfig(max_record_bytes=1000))
    assert ids(found) == [0, *range(2, 200)]
    assert places(found) == [(3, "bad_type")]


def test_a_csv_cut_inside_a_quote_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(b'id,text\n1,a\n2,"half a')
    found = read(path)
    assert (ids(found), places(found)) == ([1], [(3, "truncated")])


# --- Parquet --------------------------------------------------------------------------------------------------------


def write(path: Path, columns: dict[str, pa.Array], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def text_of(*values: bytes | None) -> pa.Array:
    """Build a string column without checking that it is UTF-8, as a careless writer would."""
    return pa.array(values, pa.binary()).view(pa.string())


def test_parquet_bad_rows(tmp_path: Path) -> None:
    columns = {
        "id": text_of(b"1", b"", None, b"4", b"5", b"6", b"7\0", b"\xff", b"9"),
        "text": text_of(b"", b"b", b"c", None, b"e\xff", b"f\0", b"g", b"h", b"i" * 300),
    }
    found = read(write(tmp_path / "a.parquet", columns), InputConfig(max_record_bytes=200))
    assert ids(found) == [1]
    faults = ["missing_id", "missing_id", "missing_text", "bad_encoding", "nul", "nul", "bad_encoding", "too_long"]
    assert places(found) == list(enumerate(faults, 2))


@pytest.mark.parametrize(
    "times",
    [
        pa.array([0, 1539202764, -1, 10**13, None], pa.timestamp("s")),
        pa.array([0, 1539202764 * 10**9, -1, 2**63 - 1, None], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([0, 1539202764, -1, 10**17, None], pa.int64()),
        pa.array([0.0, 1539202764.0, -0.5, float("nan"), None], pa.float64()),
        pa.array(["1970-01-01", "Wed Oct 10 20:19:24 +0000 2018", "1969-01-01", "soon", None]),
        pa.array(["1970-01-01", "1539202764000", "", "12 o'clock", None]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_parquet_times(tmp_path: Path, times: pa.Array) -> None:
    path = write(tmp_path / "a.parquet", {"id": pa.array(range(5)), "text": pa.array(["x"] * 5), "created_at": times})
    found = read(path)
    assert [row["id"] for row in found["posts"]] == ["0", "1", "4"]
    stamps = [row["created_at"].timestamp() if row["created_at"] else None for row in found["posts"]]
    assert stamps == [0, 1539202764, None]
    assert places(found) == [(3, "bad_time"), (4, "bad_time")]


@pytest.mark.parametrize("days", [pa.date32(), pa.date64()])
def test_parquet_dates(tmp_path: Path, days: pa.DataType) -> None:
    column = pa.array([datetime.date(2020, 1, 2)], days)
    path = write(tmp_path / "a.parquet", {"id": pa.array(["1"]), "text": pa.array(["x"]), "created_at": column})
    assert str(read(path)["posts"][0]["created_at"]) == "2020-01-02 00:00:00+00:00"


@pytest.mark.parametrize("split_rows", [1, 7, 100, 10_000])
def test_parquet_row_ranges(tmp_path: Path, split_rows: int) -> None:
    texts = pa.array([None if number % 50 == 0 else f"t{number}" for number in range(500)])
    columns = {"id": pa.array(range(500)), "text": texts, "other": pa.nulls(500)}
    path = write(tmp_path / "a.parquet", columns, row_group_size=120)
    found = read(path, InputConfig(split_rows=split_rows, batch_rows=64))
    assert [int(row["id"]) for row in found["posts"]] == [number for number in range(500) if number % 50]
    assert places(found) == [(number + 1, "missing_text") for number in range(0, 500, 50)]


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_parquet_text_types(tmp_path: Path, kind: pa.DataType) -> None:
    column = pa.array(["a", None, "\u00e9\U0001f642"]).cast(kind)
    found = read(write(tmp_path / "a.parquet", {"id": pa.array(range(3)), "text": column}))
    assert [row["text"] for row in found["posts"]] == ["a", "\u00e9\U0001f642"]


def test_parquet_cut_or_damaged(tmp_path: Path) -> None:
    columns = {"id": pa.array(range(2000)), "text": pa.array([f"text {number}" for number in range(2000)])}
    path = write(tmp_path / "a.parquet", columns, row_group_size=500, compression="zstd")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert [(row["line"], row["fault"]) for row in read(path)["quarantine"]] == [(None, "truncated")]
    middle = pq.ParquetFile(io.BytesIO(whole)).metadata.row_group(1).column(1).data_page_offset
    path.write_bytes(whole[:middle] + b"\xaa" * 300 + whole[middle + 300 :])
    found = read(path)
    assert set(ids(found)) >= {*range(500), *range(1000, 2000)}
    assert [row["fault"] for row in found["quarantine"]] == ["truncated"]
    assert found["quarantine"][0]["line"] == 501


def test_times_no_calendar_holds(tmp_path: Path) -> None:
    for name, column in {
        "s": pa.array([2**53], pa.timestamp("s")),
        "days": pa.array([2**31 - 1], pa.int32()).view(pa.date32()),
        "half": pa.array([-1.0], pa.float16()),
        "unsigned": pa.array([2**64 - 1], pa.uint64()),
    }.items():
        path = write(
            tmp_path / f"{name}.parquet", {"id": pa.array(["1"]), "text": pa.array(["x"]), "created_at": column}
        )
        assert places(read(path)) == [(1, "bad_time")], name


def test_parquet_without_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": pa.array([], pa.string()), "text": pa.array([], pa.string())})
    assert read(path)["posts"] == []


def test_schema_is_exact(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"id": pa.array([1]), "text": pa.array(["a"])})
    for records in read_split(plan_splits([str(path)], WHOLE)[0], WHOLE):
        assert records.posts.schema == POST


# --- planning -------------------------------------------------------------------------------------------------------


def test_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "day=1").mkdir()
    for name in ["b.jsonl", "day=1/a.jsonl", "_SUCCESS", ".hidden.jsonl", "notes.txt"]:
        (tmp_path / name).write_bytes(line(1) + b"\n")
    found = [split.path for split in plan_splits([str(tmp_path), str(tmp_path / "*.jsonl")], InputConfig())]
    assert found == [str(tmp_path / "b.jsonl"), str(tmp_path / "day=1" / "a.jsonl")]


def test_an_empty_file_is_fine(tmp_path: Path) -> None:
    for name in ["a.jsonl", "b.csv", "c.parquet", "d.jsonl.gz"]:
        (tmp_path / name).touch()
    assert plan_splits([str(tmp_path)], InputConfig()) == []


def _bad_calls(folder: Path) -> Iterator[tuple[str, InputConfig, str]]:
    def put(name: str, data: bytes) -> str:
        (folder / name).write_bytes(data)
        return str(folder / name)

    def table(name: str, **columns: pa.Array) -> str:
        return str(write(folder / name, columns))

    auto, words = InputConfig(), pa.array(["a"])
    yield str(folder / "absent.jsonl"), auto, "no such file"
    yield str(folder / "*.nothing"), auto, "nothing to read"
    yield put("notes.txt", b"hello"), auto, "cannot read this kind of file"
    yield table("no-text.parquet", id=words, texts=words), auto, "no column 'text': did you mean 'texts'?"
    yield table("no-id.parquet", ID=words, text=words), auto, "no column 'id': did you mean 'ID'?"
    yield table("numbers.parquet", id=words, text=pa.array([1])), auto, "column 'text': expected string, got int64"
    yield table("flags.parquet", id=words, text=words, created_at=pa.array([True])), auto, "column 'created_at'"
    yield put("twice.csv", b"id,text,id\n1,a,2\n"), auto, "more than once"
    yield put("head.csv", b"id,body\n1,a\n"), auto, "no column 'text'"
    yield put("head.jsonl", b'{"id":"1","txt":"a"}\n'), auto, "did you mean 'txt'?"
    yield put("garbage.jsonl", b"what is this\n"), auto, "--format"
    yield put("even.jsonl", line(1) + b'\n{"did":"did:plc:x","kind":"commit"}\n'), auto, "--format"
    yield put("events.csv", b"id,text\n"), InputConfig(format="x-v2"), "canonical columns only"


def test_a_bad_call_says_so_in_one_line(tmp_path: Path) -> None:
    for path, config, expected in _bad_calls(tmp_path):
        with pytest.raises(ConfigError) as error:
            plan_splits([path], config)
        assert expected in str(error.value)
        assert "\n" not in str(error.value)
        assert str(tmp_path) in str(error.value)


def test_splits_travel_as_text() -> None:
    split = Split("a.jsonl", "x-v2", "jsonl", "gz", 1, 3, 5, 9)
    assert Split.from_json(split.to_json()) == split
