"""Who is trained next: one member at a time is out, for a lease, and what each was trained on is remembered.

swarm/rota.json   for each member: whether it is out, and every version it was given, with the shards in it
swarm/seen/       for each of those shards, the posts in it as hashes that only who holds the folder's key can compare

No clock decides but that of a lease: windows go by the days of the data, deletions by the numbers of receipts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.journal import write_durably
from schemas.errors import ConfigError, RunError

FOLDER = "swarm"
FILE = f"{FOLDER}/rota.json"
LOCK = f"{FOLDER}/rota.lock"
SCHEMA = 1


@dataclass(frozen=True)
class Turn:
    """A version that a member was given."""

    version: str
    taken: str  # ISO 8601
    until: str  # when the lease runs out
    last_day: str  # of the window
    receipt: int  # the newest there was: what was forgotten later was in it, perhaps
    shards: tuple[str, ...]  # sha256
    done: str | None = None


@dataclass(frozen=True)
class Rota:
    """Every turn of every member, oldest first."""

    turns: dict[str, tuple[Turn, ...]] = field(default_factory=dict)

    def last(self, name: str) -> Turn | None:
        """Return the last turn of a member."""
        return self.turns[name][-1] if self.turns.get(name) else None

    def version_out(self, name: str) -> str | None:
        """Return the version that a member is out with; None when it is not out."""
        turn = self.last(name)
        return turn.version if turn is not None and turn.done is None else None

    def out(self, now: datetime) -> dict[str, Turn]:
        """Return who is out with a lease that has not run out."""
        last = {name: turn for name in self.turns if (turn := self.last(name)) is not None}
        return {
            name: turn for name, turn in last.items() if turn.done is None and now < datetime.fromisoformat(turn.until)
        }

    def take(self, name: str, turn: Turn) -> Rota:
        """Mark a member out; raise ConfigError while one is."""
        self.refuse_second(name, datetime.fromisoformat(turn.taken))
        return Rota({**self.turns, name: (*self.turns.get(name, ()), turn)})

    def refuse_second(self, name: str, now: datetime) -> None:
        """Raise ConfigError while any member is out."""
        for other, turn in self.out(now).items():
            ahead = datetime.fromisoformat(turn.taken) > now
            clock = "; that is ahead of this machine's clock, which was set back" if ahead else ""
            whose = "is out already" if other == name else f"cannot go out while {other} is"
            raise ConfigError(
                f"member {name} {whose}: {other} was taken at {turn.taken} with {turn.version} until "
                f"{turn.until}{clock}; mark it back first: --done {other}"
            )

    def done(self, name: str, now: datetime) -> Rota:
        """Mark a member back; raise ConfigError when it is not out."""
        turn = self.last(name)
        if turn is None or turn.done is not None:
            raise ConfigError(f"member {name} is not out: nothing to mark back")
        back = replace(turn, done=now.isoformat(timespec="seconds"))
        return Rota({**self.turns, name: (*self.turns[name][:-1], back)})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "schema": SCHEMA,
            "members": {name: [asdict(turn) for turn in some] for name, some in self.turns.items()},
        }


def until(now: datetime, lease_hours: float) -> str:
    """Return when a lease that begins now runs out."""
    return (now + timedelta(hours=lease_hours)).isoformat(timespec="seconds")


def read_rota(root: Path) -> Rota:
    """Read the rota of a folder, an empty one where there is none; raise RunError when it is damaged."""
    path = root / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise RunError(
                f"{path}: of schema {data['schema']}, expected {SCHEMA}: install the swarmfeed that wrote it"
            )
        turns = {
            name: tuple(Turn(**{**turn, "shards": tuple(turn["shards"])}) for turn in some)
            for name, some in data["members"].items()
        }
    except FileNotFoundError:
        return Rota()
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: damaged ({type(error).__name__}): put a copy back, or delete it to begin anew"
        ) from None
    return Rota(turns)


def write_rota(root: Path, rota: Rota) -> None:
    """Replace the rota of a folder at once."""
    (root / FOLDER).mkdir(exist_ok=True)
    write_durably(root / FILE, json.dumps(rota.to_dict(), indent=1) + "\n")


@contextlib.contextmanager
def hold_rota(root: Path) -> Iterator[None]:
    """Hold the rota, which changes also while a run or a stream holds the folder; waits for another that holds it."""
    (root / FOLDER).mkdir(exist_ok=True)
    with (root / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mark_done(out: Path, name: str) -> Turn:
    """Mark a member back and return the turn it had."""
    root = out.absolute()
    with hold_rota(root):
        rota = read_rota(root).done(name, datetime.now(UTC))
        write_rota(root, rota)
    turn = rota.last(name)
    if turn is None:
        raise RunError(f"{root / FILE}: member {name} has no turn")
    return turn
