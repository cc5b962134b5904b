"""Local servers that speak the protocols of live sources, for as long and as badly as a test wants."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

PATIENCE_SECONDS = 20.0


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as a condition holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come about in time"
        time.sleep(0.005)


class JetstreamServer:
    """Sends what it has from a cursor on, then whatever is published; may cut its connections on purpose."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.queries: list[dict[str, list[str]]] = []
        self.frames: list[tuple[int, bytes | str]] = []
        self.cut_after: list[int] = []  # frames after which each connection in turn is cut
        self.status: int | None = None  # answered instead of a connection
        self._live_from = 0  # what is published from here on goes to the connection that is made now
        self._changed = threading.Condition()
        self._closing = False
        self._sockets: list[ServerConnection] = []
        self._server = serve(
            self._handle,
            "127.0.0.1",
            port,
            ssl=tls,
            process_request=self._answer,
            compression=None,
            open_timeout=1,
            close_timeout=0.2,
        )
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def publish(self, *frames: tuple[int, bytes | str]) -> None:
        """Send frames, each with the moment (microseconds) at which the server saw it."""
        with self._changed:
            self.frames += frames
            self._changed.notify_all()

    def close(self) -> None:
        """Go down, and cut every connection."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for connection in self._sockets:
            _cut(connection)
        self._server.shutdown()
        self._thread.join()

    def __enter__(self) -> JetstreamServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.queries.append(parse_qs(urlsplit(request.path).query))
        self._live_from = len(self.frames)
        return None if self.status is None else Response(self.status, "No", Headers())

    def _handle(self, connection: ServerConnection) -> None:
        self._sockets.append(connection)
        cursor = int(self.queries[-1].get("cursor", [str(1 << 62)])[0])
        left = self.cut_after.pop(0) if self.cut_after else 1 << 30
        at, live_from = 0, self._live_from
        try:
            while not self._closing:
                with self._changed:
                    self._changed.wait_for(lambda at=at: self._closing or len(self.frames) > at)
                    batch = [frame for moment, frame in self.frames[at:live_from] if moment >= cursor]
                    batch += [frame for _, frame in self.frames[max(at, live_from) :]]
                    at = len(self.frames)
                for frame in batch[:left]:
                    connection.send(frame)
                left -= len(batch)
                if left <= 0:
                    _cut(connection)
                    return
        except (ConnectionClosed, OSError):
            return


def _cut(connection: ServerConnection) -> None:
    with suppress(OSError):  # gone already
        connection.socket.shutdown(socket.SHUT_RDWR)


class Exchange:
    """One request, and what a test answers it with."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.path = handler.path
        self.headers = handler.headers
        self.at = time.time()
        self.chunked = True
        self._handler = handler

    def begin(self, status: int = 200, chunked: bool = True, **headers: str) -> None:
        """Send the head of the answer; an underscore in a header's name stands for a hyphen."""
        self.chunked = chunked
        self._handler.send_response(status)
        for key, value in headers.items():
            self._handler.send_header(key.replace("_", "-"), value)
        self._handler.send_header("Transfer-Encoding" if chunked else "Connection", "chunked" if chunked else "close")
        self._handler.end_headers()
        self._handler.wfile.flush()

    def send(self, data: bytes) -> None:
        """Send some bytes of the body at once."""
        framed = b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data
        self._handler.wfile.write(framed)
        self._handler.wfile.flush()

    def end(self) -> None:
        """End the body as a server does that means it."""
        if self.chunked:
            self._handler.wfile.write(b"0\r\n\r\n")


class LineServer:
    """Answers each request in turn with the next of its answers, the last one for ever. No answer may outlive it."""

    def __init__(self, *answers: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> None:
        self.exchanges: list[Exchange] = []
        self.errors: list[BaseException | None] = []  # in answers: a mistake of the test
        self.done = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                exchange = Exchange(self)
                outer.exchanges.append(exchange)
                answer = answers[min(len(outer.exchanges), len(answers)) - 1]
                with suppress(OSError):  # the client has gone
                    answer(exchange)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = self._note_error  # type: ignore[method-assign]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stay(self, exchange: Exchange) -> None:
        """Keep the connection open and say nothing."""
        self.done.wait(PATIENCE_SECONDS)

    def _note_error(self, *_: object) -> None:
        if not isinstance(sys.exception(), OSError):  # the client has gone
            self.errors.append(sys.exception())

    def close(self) -> None:
        """Go down."""
        self.done.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def line_server(*answers: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> Iterator[LineServer]:
    """Run a server for as long as a test needs it."""
    server = LineServer(*answers, tls=tls)
    try:
        yield server
    finally:
        server.close()
    assert not server.errors
