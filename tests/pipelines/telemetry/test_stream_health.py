"""Each alarm: what raises it, what does not, since when, and when it fails the stream."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from streams import GIB, START, WELL, Stream

from pipelines.telemetry.figures import QUERY_RESTARTED, DeletionFigures, Resources, SourceFigures, SourceStatus
from pipelines.telemetry.health import WHAT_TO_DO, Alarm, Limits, health

DAY = 86_400.0
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def busy(**figures: float) -> Stream:
    """Return a stream that has committed an epoch every ten seconds for ten minutes."""
    stream = Stream()
    for _ in range(60):
        stream.epoch(10, **figures)
    return stream


def status(stream: Stream) -> str:
    return str(health(stream.state.snapshot())["status"])


def test_a_stream_that_runs_well_is_ok() -> None:
    stream = busy(lag=5, lag_records=100)
    stream.state.source(SourceFigures("kafka", SourceStatus.STREAMING))
    stream.state.deletions(DeletionFigures(3, 100.0, DAY, 9))
    found = health(stream.state.snapshot())
    assert (found["status"], found["alarms"]) == ("ok", [])
    assert found["posts_per_second"] == {"read": 100.0, "kept": 19.0}
    assert found["source"] == {"kind": "kafka", "status": "streaming"}
    json.dumps(found, allow_nan=False)


def test_a_stream_that_has_just_started_is_ok() -> None:
    found = health(Stream().state.snapshot())
    assert (found["status"], found["alarms"], found["epoch"]) == ("ok", [], None)


def test_a_source_that_stays_away() -> None:
    stream = busy()
    stream.state.source(SourceFigures("jetstream", SourceStatus.DOWN))
    stream.now += 59
    assert status(stream) == "ok", "a reconnect is no alarm"
    stream.now += 1
    alarm = stream.alarms()["source_down"]
    assert (alarm["status"], alarm["since"], alarm["value"], alarm["limit"]) == (
        "degraded",
        "2026-05-28T20:36:40+00:00",
        60,
        60,
    )
    stream.now += 3540
    assert status(stream) == "failing"
    stream.state.source(SourceFigures("jetstream", SourceStatus.STREAMING))
    assert "source_down" not in stream.alarms()


def test_lag_that_grows_for_five_minutes() -> None:
    stream = busy(lag=10)
    for number in range(40):
        stream.epoch(10, lag=10 + 2 * number)
    alarm = stream.alarms()["lag_growing"]
    assert alarm["value"] == pytest.approx(0.2, abs=0.001), "2 seconds of lag in 10 seconds"
    assert alarm["status"] == "degraded"


@pytest.mark.parametrize(
    ("why", "lags"),
    [
        ("steady", [120.0] * 40),
        ("falling", [400.0 - 5 * number for number in range(40)]),
        ("noisy", [60.0 + 10 * (number * 7 % 5) for number in range(40)]),
        ("short", [float(number) / 2 for number in range(40)]),
    ],
)
def test_lag_that_is_no_alarm(why: str, lags: list[float]) -> None:
    stream = Stream()
    for lag in lags:
        stream.epoch(10, lag=lag)
    assert "lag_growing" not in stream.alarms(), why


def test_lag_before_five_minutes_have_passed_is_no_trend() -> None:
    stream = Stream()
    for number in range(20):
        stream.epoch(10, lag=100 + 5 * number)
    assert "lag_growing" not in stream.alarms()


def test_lag_in_records_is_judged_where_no_times_are_known() -> None:
    stream = Stream()
    for number in range(60):
        stream.epoch(10, lag_records=10_000 + 200 * number)  # 100 are read a second, 20 more arrive
    assert stream.alarms()["lag_growing"]["value"] == pytest.approx(0.2)


def test_long_epochs_have_a_longer_window_for_lag() -> None:
    stream = Stream()
    for number in range(5):
        stream.epoch(200, lag=100 + 40 * number)
    assert stream.alarms()["lag_growing"]["value"] == pytest.approx(0.2)


def test_an_epoch_without_progress() -> None:
    stream = Stream()
    for _ in range(20):
        stream.epoch(60, seconds={"annotate": 60.0})
    stream.state.epoch_began(20)
    stream.now += 299
    assert "epoch_stuck" not in stream.alarms()
    stream.now += 1
    assert stream.alarms()["epoch_stuck"]["value"] == 5
    stream.now += 900
    assert status(stream) == "failing"
    stream.state.phase("decide")
    assert "epoch_stuck" not in stream.alarms(), "another phase is progress"


def test_the_first_epoch_may_warm_up_and_short_ones_may_stutter() -> None:
    for stream in (Stream(), busy(seconds={"annotate": 0.1})):
        stream.state.epoch_began(0)
        stream.now += 119
        assert "epoch_stuck" not in stream.alarms()
        stream.now += 1
        assert "epoch_stuck" in stream.alarms()


def test_a_quiet_hour_is_no_standstill_but_records_that_nobody_takes_are() -> None:
    stream = busy(lag_records=0)
    stream.now += 3600
    assert status(stream) == "ok"
    stream.state.source(SourceFigures("files", SourceStatus.STREAMING, lag_records=5))
    assert "epoch_stuck" in stream.alarms()


def test_a_tombstone_near_its_deadline_and_past_it() -> None:
    stream = Stream()
    stream.state.deletions(DeletionFigures(1, 0.0, DAY, 0))
    stream.now += 0.8 * DAY - 1
    assert status(stream) == "ok"
    stream.now += 101
    alarm = stream.alarms()["tombstone_overdue"]
    assert (alarm["status"], alarm["since"]) == ("degraded", "2026-05-29T15:38:40+00:00")
    stream.now = START + DAY
    assert status(stream) == "failing"
    stream.state.deletions(DeletionFigures(0, None, DAY, 1))
    assert status(stream) == "ok"


def test_too_much_in_quarantine() -> None:
    stream = busy()
    for _ in range(30):
        stream.epoch(10, quarantined=20)
    assert stream.alarms()["quarantine_high"]["value"] == pytest.approx(0.02)
    for _ in range(30):
        stream.epoch(10, quarantined=600)
    assert status(stream) == "failing"


def test_one_poison_record_in_a_quiet_hour_is_no_alarm() -> None:
    stream = Stream()
    stream.epoch(3600, read=3, quarantined=1)
    assert status(stream) == "ok"


@pytest.mark.parametrize(
    ("alarm", "bad", "worse", "value", "limit"),
    [
        ("disk_low", replace(WELL, disk_free=4 * GIB), replace(WELL, disk_free=GIB // 2), 4 * GIB, 5 * GIB),
        (
            "memory_high",
            Resources({"driver": 9 * GIB}, 10 * GIB, 100 * GIB),
            Resources({"driver": 6 * GIB, "workers": 4 * GIB}, 10 * GIB, 100 * GIB),
            0.9,
            0.85,
        ),
    ],
)
def test_what_the_machine_runs_out_of(alarm: str, bad: Resources, worse: Resources, value: float, limit: float) -> None:
    stream = busy()
    stream.resources = bad
    stream.now += 10
    first = stream.alarms()[alarm]
    assert (first["status"], first["value"], first["limit"]) == ("degraded", value, limit)
    stream.now += 60
    assert stream.alarms()[alarm]["since"] == first["since"], "it began when it was first seen"
    stream.resources = worse
    stream.now += 10
    assert status(stream) == "failing"
    stream.resources = WELL
    stream.now += 10
    assert alarm not in stream.alarms()


def test_a_query_that_keeps_dying() -> None:
    stream = busy()
    for _ in range(2):
        stream.state.failure(QUERY_RESTARTED)
    assert status(stream) == "ok"
    stream.state.failure(QUERY_RESTARTED)
    assert stream.alarms()["query_restarting"]["value"] == 3
    for _ in range(7):
        stream.state.failure(QUERY_RESTARTED)
    assert status(stream) == "failing"
    stream.now += 601
    assert "query_restarting" not in stream.alarms()


def test_the_limits_are_an_argument() -> None:
    snapshot = busy().state.snapshot()
    strict = health(snapshot, Limits(quarantine_share=replace(Limits().quarantine_share, degraded=0.001)))
    assert [alarm["name"] for alarm in strict["alarms"]] == ["quarantine_high"]


def test_every_alarm_says_what_to_do_here_and_in_the_document() -> None:
    assert set(WHAT_TO_DO) == set(Alarm)
    text = OPERATIONS.read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", text[text.index("## Alarms") : text.index("## Metrics")], re.MULTILINE)
    assert documented == [alarm.value for alarm in Alarm]
