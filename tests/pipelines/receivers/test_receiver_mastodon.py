"""Mastodon: events put together from their lines, what was missed told, whatever the server sends."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from live_servers import Exchange, JetstreamServer, line_server, wait_for
from receiving import QUICK, TOKEN, Open, counted, post_ids, received_lines

from pipelines.journal import Journal
from pipelines.receivers import Outside, Receiver, open_receiver
from schemas.errors import ConfigError, SetupError

EVENTS = {"Content_Type": "text/event-stream"}


def status(number: int, **fields: object) -> bytes:
    """Invent a status, as the data of an event."""
    told = {"id": str(number), "content": "<p>invented words</p>", "account": {"id": "9"}, **fields}
    return json.dumps({"created_at": "2026-01-05T09:00:00.000Z", "visibility": "public", **told}).encode()


def event(name: bytes, data: bytes) -> bytes:
    return b"event: " + name + b"\ndata: " + data + b"\n\n"


def update(number: int) -> bytes:
    return event(b"update", status(number))


def source(port: int) -> str:
    return f"mastodon://127.0.0.1:{port}?tls=false"


def stopped(receiver: Receiver) -> None:
    wait_for(lambda: receiver.state.status == "stopped")


def test_events_become_lines_in_order(journal: Journal, receive: Open) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        exchange.send(b":)\n" + update(1))
        whole = update(2) + event(b"status.update", status(2, edited_at="2026-01-05T09:10:00.000Z")) + b":thump\n"
        for cut in range(0, len(whole), 7):  # chunks end anywhere
            exchange.send(whole[cut : cut + 7])
        exchange.send(event(b"delete", b"1") + event(b"filters_changed", b"undefined") + update(3))
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = receive(source(server.port), token=TOKEN)
        wait_for(lambda: receiver.state.received == 6)
        receiver.stop()
        assert server.exchanges[0].path == "/api/v1/streaming/public"
        assert server.exchanges[0].headers["Authorization"] == f"Bearer {TOKEN}"
    assert post_ids(journal) == ["1", "2", "2", "3"]
    assert counted(journal) == {"posts": 4, "tombstones": 1, "quarantine": 0, "notices": 1}


def test_garbage_is_one_line_each_and_harms_no_neighbour(journal: Journal, receive: Open) -> None:
    pretty = json.dumps(json.loads(status(2)), indent=1).replace("\n", "\ndata: ").encode()
    garbage = [
        event(b"update", b"{ not json"),
        event(b"update", b"\xff\xfe"),
        event(b"unheard", b"of"),
        b"<html>\n",
        event(b"update", b'{"id": "5"}'),
        event(b"update", status(6, content="x" * (3 << 20))),
        event(b"update", status(7, content="x" * (5 << 20))),  # longer than a line may be: cut
        b"data: nameless\r\n\r\n",
    ]

    def answer(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        exchange.send(update(1) + b"".join(garbage) + event(b"update", pretty) + b"id: 8\nretry: 9\n\n" + update(3))
        exchange.send(update(4)[:-30])  # cut by the end of the connection: never a whole event
        exchange.end()

    with line_server(answer, lambda exchange: server.stay(exchange)) as server:
        receiver = receive(source(server.port), limits=replace(QUICK, message_bytes=4 << 20))
        wait_for(lambda: receiver.state.received == 3 + len(garbage))
        receiver.stop()
    assert post_ids(journal) == ["1", "2", "3"]
    assert counted(journal)["quarantine"] == len(garbage)


def test_real_events_are_read_as_from_a_file(journal: Journal, receive: Open, real_data: Path) -> None:
    lines = (real_data / "platform" / "mastodon_streaming_docs.jsonl").read_text().splitlines()
    events = [told for told in map(json.loads, lines) if isinstance(told.get("data"), str)]
    assert len(events) > 5

    def answer(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        for told in events:
            exchange.send(event(told["event"].encode(), told["data"].encode()))
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = receive(source(server.port))
        wait_for(lambda: receiver.state.received == len(events))
        receiver.stop()
    counts = counted(journal)
    assert counts["quarantine"] == 0
    assert counts["posts"] > 0


def test_what_was_missed_is_told(journal: Journal, receive: Open) -> None:
    clock, heard = [1000.0], threading.Event()

    def first(exchange: Exchange) -> None:
        exchange.begin(chunked=False, **EVENTS)
        exchange.send(update(1))
        heard.wait()

    def second(exchange: Exchange) -> None:
        clock[0] += 20
        exchange.begin(**EVENTS)
        exchange.send(update(2))
        server.stay(exchange)

    with line_server(first, second) as server:
        receiver = receive(source(server.port), outside=Outside(now=lambda: clock[0]))
        wait_for(lambda: receiver.state.received == 1)
        clock[0] += 40  # silent, and then gone
        heard.set()
        wait_for(lambda: receiver.state.received == 2)
        assert receiver.state.gap_seconds == 60
        assert receiver.state.reconnects == 1
        receiver.stop()
        clock[0] += 100
        again = receive(source(server.port), outside=Outside(now=lambda: clock[0]))
        wait_for(lambda: again.state.received == 1)
        assert again.state.gap_seconds == 120  # a restart is told too
        assert again.state.reconnects == 0


def test_silence_is_a_dead_connection_and_a_heartbeat_is_not(receive: Open) -> None:
    def beating(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        for _ in range(10):
            exchange.send(b":thump\n")
            time.sleep(0.1)  # in all longer than the silence that ends a connection
        exchange.send(update(1))
        server.stay(exchange)

    with line_server(beating) as server:
        receiver = receive(source(server.port), limits=replace(QUICK, silence_seconds=0.5))
        wait_for(lambda: receiver.state.received == 1)
        assert receiver.state.reconnects == 0
        wait_for(lambda: receiver.state.received == 2)
        assert receiver.state.reconnects == 1


def test_a_server_that_never_answers_does_not_hold_up_the_end(journal: Journal, receive: Open) -> None:
    with line_server(lambda exchange: server.stay(exchange)) as server:
        receiver = receive(source(server.port), limits=replace(QUICK, stop_seconds=0.1))
        wait_for(lambda: server.exchanges)
        receiver.spool.append(b"{}", "1")
        receiver.stop()
        assert receiver.state.status == "stopped"
        assert received_lines(journal) == [b"{}"]
        short = receive(source(server.port), limits=replace(QUICK, silence_seconds=0.2))
        wait_for(lambda: short.state.error == "no answer in time")


def test_a_page_instead_of_events_is_no_message(journal: Journal, receive: Open) -> None:
    def page(exchange: Exchange) -> None:
        exchange.begin(Content_Type="text/html")
        exchange.send(b"<html>down for maintenance</html>\n")

    with line_server(page) as server:
        receiver = receive(source(server.port))
        wait_for(lambda: len(server.exchanges) > 2)
        assert receiver.state.error in (None, "expected an event stream, got something else")
        receiver.stop()
    assert received_lines(journal) == []


def test_a_token_is_not_sent_on_to_another_host(receive: Open) -> None:
    def onwards(exchange: Exchange) -> None:
        exchange.begin(302, Location=f"http://localhost:{server.port}/elsewhere")

    with line_server(onwards) as server:
        receiver = receive(source(server.port), token=TOKEN)
        stopped(receiver)
        assert len(server.exchanges) == 1
        assert isinstance(receiver.failure, ConfigError)
        assert "HTTP 302" in str(receiver.failure)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def served(authority: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    """Return the TLS of a server with a certificate for a host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> Outside:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Outside(tls=context)


def test_an_encrypted_connection_can_be_stopped_while_it_waits(
    journal: Journal, receive: Open, authority: trustme.CA
) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        exchange.send(update(1))
        server.stay(exchange)

    with line_server(answer, tls=served(authority)) as server:
        receiver = receive(f"mastodon://127.0.0.1:{server.port}", token=TOKEN, outside=trusting(authority))
        wait_for(lambda: receiver.state.received == 1)
        begun = time.monotonic()
        receiver.stop()
        assert time.monotonic() - begun < 5  # and not the seconds that silence may last
    assert (receiver.failure, receiver.state.error) == (None, None)
    assert post_ids(journal) == ["1"]


@pytest.mark.parametrize("kind", ["mastodon", "jetstream"])
def test_a_wrong_certificate_names_the_host(receive: Open, authority: trustme.CA, kind: str) -> None:
    wrong_host, unknown = served(authority, "elsewhere.example"), served(trustme.CA())
    for tls in (wrong_host, unknown):
        with line_server(lambda exchange: exchange.begin(), tls=tls) as server:
            receiver = receive(f"{kind}://127.0.0.1:{server.port}", token=TOKEN, outside=trusting(authority))
            stopped(receiver)
            assert isinstance(receiver.failure, SetupError)
            assert str(receiver.failure).startswith(f"{kind}://127.0.0.1: certificate wrong")
            assert server.exchanges == []  # nobody was told the token


def test_a_certificate_that_expires_later_is_waited_for(receive: Open, authority: trustme.CA) -> None:
    with JetstreamServer(tls=served(authority)) as server:
        port = server.port
        receiver = receive(f"jetstream://127.0.0.1:{port}", outside=trusting(authority))
        wait_for(lambda: receiver.state.status == "streaming")
    with JetstreamServer(port, tls=served(trustme.CA())):
        wait_for(lambda: receiver.state.error == "certificate wrong")
    with JetstreamServer(port, tls=served(authority)):
        wait_for(lambda: receiver.state.status == "streaming")
    assert receiver.failure is None


def test_receiving_until_now_ends_when_it_is_quiet(journal: Journal) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        exchange.send(update(1) + update(2))
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = open_receiver(source(server.port), journal, limits=QUICK)
        receiver.receive_until(time.time())
    assert receiver.failure is None
    assert post_ids(journal) == ["1", "2"]
