"""What the tests of receivers share: quick limits, an invented token, and what a journal holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pipelines.journal import Journal
from pipelines.receivers import Limits, Receiver
from pipelines.sources import read_split
from schemas.config import InputConfig

QUICK = Limits(
    segment_seconds=0.05, first_wait_seconds=0.02, longest_wait_seconds=0.1, quiet_seconds=0.3, silence_seconds=15
)
TOKEN = "AAAAinvented%2Btoken0123456789"

Open = Callable[..., Receiver]


def received_lines(journal: Journal) -> list[bytes]:
    """Return every line that the journal's entries read, in order."""
    lines: list[bytes] = []
    for entry in journal.entries():
        assert [split.path for split in entry.splits] == list(entry.owned)
        found = [line for split in entry.splits for line in Path(split.path).read_bytes()[: split.end].splitlines(True)]
        data = b"".join(found)
        assert data.endswith(b"\n")
        assert data.count(b"\n") == entry.records
        lines += data.removesuffix(b"\n").split(b"\n")
    return lines


def counted(journal: Journal) -> Counter[str]:
    """Count what the journal's entries hold, as a run reads them."""
    counts: Counter[str] = Counter()
    for entry in journal.entries():
        for split in entry.splits:
            for records in read_split(split, InputConfig()):
                counts["posts"] += records.posts.num_rows
                counts["tombstones"] += records.tombstones.num_rows
                counts["quarantine"] += records.quarantine.num_rows
                counts["notices"] += records.notices
    return counts


def post_ids(journal: Journal) -> list[str]:
    """Return the ids of the posts that the journal's entries hold, in order."""
    splits = [split for entry in journal.entries() for split in entry.splits]
    return [
        post_id
        for split in splits
        for records in read_split(split, InputConfig())
        for post_id in records.posts.column("id").to_pylist()
    ]
