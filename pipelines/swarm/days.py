"""Days, counted from 1970 in UTC, and which of them a member's window has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from schemas.errors import ConfigError
from schemas.swarm import Member

EPOCH_DAY = date(1970, 1, 1)
SPAN_DAYS = 7
AHEAD_SHARE = 0.01  # a day after which less than this part of a week's posts was made is a wrong clock, or not begun


def day_of(name: date) -> int:
    """Return the number of a day."""
    return (name - EPOCH_DAY).days


def date_of(day: int) -> date:
    """Return the date of a day."""
    return EPOCH_DAY + timedelta(days=day)


def name_of(day: int) -> str:
    """Return the name of a day.

    >>> name_of(20_577)
    '2026-05-04'
    """
    return date_of(day).isoformat()


def parse_until(text: str | None) -> int | None:
    """Read the last day that counts; raise ConfigError for anything else than a date."""
    if text is None:
        return None
    try:
        return day_of(date.fromisoformat(text))
    except ValueError:
        raise ConfigError(f"--until: expected a date such as 2026-05-04, got {text!r}") from None


def newest_day(posts: Mapping[int, int]) -> int | None:
    """Return the day that the data's clock stands at; None without posts.

    `posts` counts the posts of each day. It is the newest day that a hundredth of the posts of the fullest week reach:
    a clock in 2099 moves nothing, and a day counts as soon as some part of it is there.

    >>> newest_day({20_570: 900, 20_577: 40, 47_000: 2})
    20577
    """
    dated = sorted(day for day, count in posts.items() if count)
    if not dated:
        return None
    fullest = max(_week(posts, dated, place) for place in range(len(dated)))
    reached = 0
    for day in reversed(dated):
        reached += posts[day]
        if reached >= AHEAD_SHARE * fullest:
            return day
    return dated[-1]


def _week(posts: Mapping[int, int], dated: Sequence[int], place: int) -> int:
    """Count the posts of the week that begins with the day at a place."""
    return sum(posts[day] for day in dated[place : place + SPAN_DAYS] if day < dated[place] + SPAN_DAYS)


def window(member: Member, newest: int) -> range:
    """Return the days of a member's window; a rolling one ends with the newest day, of conversations the newest that
    all of them have been closed on.
    """
    if member.window.first and member.window.last:
        return range(day_of(member.window.first), day_of(member.window.last) + 1)
    end = newest + 1 - (0 if member.template == "post" else math.ceil(member.quiet_hours / 24))
    return range(end - member.window.length, end)


def replayed(member: Member, newest: int) -> range:
    """Return the days before the window of which some sequences come back."""
    first = window(member, newest).start
    return range(first - member.replay.days, first) if member.replay else range(0)
