"""How a receiver paces itself, and its one seam to the world outside: clock, disk, trust and chance."""

from __future__ import annotations

import shutil
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Limits:
    """When a segment closes, when reading pauses, and how long a source may be silent or away."""

    segment_seconds: float = 1.0
    segment_records: int = 5000
    segment_bytes: int = 16 << 20
    free_bytes: int = 256 << 20  # with less room on the disk nothing more is read
    message_bytes: int = 16 << 20  # a longer line is cut: its head goes to quarantine
    silence_seconds: float | None = None  # a connection silent for longer is dead; each source knows its own
    first_wait_seconds: float = 1.0  # before the first attempt to connect again; it doubles from there
    longest_wait_seconds: float = 60.0
    stop_seconds: float = 5.0  # how long `stop` waits for a connection that is being made
    quiet_seconds: float = 5.0  # `receive_until`: this long without a message means that all was delivered
    patience_seconds: float = 60.0  # `receive_until`: a source that is away for longer is a failure


def free_bytes(folder: Path) -> int:
    """Return the room left on the disk of a folder."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Outside:
    """What a receiver does not decide itself; tests hand in their own."""

    now: Callable[[], float] = time.time  # seconds since 1970
    free_bytes: Callable[[Path], int] = free_bytes
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    random: Random = field(default_factory=Random)  # spreads the attempts of many receivers
