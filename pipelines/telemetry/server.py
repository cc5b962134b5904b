"""Answer Prometheus and health checks on a local port, from threads that the stream does not wait for."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer

from prometheus_client.exposition import choose_encoder

from pipelines.telemetry.health import Status, health
from pipelines.telemetry.metrics import registry
from pipelines.telemetry.snapshot import Snapshot
from schemas.errors import ConfigError

HOST = "127.0.0.1"
CLIENT_SECONDS = 5.0  # how long a client may take to ask


class _Server(ThreadingTCPServer):
    """A server whose threads end with the process; http.server's own asks for the name of the host first."""

    allow_reuse_address = True  # a stream that starts again takes its port over at once
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # with socketserver's 5, clients that connect at once wait for a second

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is none of the stream's business."""


@contextlib.contextmanager
def serve(take: Callable[[], Snapshot], port: int) -> Iterator[str]:
    """Serve /metrics and /health for as long as the context is open; yield the address.

    Port 0 is any that is free. Raises ConfigError when the port cannot be had.
    """
    try:
        server = _Server((HOST, port), _handler(take))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected 0 to 65535"
        raise ConfigError(
            f"stream.metrics_port: {port} on {HOST} cannot be had: {reason}; choose another, or 0 for any that is free"
        ) from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(take: Callable[[], Snapshot]) -> type[BaseHTTPRequestHandler]:
    own = registry(take)

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                encode, kind = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, kind, encode(own))
            elif path == "/health":
                found = health(take())
                failing = found["status"] == Status.FAILING
                status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
                self._answer(status, "application/json", json.dumps(found).encode() + b"\n")
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics or /health\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log no request."""

    return Handler
