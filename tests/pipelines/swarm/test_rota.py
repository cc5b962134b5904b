"""The rota: one member out at a time, who is due first, and who was trained on what was forgotten since."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from simulated import asked as order
from simulated import forget_posts, newest, publish, swarm

from pipelines.swarm.days import parse_until
from pipelines.swarm.publishing import PublishOrder
from pipelines.swarm.rota import FILE, Rota, Turn, mark_done, read_rota, until, write_rota
from pipelines.swarm.seen import SEEN
from pipelines.swarm.taking import list_due, retrain, take, trained_words
from pipelines.tokens import sets
from schemas.errors import ConfigError, RunError

Copy = Callable[..., Path]

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def turn(version: str = "v000001", hours: float = 24, last_day: str = "2026-05-03", done: bool = False) -> Turn:
    back = NOW.isoformat() if done else None
    return Turn(version, NOW.isoformat(), until(NOW, hours), last_day, 0, ("a" * 64,), back)


def asked(out: Path, until: str | None = None) -> PublishOrder:
    return order(out, until=parse_until(until))


def test_two_are_never_out_at_once() -> None:
    rota = Rota().take("en", turn())
    for name, said in (("ja", "member ja cannot go out while en is"), ("en", "member en is out already")):
        with pytest.raises(ConfigError, match=f"{said}.*mark it back first: --done en"):
            rota.take(name, turn())
    back = rota.done("en", NOW + timedelta(hours=1))
    assert back.take("ja", turn()).version_out("ja") == "v000001"
    with pytest.raises(ConfigError, match="member en is not out: nothing to mark back"):
        back.done("en", NOW)


def test_a_lease_that_ran_out_keeps_nobody_waiting() -> None:
    rota = Rota().take("en", turn(hours=1))
    later = NOW + timedelta(hours=2)
    assert rota.out(NOW + timedelta(minutes=59)).keys() == {"en"}
    assert rota.out(later) == {}
    both = rota.take("ja", Turn("v000002", later.isoformat(), until(later, 1), "2026-05-03", 0, ()))
    assert both.out(later).keys() == {"ja"}
    assert both.version_out("en") == "v000001"  # it may come back all the same


def test_a_clock_that_was_set_back_is_named() -> None:
    rota = Rota().take("en", turn())
    with pytest.raises(ConfigError, match="ahead of this machine's clock, which was set back"):
        rota.refuse_second("ja", NOW - timedelta(days=400))


def test_what_is_written_is_read_and_what_is_damaged_is_named(tmp_path: Path) -> None:
    rota = Rota().take("en", turn())
    write_rota(tmp_path, rota)
    assert read_rota(tmp_path) == rota
    assert read_rota(tmp_path / "elsewhere") == Rota()
    for text, said in (("{", "damaged"), ('{"schema": 9}', "of schema 9, expected 1"), ('{"schema": 1}', "damaged")):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(RunError, match=said):
            read_rota(tmp_path)


def test_members_take_turns_and_are_due_by_the_age_of_their_window(folder: Copy) -> None:
    out = folder()
    assert [(one.member, one.due, one.why) for one in list_due(asked(out))] == [
        ("all", True, "never trained"),
        ("small", True, "never trained"),
    ]
    given = take(asked(out, "2026-01-04"), "next")
    assert (given["member"], given["folder"]) == ("all", "sets/all/v000001")
    assert (out / given["folder"] / sets.MANIFEST_FILE).is_file()
    listed = {one.member: one for one in list_due(asked(out))}
    assert listed["all"].out
    assert not listed["all"].due
    with pytest.raises(ConfigError, match="member small cannot go out while all is"):
        take(asked(out), "small")
    assert not (out / "sets" / "small").exists()
    mark_done(out, "all")
    assert take(asked(out), "next")["member"] == "small"
    mark_done(out, "small")
    first = list_due(asked(out))[0]
    assert (first.member, first.due) == ("all", True)
    assert first.why.startswith("trained up to 2026-01-04, there is more up to 2026-01-0")
    given = take(asked(out), "next")
    assert (given["member"], given["version"]) == ("all", "v000002")
    mark_done(out, "all")
    with pytest.raises(ConfigError, match="no member is due; all is up to date"):
        take(asked(out), "next")


def test_the_version_that_is_out_stays(folder: Copy) -> None:
    out = folder()
    take(asked(out, "2026-01-03"), "small")
    for day in ("2026-01-04", "2026-01-05", "2026-01-06"):
        publish(out, swarm(keep_versions=1), parse_until(day))
    assert sorted(path.name for path in (out / "sets" / "small").iterdir()) == ["v000001", "v000004"]
    assert sorted(path.name for path in (out / "sets" / "all").iterdir()) == ["v000003"]


def test_a_deletion_names_the_members_to_retrain_though_the_version_has_gone(folder: Copy) -> None:
    out = folder()
    take(asked(out, "2026-01-04"), "all")
    shard = out / sets.folder_name(newest(out, "all")) / newest(out, "all").shards[-1].file
    gone = pq.read_table(shard).column("documents").to_pylist()[0][0]["post_ids"][0]
    mark_done(out, "all")
    for day in ("2026-01-05", "2026-01-06", "2026-01-07"):
        publish(out, swarm(keep_versions=1), parse_until(day))
    assert retrain(out) == []
    forget_posts(out, gone)
    (found,) = retrain(out)
    assert (found.member, found.posts, found.pending, found.versions) == ("all", 1, 1, ("v000001",))
    assert trained_words(found).endswith("1 since its last turn: retrain it")
    assert gone.encode() not in b"".join(path.read_bytes() for path in (out / SEEN).iterdir())
    listed = {one.member: one for one in list_due(asked(out, "2026-01-04"))}
    assert listed["all"].due
    assert listed["all"].why == "1 posts it was trained on were forgotten"
    take(asked(out, "2026-01-04"), "all")
    (found,) = retrain(out)
    assert (found.posts, found.pending) == (1, 0)
    assert json.loads((out / FILE).read_text())["members"]["all"][1]["receipt"] >= 1
