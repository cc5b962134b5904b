"""The config refuses what it does not know and names the nearest legal key."""

from __future__ import annotations

import pytest

from schemas.config import Config
from schemas.errors import ConfigError


def test_defaults_stand_once_and_are_frozen() -> None:
    config = Config()
    assert config.duplicates.threshold == 0.7
    with pytest.raises(Exception, match="frozen"):
        config.duplicates.threshold = 0.8  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"duplicate": {}}, r"f\.yaml: unknown key 'duplicate': did you mean 'duplicates'\?"),
        ({"duplicates": {"treshold": 0.7}}, r"unknown key 'duplicates\.treshold': did you mean 'threshold'\?"),
        (
            {"duplicates": {"zzz": 0.7}},
            r"unknown key 'duplicates\.zzz': expected one of: horizon_days, index, index_password_file, threshold",
        ),
        ({"duplicates": {"threshold": 2}}, r"'duplicates\.threshold': Input should be less than or equal to 1, got 2"),
        ({"duplicates": {"threshold": "high"}}, r"'duplicates\.threshold': Input should be a valid number"),
        ({"duplicates": 3}, r"'duplicates': Input should be a valid dictionary"),
        ([], r"top level"),
        ({"input": {"format": "x"}}, r"'input\.format': no such choice: 'x', expected one of: auto, canonical"),
    ],
)
def test_a_mistake_is_named(data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.parse(data, "f.yaml")


def test_hash_ignores_what_cannot_change_a_result() -> None:
    plain = Config()
    cut = Config.parse({"input": {"split_rows": 7, "batch_rows": 5}, "spark": {"master": "local[1]"}})
    other = Config.parse({"duplicates": {"threshold": 0.8}})
    assert plain.hash() == cut.hash()
    assert plain.hash() != other.hash()
    assert len(plain.hash()) == 16


def test_hash_follows_the_content_of_the_files_a_setting_names() -> None:
    config = Config.parse({"stages": {"contamination": {"files": ["quiz.txt"]}}})
    assert len({config.hash(), config.hash({"contamination": "aa"}), config.hash({"contamination": "bb"})}) == 3
    assert config.hash({}) == config.hash()
