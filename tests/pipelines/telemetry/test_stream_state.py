"""What a stream knows of itself: counts, rates, lag, ages, memory; from any thread, frozen once it is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from streams import EPOCH, SECONDS, START, WELL, Stream

from pipelines.telemetry.figures import QUERY_RESTARTED, DeletionFigures, SourceFigures, SourceStatus
from pipelines.telemetry.resources import process_memory, watch_resources
from pipelines.telemetry.snapshot import HISTORY_SECONDS, Counts

WORKER = (
    "import os, sys\nblock = bytearray(b'x' * (64 << 20))\n"
    "sys.stdout.write('ready\\n')\nsys.stdout.flush()\nsys.stdin.read()"
)


def test_epochs_add_up() -> None:
    stream = Stream()
    for _ in range(3):
        stream.epoch(10, faults={"bad_json": 4, "nul": 1})
    found = stream.state.snapshot()
    assert found.counts == Counts(read=3000, kept=570, rejected=2415, quarantined=15, tokens=57_000, tombstones=9)
    assert (found.epochs, found.epoch, found.phase) == (3, 2, "idle")
    assert found.faults == {"bad_json": 12, "nul": 3}
    assert found.phases["annotate"].total_seconds == pytest.approx(6)
    assert found.phases["annotate"].counts[4] == 3, "2 seconds are within 1 and 2.5"
    assert found.mean_epoch_seconds == pytest.approx(4)


def test_the_usual_epoch_is_the_mean_of_the_last_twenty() -> None:
    stream = Stream()
    for seconds in [100.0] * 30 + [1.0] * 20:
        stream.epoch(1, seconds={"annotate": seconds})
    assert stream.state.snapshot().mean_epoch_seconds == 1
    assert stream.state.snapshot().epoch_seconds[-1] == 1


def test_rates_are_of_the_last_minute_and_since_the_start() -> None:
    stream = Stream()
    for _ in range(12):
        stream.epoch(10, read=1000, kept=100)
    for _ in range(6):
        stream.epoch(10, read=5000, kept=2000)
    found = stream.state.snapshot()
    assert found.rates() == (500, 200)
    assert found.rates(None) == pytest.approx((42_000 / 180, 13_200 / 180))
    assert found.kept_share == pytest.approx(0.4)


def test_a_rate_is_right_where_epochs_are_longer_than_its_window() -> None:
    stream = Stream()
    for _ in range(5):
        stream.epoch(300, read=30_000)
    assert stream.state.snapshot().rates()[0] == 100
    stream.now += 200
    assert stream.state.snapshot().rates()[0] == 0, "no epoch ended within the last minute"
    stream.epoch(100, read=30_000)
    assert stream.state.snapshot().rates()[0] == 100


def test_the_kept_share_of_a_quiet_hour_is_that_of_all() -> None:
    stream = Stream()
    assert stream.state.snapshot().kept_share is None
    stream.epoch(10)
    stream.now += 3600
    assert stream.state.snapshot().kept_share == pytest.approx(0.19)


def test_lag_grows_by_itself_while_something_waits_and_stands_still_while_nothing_does() -> None:
    stream = Stream()
    stream.epoch(10, lag=3, lag_records=40)
    stream.now += 60
    assert stream.state.snapshot().lag_seconds == pytest.approx(63)
    stream.state.source(SourceFigures("files", SourceStatus.WAITING, lag_records=0))
    assert stream.state.snapshot().lag_seconds == pytest.approx(3)
    assert stream.state.snapshot().lag_records == 0


def test_a_clock_in_the_future_is_no_lag() -> None:
    stream = Stream()
    stream.epoch(10, lag=-500)
    assert stream.state.snapshot().lag_seconds == 0


def test_before_the_first_epoch_the_lag_is_that_of_the_source() -> None:
    stream = Stream()
    assert stream.state.snapshot().lag_seconds is None
    stream.state.source(SourceFigures("jetstream", SourceStatus.STREAMING, lag_seconds=7200.0))
    assert stream.state.snapshot().lag_seconds == 7200


def test_the_source_is_lost_from_the_first_moment_on() -> None:
    stream = Stream()
    lost = []
    for status in ("connecting", "down", "streaming", "down", "connecting"):
        stream.now += 10
        stream.state.source(SourceFigures("jetstream", SourceStatus(status)))
        lost.append(stream.state.snapshot().source_lost_at)
    assert lost == [START + 10, START + 10, None, START + 40, START + 40]


def test_an_open_tombstone_ages_by_itself() -> None:
    stream = Stream()
    stream.state.deletions(DeletionFigures(open=2, oldest_seconds=100.0, deadline_seconds=86_400.0, done=1))
    stream.now += 50
    assert stream.state.snapshot().deletions == DeletionFigures(2, 150.0, 86_400.0, 1)
    stream.state.deletions(DeletionFigures(open=0, oldest_seconds=None, deadline_seconds=86_400.0, done=3))
    assert stream.state.snapshot().deletions == DeletionFigures(0, None, 86_400.0, 3)


def test_restarts_are_failures_that_are_remembered_for_a_while() -> None:
    stream = Stream()
    stream.state.failure(QUERY_RESTARTED)
    stream.state.failure("source_down")
    stream.now += HISTORY_SECONDS + 1
    stream.state.failure(QUERY_RESTARTED)
    found = stream.state.snapshot()
    assert found.failures == {QUERY_RESTARTED: 2, "source_down": 1}
    assert (found.restarts, found.restarts_at) == (2, (stream.now,))


def test_words_that_are_no_names_are_withheld() -> None:
    stream = Stream()
    text = "i miss my dog so much"
    stream.state.failure(text)
    stream.state.epoch_began(0, text)
    stream.state.source(SourceFigures(text, SourceStatus.STREAMING))
    assert text not in repr(stream.state.snapshot())
    stream.epoch(1, faults={text: 1}, seconds={text: 1.0})
    assert text not in repr(stream.state.snapshot())


def test_the_past_does_not_pile_up() -> None:
    stream = Stream()
    for _ in range(5000):
        stream.epoch(1)
    found = stream.state.snapshot()
    assert len(found.commits) == HISTORY_SECONDS + 1
    assert len(found.looks) <= HISTORY_SECONDS / 5 + 2
    assert found.rates() == (1000, 190)


def test_the_machine_is_measured_at_most_every_five_seconds() -> None:
    stream = Stream()
    for _ in range(100):
        stream.now += 0.1
        stream.state.snapshot()
    assert stream.measured == 2
    assert stream.state.snapshot().resources == WELL


def test_a_snapshot_is_frozen() -> None:
    stream = Stream()
    stream.epoch(1, faults={"nul": 1})
    before = stream.state.snapshot()
    stream.epoch(1, faults={"nul": 1})
    stream.state.stopping()
    assert (before.epochs, before.faults, before.stopping) == (1, {"nul": 1}, False)
    with pytest.raises(FrozenInstanceError):
        before.epochs = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        before.faults["nul"] = 0  # type: ignore[index]


def test_every_snapshot_holds_whole_epochs_whoever_writes() -> None:
    stream, stop = Stream(), threading.Event()
    torn = []

    def read() -> None:
        while not stop.is_set():
            counts = stream.state.snapshot().counts
            if counts.read != counts.kept + counts.rejected + counts.quarantined:
                torn.append(counts)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [
        threading.Thread(target=lambda: [stream.state.epoch_done(replace(EPOCH)) for _ in range(1000)])
        for _ in range(3)
    ]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not torn
    assert stream.state.snapshot().counts.read == 3000 * EPOCH.read
    assert stream.state.snapshot().phases["commit"].total_seconds == pytest.approx(3000 * SECONDS["commit"])


@pytest.mark.timeout(20)
def test_a_signal_that_comes_while_the_state_changes_does_not_hang_the_stream() -> None:
    stream = Stream()
    before = signal.signal(signal.SIGUSR1, lambda *_: stream.state.stopping())
    try:
        with stream.state._lock:  # as in the middle of any method
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert stream.state.snapshot().stopping


def test_memory_is_that_of_this_process_and_of_what_it_started() -> None:
    before = process_memory(os.getpid())
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        during = process_memory(os.getpid())
        worker.communicate()
    assert during["workers"] - before["workers"] > 64 << 20
    assert during["driver"] > 10 << 20
    assert process_memory(worker.pid) == {"driver": 0, "jvm": 0, "workers": 0}, "a process that has ended takes nothing"


def test_java_below_this_process_is_the_jvm(tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.symlink_to(sys.executable)
    shell = subprocess.Popen(
        ["sh", "-c", f'{java} -I -S -c "$0"; true', WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == b"ready\n"
        found = process_memory(os.getpid())
        shell.communicate()
    assert found["jvm"] > 64 << 20, "it is a child of a child, as behind spark-submit"


def test_resources_are_measured_here(tmp_path: Path) -> None:
    found = watch_resources(tmp_path)()
    assert 0 < found.memory_share < 1
    assert found.disk_free > 0
