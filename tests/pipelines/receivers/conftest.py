"""Fixtures of the tests of receivers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_servers import wait_for
from pydantic import SecretStr
from receiving import QUICK, Open

from pipelines.journal import Journal
from pipelines.receivers import Limits, Outside, Receiver, open_receiver


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
        receiver = open_receiver(source, journal, token and SecretStr(token), limits, outside)
        receivers.append(receiver)
        receiver.start()
        return receiver

    yield start
    for receiver in receivers:
        receiver.stop()
    wait_for(lambda: not [thread for thread in threading.enumerate() if "://" in thread.name])
