"""A publication makes only the days that changed, and is to the byte what a rebuild of all of them would be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from simulated import MEMBERS, add_posts, asked, forget_posts, late_post, newest, publish, shards, swarm

from pipelines.feed import TokenFeed
from pipelines.ledger import claim
from pipelines.swarm.days import day_of, name_of, parse_until
from pipelines.swarm.publishing import run_publish
from pipelines.tables import open_table
from pipelines.tokens import sets
from pipelines.tokens.packed import span_rows
from pipelines.tokens.tokenizer import load_tokenizer
from pipelines.upkeep.verifying import verify_forgotten
from schemas.errors import ConfigError
from schemas.tokens import Manifest

Copy = Callable[..., Path]


def days(*names: str) -> int | None:
    return parse_until(names[-1])


def documents(out: Path, manifest: Manifest, day: str | None = None) -> list[dict[str, Any]]:
    """Every span of a version, of one day's shards where one is named."""
    wanted = [one for one in manifest.shards if day is None or day.replace("-", "") in one.file]
    rows = []
    for shard in wanted:
        table = pq.read_table(out / sets.folder_name(manifest) / shard.file)
        for batch in table.combine_chunks().to_batches():
            rows += span_rows(batch, manifest.context_tokens or 0)[0].to_pylist()
    return rows


def test_publishing_day_by_day_equals_a_full_rebuild(folder: Copy) -> None:
    step, whole = folder("step"), folder("whole")
    for until in ("2026-01-04", "2026-01-05", "2026-01-06"):
        told = publish(step, until=days(until))
    made = publish(whole, until=days("2026-01-06"))
    for member in MEMBERS:
        one, other = newest(step, member), newest(whole, member)
        assert (one.version, other.version) == ("v000003", "v000001")
        assert shards(step, one) == shards(whole, other)
        same = {"version": "", "table_versions": {}}
        assert one.model_copy(update=same) == other.model_copy(update=same)
        assert not sets.verify(step / sets.folder_name(one))
        assert (told[member]["days_made"], made[member]["days_made"]) == (2, 5)


def test_executors_do_as_this_process_does(folder: Copy, spark: SparkSession) -> None:
    here, there = folder("here"), folder("there")
    publish(here)
    run_publish(replace(asked(there), run=None))
    for member in MEMBERS:
        assert shards(here, newest(here, member)) == shards(there, newest(there, member))


def test_yesterdays_days_are_the_same_files(folder: Copy) -> None:
    out = folder()
    publish(out, until=days("2026-01-05"))
    before = newest(out, "all")
    publish(out, until=days("2026-01-06"))
    after = newest(out, "all")
    names = {shard.file for shard in before.shards} & {shard.file for shard in after.shards}
    assert {name[6:14] for name in names if name.startswith("shard-2")} == {"20260104", "20260105"}
    for name in names:
        one, other = (out / sets.folder_name(manifest) / name for manifest in (before, after))
        assert one.stat().st_ino == other.stat().st_ino


def test_nothing_new_is_no_new_version(folder: Copy) -> None:
    out = folder()
    first = publish(out)
    again = publish(out)
    assert all(one["new"] for one in first.values())
    assert not any(one["new"] for one in again.values())
    assert {one["version"] for one in again.values()} == {"v000001"}


def test_a_version_holds_what_its_member_asked_for(folder: Copy) -> None:
    out = folder()
    publish(out, until=days("2026-01-06"))
    manifest = newest(out, "small")
    window = [name for name, day in manifest.days.items() if not day["replay"]]
    assert window == ["2026-01-04", "2026-01-05", "2026-01-06"]
    assert [name for name, day in manifest.days.items() if day["replay"]] == ["2026-01-02", "2026-01-03"]
    assert manifest.tokens <= 9000
    assert manifest.swarm == {**(manifest.swarm or {}), "budget_tokens": 9000}
    assert manifest.mix["asked"] == {"en": 0.5, "es": 0.25, "ja": 0.25}
    assert sum(manifest.mix["achieved"].values()) == pytest.approx(1, abs=1e-5)
    posts = open_table(out, "posts")
    assert posts is not None
    assert manifest.table_versions == {"posts": posts.version()}
    known = {row["id"]: row for row in posts.to_pyarrow_table().to_pylist() if row["route"] == "kept"}
    for name in window:
        rows = documents(out, manifest, name)
        assert sum(len(row["tokens"]) for row in rows) <= 9000 * 0.9 / 3
        ids = list(dict.fromkeys(row["document_id"] for row in rows))
        chosen = [known[one] for one in ids]
        assert {row["language"]["lang"] for row in chosen} <= {"en", "es", "ja"}
        assert {f"{row['created_at']:%Y-%m-%d}" for row in chosen} == {name}
        authors = [row["author_id"] for row in chosen]
        assert max(map(authors.count, authors)) <= 2
        assert len(ids) == manifest.days[name]["chosen"]["documents"]


def test_what_comes_back_is_whole_sequences_of_what_was(folder: Copy) -> None:
    out = folder()
    publish(out, until=days("2026-01-04"))
    before = documents(out, newest(out, "all"), "2026-01-03")
    publish(out, until=days("2026-01-06"))
    manifest = newest(out, "all")
    again = documents(out, manifest, "2026-01-03")
    assert manifest.days["2026-01-03"]["replay"]
    assert 0 < len(again) < len(before)
    assert {json.dumps(row["tokens"]) for row in again} <= {json.dumps(row["tokens"]) for row in before}
    new = sum(day["tokens"] for day in manifest.days.values() if not day["replay"])
    assert 1 - new / manifest.tokens == pytest.approx(0.3, abs=0.05)


def test_a_late_post_makes_its_day_anew_and_no_other(folder: Copy) -> None:
    out = folder()
    publish(out, until=days("2026-01-06"))
    before = newest(out, "all")
    add_posts(out, [late_post(number) for number in range(3)])
    told = publish(out, until=days("2026-01-06"))
    after = newest(out, "all")
    assert told["all"]["days_made"] == 1
    changed = {name for name in after.days if after.days[name]["key"] != before.days[name]["key"]}
    assert changed == {"2026-01-05"}
    there = {row["document_id"] for row in documents(out, after, "2026-01-05")}
    assert {"late0", "late1", "late2"} <= there
    fresh = folder("fresh")
    add_posts(fresh, [late_post(number) for number in range(3)])
    publish(fresh, until=days("2026-01-06"))
    assert shards(out, after) == shards(fresh, newest(fresh, "all"))


def test_a_forgotten_post_is_in_no_version_and_its_day_is_made_anew(folder: Copy) -> None:
    out = folder()
    publish(out, until=days("2026-01-06"))
    gone = documents(out, newest(out, "all"), "2026-01-05")[0]["document_id"]
    forget_posts(out, gone)
    rewritten = newest(out, "all")
    assert gone not in {row["document_id"] for row in documents(out, rewritten)}
    assert rewritten.swarm is not None
    told = publish(out, until=days("2026-01-06"))
    assert told["all"]["days_made"] == 1
    assert gone not in {row["document_id"] for row in documents(out, newest(out, "all"))}
    assert verify_forgotten(out, (gone,)).clean


def test_a_trainer_reads_what_was_published(folder: Copy) -> None:
    out = folder()
    publish(out)
    manifest = newest(out, "small")
    feed = TokenFeed(str(out), "small", batch=4)
    filled = 0
    for batch in feed:
        assert batch["tokens"].shape[1] == 512
        filled += int(batch["filled"].sum())
        if filled >= manifest.tokens:
            break
    assert filled == manifest.tokens


def test_one_clock_in_the_future_moves_nothing(folder: Copy) -> None:
    out = folder()
    told = publish(out)
    add_posts(out, [late_post(1, created_at=datetime(2099, 6, 1, tzinfo=UTC))])
    assert publish(out)["all"] == {**told["all"], "new": False, "days_made": 0}


def test_old_versions_go_and_the_last_ones_stay(folder: Copy) -> None:
    out = folder()
    for until in ("2026-01-03", "2026-01-04", "2026-01-05"):
        publish(out, swarm(keep_versions=2), days(until))
    assert sorted(path.name for path in (out / "sets" / "all").iterdir()) == ["v000002", "v000003"]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"languages": ["enn"]}, "members.m.languages: no language 'enn': did you mean 'en'?"),
        ({"domains": ["simulat"]}, "members.m.domains: no domain 'simulat': did you mean 'simulate'?"),
        (
            {"budget_tokens": 9, "mix": {"by": "domain", "shares": {"simulat": 1}}},
            "members.m.mix.shares: no domain 'simulat': did you mean 'simulate'?",
        ),
        (
            {"window": {"from": "2020-05-01", "to": "2020-05-02"}},
            "member m: no posts from 2020-05-01 to 2020-05-02; posts are there from 2026-01-01",
        ),
        ({"languages": ["mt"]}, "member m: its filters leave nothing of the posts from"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_is_published(folder: Copy, member: dict[str, Any], said: str) -> None:
    out = folder()
    with pytest.raises(ConfigError) as refused:
        publish(out, swarm({"m": {"window": {"days": 2}, **member}}))
    assert said in str(refused.value)
    assert not (out / "sets" / "m").exists()


def test_a_day_that_lost_its_shard_is_made_anew(folder: Copy) -> None:
    out = folder()
    publish(out, until=days("2026-01-06"))
    before = newest(out, "all")
    whole = shards(out, before)
    first, second, *_ = (
        out / sets.folder_name(before) / shard.file for shard in before.shards if "-2026" in shard.file
    )
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    told = publish(out, until=days("2026-01-06"))
    assert told["all"]["days_made"] == 2
    assert shards(out, newest(out, "all")) == whole


def test_another_tokenizer_is_refused(folder: Copy, tmp_path: Path) -> None:
    out = folder()
    members = {"all": {"window": {"days": 2}, "context_tokens": 512}}
    publish(out, swarm(members))
    other = tmp_path / "bytes.tiktoken"

    other.write_text("".join(f"{base64.b64encode(bytes([one])).decode()} {one}\n" for one in range(256)))
    with pytest.raises(ConfigError, match=r"a model cannot change its tokenizer; name the old one again, or give"):
        publish(out, swarm(members, tokenizer=str(other)))
    assert publish(out, swarm({"bytes": members["all"]}, tokenizer=str(other)))["bytes"]["new"]


def test_a_folder_that_is_held_is_refused(folder: Copy) -> None:
    out = folder()
    with claim(out, {}), pytest.raises(ConfigError, match="another run is writing there"):
        publish(out)


def test_days_by_name() -> None:
    assert name_of(parse_until("2026-05-04") or 0) == "2026-05-04"
    assert day_of(date(1970, 1, 2)) == 1
    with pytest.raises(ConfigError, match="--until: expected a date such as 2026-05-04, got 'soon'"):
        parse_until("soon")


def test_documents_are_those_of_the_documents_table(folder: Copy) -> None:
    out = folder()
    publish(out, swarm({"m": {"window": {"days": 9}, "context_tokens": 512}}))
    table = open_table(out, "documents")
    assert table is not None
    rows = [row for row in table.to_pyarrow_table().to_pylist() if row["created_at"]]
    found: dict[str, list[int]] = {}
    manifest = newest(out, "m")
    wanted = {row["document_id"]: row for row in rows if f"{row['created_at']:%Y-%m-%d}" in manifest.days}
    for row in documents(out, manifest):
        found.setdefault(row["document_id"], []).extend(row["tokens"])
    assert found.keys() == wanted.keys()
    tokenizer = load_tokenizer("default")
    texts = pa.array([wanted[name]["text"] for name in found])
    spelled = tokenizer.encode(texts).to_pylist()
    pieces = {name: ids for name, ids in found.items() if len(ids) <= 512}
    for name, ids in zip(found, spelled, strict=True):
        if name in pieces:
            assert found[name] == [*ids, tokenizer.end_of_document]
