"""Show a stream live on a terminal: one line where it is narrow, a small panel where there is room."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipelines.telemetry.figures import SourceFigures, SourceStatus
from pipelines.telemetry.health import WHAT_TO_DO, Status, overall, raised
from pipelines.telemetry.snapshot import Snapshot

PANEL_COLUMNS = 100
PANEL_WIDTH = 110  # a wider one only tears its figures apart
UNKNOWN = "–"
GAP = "  "
SIGNS = {
    SourceStatus.CONNECTING: ("◌", "yellow"),
    SourceStatus.STREAMING: ("●", "green"),
    SourceStatus.WAITING: ("○", "green"),
    SourceStatus.DOWN: ("✗", "bold red"),
}
STYLES = {Status.OK: "green", Status.DEGRADED: "yellow", Status.FAILING: "bold red"}
_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_SPANS = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "m"))  # from where on, seconds of one, its sign


@contextlib.contextmanager
def show(take: Callable[[], Snapshot], console: Console) -> Iterator[None]:
    """Keep the status on a terminal up to date while the context is open; say nothing anywhere else."""
    if not console.is_terminal:
        yield
        return
    with Live(
        get_renderable=lambda: render(take(), console.width), console=console, refresh_per_second=2, transient=True
    ):
        yield


def render(snapshot: Snapshot, columns: int) -> RenderableType:
    """Return the status for a terminal of so many columns."""
    return panel(snapshot) if columns >= PANEL_COLUMNS else line(snapshot, columns)


class Figure(NamedTuple):
    """One figure of the line; the highest rank is the first to go where there is no room."""

    rank: int
    text: Text


def line(snapshot: Snapshot, columns: int = 80) -> Text:
    """Return everything on one line; what does not fit goes, the least important first."""
    read, kept = snapshot.rates()
    figures = [
        Figure(0, _source(snapshot.source)),
        *([Figure(0, warning)] if (warning := _warning(snapshot)) else []),
        Figure(1, Text(f"{compact(read)}→{compact(kept)}/s", "bold")),
        Figure(5, Text(percent(snapshot.kept_share))),
        Figure(2, Text(f"lag {span(snapshot.lag_seconds)}")),
        Figure(3, Text(f"epoch {number(snapshot.epoch)} {span(_last(snapshot))}")),
        Figure(6, Text(f"index {compact(snapshot.index_posts)}", "dim")),
        Figure(4, Text(f"del {span(_oldest(snapshot))}", "dim")),
    ]
    while len(figures) > 1 and _width(figures) > columns:
        figures.remove(max(figures, key=lambda figure: figure.rank))
    return Text(GAP, no_wrap=True, overflow="ellipsis").join([figure.text for figure in figures])


def panel(snapshot: Snapshot) -> Panel:
    """Return everything in a few rows, alarms and what to do below."""
    alarms = raised(snapshot)
    worst = overall(alarms)
    rows = Table.grid(padding=(0, 1), expand=True)
    for _ in range(3):
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(no_wrap=True, ratio=1)
    for cells in _rows(snapshot):
        rows.add_row(*cells)
    advice = [Text.assemble((f"{one.alarm}: ", STYLES[one.status]), WHAT_TO_DO[one.alarm]) for one in alarms]
    state = "stopping after this epoch" if snapshot.stopping else worst.value
    title = Text.assemble("swarmfeed stream: ", (state, STYLES[worst]))
    return Panel(Group(rows, *advice), title=title, title_align="left", width=PANEL_WIDTH, border_style="bright_black")


def _rows(snapshot: Snapshot) -> Sequence[Sequence[str | Text]]:
    (read, kept), (read_ever, kept_ever) = snapshot.rates(), snapshot.rates(None)
    epoch = f"{number(snapshot.epoch)} {snapshot.phase}"
    times = f"{span(_last(snapshot))}, mean {span(snapshot.mean_epoch_seconds)}"
    waiting = number(snapshot.deletions.open if snapshot.deletions else None)
    return (
        ("source", _source(snapshot.source), "in", f"{compact(read)}/s", "since start", f"{compact(read_ever)}/s"),
        ("lag", _lag(snapshot), "out", f"{compact(kept)}/s", "since start", f"{compact(kept_ever)}/s"),
        ("epoch", epoch, "took", times, "kept", percent(snapshot.kept_share)),
        (
            "index",
            _index(snapshot),
            "deletions",
            f"{waiting} open, oldest {span(_oldest(snapshot))}",
            "posts",
            compact(snapshot.counts.read),
        ),
    )


def compact(count: float | None) -> str:
    """Shorten a count to at most five characters.

    >>> compact(7), compact(5812), compact(12_345_678), compact(None)
    ('7', '5.8k', '12.3M', '–')
    """
    if count is None:
        return UNKNOWN
    for unit, sign in _UNITS:
        if round(count) >= unit:
            return f"{count / unit:.1f}{sign}" if count < 99.95 * unit else f"{count / unit:.0f}{sign}"
    return f"{count:.0f}"


def span(seconds: float | None) -> str:
    """Shorten a time.

    >>> span(3.21), span(42), span(600), span(10_800), span(200_000), span(None)
    ('3.2s', '42s', '10m', '3h', '2d', '–')
    """
    if seconds is None:
        return UNKNOWN
    for least, unit, sign in _SPANS:
        if seconds >= least:
            return f"{seconds / unit:.0f}{sign}"
    return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"


def number(count: int | None) -> str:
    """Write a count in full."""
    return UNKNOWN if count is None else f"{count:,}"


def percent(share: float | None) -> str:
    """Write a share in percent."""
    return UNKNOWN if share is None else f"{100 * share:.0f}%"


def _source(source: SourceFigures | None) -> Text:
    """Say which source it is and, in words too, when it is not as it should be."""
    if source is None:
        return Text("no source yet", "dim")
    sign, style = SIGNS[source.status]
    state = "" if source.status is SourceStatus.STREAMING else f" {source.status}"
    return Text.assemble((sign, style), f" {source.kind}", (state, style))


def _warning(snapshot: Snapshot) -> Text | None:
    alarms = raised(snapshot)
    if not alarms:
        return None
    more = f" +{len(alarms) - 1}" if len(alarms) > 1 else ""
    worst = overall(alarms)
    first = next(one.alarm for one in alarms if one.status is worst)
    return Text(f"! {first}{more}", STYLES[worst])


def _lag(snapshot: Snapshot) -> str:
    waiting = "" if snapshot.lag_records is None else f", {compact(snapshot.lag_records)} waiting"
    return f"{span(snapshot.lag_seconds)}{waiting}"


def _index(snapshot: Snapshot) -> str:
    if snapshot.index_posts is None or snapshot.index_bytes is None:
        return UNKNOWN
    return f"{compact(snapshot.index_posts)} posts, {decimal(snapshot.index_bytes)}"


def _last(snapshot: Snapshot) -> float | None:
    return snapshot.epoch_seconds[-1] if snapshot.epoch_seconds else None


def _oldest(snapshot: Snapshot) -> float | None:
    return snapshot.deletions.oldest_seconds if snapshot.deletions else None


def _width(figures: Sequence[Figure]) -> int:
    return sum(figure.text.cell_len for figure in figures) + len(GAP) * (len(figures) - 1)
