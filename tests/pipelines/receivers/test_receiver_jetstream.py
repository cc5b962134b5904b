"""Jetstream: every message reaches the journal, in order, whatever the connection and the server do."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import zstandard
from live_servers import JetstreamServer, wait_for
from receiving import QUICK, Open, counted, post_ids, received_lines

from pipelines.journal import Journal
from pipelines.receivers import Receiver, open_receiver
from schemas.errors import ConfigError

NOW = int(time.time() * 1e6) - 2_000_000  # so that no post is from the future


def post(number: int, moment: int = NOW) -> tuple[int, str]:
    """Invent a post."""
    record = {
        "$type": "app.bsky.feed.post",
        "text": f"invented words, number {number}",
        "createdAt": "2026-01-05T09:00:00Z",
    }
    commit = {"operation": "create", "collection": "app.bsky.feed.post", "rkey": f"r{number}", "record": record}
    seen = moment + number * 1000
    return seen, json.dumps({"did": "did:plc:invented", "time_us": seen, "kind": "commit", "commit": commit})


def post_id(number: int) -> str:
    return f"at://did:plc:invented/app.bsky.feed.post/r{number}"


def source(server: JetstreamServer, options: str = "") -> str:
    return f"jetstream://127.0.0.1:{server.port}?tls=false{options}"


def streaming(receiver: Receiver) -> None:
    wait_for(lambda: receiver.state.status == "streaming")


def test_messages_arrive_in_order_and_are_journaled(journal: Journal, receive: Open) -> None:
    with JetstreamServer() as server:
        receiver = receive(source(server))
        streaming(receiver)
        server.publish(*map(post, range(500)))
        wait_for(lambda: receiver.state.received == 500)
        wait_for(lambda: sum(entry.records for entry in journal.entries()) == 500)  # without a further message
        receiver.stop()
        assert post_ids(journal) == [post_id(number) for number in range(500)]
        assert journal.cursor == str(post(499)[0])
        assert server.queries[0]["wantedCollections"] == ["app.bsky.feed.post"]
        state = receiver.state
        assert (state.status, state.error, state.reconnects, state.gap_seconds) == ("stopped", None, 0, 0)
        assert state.bytes == sum(len(line) for line in received_lines(journal))
        assert state.last_message_at is not None
        assert state.source_lag_seconds is not None
        assert abs(time.time() - NOW / 1e6 - state.source_lag_seconds) < 60


def test_a_busy_source_fills_segments_by_number(journal: Journal, receive: Open) -> None:
    with JetstreamServer() as server:
        receiver = receive(source(server), limits=replace(QUICK, segment_records=64, segment_seconds=60))
        streaming(receiver)
        server.publish(*map(post, range(200)))
        wait_for(lambda: receiver.state.received == 200)
        receiver.stop()
    assert [entry.records for entry in journal.entries()] == [64, 64, 64, 8]


def test_real_events_are_read_as_from_a_file(journal: Journal, receive: Open, real_data: Path) -> None:
    lines = (real_data / "platform" / "bluesky_jetstream_v1_real.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    events.sort(key=lambda event: event["time_us"] // 10**6)  # captures of different days; in each, the server's order
    with JetstreamServer() as server:
        server.cut_after = [40, 60]
        receiver = receive(source(server))
        streaming(receiver)
        server.publish(*((event["time_us"], json.dumps(event)) for event in events))
        wait_for(lambda: receiver.state.reconnects == 2)
        wait_for(lambda: {json.dumps(event).encode() for event in events} <= set(received_lines(journal)))
        receiver.stop()
    assert len(set(post_ids(journal))) == 18
    assert counted(journal)["quarantine"] == 0


def test_a_connection_that_breaks_is_resumed_a_little_early(journal: Journal, receive: Open) -> None:
    with JetstreamServer() as server:
        server.cut_after = [100, 30]
        receiver = receive(source(server))
        streaming(receiver)
        server.publish(*map(post, range(300)))
        wait_for(lambda: post_id(299) in post_ids(journal))
        receiver.stop()
        first = server.queries[1]["cursor"]
    assert int(first[0]) == post(99)[0] - 5_000_000
    ids = post_ids(journal)
    assert set(ids) == {post_id(number) for number in range(300)}
    assert len(ids) > 300  # what came twice is dropped later, by id
    assert receiver.state.reconnects == 2
    assert receiver.state.gap_seconds == 0


def test_what_the_server_no_longer_has_is_a_gap(journal: Journal, receive: Open) -> None:
    with JetstreamServer() as server:
        receiver = receive(source(server))
        streaming(receiver)
        server.publish(post(0, NOW - 90_000_000))
        wait_for(lambda: receiver.state.received == 1)
        server.frames = [post(1, NOW - 30_000_000)]  # it forgot the first
        port = server.port
    with JetstreamServer(port) as server:
        server.frames = [post(1, NOW - 30_000_000)]
        wait_for(lambda: receiver.state.received == 2)
        assert receiver.state.gap_seconds == pytest.approx(60.001)


def test_garbage_is_one_line_each_and_harms_no_neighbour(journal: Journal, receive: Open) -> None:
    pretty = json.dumps(json.loads(post(1)[1]), indent=2)
    garbage: list[bytes | str] = [
        b"\x00\xff\xfe binary \n and more",
        "{ not json",
        '{"did": "split\nin two"}',
        "[1, 2]",
        '{"kind": "unheard of", "did": "did:plc:invented"}',
        json.dumps({"kind": "commit", "did": "did:plc:invented", "record": "x" * (3 << 20)}),
        "\ud7ff\r\n".encode() + b"\xc3",
    ]
    blank = ["", "\n", " \r\n"]
    with JetstreamServer() as server:
        receiver = receive(source(server))
        streaming(receiver)
        server.publish(post(0), *((0, frame) for frame in chain(garbage, blank, [pretty])), post(2))
        wait_for(lambda: receiver.state.received == 10)
        receiver.stop()
    assert post_ids(journal) == [post_id(0), post_id(1), post_id(2)]
    assert counted(journal) == {"posts": 3, "tombstones": 0, "quarantine": len(garbage), "notices": 0}
    assert receiver.state.reconnects == 0


def test_a_clock_in_the_future_does_not_move_the_cursor_there(journal: Journal, receive: Open) -> None:
    with JetstreamServer() as server:
        receiver = receive(source(server))
        streaming(receiver)
        server.publish(post(0, NOW + 10**15), post(1))
        wait_for(lambda: receiver.state.received == 2)
        receiver.stop()
    assert journal.cursor == str(post(1)[0])


def test_a_source_that_is_down_is_tried_until_it_is_up(journal: Journal, receive: Open) -> None:
    with JetstreamServer() as server:
        port = server.port
    receiver = receive(f"jetstream://127.0.0.1:{port}?tls=false")
    wait_for(lambda: receiver.state.status == "waiting")
    assert receiver.state.error == "connection refused"
    assert receiver.state.waiting_until is not None
    with JetstreamServer(port) as server:
        streaming(receiver)
        assert (receiver.state.error, receiver.state.waiting_until) == (None, None)
        server.publish(post(0))
        wait_for(lambda: receiver.state.received == 1)
        server.close()
        wait_for(lambda: receiver.state.status == "waiting")
    with JetstreamServer(port) as server:
        server.publish(post(0), post(1))
        wait_for(lambda: post_id(1) in post_ids(journal))
    assert receiver.failure is None


def test_a_busy_server_is_asked_again_and_a_refusal_is_final(receive: Open) -> None:
    with JetstreamServer() as server:
        server.status = 503
        receiver = receive(source(server))
        wait_for(lambda: receiver.state.error == "HTTP 503")
        server.status = None
        streaming(receiver)
    with JetstreamServer() as server:
        server.status = 400
        receiver = receive(source(server))
        wait_for(lambda: receiver.state.status == "stopped")
        assert isinstance(receiver.failure, ConfigError)
        assert "HTTP 400" in str(receiver.failure)


def test_a_silent_connection_is_a_dead_one(receive: Open) -> None:
    with JetstreamServer() as server:
        receiver = receive(source(server), limits=replace(QUICK, silence_seconds=0.2))
        wait_for(lambda: receiver.state.reconnects >= 1)
        server.publish(post(0))
        wait_for(lambda: receiver.state.received >= 1)
        assert receiver.failure is None


def test_receiving_until_now_ends(journal: Journal) -> None:
    with JetstreamServer() as server:
        server.publish(*map(post, range(20)))
        journal.append([], 0, str(post(5)[0]))
        receiver = open_receiver(source(server), journal, limits=replace(QUICK, quiet_seconds=60))
        receiver.receive_until(post(19)[0] / 1e6)  # reached: it need not fall quiet
        assert receiver.failure is None
        assert set(post_ids(journal)) == {post_id(number) for number in range(20)}
        again = open_receiver(source(server), journal, limits=QUICK)
        again.receive_until(time.time() + 3600)  # not reached: quiet
        assert again.failure is None
    away = open_receiver(source(server), journal, limits=replace(QUICK, patience_seconds=0.3))
    away.receive_until(time.time())
    assert "connection refused" in str(away.failure)


def test_compressed_frames(journal: Journal, receive: Open, tmp_path: Path) -> None:
    samples = [post(number)[1].encode() for number in range(2000)]
    dictionary = zstandard.train_dictionary(4096, samples)
    (tmp_path / "dictionary").write_bytes(dictionary.as_bytes())
    with_size = zstandard.ZstdCompressor(dict_data=dictionary)
    without = zstandard.ZstdCompressor(dict_data=dictionary, write_content_size=False)
    with JetstreamServer() as server:
        receiver = receive(source(server, f"&zstd_dictionary={tmp_path / 'dictionary'}"))
        streaming(receiver)
        assert server.queries[0]["compress"] == ["true"]
        server.publish((0, with_size.compress(samples[0])), (0, without.compress(samples[1])))
        server.publish((0, with_size.compress(samples[2])[:-9]), post(3))
        wait_for(lambda: receiver.state.received == 4)
        receiver.stop()
    assert post_ids(journal) == [post_id(0), post_id(1), post_id(3)]
    assert counted(journal)["quarantine"] == 1
    with pytest.raises(ConfigError, match="zstd_dictionary"):
        open_receiver(source(server, "&zstd_dictionary=/nowhere"), journal)
