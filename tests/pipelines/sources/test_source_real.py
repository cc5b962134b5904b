"""Real events of each platform: what they hold comes out, and nothing that is an event ends in quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import parse_values, plan_splits, read_split
from pipelines.sources.guess import guess_format
from schemas.config import InputConfig

CAPTURES = {  # file: (format, posts, tombstones, quarantined)
    "bluesky_jetstream_v1_real": ("jetstream", 18, 5, 0),
    "mastodon_streaming_docs": ("mastodon", 10, 4, 0),
    "reddit_api_listing_real": ("reddit", 24, 5, 0),
    "twitter_v11_statuses_real": ("x-v1", 25, 0, 0),
    "twitter_v11_stream_notices": ("x-v1", 0, 6, 0),
    "x_enterprise_compliance_docs": ("x-v1", 0, 13, 0),
    "x_v2_compliance_stream_docs": ("x-v2", 0, 13, 0),
    "x_batch_compliance_results_docs": ("x-v2", 0, 2, 0),
    "x_activity_events_docs": ("x-v2", 5, 1, 1),  # one example shows an envelope without its post
}


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        captured = json.loads(line)
        whole = {key: value for key, value in captured.items() if not key.startswith("_")}
        wrapped = whole.get("websocket") or whole.get("payload") or whole.get("event")
        yield wrapped if isinstance(wrapped, dict) else whole


@pytest.mark.parametrize("name", sorted(CAPTURES))
def test_platform_captures(real_data: Path, name: str) -> None:
    format, posts, tombstones, quarantined = CAPTURES[name]
    messages = [json.dumps(event).encode() for event in _events(real_data / "platform" / f"{name}.jsonl")]
    records = parse_values(messages, format)
    counted = (records.posts.num_rows, records.tombstones.num_rows, records.quarantine.num_rows)
    assert counted == (posts, tombstones, quarantined)
    assert sum(counted) + records.notices == len(messages)
    assert guess_format(iter(messages), name) == format


@pytest.mark.parametrize("name", ["posts/reddit-posts", "threads/weibo"])
def test_real_posts_pass_whole(real_data: Path, name: str) -> None:
    config = InputConfig()
    parts = [
        part
        for split in plan_splits([str(real_data / f"{name}.parquet")], config)
        for part in read_split(split, config)
    ]
    assert sum(part.quarantine.num_rows for part in parts) == 0
    assert sum(part.posts.num_rows for part in parts) == {"posts/reddit-posts": 40_000, "threads/weibo": 64_712}[name]
