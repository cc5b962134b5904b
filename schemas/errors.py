"""The errors swarmfeed raises, named by what they mean for the run.

    SwarmfeedError
    ├── ConfigError    the call or the config is wrong: mend it and call again   (exit status 2)
    ├── SetupError     this machine lacks something: a model, Java, a GPU, room   (exit status 1)
    └── RunError       the run itself failed: too many bad rows, a lost worker    (exit status 1)

A bad *record* is never an exception: it is a row in the quarantine table.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SwarmfeedError(Exception):
    """Any failure that swarmfeed explains in one line instead of a traceback."""

    exit_status = 1


class ConfigError(SwarmfeedError):
    """The call or the config is wrong; the message names the key, the file and the nearest legal key."""

    exit_status = 2


class SetupError(SwarmfeedError):
    """The machine lacks something the run was asked to use."""


class RunError(SwarmfeedError):
    """The run started and could not be finished; tables stay as they were before it."""


def nearest(word: str, legal: Iterable[str]) -> str:
    """Suggest the legal word closest to a mistyped one.

    >>> nearest("thresold", ["threshold", "horizon_days"])
    "did you mean 'threshold'?"
    >>> nearest("x", ["threshold", "horizon_days"])
    'expected one of: horizon_days, threshold'
    """
    choices = sorted(legal)
    close = get_close_matches(word, choices, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of: {', '.join(choices)}"
