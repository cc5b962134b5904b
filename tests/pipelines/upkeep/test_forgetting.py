"""What must go is gone from every file, and nothing else is."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from epochs import AT, Output

from pipelines.upkeep import requests
from pipelines.upkeep.doomed import count_open
from pipelines.upkeep.forgetting import forget
from pipelines.upkeep.requests import Request

WORDS = [
    "The ferry to the island leaves at seven from the old stone pier near the market.",
    "My grandmother bakes rye bread with caraway every Saturday before the sun comes up.",
    "Nobody in our street remembers who planted the walnut tree beside the bus stop.",
    "The library will stay open until nine this week because of the reading marathon.",
    "After two years of work the village has its own small brewery and a choir again.",
    "We counted fourteen storks on the meadow behind the school, more than ever before.",
    "Someone left a perfectly good cello on the platform of the northern railway station.",
    "The new bridge is narrower than the old one, but it does not shake in the wind.",
]


def post(name: str, words: int | str, minutes: int = 0, **more: Any) -> dict[str, Any]:
    """Make a post."""
    text = WORDS[words] if isinstance(words, int) else words
    author = more.pop("author", f"author-of-{name}")
    made = AT + timedelta(minutes=minutes)
    return {"id": name, "author_id": author, "created_at": made, "text": text, "source": "test", **more}


def everywhere(root: Path, word: str) -> list[str]:
    """Every file whose plain or decoded content says a word."""
    import pyarrow.parquet as pq

    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.read_table(path, partitioning=None).to_pylist()).encode()
        if word.encode() in content:
            found.append(str(path.relative_to(root)))
    return found


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """Three epochs: a post, copies, a repost, a quote, a reply, a mention, a bad record; others beside them."""
    output = Output(tmp_path / "out")
    output.epoch(
        [
            post("original-0001", 0, 0, extra=json.dumps({"note": "mine original-0001", "n": 1})),
            post("copy-00000002", 0, 1),
            post("another-0003", 1, 2),
            post("by-author-004", 2, 3, author="gone-author-1"),
        ],
        bad=[
            {"raw": b'{"id": "original-0001"', "fault": "bad_json", "file": "f", "line": 1},
            {"raw": b'{"id": "something-else', "fault": "bad_json", "file": "f", "line": 2},
        ],
    )
    output.epoch(
        [
            post("repost-000005", WORDS[0], 4, repost_of="original-0001"),
            post("quote-0000006", 3, 5, quote_of="original-0001", conversation_id="original-0001"),
            post("reply-0000007", 4, 6, reply_to_id="original-0001", extra=json.dumps({"to": "original-0001"})),
            post("mention-00008", f"{WORDS[5]} See https://x.example/original-0001 for more.", 7),
            post("by-author-009", 6, 8, author="gone-author-1"),
            post("repost-000010", WORDS[6], 9, repost_of="by-author-009"),
        ]
    )
    output.epoch([post("late-00000011", 7, 10), post("copy-00000012", 0, 11)])
    return output


def test_a_post_its_reposts_and_every_word_of_it_go(output: Output) -> None:
    before = {row["id"]: row for row in output.rows("posts")}
    tokens = output.tokens()
    requests.leave(output.root, Request(ids=("original-0001", "never-seen-01"), authors=("gone-author-1",)))
    done = forget(output.upkeep())
    gone = {"original-0001", "repost-000005", "by-author-004", "by-author-009", "repost-000010"}
    after = {row["id"]: row for row in output.rows("posts")}
    assert set(after) == set(before) - gone
    assert done.posts == len(gone)
    for name in (*gone, "never-seen-01", "gone-author-1"):
        assert everywhere(output.root, name) == []
    pseudonyms = {after["quote-0000006"][name] for name in ("quote_of", "conversation_id")}
    pseudonyms |= {after["reply-0000007"]["reply_to_id"], after["copy-00000002"]["duplicate_of"]}
    assert len(pseudonyms) == 1
    assert pseudonyms.pop().startswith("gone:")
    assert json.loads(after["reply-0000007"]["extra"])["to"].startswith("gone:")
    mention = before["mention-00008"]["text"].split("original-0001")
    assert after["mention-00008"]["text"].startswith(mention[0] + "gone:")
    assert after["mention-00008"]["text"].endswith(mention[1])
    untouched = set(after) - {"quote-0000006", "reply-0000007", "mention-00008", "copy-00000002", "copy-00000012"}
    assert untouched == {"another-0003", "late-00000011"}
    assert all(after[name] == before[name] for name in untouched)
    assert output.tokens() == {name: run for name, run in tokens.items() if name not in {*gone, "mention-00008"}}
    kept = {row["id"] for row in after.values() if row["route"] == "kept"}
    assert {row["document_id"] for row in output.rows("documents")} == kept
    assert [row["line"] for row in output.rows("quarantine")] == [2]
    assert count_open(output.root).count == 0
