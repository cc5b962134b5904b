"""The thread that keeps a live source connected, and spools what it says.

connecting -> streaming -> waiting (until when, and why) -> connecting -> ...  -> stopped
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.receivers.connection import (
    Backoff,
    Connection,
    Interrupted,
    LiveSource,
    Message,
    Refused,
    Untrusted,
)
from pipelines.receivers.settings import Limits, Outside
from pipelines.receivers.spool import NoRoom, Spool
from schemas.errors import ConfigError, RunError, SetupError, SwarmfeedError

Status = Literal["connecting", "streaming", "waiting", "stopped"]
MICROS = 1_000_000
BELIEVABLE_MICROS = 3600 * MICROS  # how far the clocks of a source and of this machine may lie apart


@dataclass(frozen=True)
class ReceiverState:
    """How a receiver is doing at one moment; moments are seconds since 1970."""

    status: Status
    received: int  # messages
    bytes: int
    reconnects: int
    gap_seconds: float  # stretches of time that nobody listened to, and the source does not send again
    last_message_at: float | None
    source_lag_seconds: float | None  # from the source seeing the last message to its arrival here; None: it says not
    waiting_until: float | None
    error: str | None  # why it waits, connects anew or has stopped


class Receiver:
    """Receives from one source in a thread of its own until it is stopped or fails for good."""

    def __init__(self, source: LiveSource, spool: Spool, limits: Limits, outside: Outside) -> None:
        self.source = source
        self.spool = spool
        self.limits = limits
        self.outside = outside
        self.failure: SwarmfeedError | None = None  # for the main thread to raise
        self._backoff = Backoff(limits.first_wait_seconds, limits.longest_wait_seconds, outside.random)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()  # of everything below
        self._state = ReceiverState("connecting", 0, 0, 0, 0.0, None, None, None, None)
        self._connection: Connection | None = None
        self._connected = False  # ever
        self._cursor: int | None = None  # microseconds since 1970
        self._heard = False  # the cursor is that of a message: a source that resumes sends that one again
        self._check_gap = False
        self._stirred = time.monotonic()  # when a message came last, or the connection began

    @property
    def state(self) -> ReceiverState:
        """Return a snapshot; any thread may ask."""
        with self._lock:
            return self._state

    def start(self) -> None:
        """Begin to receive."""
        for task in (self._receive, self._seal_in_time):
            thread = threading.Thread(target=task, name=f"{self.source.name} {task.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop receiving and journal what has come; doing it again does nothing.

        A thread that is in the middle of connecting is not waited for: it ends without having received anything.
        """
        self._hang_up()
        for thread in self._threads:
            thread.join(self.limits.stop_seconds)
        self._finish()

    def receive_until(self, moment: float) -> None:
        """Receive what the source has up to a moment (seconds since 1970), then stop.

        A source that tells no moments, or is quiet, has delivered all when it is silent for `quiet_seconds`.
        """
        self.start()
        listened = time.monotonic()
        while not self._stopping.wait(0.02):
            now = time.monotonic()
            if self.state.status == "streaming":
                listened = now
                if self._delivered(moment, now):
                    break
            elif now - listened > self.limits.patience_seconds:
                reason = self.state.error or "no answer"
                self._fail(RunError(f"{self.source.name}: away for {self.limits.patience_seconds:g} s: {reason}"))
        self.stop()

    def _delivered(self, moment: float, now: float) -> bool:
        with self._lock:
            reached = self.source.resumes and self._heard and (self._cursor or 0) >= moment * MICROS
            return reached or now - self._stirred >= self.limits.quiet_seconds

    def _receive(self) -> None:
        try:
            self._with_room(self._begin)
            while not self._stopping.is_set():
                self._pause(self._listen())
        except SwarmfeedError as error:
            self._fail(error)
        except Exception as error:  # a defect of ours must stop the stream, not leave it waiting for a dead thread
            self._fail(RunError(f"{self.source.name}: the receiver failed: {type(error).__name__}"), error)
        finally:
            self._stopping.set()
            self._finish()

    def _begin(self) -> None:
        """Take up the work where the last receiver, stopped or killed, left it."""
        self.spool.recover(keep=not self.source.resumes)
        cursor = self.spool.journal.cursor
        self._heard = cursor is not None
        if cursor is None and self.source.resumes:
            cursor = self.spool.start_cursor(self._now())
        self._cursor = None if cursor is None else int(cursor)

    def _listen(self) -> Interrupted:
        """Connect and take messages until the connection ends; return why it did."""
        self._say("connecting", self.state.error)
        try:
            with closing(self.source.connect(self._cursor)) as connection:
                self._welcome(connection)
                if self._stopping.is_set():  # `stop` came too early to see this connection
                    return Interrupted("stopped")
                for message in connection.messages():
                    self._take(message)
                    if self._stopping.is_set():
                        break
            return Interrupted("the server closed the connection")
        except Interrupted as interruption:
            return interruption
        except Refused as refusal:
            return self._refused(refusal)
        except Untrusted:
            error = f"{self.source.name}: certificate wrong: expected one that is valid for this host"
            if not self._connected:
                raise SetupError(f"{error}; check the host, and the certificates this machine trusts") from None
            return Interrupted("certificate wrong")
        finally:
            with self._lock:
                self._connection = None

    def _refused(self, refusal: Refused) -> Interrupted:
        if refusal.status in (401, 403):
            raise ConfigError(
                f"{self.source.name}: token rejected, or none given (HTTP {refusal.status}): "
                "check stream.token_file or stream.token_variable, and what the token may do"
            ) from None
        if not self._connected:
            raise ConfigError(f"{self.source.name}: refused (HTTP {refusal.status}): check host, path and options")
        return Interrupted(f"refused (HTTP {refusal.status})")

    def _welcome(self, connection: Connection) -> None:
        """Note that a connection stands, and what was missed before it did."""
        with self._lock:
            self._connection = connection
            self._stirred = time.monotonic()
            again, self._connected = self._connected, True
            self._check_gap = self.source.resumes and self._heard
            missed = 0.0
            if not self.source.resumes:
                now = self._now()
                missed = max(0.0, (now - (self._cursor or now)) / MICROS - self.source.covers_seconds)
                self._cursor = now
            state = self._state
            self._state = replace(state, reconnects=state.reconnects + again, gap_seconds=state.gap_seconds + missed)
        self._say("streaming")

    def _take(self, message: Message) -> None:
        self._backoff.reset()
        line, moment = message
        with self._lock:
            if not self.source.resumes:
                self._cursor = self._now()
        if line is None:
            return
        missed, lag = 0.0, None
        if moment is not None:
            lag = (self._now() - moment) / MICROS
            missed = self._advance(moment)
        cursor = None if self._cursor is None else str(self._cursor)
        if not self._with_room(lambda: self.spool.append(line, cursor)):
            return
        with self._lock:
            self._stirred = time.monotonic()
            state = self._state
            self._state = replace(
                state,
                received=state.received + 1,
                bytes=state.bytes + len(line),
                gap_seconds=state.gap_seconds + missed,
                last_message_at=self.outside.now(),
                source_lag_seconds=lag if moment is not None else state.source_lag_seconds,
            )

    def _advance(self, moment: int) -> float:
        """Move the cursor to a message; return the seconds in front of it that the source no longer has."""
        now, missed = self._now(), 0.0
        if moment > now + BELIEVABLE_MICROS:
            return missed  # a cursor there would skip everything until then
        with self._lock:
            cursor = self._cursor if self._heard and self._cursor is not None else moment
            if self._check_gap:  # what was heard last is sent again, or was too long ago for the source
                missed = max(0.0, (moment - cursor) / MICROS)
            self._check_gap = False
            self._heard = True
            self._cursor = min(max(cursor, moment), now)
        return missed

    def _with_room(self, action: Callable[[], None]) -> bool:
        """Do something that writes, waiting while the disk is full; False when stopped before there was room.

        Nothing is read meanwhile: the source is held back by its own connection.
        """
        waited = False
        while True:
            try:
                action()
                if waited:
                    self._say("streaming")
                return True
            except NoRoom as full:
                waited = True
                self._say("waiting", str(full))
            if self._stopping.wait(self.limits.first_wait_seconds):
                return False

    def _pause(self, interruption: Interrupted) -> None:
        if self._stopping.is_set():
            return
        seconds = self._backoff.next_seconds()
        if interruption.seconds is not None:
            seconds = max(seconds, interruption.seconds)
        self._say("waiting", interruption.reason, self.outside.now() + seconds)
        self._stopping.wait(seconds)

    def _seal_in_time(self) -> None:
        while not self._stopping.wait(self.limits.segment_seconds / 4):
            try:
                self.spool.seal_if_due()
            except NoRoom:  # the next message, or the end, meets it again and says so
                continue
            except SwarmfeedError as error:
                self._fail(error)

    def _finish(self) -> None:
        try:
            self.spool.seal()
        except NoRoom as full:
            self._fail(SetupError(f"{self.source.name}: {full}: the last messages could not be kept"))
        except SwarmfeedError as error:
            self._fail(error)
        self._say("stopped", str(self.failure) if self.failure else None)

    def _fail(self, failure: SwarmfeedError, cause: BaseException | None = None) -> None:
        failure.__cause__ = cause
        with self._lock:
            self.failure = self.failure or failure
        self._hang_up()

    def _hang_up(self) -> None:
        self._stopping.set()
        with self._lock:
            connection = self._connection
        if connection is not None:
            connection.hang_up()

    def _now(self) -> int:
        return int(self.outside.now() * MICROS)

    def _say(self, status: Status, error: str | None = None, until: float | None = None) -> None:
        with self._lock:
            self._state = replace(self._state, status=status, error=error, waiting_until=until)
