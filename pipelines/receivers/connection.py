"""What every live source has in common: its messages, how a connection ends, and when to try again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from random import Random
from typing import NamedTuple, Protocol

import orjson

LONGEST_PAUSE_SECONDS = 3600.0  # no server may send a receiver away for longer


class Message(NamedTuple):
    """One message as the line of a segment; `line` is None for a mere sign of life."""

    line: bytes | None
    moment: int | None = None  # microseconds since 1970: when the source saw it, where it says so


ALIVE = Message(None)


class Interrupted(Exception):  # noqa: N818  (the ordinary life of a stream: connect again)
    """A connection that could not be made or that ended, and why, in our own words."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds  # how long the server asks to wait


class Refused(Exception):  # noqa: N818  (the receiver decides whether that is final)
    """A server that answers, and says no."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class Untrusted(Exception):  # noqa: N818  (the receiver decides whether that is final)
    """A server whose certificate is not what it should be."""


class Connection(Protocol):
    """One connection that delivers messages until it ends."""

    def messages(self) -> Iterator[Message]:
        """Yield messages as they come; raise Interrupted when the connection breaks or falls silent."""

    def hang_up(self) -> None:
        """End the connection from any thread: `messages` ends too, with or without an Interrupted."""

    def close(self) -> None:
        """Give back what the connection holds, once nobody waits for its messages."""


class LiveSource(Protocol):
    """Where live messages come from."""

    name: str
    format: str  # of pipelines.sources
    resumes: bool  # a connection begins where a cursor says, for as far back as it takes
    covers_seconds: float  # how much of what was missed another one sends again

    def connect(self, cursor: int | None) -> Connection:
        """Connect, behind a cursor (microseconds since 1970); raise Interrupted, Refused or Untrusted."""


class Backoff:
    """How long to wait before the next attempt: doubling, capped, and spread by up to a half."""

    def __init__(self, first_seconds: float, longest_seconds: float, random: Random) -> None:
        self.first_seconds = first_seconds
        self.longest_seconds = longest_seconds
        self.random = random
        self.attempts = 0

    def next_seconds(self) -> float:
        """Return how long to wait now.

        >>> backoff = Backoff(1, 60, Random(0))
        >>> [round(backoff.next_seconds(), 1) for _ in range(8)]
        [0.6, 1.2, 3.2, 7.0, 11.9, 25.5, 36.5, 50.9]
        """
        seconds = min(self.longest_seconds, self.first_seconds * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return seconds * (1 - self.random.random() / 2)

    def reset(self) -> None:
        """Begin anew: the connection has worked."""
        self.attempts = 0


def check_status(status: int, headers: Mapping[str, str], now: Callable[[], float]) -> None:
    """Raise Interrupted for an answer that will pass, and Refused for any other that is not a success."""
    if status in (200, 101):
        return
    if status == 429:
        raise Interrupted("rate limit (HTTP 429)", _asked_to_wait(headers, now()))
    if status >= 500 or status in (408, 420, 425):
        raise Interrupted(f"HTTP {status}", _asked_to_wait(headers, now()))
    raise Refused(status)


def _asked_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a server asks to wait, from whichever header says so."""
    for key, start in (("x-rate-limit-reset", now), ("retry-after", 0.0)):
        with suppress(ValueError):
            if key in headers:
                return min(max(float(headers[key]) - start, 0.0), LONGEST_PAUSE_SECONDS)
    return None


def one_line(message: bytes) -> bytes | None:
    r"""Turn a message into one line; None when it is blank.

    A newline between the parts of JSON may as well be a space. In anything else it becomes a character that JSON knows
    nowhere, so that garbage stays garbage: one line, which goes to quarantine.

    >>> one_line(b'{"a":\n1}'), one_line(b'{"a\n": 1}'), one_line(b"\r\n")
    (b'{"a": 1}', b'{"a\x0b": 1}', None)
    """
    if not message.strip():
        return None
    if b"\n" not in message:
        return message
    try:
        orjson.loads(message)
    except orjson.JSONDecodeError:
        return message.replace(b"\n", b"\v")
    return message.replace(b"\n", b" ")


def why(error: BaseException) -> str:
    """Say in a few words what went wrong, without what a server or an address may have put into the message."""
    cause: BaseException | None = error
    while cause is not None:
        if "Timeout" in type(cause).__name__:  # every library has its own
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
