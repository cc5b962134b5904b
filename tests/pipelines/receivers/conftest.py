"""What the tests of receivers share: quick limits, a way to start one, and what its journal holds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.journal import Journal
from pipelines.receivers import Limits, Outside, Receiver, open_receiver
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


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def receive(journal: Journal) -> Iterator[Open]:
    """Open a receiver and start it; whatever happens, it has stopped when the test ends."""
    receivers: list[Receiver] = []

    def start(
        source: str, token: str | None = None, limits: Limits = QUICK, outside: Outside | None = None
    ) -> Receiver:
        receiver = open_receiver(source, journal, token, limits, outside)
        receivers.append(receiver)
        receiver.start()
        return receiver

    yield start
    for receiver in receivers:
        receiver.stop()
    assert not [thread for thread in threading.enumerate() if "://" in thread.name]
