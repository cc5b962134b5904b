"""The error tree has four members and each knows its exit status."""

from __future__ import annotations

import doctest

from schemas import errors
from schemas.errors import ConfigError, RunError, SetupError, SwarmfeedError


def test_the_tree_has_four_members() -> None:
    assert set(SwarmfeedError.__subclasses__()) == {ConfigError, SetupError, RunError}
    assert [kind.exit_status for kind in (ConfigError, SetupError, RunError)] == [2, 1, 1]


def test_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(errors)
    assert result.attempted > 0
    assert result.failed == 0
