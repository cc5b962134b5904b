"""The log of a stream: closed event names, counts, seconds and short names; a post's text has no way in.

A line is one JSON object, or a sentence for people where stderr is a terminal. A log that cannot be written, on a full
disk say, does not stop the stream.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from logging.handlers import RotatingFileHandler
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from pipelines.telemetry.figures import EpochFigures
from pipelines.telemetry.names import WITHHELD, short_name
from schemas.errors import ConfigError

FILE_BYTES = 64 << 20
FILES = 8  # what is rotated out of the last one is gone
STYLES = {logging.INFO: "dim", logging.WARNING: "yellow", logging.ERROR: "bold red"}


class Event(StrEnum):
    """What can be logged."""

    STARTED = "started"
    RECOVERED = "recovered"  # what a crash had left was finished
    CONFIG_ACCEPTED = "config_accepted"  # a checkpoint goes on under another configuration
    EPOCH_DONE = "epoch_done"
    SOURCE_CONNECTED = "source_connected"
    SOURCE_LOST = "source_lost"
    QUERY_RESTARTED = "query_restarted"
    DELETIONS_DONE = "deletions_done"
    COMPACTED = "compacted"
    VACUUMED = "vacuumed"
    FAILED = "failed"
    DISK_FULL = "disk_full"
    STOPPING = "stopping"
    STOPPED = "stopped"
    UNKNOWN = "unknown"  # not an entry of ours: nothing of it is repeated


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `counts` are numbers and flags, `seconds` times by name, `names` short words."""

    event: Event
    epoch: int | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def epoch_entry(figures: EpochFigures) -> Entry:
    """Return what the log says of an epoch."""
    names = ("read", "kept", "rejected", "quarantined", "tokens", "tombstones")
    counts = {name: getattr(figures, name) for name in names}
    return Entry(Event.EPOCH_DONE, figures.epoch, counts, {**figures.seconds, "total": figures.total_seconds})


class StreamLog:
    """The log of one stream."""

    def __init__(self, *handlers: logging.Handler) -> None:
        self._logger = logging.Logger("swarmfeed.stream", logging.INFO)  # not one of logging's: nothing passes it on
        for handler in handlers:
            self._logger.addHandler(handler)

    def info(self, entry: Entry) -> None:
        """Log what is as it should be."""
        self._logger.info(entry)

    def warning(self, entry: Entry) -> None:
        """Log what the stream gets over by itself."""
        self._logger.warning(entry)

    def error(self, entry: Entry) -> None:
        """Log what somebody has to look at."""
        self._logger.error(entry)


@contextlib.contextmanager
def open_log(console: Console, file: Path | None = None) -> Iterator[StreamLog]:
    """Log for as long as the context is open: to a file that rotates, and for people if the console is a terminal.

    Without a file and without a terminal JSON goes to stderr. Raises ConfigError when the file cannot be written.
    """
    handlers: list[logging.Handler] = [_TerminalHandler(console)] if console.is_terminal else []
    if file is not None:
        handlers.append(_file_handler(file))
    elif not handlers:
        handlers.append(_StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(SentenceFormatter() if isinstance(handler, _TerminalHandler) else JsonFormatter())
    try:
        yield StreamLog(*handlers)
    finally:
        for handler in handlers:
            handler.close()


class JsonFormatter(logging.Formatter):
    """Write a record as one JSON object that holds numbers, flags, events and short names only."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps({"ts": _time(record).isoformat(timespec="milliseconds"), **_fields(record)}, allow_nan=False)


class SentenceFormatter(logging.Formatter):
    """Write a record as one line for people, from the same fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line.

        >>> entry = Entry(Event.EPOCH_DONE, 12, {"read": 5800, "kept": 1102}, {"total": 4.21})
        >>> record = logging.LogRecord("", logging.INFO, "", 0, entry, None, None)
        >>> SentenceFormatter().format(record)[9:]
        'epoch done 12 · read 5,800 · kept 1,102 · total 4.2 s'
        """
        fields = _fields(record)
        epoch = "" if fields["epoch"] is None else f" {fields['epoch']}"
        words = [f"{fields['event'].replace('_', ' ')}{epoch}"]
        words += [f"{name} {value}" for name, value in fields.get("names", {}).items()]
        words += [f"{name} {_shown(value)}" for name, value in fields["counts"].items()]
        words += [f"{name} {value:.1f} s" for name, value in fields["seconds"].items() if _is_number(value)]
        return f"{_time(record).astimezone():%H:%M:%S} " + " · ".join(words)


def allowed(value: object) -> float | bool | str | None:
    """Return a value that may be logged; anything that can hold a text comes back as a word that says so.

    >>> allowed(3), allowed(True), allowed(Event.STOPPED), allowed("jetstream"), allowed("so tired today")
    (3, True, 'stopped', 'jetstream', 'withheld')
    """
    if isinstance(value, Enum):
        return allowed(value.value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None  # JSON has no other
    return short_name(value) if isinstance(value, str) else WITHHELD


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    entry = record.msg if isinstance(record.msg, Entry) else Entry(Event.UNKNOWN)
    fields = {
        "level": record.levelname.lower(),
        "event": entry.event.value if isinstance(entry.event, Event) else Event.UNKNOWN.value,
        "epoch": int(entry.epoch) if isinstance(entry.epoch, Integral) else None,
        "counts": _allowed(entry.counts),
        "seconds": _allowed(entry.seconds),
    }
    return fields | ({"names": _allowed(entry.names)} if entry.names else {})


def _allowed(values: Mapping[str, Any]) -> dict[str, float | bool | str | None]:
    return {short_name(name): allowed(value) for name, value in values.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shown(value: float | bool | str | None) -> str:
    return f"{value:,}" if _is_number(value) else str(value)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _file_handler(file: Path) -> logging.Handler:
    try:
        return _FileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"stream.log_file: {file} cannot be written: {error.strerror}; choose another") from None


class _Silent(logging.Handler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing: logging would print the record itself, and the stream goes on without its log."""


class _StreamHandler(_Silent, logging.StreamHandler):  # type: ignore[type-arg]
    pass


class _FileHandler(_Silent, RotatingFileHandler):
    pass


class _TerminalHandler(_Silent):
    """Print above a status line that is on the same console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record's line."""
        try:
            self._console.print(Text(self.format(record), STYLES.get(record.levelno, "")), soft_wrap=True)
        except Exception:
            self.handleError(record)
