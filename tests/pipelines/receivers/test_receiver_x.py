"""X: lines over HTTP, its limits and its refusals."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from live_servers import Exchange, line_server, wait_for
from pydantic import SecretStr
from receiving import QUICK, TOKEN, Open, counted, post_ids

from pipelines.journal import Journal
from pipelines.receivers import Outside, Receiver, open_receiver
from schemas.errors import ConfigError


def post(number: int) -> bytes:
    """Invent a line of the filtered stream."""
    data = {"id": str(number), "text": "invented words", "author_id": "9", "created_at": "2026-01-05T09:00:00.000Z"}
    return json.dumps({"data": data, "matching_rules": [{"id": "1"}]}).encode() + b"\r\n"


def deletion(number: int) -> bytes:
    told = {"tweet": {"id": str(number), "author_id": "9"}, "event_at": "2026-01-05T09:00:00.000Z"}
    return json.dumps({"data": {"delete": told}}).encode() + b"\r\n"


def source(port: int, path: str = "", options: str = "") -> str:
    return f"x://127.0.0.1:{port}{path}?tls=false{options}"


def asked(exchange: Exchange) -> dict[str, list[str]]:
    return parse_qs(urlsplit(exchange.path).query)


def stopped(receiver: Receiver) -> None:
    wait_for(lambda: receiver.state.status == "stopped")


@pytest.mark.parametrize("chunked", [True, False])
def test_lines_become_posts_and_what_x_leaves_out_is_asked_for(journal: Journal, receive: Open, chunked: bool) -> None:
    whole = post(1) + b"\r\n" + post(2) + b"{ not json\r\n" + b'{"errors": [{"title": "invented"}]}\r\n' + post(3)

    def answer(exchange: Exchange) -> None:
        exchange.begin(chunked=chunked)
        for cut in range(0, len(whole), 11):
            exchange.send(whole[cut : cut + 11])
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = receive(source(server.port), token=TOKEN)
        wait_for(lambda: receiver.state.received == 5)
        receiver.stop()
        exchange = server.exchanges[0]
        assert exchange.path.startswith("/2/tweets/search/stream?")
        assert exchange.headers["Authorization"] == f"Bearer {TOKEN}"
        assert {"author_id", "created_at", "referenced_tweets"} <= set(asked(exchange)["tweet.fields"][0].split(","))
    assert post_ids(journal) == ["1", "2", "3"]
    assert counted(journal) == {"posts": 3, "tombstones": 0, "quarantine": 1, "notices": 1}


def test_the_compliance_stream_brings_tombstones(journal: Journal, receive: Open, real_data: Path) -> None:
    lines = (real_data / "platform" / "x_v2_compliance_stream_docs.jsonl").read_text().splitlines()
    events = [{key: value for key, value in json.loads(line).items() if key[0] != "_"} for line in lines]
    events = [told.get("payload", told.get("event", told)) for told in events]

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(b"".join(json.dumps(told).encode() + b"\r\n" for told in events) + deletion(1))
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = receive(source(server.port, "/2/tweets/compliance/stream", "&partition=2"), token=TOKEN)
        wait_for(lambda: receiver.state.received == len(events) + 1)
        receiver.stop()
        assert server.exchanges[0].path == "/2/tweets/compliance/stream?partition=2"
    assert counted(journal)["tombstones"] == 14
    assert counted(journal)["quarantine"] == 0


def test_what_was_missed_is_asked_for_and_the_rest_told(receive: Open) -> None:
    clock, heard = [1000.0], threading.Event()

    def first(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(post(1))
        heard.wait()

    def second(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(post(2))
        server.stay(exchange)

    with line_server(first, second) as server:
        outside = Outside(now=lambda: clock[0])
        receiver = receive(source(server.port, options="&backfill_minutes=2"), token=TOKEN, outside=outside)
        wait_for(lambda: receiver.state.received == 1)
        clock[0] += 150
        heard.set()
        wait_for(lambda: receiver.state.received == 2)
        assert [asked(exchange).get("backfill_minutes") for exchange in server.exchanges] == [None, ["2"]]
        assert receiver.state.gap_seconds == 30


def test_keep_alives_keep_alive_and_silence_does_not(receive: Open) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.begin()
        for _ in range(10):
            exchange.send(b"\r\n")
            time.sleep(0.1)  # in all longer than the silence that ends a connection
        exchange.send(post(1))
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = receive(source(server.port), token=TOKEN, limits=replace(QUICK, silence_seconds=0.5))
        wait_for(lambda: receiver.state.received == 1)
        assert receiver.state.reconnects == 0
        wait_for(lambda: receiver.state.error == "silence")
        wait_for(lambda: receiver.state.reconnects == 1)


def test_a_rate_limit_is_waited_out(receive: Open) -> None:
    reset = int(time.time()) + 2

    def limited(exchange: Exchange) -> None:
        exchange.begin(429, x_rate_limit_reset=str(reset))

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(post(1))
        server.stay(exchange)

    with line_server(limited, answer) as server:
        receiver = receive(source(server.port), token=TOKEN)
        wait_for(lambda: receiver.state.status == "waiting")
        assert receiver.state.error == "rate limit (HTTP 429)"
        assert receiver.state.waiting_until == pytest.approx(reset, abs=0.1)
        wait_for(lambda: receiver.state.received == 1)
        assert server.exchanges[1].at >= reset


def test_a_limit_without_end_is_not_waited_for_forever(receive: Open) -> None:
    with line_server(lambda exchange: exchange.begin(429, x_rate_limit_reset="99999999999")) as server:
        receiver = receive(source(server.port), token=TOKEN)
        wait_for(lambda: receiver.state.status == "waiting")
        assert receiver.state.waiting_until is not None
        assert receiver.state.waiting_until < time.time() + 3601
        receiver.stop()  # at once


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("earlier", [0, 1])
def test_a_rejected_token_is_final_and_not_told(receive: Open, status: int, earlier: int) -> None:
    def rejected(exchange: Exchange) -> None:
        exchange.begin(status)
        exchange.send(TOKEN.encode())

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(post(1))

    with line_server(*[answer] * earlier, rejected) as server:
        receiver = receive(source(server.port), token=TOKEN)
        stopped(receiver)
        assert isinstance(receiver.failure, ConfigError)
        assert "token rejected" in str(receiver.failure)
        assert len(server.exchanges) == earlier + 1


def test_a_server_in_trouble_is_asked_again(journal: Journal, receive: Open) -> None:
    def trouble(exchange: Exchange) -> None:
        exchange.begin(503)

    def torn(exchange: Exchange) -> None:
        exchange.begin()
        exchange._handler.wfile.write(b"ZZ\r\nnot a chunk")

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(post(1))
        server.stay(exchange)

    with line_server(trouble, torn, trouble, answer) as server:
        receiver = receive(source(server.port), token=TOKEN)
        wait_for(lambda: receiver.state.received == 1)
    receiver.stop()
    assert receiver.failure is None
    assert post_ids(journal) == ["1"]


def test_the_token_stays_out_of_everything(journal: Journal, receive: Open, caplog: pytest.LogCaptureFixture) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.send(post(1))

    seen: list[str] = []
    with caplog.at_level(0), line_server(answer, answer, lambda exchange: exchange.begin(401)) as server:
        receiver = receive(source(server.port), token=TOKEN)
        while receiver.state.status != "stopped":
            seen += [repr(receiver.state), repr(receiver), repr(vars(receiver.source)), repr(vars(receiver))]
    kept = b"".join(path.read_bytes() for path in journal.folder.rglob("*") if path.is_file())
    assert b"invented words" in kept
    assert TOKEN.encode() not in kept
    assert TOKEN not in repr(receiver.failure) + caplog.text
    assert not [text for text in seen if TOKEN in text]


def test_x_wants_a_token_and_small_numbers(journal: Journal) -> None:
    with pytest.raises(ConfigError, match="expected a token"):
        open_receiver("x://api.example.org", journal)
    for wrong in ("6", "-1", "two", "²"):
        with pytest.raises(ConfigError, match="backfill_minutes"):
            open_receiver(f"x://api.example.org?backfill_minutes={wrong}", journal, SecretStr(TOKEN))
