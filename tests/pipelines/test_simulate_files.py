"""What `write` puts into files, and the settings it refuses."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines.simulate import Shares, Simulation, Summary, known_clusters, write
from pipelines.simulate.stream import Writer
from pipelines.sources.records import parse_values
from schemas.errors import ConfigError, RunError
from schemas.post import POST

SIMULATION = Simulation(posts=9000, seed=11)


@pytest.fixture(scope="module")
def stream() -> list[tuple[str, bytes]]:
    """Every line of the stream that is written, with its kind."""
    return [pair for lines, kinds in Writer(SIMULATION).blocks() for pair in zip(kinds, lines, strict=True)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Summary]]:
    folder = tmp_path_factory.mktemp("simulated")
    names = ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet")
    return folder, {name: write(SIMULATION, folder / "new" / name) for name in names}


def test_every_kind_of_file_holds_the_same_lines(
    written: tuple[Path, dict[str, Summary]], stream: list[tuple[str, bytes]]
) -> None:
    folder, summaries = written
    plain = b"".join(line + b"\n" for _, line in stream)
    assert (folder / "new/a.jsonl").read_bytes() == plain
    assert gzip.decompress((folder / "new/a.jsonl.gz").read_bytes()) == plain
    with (folder / "new/a.jsonl.zst").open("rb") as file:
        assert zstandard.ZstdDecompressor().stream_reader(file).read() == plain
    assert len({repr(summary) for summary in summaries.values()}) == 1
    assert not [path for path in (folder / "new").iterdir() if "partial" in path.name]


def test_parquet_holds_the_well_formed_posts(
    written: tuple[Path, dict[str, Summary]], stream: list[tuple[str, bytes]]
) -> None:
    folder, _ = written
    table = pq.read_table(folder / "new/a.parquet")
    lines = [line for kind, line in stream if kind not in ("malformed", "delete")]
    expected = parse_values(lines, "canonical").posts
    assert table.schema.equals(POST)
    assert table.to_pylist() == expected.to_pylist()


def test_the_summary_counts_what_is_there(
    written: tuple[Path, dict[str, Summary]], stream: list[tuple[str, bytes]]
) -> None:
    folder, summaries = written
    summary = summaries["a.jsonl"]
    assert summary.lines == 9000
    assert summary.kinds == dict(Counter(kind for kind, _ in stream))
    assert summary.posts == pq.read_metadata(folder / "new/a.parquet").num_rows
    assert summary.bytes == (folder / "new/a.jsonl").stat().st_size
    assert summary.clusters == len(known_clusters(line for _, line in stream))


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    write(Simulation(posts=5000), tmp_path / "a.jsonl", told.append)
    assert told == [4096, 5000]


def test_a_name_that_says_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.csv: expected a name that ends in \.jsonl"):
        write(Simulation(posts=1), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write(Simulation(posts=1), tmp_path / "file" / "a.jsonl")


@pytest.mark.parametrize(
    "wrong",
    [
        {"posts": -1},
        {"posts": 1, "seed": -1},
        {"posts": 1, "rate": 0.0},
        {"posts": 1, "authors": 0},
        {"posts": 1, "start": datetime(2026, 1, 1)},
        {"posts": 1, "start": datetime(1960, 1, 1, tzinfo=UTC)},
        {"posts": 1_000_000_000, "rate": 0.001},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"expected"):
        Simulation(**wrong)


@pytest.mark.parametrize("wrong", [{"spam": -0.1}, {"spam": 1.1}, {"spam": 0.6, "repost": 0.5}])
def test_shares_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="share"):
        Shares(**wrong)
