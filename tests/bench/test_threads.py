"""The scoring of written conversations finds what is wrong with them."""

from __future__ import annotations

import pyarrow as pa

from bench.threads import chain, out_of_order, posts_of, score_links, true_links
from pipelines.threads.turns import turns_of

LINKS = {"b": "a", "c": "a", "d": "b"}
ROWS = [{"id": name, "created_at": at} for at, name in enumerate("abcd")]


def test_a_reader_comes_by_a_tree_in_one_order() -> None:
    assert out_of_order([["a", "b", "d", "c"]], LINKS, ROWS) == 0
    assert out_of_order([["a", "b"], ["d", "c"]], LINKS, ROWS) == 0, "a stretch goes on where the last one ended"
    assert out_of_order([["a", "c", "b", "d"]], LINKS, ROWS) == 3
    assert out_of_order([["a", "b", "d", "c", "z"]], LINKS, [*ROWS, {"id": "z", "created_at": 9}]) == 5, "two trees"


def test_true_links_go_past_reposts() -> None:
    rows = [
        {"id": "a", "reply_to_id": None, "repost_of": None},
        {"id": "b", "reply_to_id": "a", "repost_of": "a"},
        {"id": "c", "reply_to_id": "b", "repost_of": None},
        {"id": "d", "reply_to_id": "gone", "repost_of": None},
    ]
    assert true_links(rows) == ({"a", "c", "d"}, {"c": "a"})


def test_a_chain_is_found_whole() -> None:
    found = score_links(chain(), 100)
    assert (found["links"], found["found"], found["deepest"], found["documents"]) == (999, 999, 1000, 10)
    assert found["wrong"] == found["lost"] == found["doubled"] == found["out_of_order"] == 0


def test_posts_read_as_turns_as_they_are() -> None:
    table = chain().slice(0, 5)
    assert turns_of(posts_of(table)).column("text").equals(table.column("text"))
    assert isinstance(posts_of(table), pa.Table)
