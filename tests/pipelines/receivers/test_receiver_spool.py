"""Segments: nothing in the journal that is not on the disk, nothing lost to a crash or a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from live_servers import Exchange, JetstreamServer, line_server, wait_for
from receiving import QUICK, Open, counted, post_ids, received_lines
from test_receiver_jetstream import post, post_id, streaming
from test_receiver_jetstream import source as jetstream
from test_receiver_mastodon import EVENTS, update
from test_receiver_mastodon import source as mastodon

from pipelines.journal import DIGITS, Journal
from pipelines.receivers import Limits, Outside, open_receiver
from pipelines.receivers.spool import NoRoom, Spool
from schemas.errors import SetupError

SLOW = Limits(segment_seconds=3600)


def spool_of(journal: Journal, limits: Limits = SLOW) -> Spool:
    return Spool(journal, "mastodon", limits)


def segment(journal: Journal, number: int) -> Path:
    return journal.folder / "segments" / f"{number:0{DIGITS}d}.jsonl"


def test_nothing_is_journaled_before_it_is_whole(journal: Journal) -> None:
    spool = spool_of(journal)
    spool.append(b"one", "1")
    spool.append(b"two", "2")
    assert journal.end == 0
    assert segment(journal, 0).read_bytes() == b"one\ntwo\n"  # a crash of the process loses neither
    spool.seal()
    spool.seal()  # nothing new: no empty entry
    entry = journal.entry(0)
    assert journal.end == 1
    assert (entry.records, entry.cursor, entry.owned) == (2, "2", (str(segment(journal, 0)),))
    assert [(split.container, split.format, split.start, split.end) for split in entry.splits] == [
        ("jsonl", "mastodon", 0, 8)
    ]


def test_a_segment_closes_by_records_by_bytes_and_by_age(journal: Journal) -> None:
    spool = spool_of(journal, replace(SLOW, segment_records=2, segment_bytes=10))
    for line in (b"a", b"b", b"c" * 20, b"d"):
        spool.append(line, None)
    assert [entry.records for entry in journal.entries()] == [2, 1]
    spool.seal_if_due()
    assert journal.end == 2  # not old enough
    quick = Spool(Journal(journal.folder / "other"), "mastodon", replace(SLOW, segment_seconds=0))
    quick.append(b"a", None)
    quick.seal_if_due()
    assert quick.journal.end == 1


def test_what_was_released_goes_with_its_file(journal: Journal) -> None:
    spool = spool_of(journal)
    for number in range(3):
        spool.append(b"line", str(number))
        spool.seal()
    journal.release(2)
    assert sorted(path.name for path in (journal.folder / "segments").iterdir()) == [segment(journal, 2).name]
    spool_of(journal).recover(keep=True)
    assert [entry.number for entry in journal.entries()] == [2]  # a journaled segment is not taken up again


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"", []),
        (b"torn", []),
        (b"one\n", [b"one"]),
        (b"one\r\ntwo\x0b\x1e\nto", [b"one\r", b"two\x0b\x1e"]),
    ],
)
def test_whole_lines_that_a_crash_left_are_kept_or_asked_for_again(
    journal: Journal, left: bytes, kept: list[bytes]
) -> None:
    before = spool_of(journal)
    before.append(b"before", "5")
    before.seal()
    segment(journal, 1).write_bytes(left)  # the crash
    spool = spool_of(journal)
    spool.recover(keep=True)
    spool.append(b"after", "9")
    spool.seal()
    assert received_lines(journal) == [b"before", *kept, b"after"]
    assert [entry.cursor for entry in journal.entries()] == ["5", *["5"] * bool(kept), "9"]
    segment(journal, journal.end).write_bytes(left)
    end = journal.end
    spool_of(journal).recover(keep=False)
    assert journal.end == end
    assert not segment(journal, end).exists()


def test_a_disk_that_runs_full_tears_nothing(journal: Journal) -> None:
    spool = spool_of(journal)
    spool.append(b"safe", "1")
    spool.seal()
    segment(journal, 1).symlink_to("/dev/full")  # every write there meets a full disk
    spool.append(b"taken", "2")
    with pytest.raises(NoRoom):
        spool.append(b"not taken", "3")
    with pytest.raises(NoRoom):
        spool.seal()
    assert received_lines(journal) == [b"safe"]
    segment(journal, 1).unlink()  # there is room again
    spool.append(b"later", "4")
    spool.seal()
    assert received_lines(journal) == [b"safe", b"taken", b"later"]
    assert [entry.cursor for entry in journal.entries()] == ["1", "2", "4"]


def test_a_disk_that_cannot_be_written_is_a_failure_in_words(journal: Journal) -> None:
    spool = spool_of(journal)
    segment(journal, 0).mkdir()
    with pytest.raises(SetupError, match="cannot keep what is received"):
        spool.append(b"line", None)


def test_with_little_room_nothing_is_read_until_there_is_some(journal: Journal, receive: Open) -> None:
    room = [1 << 40]
    outside = Outside(free_bytes=lambda folder: room[0])
    with JetstreamServer() as server:
        receiver = receive(jetstream(server), outside=outside)
        streaming(receiver)
        server.publish(*map(post, range(10)))
        wait_for(lambda: receiver.state.received == 10)
        room[0] = 100 << 20
        server.publish(*map(post, range(10, 2000)))
        wait_for(lambda: receiver.state.status == "waiting")
        assert receiver.state.error == "no room: 100 MiB free, 256 MiB wanted"
        wait_for(lambda: journal.cursor == str(post(9)[0]))  # what came before is journaled meanwhile
        assert receiver.state.received == 10
        room[0] = 1 << 40
        wait_for(lambda: receiver.state.received == 2000)
        assert receiver.state.status == "streaming"
        receiver.stop()
    assert post_ids(journal) == [post_id(number) for number in range(2000)]
    assert receiver.failure is None


def test_stopping_with_a_full_disk_says_what_is_lost(journal: Journal, receive: Open) -> None:
    full = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.begin(**EVENTS)
        full.wait()
        exchange.send(update(1) + update(2))
        server.stay(exchange)

    with line_server(answer) as server:
        receiver = receive(mastodon(server.port))
        wait_for(lambda: receiver.state.status == "streaming")
        segment(journal, 0).symlink_to("/dev/full")
        full.set()
        wait_for(lambda: receiver.state.status == "waiting")
        assert receiver.state.error == "no room: the disk is full"
        receiver.stop()
    assert isinstance(receiver.failure, SetupError)
    assert "could not be kept" in str(receiver.failure)
    assert journal.end == 0


KILLED = """
import sys
from pathlib import Path
from pipelines.journal import Journal
from pipelines.receivers import Limits, open_receiver
limits = Limits(segment_seconds=0.03, segment_records=40, first_wait_seconds=0.02, quiet_seconds=60)
open_receiver(sys.argv[1], Journal(Path(sys.argv[2])), limits=limits).receive_until(float("inf"))
"""


def test_a_receiver_killed_at_any_moment_misses_nothing(journal: Journal) -> None:
    moments = random.Random(7)
    total, published = 3000, threading.Event()
    with JetstreamServer() as server:

        def publish() -> None:
            for number in range(total):
                server.publish(post(number))
                published.wait(0.001)

        publisher = threading.Thread(target=publish)
        for round_number in range(6):
            command = [sys.executable, "-c", KILLED, jetstream(server), str(journal.folder)]
            process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
            wait_for(lambda count=round_number: len(server.queries) > count)
            if not publisher.is_alive() and round_number == 0:
                publisher.start()
            time.sleep(moments.random() * 0.4)
            process.send_signal(signal.SIGKILL)
            process.wait()
        published.set()
        publisher.join()
        receiver = open_receiver(jetstream(server), journal, limits=QUICK)
        receiver.receive_until(post(total - 1)[0] / 1e6)
    assert receiver.failure is None
    assert set(post_ids(journal)) == {post_id(number) for number in range(total)}
    assert counted(journal)["quarantine"] == 0
    assert receiver.state.gap_seconds == 0
