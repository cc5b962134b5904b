"""`swarmfeed compact DIR`: few files, the same rows, and a clear word where there is nothing to tidy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tiny_epochs import SCHEMAS, Feed, everything, files_of

from jobs.cli import main
from pipelines.ledger import claim
from pipelines.tokens import sets


def test_a_folder_is_tidied_on_executors(
    tmp_path: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    Feed(tmp_path, posts=3).add(16)
    before = everything(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["compact", str(tmp_path), "--set", "upkeep.keep_hours=0", "--json"])
    assert left.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert said | {"bytes": 0} == {
        "files_before": 64,
        "files_after": 4,
        "versions_before": 16,
        "versions_after": 1,
        "bytes": 0,
        "files_deleted": 64,
        "versions_deleted": 16,
    }
    assert everything(tmp_path) == before
    assert len(list(files_of(tmp_path))) == 4
    assert len(sets.current(tmp_path, "default")) == 1


def test_a_folder_that_is_none_or_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compact", str(tmp_path / "nowhere")])
    assert left.value.code == 2
    assert "no posts table there" in capsys.readouterr().err
    Feed(tmp_path).add()
    with claim(tmp_path, SCHEMAS), pytest.raises(SystemExit) as left:
        main(["compact", str(tmp_path)])
    assert left.value.code == 2
    assert "another run is writing there" in " ".join(capsys.readouterr().err.split())
