"""One week of simulated posts for all tests of the swarm."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from simulated import simulate


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder that no test writes to."""
    return simulate(tmp_path_factory.mktemp("week"))


@pytest.fixture
def folder(week: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copy that folder under a name."""

    def copied(name: str = "out") -> Path:
        return Path(shutil.copytree(week, tmp_path / name))

    return copied
