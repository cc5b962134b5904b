"""Members that read conversations: whole ones, on the day of their newest post, once they are closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from simulated import add_posts, asked, late_post, newest, publish, shards, swarm

from pipelines.swarm.days import parse_until
from pipelines.swarm.planning import make_plan
from pipelines.tokens import sets
from pipelines.tokens.packed import span_rows
from pipelines.tokens.tokenizer import load_tokenizer

Copy = Callable[..., Path]

TREES: dict[str, Any] = {
    "trees": {
        "window": {"days": 3},
        "template": "tree",
        "context_tokens": 1024,
        "replay": {"share": 0.2, "days": 1},
        "caps": {"author": 1},
    }
}


def talk(name: int, *hours: int) -> list[dict[str, Any]]:
    """A conversation: a post and answers, each to the one before, made so many hours after 2026-01-02."""
    posts = []
    for place, hour in enumerate(hours):
        made = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=hour)
        more = {"reply_to_id": f"late{name + place - 1}", "conversation_id": f"late{name}"} if place else {}
        posts.append(late_post(name + place, created_at=made, **more))
    return posts


def documents(out: Path) -> dict[str, dict[str, Any]]:
    """Every document of the newest version, by id, with the day it stands on and its text."""
    manifest = newest(out, "trees")
    found: dict[str, dict[str, Any]] = {}
    for shard in manifest.shards:
        for batch in pq.read_table(out / sets.folder_name(manifest) / shard.file).combine_chunks().to_batches():
            for row in span_rows(batch, manifest.context_tokens or 0)[0].to_pylist():
                name = row["document_id"]
                one = found.setdefault(name, {"file": shard.file, "posts": row["post_ids"], "tokens": []})
                one["tokens"] += row["tokens"]
    return found


def test_a_conversation_stands_whole_on_the_day_of_its_newest_post(folder: Copy) -> None:
    out = folder()
    add_posts(out, [*talk(100, 1, 3, 26), *talk(200, 5, 6), *talk(300, 30, 71, 100)])
    publish(out, swarm(TREES), parse_until("2026-01-05"))
    found = documents(out)
    assert list(newest(out, "trees").days) == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert found["late100"]["posts"] == ["late100", "late101", "late102"]
    assert "20260103" in found["late100"]["file"]
    assert found["late200"]["posts"] == ["late200", "late201"]
    assert "20260102" in found["late200"]["file"]
    assert "late300" not in found  # its last answer came on the sixth: it is not closed
    text = load_tokenizer("default").decode(found["late200"]["tokens"])
    said = [late_post(number)["text"].strip() for number in (200, 201)]
    assert text == f"A: {said[0]}\nB: {said[1]}"


def test_conversations_published_day_by_day_equal_a_full_rebuild(folder: Copy) -> None:
    step, whole = folder("step"), folder("whole")
    posts = [*talk(100, 1, 3, 26), *talk(200, 5, 6), *talk(300, 30, 71), *talk(400, 80, 81)]
    for out in (step, whole):
        add_posts(out, posts)
    for until in ("2026-01-04", "2026-01-05", "2026-01-06"):
        told = publish(step, swarm(TREES), parse_until(until))["trees"]
    publish(whole, swarm(TREES), parse_until("2026-01-06"))
    assert shards(step, newest(step, "trees")) == shards(whole, newest(whole, "trees"))
    assert told["days_made"] == 2  # the new day, and what comes back of the one that left
    assert publish(step, swarm(TREES), parse_until("2026-01-06"))["trees"]["new"] is False


def test_a_conversation_counts_for_who_began_it(folder: Copy) -> None:
    out = folder()
    mine = [post for name in (100, 200, 300) for post in talk(name, 30, 31)]
    for post in mine[::2]:
        post["author_id"] = "ann"
    add_posts(out, mine)
    publish(out, swarm(TREES), parse_until("2026-01-05"))
    assert len({"late100", "late200", "late300"} & documents(out).keys()) == 1


@pytest.mark.parametrize("template", ["tree", "path"])
def test_a_plan_of_conversations_is_estimated_and_near(folder: Copy, template: str) -> None:
    out = folder()
    add_posts(out, [*talk(100, 1, 3, 26), *talk(200, 5, 6)])
    members = {"trees": {**TREES["trees"], "template": template}}
    planned = make_plan(asked(out, swarm(members), parse_until("2026-01-05")))["trees"]
    publish(out, swarm(members), parse_until("2026-01-05"))
    assert planned.tokens == pytest.approx(newest(out, "trees").tokens, rel=0.1)
