"""The local port: what it answers, to whom, and that it starts and stops cleanly and says nothing."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families
from streams import Stream

from pipelines.telemetry.figures import DeletionFigures
from pipelines.telemetry.server import serve
from pipelines.telemetry.snapshot import Snapshot
from schemas.errors import ConfigError


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def address(stream: Stream) -> Iterator[str]:
    with serve(stream.state.snapshot, 0) as found:
        yield found


def ask(address: str, path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, str, str]:
    """Return status, content type and body."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def test_metrics(stream: Stream, address: str) -> None:
    stream.epoch(10)
    status, kind, body = ask(address, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert 'swarmfeed_posts_total{route="kept"} 190.0' in body
    assert all(family.name.startswith("swarmfeed_") for family in text_string_to_metric_families(body))


def test_metrics_as_open_metrics_where_they_are_asked_for(address: str) -> None:
    status, kind, body = ask(address, "/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_health_is_200_until_the_stream_fails(stream: Stream, address: str) -> None:
    stream.state.deletions(DeletionFigures(1, 0.0, 1000.0, 0))
    seen = []
    for _ in range(3):
        status, kind, body = ask(address, "/health")
        assert kind == "application/json"
        seen.append((status, json.loads(body)["status"]))
        stream.now += 900
    assert seen == [(200, "ok"), (200, "degraded"), (503, "failing")]


@pytest.mark.parametrize("path", ["/", "/metrics/", "/health/..", "/debug", "//", "/%2e%2e/etc/passwd"])
def test_nothing_else_is_there(address: str, path: str) -> None:
    status, _, body = ask(address, path)
    assert (status, body) == (404, "/metrics or /health\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_nothing_can_be_done_there(address: str, method: str) -> None:
    assert ask(address, "/health", method)[0] == 501


def test_it_listens_on_this_machine_alone(address: str) -> None:
    assert urlsplit(address).hostname == "127.0.0.1"


def test_a_port_in_use_is_named_with_its_key(stream: Stream) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"stream\.metrics_port: {port} .*in use"):
            serve(stream.state.snapshot, port).__enter__()


def test_a_port_that_is_none(stream: Stream) -> None:
    with pytest.raises(ConfigError, match=r"stream\.metrics_port: 70000 .*expected 0 to 65535"):
        serve(stream.state.snapshot, 70_000).__enter__()


def test_it_stops_cleanly_and_gives_its_port_back(stream: Stream) -> None:
    before = threading.active_count()
    with serve(stream.state.snapshot, 0) as address:
        assert ask(address, "/health")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask(address, "/health")
    assert threading.active_count() == before
    with serve(stream.state.snapshot, urlsplit(address).port or 0) as again:
        assert again == address


def test_clients_that_hang_or_leave_hold_nobody_up(stream: Stream) -> None:
    with serve(stream.state.snapshot, 0) as address:
        place = ("127.0.0.1", urlsplit(address).port)
        silent = [socket.create_connection(place) for _ in range(20)]
        for client in silent[:10]:
            client.sendall(b"GET /metrics HT")
        with socket.create_connection(place) as gone:
            gone.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert ask(address, "/health")[0] == 200
    for client in silent:
        client.close()


def test_the_stream_goes_on_while_a_client_waits(stream: Stream) -> None:
    asked, answered = threading.Event(), threading.Event()

    def take() -> Snapshot:
        asked.set()
        assert answered.wait(30)
        return stream.state.snapshot()

    with serve(take, 0) as address:
        client = threading.Thread(target=ask, args=(address, "/health"))
        client.start()
        assert asked.wait(30)
        stream.epoch(10)
        assert stream.state.snapshot().epochs == 1, "or the state would be locked while somebody reads"
        answered.set()
        client.join()


def test_a_reading_that_fails_costs_that_answer_alone(stream: Stream, capfd: pytest.CaptureFixture[str]) -> None:
    broken = [OSError("the disk is away")]

    def take() -> Snapshot:
        if broken:
            raise broken.pop()
        return stream.state.snapshot()

    with serve(take, 0) as address:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(address, "/health")
        assert ask(address, "/health")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_it_says_nothing(stream: Stream, capfd: pytest.CaptureFixture[str]) -> None:
    with serve(stream.state.snapshot, 0) as address:
        for path in ("/metrics", "/health", "/nowhere"):
            ask(address, path)
        with socket.create_connection(("127.0.0.1", urlsplit(address).port)) as garbage:
            garbage.sendall(b"\x16\x03\x01\r\n\r\n")
            garbage.recv(1000)
    assert capfd.readouterr() == ("", "")
