"""The index kept by Redis, for a cluster whose executors share no fast disk.

An epoch is written when it is published, from the same sorted files that the embedded index moves into place; writing
it again changes nothing, so a crash half way is mended by the redo record. Keys lie in small hashes, which Redis packs:

    NAME:entries:GENERATION:BUCKET   key -> (ref, day), one after the other
    NAME:records:GENERATION:REFS     ref -> record
    NAME:copies:GENERATION:ORIGINAL  author, epoch -> copies
    NAME:events:lasting:BUCKET       name -> (time, whether it is gone), one after the other
    NAME:state                       the epoch, the days held

A generation is a horizon of days: history expires a generation at a time, and a post looks into two or three of them.
What has no day, or one far ahead, lies in a generation of its own that does not expire.
"""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.duplicates.history import COPIES, EVENTS, Owners, RunFile, days_of, newest
from pipelines.duplicates.keys import Keys
from pipelines.duplicates.records import NO_DAY, RECORD, Longs
from pipelines.duplicates.search import Expiry
from pipelines.exchange import Run, map_rows
from pipelines.index import STAGED, STATE, Learnt
from schemas.config import DuplicatesConfig
from schemas.errors import ConfigError, RunError, SetupError

BUCKET_BITS = 18  # of a key: at 20 million keys a bucket holds 76, which Redis packs tightly
REF_BITS = 6  # the lowest of a ref, which share a hash
COMMANDS = 2000  # sent at once
LASTING = "lasting"

_OWNER = struct.Struct(">qi")
_RECORD = struct.Struct(">qqq?qH")
_COPY = struct.Struct(">qq")
_EVENT = struct.Struct(">q?")
_ADD = """
local size = tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if not held then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  else
    local known = false
    for at = 1, #held, size do
      if string.sub(held, at, at + size - 1) == ARGV[i + 1] then known = true end
    end
    if not known then redis.call('HSET', KEYS[1], ARGV[i], held .. ARGV[i + 1]) end
  end
end
"""
_ADD_NAME = hashlib.sha1(_ADD.encode()).hexdigest()  # what Redis calls it

Command = tuple[bytes | str | int, ...]


@dataclass(frozen=True)
class Server:
    """Where the Redis is, and the name that all keys of one output folder begin with."""

    url: str
    password_file: str | None
    name: str

    def run(self, commands: Iterator[Command]) -> Iterator[Any]:
        """Send commands, many at a time, and yield each one's answer. Raises SetupError without a server."""
        import redis

        try:
            with redis.Redis.from_url(self.url, password=self._password(), socket_connect_timeout=10) as client:
                batch: list[Command] = []
                for command in commands:
                    batch.append(command)
                    if len(batch) == COMMANDS:
                        yield from _send(client, batch)
                        batch = []
                yield from _send(client, batch)
        except redis.exceptions.AuthenticationError:
            raise SetupError(f"duplicates.index: {self.url} refuses this password") from None
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            raise SetupError(f"duplicates.index: no Redis answers at {self.url}; is it running?") from None

    def _password(self) -> str | None:
        if self.password_file is None:
            return None
        try:
            return Path(self.password_file).read_text().strip()
        except OSError as error:
            name = f"duplicates.index_password_file: {self.password_file}"
            raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None

    def do(self, *commands: Command) -> list[Any]:
        """Send a few commands and return their answers."""
        return list(self.run(iter(commands)))


def _send(client: Any, batch: Sequence[Command]) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    for command in batch:
        pipe.execute_command(*command)
    answers: list[Any] = pipe.execute()
    return answers


@dataclass(frozen=True)
class State:
    """What the server knows, as it stands under NAME:state."""

    epoch: int | None = None
    first_day: int = 0
    horizon_days: int = 0
    days: Mapping[int, int] = field(default_factory=dict)
    generations: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: bytes | str) -> State:
        """Read the JSON of a state."""
        data = json.loads(text)
        days = {int(day): posts for day, posts in data["days"].items()}
        return cls(**{**data, "days": days, "generations": tuple(data["generations"])})

    def generation(self, days: Longs) -> list[str]:
        """Return the generation of each day."""
        number = days // self.horizon_days
        ahead = (self.first_day + self.horizon_days) // self.horizon_days + 1
        lasting = (days == NO_DAY) | (number > ahead)
        return [LASTING if lasts else str(one) for one, lasts in zip(number.tolist(), lasting.tolist(), strict=True)]


class RedisIndex:
    """Keep the index in a Redis; see the module."""

    def __init__(self, root: Path, config: DuplicatesConfig) -> None:
        self._name_file = root / STATE / "redis-name"  # stays with the folder, wherever that is moved
        known = self._name_file.exists()
        name = self._name_file.read_text() if known else f"swarmfeed:{uuid.uuid4().hex[:16]}"
        self._server = Server(config.index, config.index_password_file, name)
        self._horizon_days = config.horizon_days
        (text,) = self._server.do(("GET", f"{self._server.name}:state"))
        self._state = State.from_json(text) if text else State()
        if self._state.horizon_days not in (0, self._horizon_days):
            self._state = State()  # generations have another length: the index is to be rebuilt

    @property
    def epoch(self) -> int | None:
        """Return the last epoch it learnt from, None before the first."""
        return self._state.epoch

    @property
    def days(self) -> Mapping[int, int]:
        """Return how many posts of each day, since 1970, it holds."""
        return self._state.days

    def history(self) -> RedisHistory:
        """Return what it knows now, to look things up in."""
        return RedisHistory(self._server, self._state)

    def plan(self, run: Run, learnt: Learnt, staging: Path) -> dict[str, Any]:
        """Return the change that an epoch makes: the state to come, and the files to write to the server."""
        first_day = learnt.expiry.first_day
        state = State(learnt.epoch, first_day, self._horizon_days, dict(learnt.days), self._state.generations)
        live = {name for name in state.generations if not _expired(name, state)}
        for file in learnt.files:
            live.update(state.generation(np.unique(days_of(map_rows(file.path)))))
        state = replace(state, generations=tuple(sorted(live)))
        files = [asdict(replace(file, path=Path(file.path).name)) for file in learnt.files if file.rows]
        return {"state": asdict(state), "files": files}

    def forget(self, run: Run, ids: Path, staging: Path) -> dict[str, Any]:
        """Return the change that takes some posts out; `ids` is an Arrow file of them. Reads every record."""
        wanted = set(map_rows(ids).column("id").to_pylist())
        refs = [
            int.from_bytes(ref, "big")
            for _, held in self._hashes("records")
            for ref, record in held.items()
            if _unpack(0, record)["id"] in wanted
        ]
        return {"state": asdict(self._state), "files": [], "forget": refs}

    def _forget(self, refs: set[int]) -> None:
        """Take posts out, in any generation; entries are looked through, for a post may own any number of them."""
        fields = {ref: ref.to_bytes(8, "big") for ref in refs}
        for generation in self._state.generations:
            for ref, field_name in fields.items():
                records, copies = (f"{self._server.name}:{kind}:{generation}" for kind in ("records", "copies"))
                self._server.do(("HDEL", f"{records}:{ref >> REF_BITS:x}", field_name), ("UNLINK", f"{copies}:{ref:x}"))
        for name, held in self._hashes("entries"):
            for key, owners in held.items():
                left = b"".join(_OWNER.pack(*one) for one in _OWNER.iter_unpack(owners) if one[0] not in refs)
                if left != owners:
                    self._server.do(("HSET", name, key, left) if left else ("HDEL", name, key))

    def _hashes(self, kind: str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
        """Yield every hash of a kind with what it holds."""
        for names in self._names(f"{self._server.name}:{kind}:*"):
            yield from zip(names, self._server.do(*(("HGETALL", name) for name in names)), strict=True)

    def apply(self, change: Mapping[str, Any], staging: Path) -> None:
        """Write what an epoch taught, then the state; drop the generations that expired. Writing again is harmless."""
        state = State.from_json(json.dumps(change["state"]))
        self._name_file.parent.mkdir(parents=True, exist_ok=True)
        self._name_file.write_text(self._server.name)
        writer = _Writer(self._server, state)
        for file in change["files"]:
            path = staging / STAGED / file["path"]
            if path.exists():
                writer.write(RunFile(**{**file, "path": str(path)}))
        if change.get("forget"):
            self._forget(set(change["forget"]))
        self._server.do(("SET", f"{self._server.name}:state", json.dumps(change["state"])))
        for generation in set(self._state.generations) - set(state.generations):
            self._remove(f"{self._server.name}:*:{generation}:*")
        self._state = state

    def clear(self) -> None:
        """Forget everything."""
        self._remove(f"{self._server.name}:*")
        self._state = State()

    def _remove(self, pattern: str) -> None:
        for names in self._names(pattern):
            self._server.do(("UNLINK", *names))

    def _names(self, pattern: str) -> Iterator[list[bytes]]:
        """Yield the names of keys, many at a time."""
        cursor = 0
        while True:
            ((cursor, names),) = self._server.do(("SCAN", cursor, "MATCH", pattern, "COUNT", COMMANDS))
            if names:
                yield names
            if not int(cursor):
                return


@dataclass(frozen=True)
class _Writer:
    """Writes sorted files to the server."""

    server: Server
    state: State

    def write(self, file: RunFile) -> None:
        """Write the rows of a file; rows that are there already stay as they are."""
        rows = map_rows(file.path)
        commands = {
            "entries": self._entries,
            "records": self._records,
            "copies": self._copies,
            "events": self._events,
        }[file.kind](rows)
        self.server.do(("SCRIPT", "LOAD", _ADD))
        for _ in self.server.run(commands):
            pass

    def _entries(self, rows: pa.Table) -> Iterator[Command]:
        keys = np.asarray(rows.column("key"))
        hashes = _hashes(self.server.name, "entries", self.state.generation(days_of(rows)), keys >> (64 - BUCKET_BITS))
        owners = zip(rows.column("ref").to_pylist(), rows.column("day").to_pylist(), strict=True)
        for name, fields in _grouped(hashes, _fields(keys), [_OWNER.pack(*owner) for owner in owners]):
            yield ("EVALSHA", _ADD_NAME, 1, name, _OWNER.size, *fields)

    def _events(self, rows: pa.Table) -> Iterator[Command]:
        names = np.asarray(rows.column("name"))
        hashes = _hashes(self.server.name, "events", [LASTING] * len(names), _bucket(names))
        said = zip(rows.column("micros").to_pylist(), rows.column("gone").to_pylist(), strict=True)
        for name, fields in _grouped(hashes, _fields(names), [_EVENT.pack(*event) for event in said]):
            yield ("EVALSHA", _ADD_NAME, 1, name, _EVENT.size, *fields)

    def _records(self, rows: pa.Table) -> Iterator[Command]:
        refs = np.asarray(rows.column("ref"))
        hashes = _hashes(self.server.name, "records", self.state.generation(days_of(rows)), refs >> REF_BITS)
        for name, fields in _grouped(hashes, _fields(refs), [_pack(row) for row in rows.to_pylist()]):
            yield ("HSET", name, *fields)

    def _copies(self, rows: pa.Table) -> Iterator[Command]:
        originals = np.asarray(rows.column("original"))
        hashes = _hashes(self.server.name, "copies", self.state.generation(days_of(rows)), originals)
        who = [_COPY.pack(author, self.state.epoch or 0) for author in rows.column("author").to_pylist()]
        counts = zip(rows.column("copies").to_pylist(), rows.column("micros").to_pylist(), strict=True)
        for name, fields in _grouped(hashes, who, [_COPY.pack(*count) for count in counts]):
            yield ("HSET", name, *fields)


@dataclass(frozen=True)
class RedisHistory:
    """Looks things up on the server."""

    server: Server
    state: State

    def owners(self, keys: Keys) -> Owners:
        """Return every owner of some keys, sorted and distinct."""
        found: list[tuple[int, int, int]] = []
        fields = _fields(keys)
        for place, value in self._look_up("entries", keys >> np.uint64(64 - BUCKET_BITS), fields):
            found += [(place, ref, day) for ref, day in _OWNER.iter_unpack(value)]
        table = np.array(found, np.int64).reshape(-1, 3)
        held = Expiry(self.state.first_day).holds(table[:, 2])
        return Owners(*(table[held, column] for column in range(3)))

    def records(self, refs: Longs) -> pa.Table:
        """Return the record of each ref, sorted and distinct. Raises RunError when one is missing."""
        found = dict(self._look_up("records", refs >> REF_BITS, _fields(refs)))
        if len(found) != len(refs):
            raise RunError(
                f"the duplicate index lacks {len(refs) - len(found)} posts it names: delete "
                f"{self.server.name}:state on the server; the next run rebuilds it from the posts table"
            )
        rows = [_unpack(ref, found[place]) for place, ref in enumerate(refs.tolist())]
        return pa.Table.from_pylist(rows, RECORD)

    def copies(self, originals: Longs) -> pa.Table:
        """Return what is known of the clusters of some originals, sorted and distinct."""
        rows = []
        for generation in self.state.generations:
            names = _hashes(self.server.name, "copies", [generation] * len(originals), originals)
            answers = self.server.run(("HGETALL", name) for name in names)
            for original, answer in zip(originals.tolist(), answers, strict=True):
                for who, count in answer.items():
                    rows.append((original, _COPY.unpack(who)[0], *_COPY.unpack(count)))
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        return pa.table([pa.array(column) for column in columns], schema=COPIES)

    def events(self, names: Longs) -> pa.Table:
        """Return what events said of some names, sorted and distinct."""
        rows = [
            (name, *event)
            for place, value in self._look_up("events", _bucket(names), _fields(names))
            for name, event in ((int(names[place]), one) for one in _EVENT.iter_unpack(value))
        ]
        columns = [pa.array([row[at] for row in rows], field.type) for at, field in enumerate(EVENTS)]
        return newest(pa.table(columns, schema=EVENTS))

    def _look_up(self, kind: str, buckets: Keys | Longs, fields: list[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the place of each field that some generation knows, and its value."""
        bounds = np.flatnonzero(np.r_[True, buckets[1:] != buckets[:-1], True]) if len(buckets) else np.zeros(1, int)
        spans = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        for generation in self.state.generations:
            names = _hashes(self.server.name, kind, [generation] * len(spans), buckets[bounds[:-1]])
            asked = (("HMGET", name, *fields[a:b]) for name, (a, b) in zip(names, spans, strict=True))
            for (start, _), values in zip(spans, self.server.run(asked), strict=True):
                yield from ((start + at, value) for at, value in enumerate(values) if value is not None)


def _expired(generation: str, state: State) -> bool:
    return generation != LASTING and (int(generation) + 1) * state.horizon_days - 1 < state.first_day


def _hashes(name: str, kind: str, generations: Sequence[str], buckets: Keys | Longs) -> list[str]:
    pairs = zip(generations, buckets.tolist(), strict=True)
    return [f"{name}:{kind}:{generation}:{bucket:x}" for generation, bucket in pairs]


def _bucket(names: Longs) -> Keys:
    return np.asarray(names.view(np.uint64) >> np.uint64(64 - BUCKET_BITS))


def _fields(keys: Keys | Longs) -> list[bytes]:
    """Return each number as eight bytes."""
    data = keys.astype(">u8").tobytes()
    return [data[at : at + 8] for at in range(0, len(data), 8)]


def _grouped(names: list[str], fields: list[bytes], values: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each hash with the fields and values that go there, in turn."""
    groups: dict[str, list[bytes]] = {}
    for name, one, value in zip(names, fields, values, strict=True):
        groups.setdefault(name, []).extend((one, value))
    yield from groups.items()


def _pack(row: Mapping[str, Any]) -> bytes:
    name = row["id"].encode()
    known = row["fingerprint"] is not None
    head = _RECORD.pack(row["author"], row["micros"], row["version"], known, row["fingerprint"] or 0, len(name))
    return head + name + (row["signature"] or b"")


def _unpack(ref: int, data: bytes) -> dict[str, Any]:
    author, micros, version, known, fingerprint, size = _RECORD.unpack_from(data)
    name = data[_RECORD.size : _RECORD.size + size].decode()
    signature = data[_RECORD.size + size :] if known else None
    return {
        "ref": ref, "id": name, "author": author, "micros": micros, "version": version,
        "fingerprint": fingerprint if known else None, "signature": signature,
    }  # fmt: skip
