"""Units of work: which stretch of which file one task reads, and how."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Split:
    """One unit of work, small enough to travel as a string.

    Plain JSONL: the lines that begin in bytes [start, end). Parquet: rows [start, end). What cannot be entered in the
    middle (gz, zst, CSV) is read whole by each of `parts` splits, of which each keeps its share.
    """

    path: str
    format: str  # canonical, x-v2, x-v1, jetstream, mastodon, reddit
    container: str  # jsonl, csv, parquet
    compression: str = ""  # "", gz, zst
    part: int = 0
    parts: int = 1
    start: int = 0
    end: int = 0

    def to_json(self) -> str:
        """Write the split as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Split:
        """Read what `to_json` wrote.

        >>> split = Split("posts.jsonl", "canonical", "jsonl", end=9)
        >>> Split.from_json(split.to_json()) == split
        True
        """
        return cls(**json.loads(text))
