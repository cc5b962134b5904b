"""Times as platforms write them, read into microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.sources.rows import BadRecord, kind_of
from schemas.reasons import Fault

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
END = (datetime(2262, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
"""First moment, in microseconds, that is refused: past it nanosecond clocks overflow."""

SECONDS_BELOW = 10**11  # an epoch number below this counts seconds,
MILLISECONDS_BELOW = 10**14  # below this milliseconds,
MICROSECONDS_BELOW = 10**17  # below this microseconds; what is larger is no time

_MONTHS = {
    name: n
    for n, name in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


def micros(value: Any, field: str = "created_at") -> int | None:
    """Read a time into microseconds since 1970, UTC; raise BadRecord when it is none or outside [1970, 2262).

    Accepts ISO 8601 (no zone means UTC), epoch seconds, milliseconds or microseconds, and Twitter's own form.

    >>> micros("2018-10-10T20:19:24Z") == micros("Wed Oct 10 20:19:24 +0000 2018") == micros(1539202764)
    True
    """
    if value is None:
        return None
    kind = type(value)
    if kind is str:
        moment = _from_text(value)
    elif kind is int or kind is float:
        moment = _from_number(value)
    else:
        raise BadRecord(Fault.BAD_TYPE, f"expected {field} as a string or a number, got {kind_of(value)}")
    if moment is None:
        raise BadRecord(Fault.BAD_TIME, f"expected {field} as ISO 8601 or epoch, got an unreadable {kind_of(value)}")
    if not 0 <= moment < END:
        raise BadRecord(Fault.BAD_TIME, f"expected {field} in [1970, 2262), got a time outside it")
    return moment


def _from_number(value: float) -> int | None:
    if not abs(value) < MICROSECONDS_BELOW:
        return None
    scale = 1_000_000 if abs(value) < SECONDS_BELOW else 1000 if abs(value) < MILLISECONDS_BELOW else 1
    return round(value * scale)


def _from_text(value: str) -> int | None:
    if value.isdecimal() and len(value) != 8:  # eight digits are an ISO date
        return _from_number(int(value)) if len(value) < 20 else None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return _from_odd_text(value.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND


def _from_odd_text(value: str) -> int | None:
    """Read Twitter's own form, "Wed Oct 10 20:19:24 +0000 2018", or a decimal epoch."""
    parts = value.split()
    try:
        if len(parts) == 6 and parts[1] in _MONTHS:
            _, month, day, clock, zone, year = parts
            moment = datetime.fromisoformat(f"{year}-{_MONTHS[month]:02}-{day:0>2}T{clock}{zone}")
            return (moment - EPOCH) // MICROSECOND
        return _from_number(float(value))
    except (ValueError, TypeError):
        return None
