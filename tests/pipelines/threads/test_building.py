"""Conversations out of an output folder: epochs, closing, large ones, Spark."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from epochs import AT, WORDS, Output, post
from posts_file import files, table
from pyspark.sql import SparkSession

from pipelines.exchange import Run, in_this_process, on_executors
from pipelines.tables import table_files
from pipelines.threads.conversations import ThreadsOrder, build_conversations, read_documents
from pipelines.threads.policy import OnRejected, Policy
from pipelines.threads.templates import Template, render
from pipelines.threads.turns import turns_of
from pipelines.upkeep.forgetting import forget

MASKED = ThreadsOrder(policy=Policy(OnRejected.MASK_TURN))


def built(folder: Path, paths: Sequence[str], order: ThreadsOrder, run: Run = in_this_process) -> list[dict[str, Any]]:
    """The documents of some posts files."""
    rows: list[dict[str, Any]] = read_documents(
        build_conversations(run, paths, order, str(folder / "work"))
    ).to_pylist()
    return rows


def texts(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What they say."""
    return {row["document_id"]: row["text"] for row in rows}


def event(name: str) -> dict[str, Any]:
    """The platform says that a post must go."""
    return {"kind": "post_deleted", "post_id": name, "event_at": AT + timedelta(days=1)}


ROOT = post("root-000001", 0, 0, author="ann")
REPLY = post("reply-00001", 1, 1, author="bob", reply_to_id="root-000001")
AGAIN = post("reply-00002", 2, 2, author="ann", reply_to_id="reply-00001", quote_of="apart-00001")
COPY = post("copy-000001", 1, 3, author="cat", reply_to_id="root-000001")  # says what another said
UNDER = post("reply-00003", 3, 4, author="dan", reply_to_id="copy-000001")
APART = post("apart-00001", 4, 5, author="eve")
EDITED = post("reply-00001", 5, 1, author="bob", reply_to_id="root-000001", extra=json.dumps({"edited_at": 7}))
EARLY = post("early-00001", 6, 6, author="fay", reply_to_id="late-000001")
LATE = post("late-000001", 7, 0, author="gus")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Output, Output]:
    """The same posts, from one epoch and from three: a late parent, an edit, a deletion."""
    one, three = (Output(tmp_path_factory.mktemp(name) / "out") for name in ("one", "three"))
    one.epoch([ROOT, REPLY, AGAIN, COPY, UNDER, APART, EARLY, LATE, EDITED], [event("root-000001")])
    three.epoch([ROOT, REPLY, AGAIN, COPY, EARLY])
    three.epoch([UNDER, APART, EDITED])
    three.epoch([LATE], [event("root-000001")])
    return one, three


@pytest.mark.parametrize("template", [Template.TREE, Template.PATH])
@pytest.mark.parametrize("rejected", list(OnRejected))
def test_one_epoch_and_several_make_the_same_conversations(
    folders: tuple[Output, Output], tmp_path: Path, template: Template, rejected: OnRejected
) -> None:
    order = ThreadsOrder(template, Policy(rejected))
    for output in folders:
        forget(output.upkeep())
    one, three = (built(tmp_path, table_files(output.root, "posts"), order) for output in folders)
    assert one == three
    assert one


def test_what_they_say(folders: tuple[Output, Output], tmp_path: Path) -> None:
    forget(folders[0].upkeep())
    said = texts(built(tmp_path, table_files(folders[0].root, "posts"), MASKED))
    assert said["late-000001"] == f"A: {WORDS[7]}\nB: {WORDS[6]}"
    assert said["apart-00001"] == WORDS[4]
    (talk,) = (text for text in said.values() if WORDS[2] in text)
    assert f"{WORDS[5]}\n" in talk
    assert f"{WORDS[2]}\n> {WORDS[4]}" in talk
    assert not any(WORDS[0] in text for text in said.values()), "a deleted text"


def test_a_conversation_closes_after_a_quiet_time_and_a_late_post_revises_it(tmp_path: Path) -> None:
    first = [{"id": "1", "author": "ann", "minute": 0, "text": "a"}, {"id": "9", "minute": 100, "text": "apart"}]
    more = [{"id": "2", "author": "bob", "minute": 50, "text": "b", "reply_to": "1"}]
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def closed(facts: list[dict[str, Any]], minutes: int) -> dict[str, str]:
        order = ThreadsOrder(quiet_hours=1, as_of=now + timedelta(minutes=minutes))
        return texts(built(tmp_path, files(tmp_path / f"at-{minutes}", [table(facts)]), order))

    assert closed(first, 59) == {}
    assert closed(first, 60) == {"1": "a"}
    assert closed([*first, *more], 60) == {}, "the reply came before the time was up"
    assert closed([*first, *more], 160) == {"1": "A: a\nB: b", "9": "apart"}
    counted = build_conversations(
        in_this_process,
        files(tmp_path / "counted", [table([*first, *more])]),
        ThreadsOrder(quiet_hours=1, as_of=now + timedelta(minutes=110)),
        str(tmp_path / "work"),
    )
    assert (counted.turns, counted.documents, counted.open_turns) == (2, 1, 1)


def test_days_part_the_documents(tmp_path: Path) -> None:
    facts = [
        {
            "id": str(number),
            "minute": 700 * number,
            "text": f"t{number}",
            "reply_to": str(number // 2) if number else None,
        }
        for number in range(12)
    ]
    paths = files(tmp_path / "posts", [table(facts)])
    start = datetime(2026, 5, 4, tzinfo=UTC)
    for template in (Template.TREE, Template.PATH):
        days = [
            built(
                tmp_path, paths, ThreadsOrder(template, since=start + timedelta(day), until=start + timedelta(day + 1))
            )
            for day in range(8)
        ]
        assert [row for day in days for row in day] == built(tmp_path, paths, ThreadsOrder(template))
        assert template is Template.TREE or sum(map(bool, days)) > 2


def hub_and_chain(replies: int, depth: int) -> pa.Table:
    """A post with very many answers, and a chain below one of them; times are equal by the hundred."""
    hub = [{"id": "hub", "author": "ann", "minute": 0, "text": "hub"}]
    hub += [
        {"id": f"r{number:06d}", "author": f"a{number % 97}", "minute": number // 100, "text": "r", "reply_to": "hub"}
        for number in range(replies)
    ]
    names = ["r000000", *(f"c{number:06d}" for number in range(depth))]
    chain = [
        {"id": name, "author": f"a{len(name)}", "minute": 5, "text": "c", "reply_to": above}
        for above, name in itertools.pairwise(names)
    ]
    return table([*hub, *chain])


def test_a_hub_and_a_chain_are_cut_and_nothing_is_lost(tmp_path: Path) -> None:
    posts = hub_and_chain(5000, 1000)
    paths = files(tmp_path / "posts", [posts.slice(0, 3000), posts.slice(3000)])
    order = ThreadsOrder(max_posts=300, addresses=3)
    found = built(tmp_path, paths, order)
    whole = render(turns_of(posts), Template.TREE, Policy(), 300).to_pylist()
    assert found == whole
    assert all(len(row["post_ids"]) <= 300 for row in found)
    inside = [name for row in found for name in row["post_ids"]]
    assert sorted(inside) == sorted(posts.column("id").to_pylist())


def test_a_thousand_deep_path_is_whole() -> None:
    (deepest,) = (
        row
        for row in render(turns_of(hub_and_chain(3, 1000)), Template.PATH, Policy()).to_pylist()
        if row["document_id"] == "c000999/path"
    )
    assert deepest["post_ids"][:3] == ["hub", "r000000", "c000000"]
    assert len(deepest["post_ids"]) == 1002


def test_spark_says_what_one_process_says(spark: SparkSession, tmp_path: Path) -> None:
    posts = hub_and_chain(60, 2)
    paths = files(tmp_path / "posts", [posts.slice(0, 15), posts.slice(15)])
    for addresses in (1, 2):
        order = ThreadsOrder(max_posts=20, addresses=addresses)
        assert built(tmp_path, paths, order, on_executors(spark)) == built(tmp_path, paths, order)


@pytest.mark.parametrize("name", ["twitter-semeval2017", "reddit-praw"])
def test_real_threads(real_data: Path, tmp_path: Path, name: str) -> None:
    file = real_data / "threads" / f"{name}.parquet"
    if not file.is_file():
        pytest.skip(f"no {file}")
    posts = pq.read_table(file)
    turns = turns_of(posts)
    inside = [name for row in render(turns, Template.TREE, Policy()).to_pylist() for name in row["post_ids"]]
    assert len(inside) == len(set(inside))
    here = set(posts.column("id").to_pylist())
    above = dict(zip(posts.column("id").to_pylist(), posts.column("reply_to_id").to_pylist(), strict=True))
    links = {(name, above[name]) for name in inside if above[name] in here and above[name] in set(inside)}
    paths = render(turns, Template.PATH, Policy()).to_pylist()
    pairs = {pair for row in paths for pair in zip(row["post_ids"][1:], row["post_ids"], strict=False)}
    assert len(links & pairs) > 0.98 * len(links), "but for turns that answer one without a text"


def test_a_repost_at_another_address_leads_to_what_it_reposts(tmp_path: Path) -> None:
    facts: list[dict[str, Any]] = [{"id": "root", "author": "ann", "minute": 0, "text": "a"}]
    for number in range(20):
        facts.append({"id": f"repost-{number}", "minute": 1, "text": "", "repost_of": "root"})
        facts.append({"id": f"reply-{number}", "minute": 2, "text": "b", "reply_to": f"repost-{number}"})
    (row,) = built(tmp_path, files(tmp_path / "posts", [table(facts)]), ThreadsOrder(addresses=9))
    assert len(row["post_ids"]) == 21


def test_a_repost_is_no_turn_though_what_it_reposts_is_left_out(tmp_path: Path) -> None:
    facts: list[dict[str, Any]] = [
        {"id": "rejected", "author": "ann", "minute": 0, "text": "a", "keep": False},
        {"id": "root", "author": "bob", "minute": 1, "text": "b"},
        {"id": "repost", "author": "cat", "minute": 2, "text": "a", "repost_of": "rejected", "reply_to": "root"},
        {"id": "reply", "author": "dan", "minute": 3, "text": "d", "reply_to": "repost"},
    ]
    order = ThreadsOrder(policy=Policy(OnRejected.DROP_THREAD))
    (row,) = built(tmp_path, files(tmp_path / "posts", [table(facts)]), order)
    assert row["post_ids"] == ["root", "reply"]
