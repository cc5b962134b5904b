"""A Mastodon server's public statuses as server-sent events.

    mastodon://HOST[:PORT][/PATH][?tag=...&only_media=true]

Mastodon sends nothing again: what happens while no connection stands is a gap, which the receiver's state tells.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from pydantic import SecretStr

from pipelines.receivers.address import Address
from pipelines.receivers.connection import ALIVE, Interrupted, Message, one_line
from pipelines.receivers.http_stream import HttpStream, Request, authorization
from pipelines.receivers.settings import Limits, Outside

PATH = "/api/v1/streaming/public"
SILENCE_SECONDS = 60.0  # a heartbeat comes every 15
EVENT_STREAM = "text/event-stream"


class Mastodon:
    """A source that only knows the present."""

    format = "mastodon"
    resumes = False
    covers_seconds = 0.0

    def __init__(self, address: Address, token: SecretStr | None, limits: Limits, outside: Outside) -> None:
        self.name = address.name
        self._request = Request(
            address.url("http", address.path or PATH, address.pairs("tag", "only_media")),
            {"Accept": EVENT_STREAM, **authorization(token)},
            limits.silence_seconds or SILENCE_SECONDS,
        )
        self._limits = limits
        self._outside = outside

    def connect(self, cursor: int | None) -> HttpStream:
        """Open the stream."""
        stream = HttpStream(self._request, read_events, self._limits, self._outside)
        if not stream.content_type.startswith(EVENT_STREAM):
            stream.close()
            raise Interrupted("expected an event stream, got something else")
        return stream


def read_events(lines: Iterator[bytes]) -> Iterator[Message]:
    """Put server-sent events together, each as `{"event": NAME, "payload": DATA}`; a comment is a sign of life.

    >>> [line for line, _ in read_events(iter([b":thump", b"event: delete", b"data: 7", b""]))]
    [None, b'{"event":"delete","payload":"7"}']
    """
    event, data = b"message", list[bytes]()
    for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            yield Message(event_line(event, b"\n".join(data))) if data else ALIVE
            event, data = b"message", []
        elif field == b"event":
            event = value
        elif field == b"data":
            data.append(value)
        elif field in (b"", b"id", b"retry"):
            yield ALIVE
        else:
            yield Message(one_line(line))  # no part of an event: quarantine shows it


def event_line(event: bytes, data: bytes) -> bytes:
    """Write an event as one line; one that is not UTF-8 stays as it came, for quarantine."""
    try:
        return orjson.dumps({"event": event.decode(), "payload": data.decode()})
    except UnicodeDecodeError:
        return b"event: " + event + b" data: " + data.replace(b"\n", b"\v")
