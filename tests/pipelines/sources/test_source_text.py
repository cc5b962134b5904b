"""Text that is markup on its way in: hostile input costs time in proportion to its length and never raises."""

from __future__ import annotations

import json
import time

import pytest

from pipelines.sources import parse_values
from pipelines.sources.html_text import html_to_text

NASTY = [
    "",
    "\U0001f642",
    "\u200d" * 50,
    "\u202e\u05d0\u05d1",
    "\ufffd\ufffd",
    "\U0001f525" * 5000,
    "w" * 20_000,
    "<" * 20_000,
]
HOSTILE = ["<" * 400_000, "<a " * 150_000, "&" * 400_000, "&#" + "9" * 400_000, "\n" * 400_000, "<a href='" * 50_000]


@pytest.mark.parametrize("text", NASTY)
def test_text_passes_unchanged(text: str) -> None:
    """Canonical text is never edited, and HTML without tags or entities is its own text."""
    raw = json.dumps({"id": "1", "text": text}).encode()
    assert parse_values([raw], "canonical").posts.column("text").to_pylist() == [text]
    if "<" not in text:
        assert html_to_text(text) == text


@pytest.mark.parametrize("content", HOSTILE, ids=lambda text: text[:9])
@pytest.mark.parametrize("format", ["mastodon", "reddit", "x-v1", "x-v2", "jetstream"])
def test_hostile_markup_takes_linear_time(content: str, format: str) -> None:
    user = {"id": "1", "id_str": "1"}
    event = {
        "mastodon": {"id": "1", "content": content, "account": user},
        "reddit": {"kind": "t1", "data": {"name": "t1_a", "body": content, "link_id": "t3_b"}},
        "x-v1": {"id_str": "1", "full_text": content, "user": user},
        "x-v2": {"data": {"id": "1", "text": content}},
        "jetstream": {
            "did": "did:plc:a",
            "time_us": 1783175888085434,
            "kind": "commit",
            "commit": {
                "operation": "create",
                "collection": "app.bsky.feed.post",
                "rkey": "k",
                "record": {"text": content, "createdAt": "2026-07-04T14:38:08Z"},
            },
        },
    }[format]
    begun = time.perf_counter()
    records = parse_values([json.dumps(event).encode()], format)
    assert time.perf_counter() - begun < 2
    assert records.posts.num_rows + records.quarantine.num_rows == 1


def test_spans_lists_and_quotes() -> None:
    assert html_to_text("<blockquote><p>a</p></blockquote><ul><li>b</li><li>c</li></ul>") == "a\n\nb\nc"
    assert html_to_text('<p><span class="invisible">a</span><span>b</span></p>') == "ab"
    assert html_to_text("<p>1 &lt;b&gt; &amp;amp;</p>") == "1 <b> &amp;"
