"""When an output folder is kept up: which job is due, and a thread that does those that are, beside the stream.

request      a file in OUT/.swarmfeed/requests asks for a job by its name: at once
deadline     what must go is old enough to miss upkeep.deadline_hours: at once
interval     upkeep.forget_minutes or compact_minutes have passed since the job ran, or since the folder's first start

OUT/.swarmfeed/upkeep.json keeps since when: a stream that is started again more often than that is kept up too.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.index import STATE
from pipelines.journal import write_durably
from schemas.config import UpkeepConfig

REQUESTS = "requests"
FORGET, COMPACT = "forget", "compact"
FILE = "upkeep.json"
MARGIN = 0.5  # share of the deadline that is left for the work itself, and for a second try
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=30)  # after a failure
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Job:
    """Something to be done now and then; `work` is handed what tells it to stop at the next safe point."""

    name: str
    due: Callable[[], bool]
    work: Callable[[Callable[[], bool]], object]


@dataclass(frozen=True)
class Past:
    """How a job has gone so far."""

    runs: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    last_run: datetime | None = None
    last_failure: datetime | None = None
    last_error: str = ""  # the kind of error alone: a message may quote a post


@dataclass
class Schedule:
    """Tells which jobs are due, by the settings and by what is there; `clock` is the time, UTC.

    `oldest_open` returns when the oldest tombstone that is still open came, None without one.
    """

    root: Path
    settings: UpkeepConfig
    clock: Callable[[], datetime]
    oldest_open: Callable[[], datetime | None] = lambda: None
    past: dict[str, Past] = field(default_factory=dict)
    _since: dict[str, datetime] = field(init=False)  # when a job last ran, or could first have been due

    def __post_init__(self) -> None:
        now = self.clock()
        told = self._read()
        self._since = {job: min(told.get(job, now), now) for job in (FORGET, COMPACT)}  # clocks are set back, too
        self._write()

    def forget_due(self) -> bool:
        """Tell whether it is time to take out what must go."""
        if self._waits(FORGET):
            return False
        return self._asked() or self._deadline_near() or self._passed(FORGET, self.settings.forget_minutes)

    def compact_due(self) -> bool:
        """Tell whether it is time to put small files together."""
        if self._waits(COMPACT):
            return False
        return self._passed(COMPACT, self.settings.compact_minutes)

    def ran(self, job: str, error: Exception | None = None) -> None:
        """Note that a job ran, or failed."""
        past, now = self.past.get(job, Past()), self.clock()
        if error is None:
            self.past[job] = replace(past, runs=past.runs + 1, failures_in_a_row=0, last_run=now)
            self._since[job] = now
            self._write()
            return
        self.past[job] = replace(
            past,
            failures=past.failures + 1,
            failures_in_a_row=past.failures_in_a_row + 1,
            last_failure=now,
            last_error=type(error).__name__,
        )

    def _asked(self) -> bool:
        return any((self.root / STATE / REQUESTS).glob("[!.]*.json"))

    def _deadline_near(self) -> bool:
        oldest = self.oldest_open()
        return oldest is not None and self.clock() - oldest >= timedelta(hours=self.settings.deadline_hours * MARGIN)

    def _passed(self, job: str, minutes: float) -> bool:
        return self.clock() - self._since[job] >= timedelta(minutes=minutes)

    def _read(self) -> dict[str, datetime]:
        """Return since when each job waits; nothing where that is not known."""
        try:
            told = json.loads((self.root / STATE / FILE).read_text())
            return {job: datetime.fromisoformat(at).astimezone(UTC) for job, at in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write(self) -> None:
        told = {job: at.isoformat() for job, at in self._since.items()}
        with suppress(OSError):  # on a full disk a job runs once more after the next start
            (self.root / STATE).mkdir(parents=True, exist_ok=True)
            write_durably(self.root / STATE / FILE, json.dumps(told) + "\n")

    def _waits(self, job: str) -> bool:
        """Tell whether a job failed so lately that it is left alone for now."""
        past = self.past.get(job, Past())
        if not past.failures_in_a_row or past.last_failure is None:
            return False
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(past.failures_in_a_row - 1, 10))
        return self.clock() - past.last_failure < wait


class Caretaker:
    """Does the jobs that are due, one at a time, in a thread of its own; a job that fails is tried again later.

    `notice` is told what failed; neither it nor a job can end the thread before `stop` does.
    """

    def __init__(self, schedule: Schedule, jobs: Sequence[Job], notice: Callable[[str, Exception], None]) -> None:
        self._schedule, self._jobs, self._notice = schedule, tuple(jobs), notice
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="caretaker", daemon=True)

    @property
    def past(self) -> Mapping[str, Past]:
        """Return how each job has gone so far, by name."""
        return {job.name: self._schedule.past.get(job.name, Past()) for job in self._jobs}

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Let the job that is under way come to a safe point, then end; tell whether it did within some seconds.

        What it has not published by then is as if it had never been begun.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def look(self) -> list[str]:
        """Do the jobs that are due, in their order, and return their names."""
        done = []
        for job in self._jobs:
            if not self._stopping.is_set() and self._do(job):
                done.append(job.name)
        return done

    def _do(self, job: Job) -> bool:
        try:
            if not job.due():
                return False
            job.work(self._stopping.is_set)
        except Exception as error:  # whatever it is, the stream goes on
            if self._stopping.is_set():  # what was dropped has not failed
                return True
            self._schedule.ran(job.name, error)
            self._tell(job, error)
        else:
            self._schedule.ran(job.name)
        return True

    def _tell(self, job: Job, error: Exception) -> None:
        try:
            self._notice(job.name, error)
        except Exception as silent:
            self._schedule.ran(f"{job.name}: notice", silent)

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.look()
