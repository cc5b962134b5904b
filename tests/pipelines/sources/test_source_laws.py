"""Laws of reading, over garbage: no record is lost, none raises, and how a file is split does not matter."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipelines.sources import Records, parse_values, plan_splits, read_split
from pipelines.sources.compressed import GZIP_MAGIC, ZSTD_MAGIC
from pipelines.sources.plan import PARQUET_MAGIC
from pipelines.sources.records import BOM, READERS
from schemas.config import InputConfig
from schemas.post import TOMBSTONE_KINDS
from schemas.reasons import Fault

GOLDEN = Path(__file__).parents[2] / "golden" / "sources.jsonl"
EVENTS = [json.loads(line)["input"] for line in GOLDEN.read_text().splitlines()]
EVENTS = [event for event in EVENTS if isinstance(event, dict)]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "\0", "[deleted]", "2020-01-01", "9" * 40, "<a href='", "&#x110000;", "at://x"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@st.composite
def bent_events(draw: st.DrawFn) -> Any:
    """An event of a platform with one value somewhere inside replaced or removed."""
    event = json.loads(json.dumps(draw(st.sampled_from(EVENTS))))
    place = event
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return event
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], (dict, list)) and draw(st.booleans()):
            place = place[key]
            continue
        if isinstance(place, dict) and draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(VALUES)
        return event


RECORDS = st.one_of(
    bent_events().map(lambda event: json.dumps(event).encode()),
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from(
        [b"", b"  ", b"\r", b"{}", b"null", b'{"id":"1","text":"a"}', b"[" * 600, b"\xef\xbb\xbf{}", BOM * 5000]
    ),
)


def outcomes(records: Records) -> int:
    return records.posts.num_rows + records.tombstones.num_rows + records.quarantine.num_rows + records.notices


@settings(max_examples=300, deadline=None)
@given(raw=RECORDS, format=st.sampled_from(sorted(READERS)))
def test_no_record_is_lost(raw: bytes, format: str) -> None:
    records = parse_values([raw], format)
    assert (outcomes(records) == 0) == (not raw.removeprefix(BOM).strip())
    for row in records.quarantine.to_pylist():
        assert row["fault"] in set(Fault)
        assert row["raw"] in raw or json.loads(row["raw"]) is not None
    for row in records.posts.to_pylist():
        assert row["id"]
        assert "\0" not in row["id"] + row["text"]
    for row in records.tombstones.to_pylist():
        assert row["kind"] in TOMBSTONE_KINDS
        assert row["post_id"] or row["author_id"]
    records.posts.validate(full=True)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(RECORDS, max_size=12),
    format=st.sampled_from(sorted(READERS)),
    split_bytes=st.integers(1, 200),
    batch_rows=st.integers(1, 5),
)
def test_splitting_does_not_matter(lines: list[bytes], format: str, split_bytes: int, batch_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assume(not b"\n".join(lines).startswith((GZIP_MAGIC, ZSTD_MAGIC, PARQUET_MAGIC)))  # no JSONL by its first bytes
        path = Path(folder, "lines.jsonl")
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        cut = _read(path, InputConfig(format=format, split_bytes=split_bytes, batch_rows=batch_rows))
        assert cut == _read(path, InputConfig(format=format))
        expected = [parse_values([line], format) for line in lines]
        assert cut["notices"] == sum(records.notices for records in expected)
        assert cut["posts"] == [row for records in expected for row in records.posts.to_pylist()]
        bad = [number for number, records in enumerate(expected, 1) for _ in range(records.quarantine.num_rows)]
        assert [row["line"] for row in cut["quarantine"]] == bad


def _read(path: Path, config: InputConfig) -> dict[str, Any]:
    parts = [part for split in plan_splits([str(path)], config) for part in read_split(split, config)]
    return {
        "posts": [row for part in parts for row in part.posts.to_pylist()],
        "tombstones": [row for part in parts for row in part.tombstones.to_pylist()],
        "quarantine": [row for part in parts for row in part.quarantine.to_pylist()],
        "notices": sum(part.notices for part in parts),
    }


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["jsonl", "csv", "jsonl.gz", "jsonl.zst", "csv.gz"]))
def test_no_file_raises(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"noise.{suffix}")
        path.write_bytes(b"id,text\n" + data if suffix == "csv" else data)
        found = _read(path, InputConfig(format="canonical"))
        assert found["posts"] or found["tombstones"] or found["quarantine"] or not data.removeprefix(BOM).strip()
