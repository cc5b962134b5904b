"""Settings come from a file, from key=value words and from --model, and every mistake is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.index import STATE
from pipelines.remembered import remember, remembered
from pipelines.settings import load_config
from schemas.errors import ConfigError


def test_words_lie_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("duplicates: {threshold: 0.8, horizon_days: 3}\nstages: {verdict: {max_spam: 0.9}}\n")
    config = load_config(file, ["duplicates.threshold=0.6"], ["toxicity=my/model"])
    assert (config.duplicates.threshold, config.duplicates.horizon_days) == (0.6, 3)
    assert config.stages == {"verdict": {"max_spam": 0.9}, "toxicity": {"model": "my/model"}}


def test_a_folder_is_kept_up_with_what_it_was_written_with(tmp_path: Path) -> None:
    words = ["duplicates.index=redis://here:6379", "upkeep.keep_hours=2", "spark.master=local[7]"]
    (tmp_path / STATE).mkdir()
    assert remembered(tmp_path) is None
    remember(tmp_path, load_config(words=words))
    config = load_config(remembered(tmp_path), ["upkeep.keep_hours=3"])
    assert (config.duplicates.index, config.upkeep.keep_hours) == ("redis://here:6379", 3)
    assert config.spark == load_config().spark, "how Spark is started is the machine's matter"
    (tmp_path / STATE / "settings.json").write_text('{"upkeep": {"keep_days": 1}}')
    with pytest.raises(ConfigError, match=r"settings\.json: unknown key 'upkeep.keep_days'"):
        load_config(remembered(tmp_path))


@pytest.mark.parametrize(
    ("text", "words", "models", "message"),
    [
        ("duplicates: [", [], [], r"config .*run\.yaml: not YAML"),
        ("- a\n- b\n", [], [], r"expected keys and values, got list"),
        ("token: {}\n", [], [], r"run\.yaml: unknown key 'token': did you mean 'tokens'\?"),
        ("", ["threshold"], [], r"--set 'threshold': expected key=value"),
        ("", ["duplicates.threshold=1", "duplicates.threshold.x=1"], [], r"'duplicates\.threshold' holds a value"),
        ("duplicates: 3\n", ["duplicates.threshold=1"], [], r"'duplicates' holds a value, not a section"),
        ("", [], ["toxicity"], r"--model 'toxicity': expected STAGE=FOLDER"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: list[str], models: list[str], message: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(file, words, models)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_config(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml: cannot be read"):
        load_config(tmp_path / "binary.yaml")
