"""Live sources end to end: what a server on this machine says becomes posts, tombstones and quarantined records."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson
import pytest
from output import posts
from pyspark.sql import SparkSession

sys.path.append(str(Path(__file__).parents[1] / "receivers"))
from live_servers import JetstreamServer

from pipelines.index import STATE
from pipelines.stream.job import StreamOrder, stream
from schemas.config import Config
from schemas.errors import ConfigError

WORDS = "The ferry to the island leaves at {} from the small pier behind the fish market"


def said(moment: int, rkey: str, text: str | None, operation: str = "create") -> tuple[int, bytes]:
    """A frame of a Jetstream server."""
    commit = {"rev": "3k", "operation": operation, "collection": "app.bsky.feed.post", "rkey": rkey}
    if text is not None:
        record = {"$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-11-24T10:00:00Z", "langs": ["en"]}
        commit |= {"record": record, "cid": f"cid-{rkey}"}
    event = {"did": "did:plc:invented", "time_us": moment, "kind": "commit", "commit": commit}
    return moment, orjson.dumps(event)


def test_a_live_source_is_curated_and_goes_on_where_it_stopped(spark: SparkSession, tmp_path: Path) -> None:
    now = int(time.time() * 1e6)
    with JetstreamServer() as server:
        order = StreamOrder(
            f"jetstream://127.0.0.1:{server.port}?tls=false", tmp_path / "out", Config.parse({}), once=True
        )
        server.publish(*(said(now - 1000 + at, f"r{at}", WORDS.format(f"{at} o'clock")) for at in range(5)))
        server.publish((now, b"no event"), said(now + 1, "r1", None, "delete"))
        server.cut_after.append(3)
        first = stream(order)
        repeats = first["reasons"].get("repeated_id", 0)  # what a connection that was cut sends again
        assert first["posts"]["read"] == 6 + repeats
        assert first["posts"]["quarantined"] == 1
        server.publish(said(now + 2, "r9", WORDS.format("noon")))
        stream(order)
    firsts = [row for row in posts(tmp_path / "out") if row["duplicates"]["kind"] != "repeated_id"]
    rows = {row["id"].rpartition("/")[2]: row for row in firsts}
    assert len(rows) == len(firsts)
    assert set(rows) == {"r0", "r2", "r3", "r4", "r9"}  # what was deleted is gone
    assert not list((tmp_path / "out" / STATE / "journal" / "segments").glob("*.jsonl"))


def test_a_token_in_an_address_is_refused_and_kept_nowhere(tmp_path: Path) -> None:
    order = StreamOrder("x://secret@localhost", tmp_path / "out", Config.parse({}), once=True)
    with pytest.raises(ConfigError, match="expected no user and no token in an address"):
        stream(order)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"secret" in path.read_bytes() for path in files)
