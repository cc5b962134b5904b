"""Bluesky's Jetstream over WebSocket, resumed by the moment at which the server saw a message.

    jetstream://HOST[:PORT][/PATH][?wantedCollections=...&wantedDids=...&zstd_dictionary=FILE]

Asked for posts alone, it also sends what becomes of accounts. A cursor is sent a little early, because the moments of
messages are not quite in order; what comes twice is dropped later, by id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import orjson
import zstandard
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pipelines.receivers.address import Address
from pipelines.receivers.connection import ALIVE, Interrupted, Message, Untrusted, check_status, one_line, why
from pipelines.receivers.http_stream import is_certificate_error
from pipelines.receivers.settings import Limits, Outside
from pipelines.sources.compressed import ZSTD_MAGIC
from pipelines.sources.jetstream import POSTS
from schemas.errors import ConfigError
from schemas.version import VERSION

PATH = "/subscribe"
OVERLAP_MICROS = 5_000_000
SILENCE_SECONDS = 60.0
FRAME_BYTES = 64 << 20  # a record has at most some MB; what is larger ends the connection


class Jetstream:
    """A source that sends again what came behind a cursor, for as far back as the server keeps it."""

    format = "jetstream"
    resumes = True
    covers_seconds = 0.0

    def __init__(self, address: Address, limits: Limits, outside: Outside) -> None:
        self.name = address.name
        self._address = address
        self._silence_seconds = limits.silence_seconds or SILENCE_SECONDS
        self._outside = outside
        self._dictionary = _dictionary(address)

    def connect(self, cursor: int | None) -> JetstreamConnection:
        """Subscribe from a little before the cursor on."""
        query = self._address.pairs("wantedCollections", "wantedDids")
        if not self._address.option("wantedCollections"):
            query.append(("wantedCollections", POSTS))
        if self._dictionary is not None:
            query.append(("compress", "true"))
        if cursor is not None:
            query.append(("cursor", str(cursor - OVERLAP_MICROS)))
        stack = ExitStack()
        try:
            socket = stack.enter_context(
                connect(
                    self._address.url("ws", self._address.path or PATH, query),
                    ssl=self._outside.tls if self._address.tls else None,
                    compression=None,
                    proxy=None,
                    user_agent_header=f"swarmfeed/{VERSION}",
                    close_timeout=1,
                    max_size=FRAME_BYTES,
                )
            )
        except InvalidStatus as error:
            check_status(error.response.status_code, _lower(error), self._outside.now)
            raise Interrupted(f"HTTP {error.response.status_code}") from None
        except (InvalidHandshake, OSError) as error:
            if is_certificate_error(error):
                raise Untrusted from None
            raise Interrupted(why(error)) from None
        return JetstreamConnection(socket, stack, self._silence_seconds, self._dictionary)


def _lower(error: InvalidStatus) -> dict[str, str]:
    return {key.lower(): value for key, value in error.response.headers.raw_items()}


class JetstreamConnection:
    """One subscription."""

    def __init__(
        self,
        socket: ClientConnection,
        stack: ExitStack,
        silence_seconds: float,
        dictionary: zstandard.ZstdCompressionDict | None,
    ) -> None:
        self._socket = socket
        self._stack = stack
        self._silence_seconds = silence_seconds
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary) if dictionary else None

    def messages(self) -> Iterator[Message]:
        """Yield messages with the moment at which the server saw them."""
        while True:
            try:
                frame = self._socket.recv(self._silence_seconds, decode=False)
            except TimeoutError:
                raise Interrupted("silence") from None
            except ConnectionClosedOK:
                return
            except ConnectionClosed as error:
                code = error.sent.code if error.sent else error.rcvd.code if error.rcvd else "no reason"
                raise Interrupted(f"connection lost ({code})") from None
            data = self._plain(frame)
            line = one_line(data)
            yield ALIVE if line is None else Message(line, moment_of(data))

    def _plain(self, frame: bytes) -> bytes:
        """Decompress a frame; one that cannot be goes on as it is, to quarantine."""
        if self._decompressor is not None and frame.startswith(ZSTD_MAGIC):
            with suppress(zstandard.ZstdError, MemoryError):
                told = zstandard.get_frame_parameters(frame).content_size
                if told <= FRAME_BYTES or told == zstandard.CONTENTSIZE_UNKNOWN:
                    return self._decompressor.decompress(frame, max_output_size=FRAME_BYTES)
        return frame

    def hang_up(self) -> None:
        """Leave the subscription."""
        self._socket.close()

    def close(self) -> None:
        """Leave the subscription, and free its socket."""
        self._stack.close()


def moment_of(message: bytes) -> int | None:
    """Return when the server saw a message, in microseconds; None where it does not say.

    >>> moment_of(b'{"time_us": 5}'), moment_of(b'{"time_us": "5"}'), moment_of(b"{")
    (5, None, None)
    """
    with suppress(orjson.JSONDecodeError):
        event = orjson.loads(message)
        moment = event.get("time_us") if type(event) is dict else None
        return moment if type(moment) is int else None
    return None


def _dictionary(address: Address) -> zstandard.ZstdCompressionDict | None:
    path = address.option("zstd_dictionary")
    if path is None:
        return None
    try:
        return zstandard.ZstdCompressionDict(Path(path).read_bytes())
    except (OSError, zstandard.ZstdError):
        raise ConfigError(f"{address.name}: zstd_dictionary {path}: expected a readable zstd dictionary") from None
