"""What holds of any posts: cycles, missing parents, reposts, versions, marks, cuts, in any order."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from posts_file import files, table

from pipelines.exchange import in_this_process
from pipelines.threads import conversations
from pipelines.threads.conversations import ThreadsOrder, build_conversations, read_documents
from pipelines.threads.policy import OnDeleted, OnRejected, Policy
from pipelines.threads.templates import Template, render
from pipelines.threads.trees import Links, plant
from pipelines.threads.turns import turns_of

Fact = dict[str, Any]
IDS = [f"p{number}" for number in range(12)]
SOMEWHERE = st.one_of(st.none(), st.sampled_from([*IDS, "gone"]))
FACT = st.fixed_dictionaries(
    {
        "author": st.sampled_from([None, "ann", "bob", "x:cat"]),
        "minute": st.one_of(st.none(), st.integers(0, 4)),
        "words": st.sampled_from(["", "@ann", "hello", "@bob look", "cat: yes", "two\nlines", "好//@ann:no"]),
        "reply_to": SOMEWHERE,
        "conversation": SOMEWHERE,
        "repost_of": st.one_of(st.none(), st.none(), SOMEWHERE),
        "quote_of": st.one_of(st.none(), st.none(), SOMEWHERE),
        "keep": st.sampled_from([True, True, True, False]),
        "deleted": st.sampled_from([False, False, False, False, True]),
    }
)
QUICK = settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
POLICIES = st.builds(Policy, st.sampled_from(OnRejected), st.sampled_from(OnDeleted))
TEMPLATES = st.sampled_from([Template.PATH, Template.TREE])


@st.composite
def facts(draw: st.DrawFn, telling: bool = False) -> list[Fact]:
    """Posts, each id once, some of them in two versions; `telling` texts are never empty and say whose they are."""
    found = []
    for name in draw(st.lists(st.sampled_from(IDS), unique=True)):
        for edited in range(draw(st.sampled_from([1, 1, 1, 2]))):
            fact = draw(FACT)
            words = fact.pop("words")
            text = f"{name}-{edited}" if telling else words
            found.append({**fact, "id": name, "edited": edited or None, "text": text})
            if fact["deleted"]:  # and nothing is left to tell versions by
                break
    return draw(st.permutations(found))


def newest(posts: list[Fact]) -> dict[str, Fact]:
    """The version of each post that counts."""
    by_id: dict[str, Fact] = {}
    for fact in posts:  # what was deleted tells no version
        version = 0 if fact["deleted"] else fact["edited"] or 0
        fact = {**fact, "version": version}
        rank = (-version, not fact["keep"] or fact["deleted"], fact["deleted"])
        if fact["id"] not in by_id or rank < by_id[fact["id"]]["rank"]:
            by_id[fact["id"]] = {**fact, "rank": rank}
    return by_id


def parents(by_id: dict[str, Fact]) -> dict[str, str | None]:
    """What each turn answers, from the definition; the cycles are still in it."""

    def is_turn(fact: Fact) -> bool:
        return fact["repost_of"] == fact["id"] or fact["repost_of"] not in by_id

    def other(fact: Fact, name: str) -> str | None:
        return fact[name] if fact[name] != fact["id"] else None

    def above(fact: Fact) -> str | None:
        return other(fact, "reply_to") or other(fact, "conversation")

    found: dict[str, str | None] = {}
    for name, fact in by_id.items():
        if not is_turn(fact):
            continue
        parent = above(fact)
        for _ in range(8):
            if parent not in by_id or is_turn(by_id[parent]):
                break
            parent = above(by_id[parent]) if above(by_id[parent]) in by_id else by_id[parent]["repost_of"]
        here = parent in by_id and is_turn(by_id[parent]) and parent != name
        found[name] = parent if here else None
    return found


def without_cycles(links: dict[str, str | None], by_id: dict[str, Fact]) -> dict[str, str | None]:
    """The links once the earliest post of each cycle has lost its own."""
    when = {name: ((by_id[name]["minute"] + 1e6 if by_id[name]["minute"] is not None else 0), name) for name in links}
    cut = dict(links)
    for name in links:
        seen, at = [], name
        while at is not None and at not in seen:
            seen.append(at)
            at = cut[at]
        if at is not None:
            cut[min(seen[seen.index(at) :], key=when.__getitem__)] = None
    return cut


@QUICK
@given(facts(), st.integers(1, 9))
def test_every_turn_stands_in_one_place_under_what_it_answers(posts: list[Fact], most: int) -> None:
    turns = turns_of(table(posts))
    forest = plant(turns, Links.of(turns), most)
    ids = turns.column("id").take(pa.array(forest.rows)).to_pylist()
    expected = without_cycles(parents(newest(posts)), newest(posts))
    assert sorted(ids) == sorted(expected)
    found = {name: ids[above] if above >= 0 else None for name, above in zip(ids, forest.parent, strict=True)}
    assert found == expected
    assert (forest.parent < np.arange(len(ids))).all()
    assert (np.diff(forest.bounds) <= most).all()
    times = {name: (fact["minute"] is not None, fact["minute"] or 0, name) for name, fact in newest(posts).items()}
    siblings = defaultdict(list)
    for name in ids:
        siblings[found[name]].append(name)
    for some in siblings.values():
        assert some == sorted(some, key=times.__getitem__)


@QUICK
@given(facts(), st.randoms(), TEMPLATES, POLICIES)
def test_the_order_of_the_posts_tells_nothing(
    posts: list[Fact], chance: Any, template: Template, policy: Policy
) -> None:
    shuffled = list(posts)
    chance.shuffle(shuffled)
    one, other = (render(turns_of(table(some)), template, policy, 4) for some in (posts, shuffled))
    assert one.to_pylist() == other.to_pylist()


@QUICK
@given(facts(telling=True))
def test_a_tree_holds_every_readable_turn_once(posts: list[Fact]) -> None:
    by_id = newest([{**fact, "quote_of": None} for fact in posts])
    policy = Policy(OnRejected.MASK_TURN)
    found = render(turns_of(table([{**fact, "quote_of": None} for fact in posts])), Template.TREE, policy).to_pylist()
    inside = Counter(name for row in found for name in row["post_ids"])
    expected = {name for name in parents(by_id) if by_id[name]["keep"] and not by_id[name]["deleted"]}
    assert inside == Counter(expected)
    for row in found:
        assert all(f"{name}-" in row["text"] for name in row["post_ids"])
        assert row["document_id"] == row["post_ids"][0]


@QUICK
@given(facts(telling=True), st.integers(1, 9))
def test_paths_reach_each_leaf_once_and_follow_the_links(posts: list[Fact], most: int) -> None:
    plain = [{**fact, "quote_of": None, "keep": True, "deleted": False} for fact in posts]
    by_id = newest(plain)
    links = without_cycles(parents(by_id), by_id)
    found = render(turns_of(table(plain)), Template.PATH, Policy(), most).to_pylist()
    leaves = sorted(links.keys() - {parent for parent in links.values() if parent})
    reached = sorted(row["document_id"] for row in found)
    assert reached == sorted(set(reached))
    assert set(reached) >= {f"{leaf}/path" for leaf in leaves}
    assert most < len(links) or len(reached) == len(leaves), "a stretch may end above a leaf"
    for row in found:
        path = row["post_ids"]
        assert row["document_id"] == f"{path[-1]}/path"
        assert [links[name] for name in path] == [None, *path[:-1]]


@settings(QUICK, max_examples=20)
@given(facts(), st.integers(1, 3), st.integers(1, 9), TEMPLATES, POLICIES)
def test_boxes_say_what_one_table_says(
    posts: list[Fact], parts: int, most: int, template: Template, policy: Policy
) -> None:
    pieces = [table(posts[part::parts]) for part in range(parts)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(conversations, "TURNS_PER_BOX", 2)
        order = ThreadsOrder(template, policy, most, addresses=parts)
        built = build_conversations(in_this_process, files(Path(folder), pieces), order, f"{folder}/built")
        found = read_documents(built).to_pylist()
    assert found == render(turns_of(table(posts)), template, policy, most).to_pylist()
