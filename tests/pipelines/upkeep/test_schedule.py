"""Jobs run when they are due, one at a time, and no failure of theirs ends anything but the try."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.upkeep.schedule import COMPACT, FORGET, Caretaker, Job, Past, Schedule
from schemas.config import UpkeepConfig

SETTINGS = UpkeepConfig(forget_minutes=60, compact_minutes=30, deadline_hours=24)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_minutes(self, minutes: float) -> None:
        """Move it."""
        self.now += timedelta(minutes=minutes)


@pytest.fixture
def clock() -> Clock:
    """A clock at noon."""
    return Clock()


def test_jobs_are_due_when_their_time_has_passed(tmp_path: Path, clock: Clock) -> None:
    schedule = Schedule(tmp_path, SETTINGS, clock)
    assert (schedule.forget_due(), schedule.compact_due()) == (False, False)
    clock.pass_minutes(30)
    assert (schedule.forget_due(), schedule.compact_due()) == (False, True)
    schedule.ran(COMPACT)
    assert not schedule.compact_due()
    clock.pass_minutes(30)
    assert (schedule.forget_due(), schedule.compact_due()) == (True, True)


def test_what_is_due_survives_a_restart(tmp_path: Path, clock: Clock) -> None:
    Schedule(tmp_path, SETTINGS, clock)
    for _ in range(2):  # no start lives as long as the interval
        clock.pass_minutes(20)
        schedule = Schedule(tmp_path, SETTINGS, clock)
    assert (schedule.forget_due(), schedule.compact_due()) == (False, True)
    schedule.ran(COMPACT)
    clock.pass_minutes(20)
    again = Schedule(tmp_path, SETTINGS, clock)
    assert (again.forget_due(), again.compact_due()) == (True, False)
    again.ran(FORGET)
    clock.pass_minutes(-60)
    assert not Schedule(tmp_path, SETTINGS, clock).forget_due()
    clock.pass_minutes(60)
    assert Schedule(tmp_path, SETTINGS, clock).forget_due(), "a clock that is set back counts from there"


@pytest.mark.parametrize("told", ["", "[1]", '{"compact": 5}', '{"compact": "yesterday"}'])
def test_times_that_cannot_be_read_count_from_now(tmp_path: Path, clock: Clock, told: str) -> None:
    (tmp_path / ".swarmfeed").mkdir()
    (tmp_path / ".swarmfeed" / "upkeep.json").write_text(told)
    schedule = Schedule(tmp_path, SETTINGS, clock)
    assert not schedule.compact_due()
    clock.pass_minutes(30)
    assert schedule.compact_due()


def test_a_request_makes_forgetting_due_at_once(tmp_path: Path, clock: Clock) -> None:
    schedule = Schedule(tmp_path, SETTINGS, clock)
    requests = tmp_path / ".swarmfeed" / "requests"
    requests.mkdir(parents=True)
    for name in (".half.json", "earlier.done"):
        (requests / name).write_text("{}")
    assert not schedule.forget_due()
    (requests / "now.json").write_text("{}")
    assert (schedule.forget_due(), schedule.compact_due()) == (True, False)


def test_a_deadline_makes_forgetting_due_long_before_it(tmp_path: Path, clock: Clock) -> None:
    oldest: list[datetime] = []
    settings = SETTINGS.model_copy(update={"forget_minutes": 10_000})
    schedule = Schedule(tmp_path, settings, clock, lambda: oldest[0] if oldest else None)
    assert not schedule.forget_due()
    oldest.append(clock())
    clock.pass_minutes(11.9 * 60)
    assert not schedule.forget_due()
    clock.pass_minutes(0.2 * 60)
    assert schedule.forget_due()


def test_a_job_that_fails_waits_longer_each_time(tmp_path: Path, clock: Clock) -> None:
    schedule = Schedule(tmp_path, SETTINGS, clock)
    waits = []
    clock.pass_minutes(30)
    for _ in range(7):
        assert schedule.compact_due()
        schedule.ran(COMPACT, OSError("disk full"))
        waited = 0
        while not schedule.compact_due():
            clock.pass_minutes(1)
            waited += 1
        waits.append(waited)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert schedule.past[COMPACT].failures == 7
    schedule.ran(COMPACT)
    assert schedule.past[COMPACT].failures_in_a_row == 0


def test_due_jobs_are_done_and_counted_and_a_failing_one_does_no_harm(tmp_path: Path, clock: Clock) -> None:
    schedule = Schedule(tmp_path, SETTINGS, clock)
    told: list[tuple[str, str]] = []
    did: list[str] = []

    def forget(halt: Callable[[], bool]) -> None:
        raise ValueError("a secret of a post")

    def notice(job: str, error: Exception) -> None:
        told.append((job, str(error)))
        raise OSError("the log is full")

    jobs = [
        Job(FORGET, schedule.forget_due, forget),
        Job(COMPACT, schedule.compact_due, lambda halt: did.append("compacted")),
    ]
    caretaker = Caretaker(schedule, jobs, notice)
    assert caretaker.look() == []
    clock.pass_minutes(60)
    assert caretaker.look() == [FORGET, COMPACT]
    assert did == ["compacted"]
    assert told == [(FORGET, "a secret of a post")]
    assert caretaker.past[FORGET] == Past(0, 1, 1, None, clock(), "ValueError")
    assert caretaker.past[COMPACT] == Past(1, 0, 0, clock(), None, "")
    assert caretaker.look() == []


def test_the_thread_does_jobs_and_stops_at_a_safe_point(tmp_path: Path, clock: Clock) -> None:
    """The job goes on until it is told to halt, so that the test knows it was under way when `stop` came."""
    schedule = Schedule(tmp_path, SETTINGS, clock)
    begun, seen = threading.Event(), []

    def work(halt: Callable[[], bool]) -> None:
        begun.set()
        while not halt():
            pass
        seen.append("halted")

    caretaker = Caretaker(schedule, [Job(COMPACT, lambda: True, work), Job(FORGET, lambda: True, work)], print)
    caretaker.start()
    assert begun.wait(60)
    assert caretaker.stop(60)
    assert seen == ["halted"], "and the second job was not begun"
    assert caretaker.past[COMPACT].runs == 1
    assert Caretaker(schedule, [], print).stop(), "one that was never started"
