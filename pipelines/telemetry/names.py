"""The only words that telemetry lets out: short names, so that no post's text gets into a label or a log line."""

from __future__ import annotations

import re

WITHHELD = "withheld"
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


def short_name(word: str) -> str:
    """Return a word that can be a name, and another word in place of whatever can not.

    >>> short_name("source_down"), short_name("my cat died today")
    ('source_down', 'withheld')
    """
    return str(word) if _NAME.fullmatch(word) else WITHHELD
