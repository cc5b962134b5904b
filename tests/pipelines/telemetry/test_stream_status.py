"""The status on a terminal: one line that fits, a panel where there is room, nothing anywhere else."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console, Group
from streams import Stream

from pipelines.telemetry.figures import DeletionFigures, SourceFigures, SourceStatus
from pipelines.telemetry.snapshot import Snapshot
from pipelines.telemetry.status_line import render, show


def running(kind: str = "jetstream", status: SourceStatus = SourceStatus.STREAMING) -> Stream:
    stream = Stream()
    for _ in range(10):
        stream.epoch(10, lag=3.2, read=58_120, kept=11_020, lag_records=1200)
    stream.state.source(SourceFigures(kind, status))
    stream.state.index(12_345_678, 9_000_000_000)
    stream.state.deletions(DeletionFigures(12, 10_900.0, 86_400.0, 4))
    stream.state.epoch_began(1284, "decide")
    return stream


def drawn(stream: Stream, columns: int) -> list[str]:
    console = Console(width=columns, file=io.StringIO(), force_terminal=True, record=True)
    console.print(Group(render(stream.state.snapshot(), columns)))  # on its own, print would make a new text of it
    return [row.rstrip() for row in console.export_text().splitlines()]


def test_one_line_at_80_columns_says_everything() -> None:
    assert drawn(running(), 80) == ["● jetstream  5.8k→1.1k/s  19%  lag 3.2s  epoch 1,284 4.0s  index 12.3M  del 3h"]


def test_a_source_that_is_down_is_said_in_words() -> None:
    stream = running("kafka", SourceStatus.DOWN)
    stream.now += 70
    (row,) = drawn(stream, 80)
    assert row.startswith("✗ kafka down  ! source_down  ")


def test_the_worst_alarm_is_named_first() -> None:
    stream = running("kafka", SourceStatus.DOWN)
    stream.now += 70
    stream.state.deletions(DeletionFigures(12, 90_000.0, 86_400.0, 4))
    assert "! tombstone_overdue +1" in drawn(stream, 80)[0]


def test_before_anything_is_known() -> None:
    assert drawn(Stream(), 80) == ["no source yet  0→0/s  –  lag –  epoch – –  index –  del –"]


@pytest.mark.parametrize("columns", range(20, 100))
def test_a_line_is_never_longer_than_the_terminal(columns: int) -> None:
    for stream in (running(), running("mastodon", SourceStatus.CONNECTING), Stream()):
        rows = drawn(stream, columns)
        assert len(rows) == 1
        assert cell_len(rows[0]) <= columns
        assert "…" not in rows[0] or columns < 22, "figures go whole; the source alone is cut"


@pytest.mark.parametrize("columns", [100, 120, 300])
def test_a_panel_where_there_is_room(columns: int) -> None:
    rows = drawn(running(), columns)
    assert len(rows) == 6
    assert rows[0].startswith("╭─ swarmfeed stream: ok ─")
    assert all(cell_len(row) == min(columns, 110) for row in rows)
    text = " ".join(" ".join(rows).split())
    for figure in (
        "source ● jetstream",
        "lag 3.2s, 1.2k waiting",
        "epoch 1,284 decide",
        "took 4.0s, mean 4.0s",
        "in 5.8k/s since start 5.8k/s",
        "out 1.1k/s since start 1.1k/s",
        "kept 19%",
        "index 12.3M posts, 9.0 GB",
        "deletions 12 open, oldest 3h",
        "posts 581k",
    ):
        assert figure in text


def test_the_panel_says_what_to_do() -> None:
    stream = running("kafka", SourceStatus.DOWN)
    stream.now += 70
    rows = drawn(stream, 120)
    assert "degraded" in rows[0]
    assert "source_down: look at the source and the network" in rows[-2]


def test_a_stop_is_said() -> None:
    stream = running()
    stream.state.stopping()
    assert "stopping after this epoch" in drawn(stream, 120)[0]


def test_nothing_is_shown_where_nobody_looks() -> None:
    def take() -> Snapshot:
        raise AssertionError("nobody looks, so nothing is to be read")

    file = io.StringIO()
    with show(take, Console(file=file, width=80)):
        pass
    assert file.getvalue() == ""


def test_a_terminal_shows_it_and_is_left_clean() -> None:
    stream, file = running(), io.StringIO()
    console = Console(file=file, width=80, force_terminal=True)
    with show(stream.state.snapshot, console):
        console.print("a line above it")
    text = file.getvalue()
    assert "jetstream" in text
    assert "a line above it\n" in text
    assert text.endswith("\x1b[2K"), "transient: the line is erased at the end"


def test_colours_can_be_seen(tmp_path) -> None:  # type: ignore[no-untyped-def]
    console = Console(width=120, record=True, force_terminal=True, file=io.StringIO())
    stream = running("kafka", SourceStatus.DOWN)
    stream.now += 70
    console.print(render(stream.state.snapshot(), 120))
    console.save_svg(str(tmp_path / "status.svg"), clear=False)
    drawing = (tmp_path / "status.svg").read_text(encoding="utf-8")
    assert "swarmfeed&#160;stream:&#160;" in drawing
    styled = console.export_text(styles=True)
    assert "\x1b[1;31mdown" in styled.replace("\x1b[1;31m ", "\x1b[1;31m")
    assert "\x1b[33mdegraded" in styled
