"""A folder with something of everything that may have to go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from epochs import WORDS, Output, post


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
