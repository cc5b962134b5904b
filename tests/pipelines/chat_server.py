"""A local chat endpoint that answers as a test wants, well or badly."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MARKS = {"quality": 4, "truthfulness": None, "toxicity": 0, "machine_written": 2}


@dataclass(frozen=True)
class Says:
    """One reply: a status with headers, and words or a whole body; after a pause."""

    content: str = json.dumps(MARKS)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    usage: bool = True
    seconds: float = 0.0

    def to_bytes(self) -> bytes:
        """Write the body."""
        if self.body is not None:
            return self.body
        usage = {"prompt_tokens": 100, "completion_tokens": 20} if self.usage else None
        return json.dumps({"choices": [{"message": {"content": self.content}}], "usage": usage}).encode()


@dataclass
class ChatServer:
    """Where it is, what was asked, and what decides on a reply: the text and how often it was asked about."""

    decide: Callable[[str, int], Says] = lambda text, times: Says()
    url: str = ""
    asked: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    most_at_once: int = 0
    _at_work: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, body: bytes, key: str | None) -> Says:
        """Note a request and return what is said to it."""
        request = json.loads(body)
        text = json.loads(request["messages"][-1]["content"])
        with self._lock:
            self.asked.append(text)
            self.requests.append(request)
            self.keys.add(key)
            times = self.asked.count(text)
            self._at_work += 1
            self.most_at_once = max(self.most_at_once, self._at_work)
        says = self.decide(text, times)
        time.sleep(says.seconds)
        with self._lock:
            self._at_work -= 1
        return says


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    """Let a server answer for as long as the context is open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.path == "/v1/chat/completions"
            says = server.reply(body, self.headers.get("Authorization")) if known else Says(status=404)
            data = says.to_bytes()
            try:
                self.send_response(says.status)
                for name, value in {"Content-Length": str(len(data)), **says.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # whoever asked did not wait

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
