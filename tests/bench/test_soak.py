"""The soak sends what it says it sends, and its check finds what is lost, doubled, or kept though it was deleted."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from bench import soak
from bench.soak_check import Delivered, Verdict, judge
from bench.soak_events import events, told
from pipelines.sources import parse_values
from schemas.post import QUARANTINE

POSTS = pa.schema([("id", pa.string()), ("extra", pa.string()), ("route", pa.string())])
START = datetime(2026, 1, 1, tzinfo=UTC)


def some_events(count: int = 30_000) -> list[bytes]:
    return list(events(count, 3, START, 1000.0))


def delivered(values: list[bytes]) -> Delivered:
    found = Delivered()
    for offset, value in enumerate(values):
        found.add(0, offset, value)
    return found


def as_rows(values: list[bytes]) -> tuple[list[dict[str, str | None]], list[int]]:
    """The rows that a stream must make of events, but for deletions, and the offsets of what it cannot read."""
    rows, refused = list[dict[str, str | None]](), []
    for offset, value in enumerate(values):
        event = told(value)
        if event is None:
            refused.append(offset)
        elif event.kind == "post":
            rows.append({"id": event.subject, "extra": f'{{"time_us": {event.at}}}', "route": "rejected"})
    return rows, refused


def write_tables(out: Path, rows: list[dict[str, str | None]], refused: list[int]) -> None:
    write_deltalake(out / "posts", pa.Table.from_pylist(rows, POSTS))
    places = [{"file": "kafka://there/events/0", "line": offset, "fault": "bad_json"} for offset in refused]
    write_deltalake(out / "quarantine", pa.Table.from_pylist(places, QUARANTINE))


def test_events_are_wild_and_the_same_for_the_same_seed() -> None:
    found = some_events()
    assert found == some_events()
    assert not any(b"\n" in event for event in found)
    kinds = Counter(event.kind if (event := told(value)) else "unreadable" for value in found)
    assert set(kinds) == {"post", "deleted", "gone", "back", "notice", "unreadable"}
    assert len(found) - len(set(found)) > len(found) // 200  # delivered twice
    operations = Counter(orjson.loads(value)["commit"]["operation"] for value in found if b'"commit":{' in value)
    assert set(operations) == {"create", "update", "delete"}


def test_every_event_is_read_or_refused_as_we_say() -> None:
    found = some_events()
    records = parse_values(found, "jetstream", "there/0", range(len(found)))
    refused = set(records.quarantine.column("line").to_pylist())
    assert set(as_rows(found)[1]) < refused  # what has the form of an event may still say nonsense
    said = [event for offset, value in enumerate(found) if offset not in refused and (event := told(value))]
    assert records.posts.column("id").to_pylist() == [event.subject for event in said if event.kind == "post"]
    assert records.tombstones.num_rows == sum(event.kind in ("deleted", "gone", "back") for event in said)


def test_the_check_passes_what_is_right_and_counts_what_is_wrong(tmp_path: Path) -> None:
    values = some_events(5000)
    rows, refused = as_rows(values)
    sent = delivered(values)
    write_tables(tmp_path / "right", rows, refused)
    assert judge(sent, tmp_path / "right") == Verdict(len(rows), len(refused), 0, 0, 0)

    named = {event.subject for value in values if (event := told(value)) and event.kind in ("deleted", "gone")}
    safe = [row for row in rows if row["id"] and not named & {row["id"], row["id"].split("/")[2]}]
    deleted = next(row for row in rows if row["id"] in named)
    wrong = [row for row in rows if row not in (safe[0], deleted)] + [safe[1], {**deleted, "route": "kept"}]
    write_tables(tmp_path / "wrong", wrong, refused[1:])
    found = judge(sent, tmp_path / "wrong")
    assert (found.lost, found.doubled, found.deleted_kept) == (2, 1, 1)


def test_a_deleted_post_may_be_gone_or_bare_and_not_twice(tmp_path: Path) -> None:
    post = {"did": "did:plc:1", "time_us": 5, "kind": "commit", "commit": {"operation": "create", "rkey": "9"}}
    delete = {**post, "time_us": 6, "commit": {"operation": "delete", "rkey": "9"}}
    sent = delivered([orjson.dumps(post), orjson.dumps(delete)])
    bare: dict[str, str | None] = {"id": "at://did:plc:1/app.bsky.feed.post/9", "extra": None, "route": "rejected"}
    for number, rows in enumerate(([], [bare], [bare, bare])):
        write_tables(tmp_path / str(number), rows, [])
    assert [judge(sent, tmp_path / str(number)).doubled for number in range(3)] == [0, 0, 1]
    assert [judge(sent, tmp_path / str(number)).lost for number in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("minutes", [2, 60])
def test_the_plan_kills_everybody_and_sends_bursts_and_silence(minutes: int) -> None:
    chance = random.Random(1)
    plan, sent = soak.fault_plan(minutes * 60, chance), soak.stretches(minutes * 60, 100, chance)
    counts = Counter(kind for _, kind in plan)
    assert set(counts) == set(soak.Fault)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert [at for at, _ in plan] == sorted(at for at, _ in plan)
    assert {stretch.rate for stretch in sent} == {0.0, 100, 2000}
    assert sum(stretch.seconds for stretch in sent) == pytest.approx(minutes * 60)
