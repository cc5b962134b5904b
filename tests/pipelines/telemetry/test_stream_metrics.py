"""The metrics: what a scrape holds, that names say their units, and that the document lists just these."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from streams import GIB, Stream

from pipelines.telemetry.figures import QUERY_RESTARTED, DeletionFigures, SourceFigures, SourceStatus
from pipelines.telemetry.health import Alarm
from pipelines.telemetry.metrics import MEASURES, registry

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
UNITS = ("_seconds", "_bytes", "_total")
PLAIN = {  # what has no unit: counts of things that come and go, and flags
    "swarmfeed_epoch_number",
    "swarmfeed_lag_records",
    "swarmfeed_source_up",
    "swarmfeed_open_tombstones",
    "swarmfeed_index_posts",
    "swarmfeed_alarm_raised",
}


def told() -> Stream:
    """Return a stream of which everything is known."""
    stream = Stream()
    stream.epoch(10, lag=4, lag_records=70, faults={"bad_json": 3, "nul": 2})
    stream.state.source(SourceFigures("jetstream", SourceStatus.STREAMING, 1234, 5, 2.5, 70, 9000))
    stream.state.index(10_000, 6_710_000)
    stream.state.deletions(DeletionFigures(2, 100.0, 86_400.0, 7))
    stream.state.failure(QUERY_RESTARTED)
    return stream


def test_a_scrape_says_what_the_state_is() -> None:
    own = registry(told().state.snapshot)
    expected = {
        ("swarmfeed_posts_total", "route", "kept"): 190,
        ("swarmfeed_posts_total", "route", "rejected"): 805,
        ("swarmfeed_posts_total", "route", "quarantine"): 5,
        ("swarmfeed_quarantined_total", "fault", "bad_json"): 3,
        ("swarmfeed_epoch_seconds_sum", "phase", "annotate"): 2,
        ("swarmfeed_epoch_seconds_count", "phase", "annotate"): 1,
        ("swarmfeed_source_up", "source", "jetstream"): 1,
        ("swarmfeed_source_received_total", "source", "jetstream"): 1234,
        ("swarmfeed_source_reconnects_total", "source", "jetstream"): 5,
        ("swarmfeed_source_lag_seconds", "source", "jetstream"): 2.5,
        ("swarmfeed_spool_bytes", "source", "jetstream"): 9000,
        ("swarmfeed_failures_total", "kind", "query_restarted"): 1,
        ("swarmfeed_memory_bytes", "process", "jvm"): GIB,
        ("swarmfeed_alarm_raised", "alarm", "source_down"): 0,
    }
    for (name, label, value), number in expected.items():
        assert own.get_sample_value(name, {label: value}) == number, (name, value)
    alone = {
        "swarmfeed_tokens_total": 19_000,
        "swarmfeed_tombstones_total": 3,
        "swarmfeed_epochs_total": 1,
        "swarmfeed_epoch_number": 0,
        "swarmfeed_lag_seconds": 4,
        "swarmfeed_lag_records": 70,
        "swarmfeed_open_tombstones": 2,
        "swarmfeed_oldest_open_tombstone_seconds": 100,
        "swarmfeed_deletion_deadline_seconds": 86_400,
        "swarmfeed_deletions_total": 7,
        "swarmfeed_index_posts": 10_000,
        "swarmfeed_index_bytes": 6_710_000,
        "swarmfeed_query_restarts_total": 1,
        "swarmfeed_memory_limit_bytes": 16 * GIB,
        "swarmfeed_disk_free_bytes": 100 * GIB,
    }
    for name, number in alone.items():
        assert own.get_sample_value(name) == number, name


def test_buckets_are_cumulative() -> None:
    stream = Stream()
    for seconds in (0.05, 0.3, 3.0, 1000.0):
        stream.epoch(1, seconds={"commit": seconds})
    own = registry(stream.state.snapshot)
    for bound, count in (("0.1", 1), ("0.25", 1), ("0.5", 2), ("5.0", 3), ("320.0", 3), ("+Inf", 4)):
        assert own.get_sample_value("swarmfeed_epoch_seconds_bucket", {"phase": "commit", "le": bound}) == count


def test_what_is_not_known_has_no_sample_and_what_has_not_happened_is_nought() -> None:
    own = registry(Stream().state.snapshot)
    for name in ("swarmfeed_lag_seconds", "swarmfeed_index_posts", "swarmfeed_oldest_open_tombstone_seconds"):
        assert own.get_sample_value(name) is None, name
    assert own.get_sample_value("swarmfeed_posts_total", {"route": "kept"}) == 0
    assert own.get_sample_value("swarmfeed_query_restarts_total") == 0


def test_an_alarm_is_a_metric() -> None:
    stream = Stream()
    stream.state.deletions(DeletionFigures(1, 90_000.0, 86_400.0, 0))
    own = registry(stream.state.snapshot)
    raised = {alarm: own.get_sample_value("swarmfeed_alarm_raised", {"alarm": alarm}) for alarm in Alarm}
    assert raised == {alarm: float(alarm == "tombstone_overdue") for alarm in Alarm}


def test_every_metric_has_a_sample_once_everything_is_known() -> None:
    families = {family.name for family in registry(told().state.snapshot).collect() if family.samples}
    assert families == {measure.name.removesuffix("_total") for measure in MEASURES}


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_names_say_their_units(measure) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"swarmfeed(_[a-z]+)+", measure.name)
    assert measure.name.endswith(UNITS) or measure.name in PLAIN
    assert measure.name.endswith("_total") == (measure.kind == "counter")


def test_the_document_lists_the_metrics_as_they_are() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(swarmfeed_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    collected = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in registry(told().state.snapshot).collect()
    }
    assert [row[0] for row in rows] == list(collected)
    for name, kind, labels, documentation in rows:
        family = collected[name]
        found = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert kind == family.type, name
        assert set(re.findall(r"`(\w+)`", labels)) == found, name
        assert documentation == family.documentation.rstrip("."), name


def test_prometheus_can_read_it() -> None:
    text = generate_latest(registry(told().state.snapshot)).decode()
    assert {family.type for family in text_string_to_metric_families(text)} == {"counter", "gauge", "histogram"}
