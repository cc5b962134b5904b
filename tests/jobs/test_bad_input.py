"""Every kind of bad input through the whole command: nothing lost, each bad row found again, no word of a post said."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pyspark.sql import SparkSession

from jobs import cli
from pipelines import run as batch
from pipelines.simulate import Simulation, write
from pipelines.tables import epochs, open_table, table_files

SECRET = "zanzibar"  # stands in every text that must not be said
MANY = 900  # lines in an archive that is cut
Place = tuple[str, int | None]


def line(post_id: str, text: str = "", **more: Any) -> bytes:
    return json.dumps({"id": post_id, "text": text or f"{SECRET} {post_id} has rain this morning", **more}).encode()


def lines(prefix: str, count: int) -> list[bytes]:
    noise = random.Random(prefix)  # so that nothing compresses well and a cut file is cut in the middle of its posts
    return [line(f"{prefix}{number}", f"{SECRET} {noise.randbytes(400).hex()}") for number in range(count)]


def bad_lines() -> dict[bytes, str | None]:
    """Return one record of each kind with its fault; None where it is a post after all."""
    deep = b'{"id": "d", "text": "%s", "more": ' % SECRET.encode()
    return {
        b"": None,
        b"   ": None,
        line("good"): None,
        b'{"id": "u", "text": "%s \xff\xfe"}' % SECRET.encode(): "bad_encoding",
        b'{"id": "s", "text": "%s \\ud800"}' % SECRET.encode(): "bad_encoding",
        b'{"id": "n", "text": "%s \\u0000"}' % SECRET.encode(): "nul",
        b'{"id": "r", "text": "%s \0"}' % SECRET.encode(): "nul",
        line("long", SECRET * 1_250_000): "too_long",  # 10 MB
        deep + b"[" * 300 + b"]" * 300 + b"}": "too_deep",
        deep + b'{"a":' * 5000 + b"1" + b"}" * 5001: "too_deep",
        b"[" * 100_000: "too_deep",
        line("long-ago", created_at="0001-01-01"): "bad_time",
        line("far-off", created_at="9999-12-31T23:59:59Z"): "bad_time",
        line("soon", created_at=f"tomorrow in {SECRET}"): "bad_time",
        line("huge", created_at=1e300): "bad_time",
        line("first", created_at="1970-01-01T00:00:00Z"): None,
        line("last", created_at="2261-12-31T23:59:59Z"): None,
        line("never", created_at=None): None,
        b'{"text": "%s"}' % SECRET.encode(): "missing_id",
        b'{"id": "t"}': "missing_text",
        b'{"id": "l", "text": ["%s"]}' % SECRET.encode(): "bad_type",
        b'{"id": {}, "text": "%s"}' % SECRET.encode(): "bad_type",
        b'["%s"]' % SECRET.encode(): "bad_json",
        b'"%s"' % SECRET.encode(): "bad_json",
        b"%s" % SECRET.encode(): "bad_json",
        b'{"id": "c", "text": "%s' % SECRET.encode(): "truncated",
    }


def fill(folder: Path) -> dict[Place, str]:
    """Write the files and return the fault of each place that must be in quarantine (line None: somewhere)."""
    records = bad_lines()
    (folder / "records.jsonl").write_bytes(b"\n".join(records))
    faults: dict[Place, str] = {("records.jsonl", at): fault for at, fault in enumerate(records.values(), 1) if fault}
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "blank.jsonl").write_bytes(b"\n\n\r\n")
    (folder / "header.csv").write_text("id,text\n")
    pq.write_table(pa.table({"id": pa.array([], "string"), "text": pa.array([], "string")}), folder / "none.parquet")
    (folder / "rows.csv").write_bytes(b'id,text\n1,"rain"\n2,a,b\n3,\xff\n4,"open')
    faults |= {("rows.csv", 3): "bad_type", ("rows.csv", 4): "bad_encoding", ("rows.csv", 5): "truncated"}
    body = b"\n".join(lines("gz-", MANY))
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(body)[:-80_000])
    body = b"\n".join(lines("zst-", MANY))
    (folder / "cut.jsonl.zst").write_bytes(zstandard.compress(body)[:-80_000])
    (folder / "cut.parquet").write_bytes(_parquet({"id": ["p"], "text": [SECRET]})[:-20])
    (folder / "rows.parquet").write_bytes(_parquet({"id": ["1", None, "3"], "text": ["rain", SECRET, None]}))
    faults |= {("rows.parquet", 2): "missing_id", ("rows.parquet", 3): "missing_text"}
    faults |= {(name, None): "truncated" for name in ("cut.jsonl.gz", "cut.jsonl.zst", "cut.parquet")}
    (folder / "twice.jsonl").write_bytes(line("twice") + b"\n" + line("twice") + b"\n")
    return faults


def _parquet(columns: dict[str, list[str | None]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def call(*words: object) -> int:
    """Run the command in this process, on the suite's Spark, and return its exit status."""
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in words])
    assert isinstance(left.value.code, int)
    return left.value.code


def rows_of(out: Path, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table's newest version."""
    delta = open_table(out, table)
    return [] if delta is None else delta.to_pyarrow_table().to_pylist()


def test_all_of_it_at_once(
    spark: SparkSession, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    expected = fill(folder)
    assert (
        call("run", folder, "--out", out, "--format", "canonical", "--set", "input.split_bytes=150000", "--json") == 0
    )
    told = capfd.readouterr()
    assert told.out.count("\n") == 1
    assert told.err == ""
    counts = json.loads(told.out)["posts"]
    assert counts["read"] == counts["kept"] + counts["rejected"] + counts["quarantined"]

    posts, quarantine = rows_of(out, "posts"), rows_of(out, "quarantine")
    assert len(posts) == counts["kept"] + counts["rejected"]
    assert len(quarantine) == counts["quarantined"] == len(expected)
    found = {(Path(row["file"]).name, row["line"]): row["fault"] for row in quarantine}
    for (name, at), fault in expected.items():
        assert fault in ([found[name, at]] if at else [found[place] for place in found if place[0] == name])
    for row in quarantine:
        assert row["stage"] == "read"
        assert row["error"]
        assert SECRET not in row["error"]

    ids = Counter(row["id"] for row in posts)
    assert {"good", "first", "last", "never", "twice", "1"} <= set(ids)
    assert ids["twice"] == ids["1"] == 2  # one id delivered again, and one id of two files
    assert sum(row["duplicates"]["kind"] == "repeated_id" for row in posts) == 2
    for prefix in ("gz-", "zst-"):
        kept = sorted(int(name.removeprefix(prefix)) for name in ids if name.startswith(prefix))
        assert 100 < len(kept) < MANY
        assert kept == list(range(len(kept)))
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text

    assert call("run", folder, "--out", out, "--format", "canonical") == 2
    told = capfd.readouterr()
    assert told.err == (
        f"swarmfeed: --out {out}: this input was curated there already, as epoch 0; "
        "choose another --out to curate it again\n"
    )


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("cut.parquet", lambda path: path.write_bytes(_parquet({"id": ["1"], "text": [SECRET]})[:-9])),
        ("cut.jsonl", lambda path: path.write_bytes(b"\n".join(lines("z", 4))[:-9])),
        ("cut.jsonl.gz", lambda path: path.write_bytes(gzip.compress(b"\n".join(lines("z", 4)))[:-900])),
        ("cut.jsonl.zst", lambda path: path.write_bytes(zstandard.compress(b"\n".join(lines("z", MANY)))[:-900])),
    ],
)
def test_a_truncated_file_alone(
    spark: SparkSession,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    make: Callable[[Path], Any],
) -> None:
    make(tmp_path / name)
    assert call("run", tmp_path / name, "--out", tmp_path / "out", "--json") == 0
    told = capfd.readouterr()
    assert told.err == ""
    assert json.loads(told.out)["posts"]["quarantined"] == 1
    (row,) = rows_of(tmp_path / "out", "quarantine")
    assert (row["file"], row["fault"]) == (str(tmp_path / name), "truncated")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"may not mount a small file system here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def visible(out: Path) -> dict[str, int]:
    """Return every file a reader can see with its size: all but the state folder."""
    return {
        str(path.relative_to(out)): path.stat().st_size
        for path in out.rglob("*")
        if path.is_file() and ".swarmfeed" not in path.parts
    }


@pytest.mark.parametrize("spare_kib", [0, 100, 1000])
def test_a_full_disk_publishes_nothing(
    spark: SparkSession, tmp_path: Path, small_disk: Path, capfd: pytest.CaptureFixture[str], spare_kib: int
) -> None:
    small, big, out = tmp_path / "small.jsonl", tmp_path / "big.jsonl", small_disk / "out"
    write(Simulation(posts=40, seed=1), small)
    write(Simulation(posts=2500, seed=2), big)
    assert call("run", small, "--out", out) == 0
    before, posts = visible(out), sorted(row["id"] for row in rows_of(out, "posts"))
    capfd.readouterr()

    ballast = small_disk / "ballast"
    _fill_up(ballast, spare_kib << 10)
    assert call("run", big, "--out", out) == 1
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err == "swarmfeed: the disk is full: nothing was published; make room and run again\n"
    assert visible(out) == before
    assert sorted(row["id"] for row in rows_of(out, "posts")) == posts
    assert all(Path(file).is_file() for file in table_files(out, "posts"))
    assert len(epochs(out)) == 1

    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    assert call("run", big, "--out", out) == 0
    assert [entry["swarmfeed.epoch"] for entry in epochs(out)] == ["0", "1"]


@pytest.mark.parametrize("spare_kib", [0, 300])
def test_a_stream_stops_on_a_full_disk_and_goes_on_when_there_is_room(
    spark: SparkSession, tmp_path: Path, small_disk: Path, capfd: pytest.CaptureFixture[str], spare_kib: int
) -> None:
    source, out, ballast = tmp_path / "in", small_disk / "out", small_disk / "ballast"
    source.mkdir()
    write(Simulation(posts=40, seed=1), source / "a.jsonl")
    words = ("stream", f"files://{source}", "--out", out, "--once")
    assert call(*words) == 0
    before, posts = visible(out), sorted(row["id"] for row in rows_of(out, "posts"))
    write(Simulation(posts=2500, seed=2), source / "b.jsonl")
    _fill_up(ballast, spare_kib << 10)
    capfd.readouterr()
    assert call(*words) == 1
    assert capfd.readouterr().err.splitlines()[-1] == (
        "swarmfeed: the disk is full: nothing was published; make room and run again"
    )
    assert {name: size for name, size in visible(out).items() if not name.startswith("reports")} == {
        name: size for name, size in before.items() if not name.startswith("reports")
    }
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    assert call(*words) == 0
    assert len(epochs(out)) == 2
    assert {row["id"] for row in rows_of(out, "posts")} > set(posts)


@pytest.mark.parametrize("spare_kib", [0, 4, 8, 16, 24, 40, 80])
def test_a_disk_that_fills_at_the_commit(
    spark: SparkSession,
    tmp_path: Path,
    small_disk: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spare_kib: int,
) -> None:
    raw, out, ballast = tmp_path / "raw.jsonl", small_disk / "out", small_disk / "ballast"
    write(Simulation(posts=40, seed=1), raw)
    publish = batch.publish

    def late(*given: Any) -> None:
        _fill_up(ballast, spare_kib << 10)
        publish(*given)

    with monkeypatch.context() as patched:
        patched.setattr(batch, "publish", late)
        assert call("run", raw, "--out", out) == 1
    told = capfd.readouterr()
    assert told.err == "swarmfeed: the disk is full: nothing was published; make room and run again\n"
    assert visible(out) == {}
    ballast.unlink()
    assert call("run", raw, "--out", out) == 0
    assert len(epochs(out)) == 1


def _fill_up(ballast: Path, spare_bytes: int) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - spare_bytes))
