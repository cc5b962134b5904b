"""An epoch is seen whole or not at all, whatever moment the driver dies at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import ledger, tables
from pipelines.ledger import Change, claim, publish, recover
from pipelines.tables import DataFileWriter, epochs, open_table, table_files
from schemas.errors import ConfigError
from schemas.post import POST, QUARANTINE

SCHEMAS: Mapping[str, pa.Schema] = {
    "posts": pa.schema([*POST, pa.field("route", pa.string())]),
    "quarantine": QUARANTINE,
}
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Crash(BaseException):
    """Stands for kill -9: nothing may catch it."""


def stage(staging: Path, epoch: int) -> Change:
    """Stage one kept post, one quarantined record and a folder."""
    posts = DataFileWriter(staging, "posts", SCHEMAS["posts"], {"route": "kept"})
    row = {"id": f"p{epoch}", "text": "a post", "created_at": AT}
    posts.write(pa.RecordBatch.from_pylist([row], schema=POST))
    bad = DataFileWriter(staging, "quarantine", QUARANTINE)
    bad.write(pa.RecordBatch.from_pylist([{"raw": b"{", "fault": "bad_json"}], schema=QUARANTINE))
    folder = staging / "sets" / "default" / f"v{epoch}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    files = tuple(file for file in (posts.finish(), bad.finish()) if file)
    metadata = {"swarmfeed.epoch": str(epoch), "swarmfeed.input": f"input-{epoch}"}
    return Change({tables.EPOCHS: epoch}, AT, metadata, files, folders=(f"sets/default/v{epoch}",))


def seen(root: Path) -> dict[str, Any]:
    """What a reader finds."""
    ids = [row["id"] for file in table_files(root, "posts") for row in pq.read_table(file).to_pylist()]
    bad = sum(pq.read_table(file).num_rows for file in table_files(root, "quarantine"))
    return {"ids": sorted(ids), "bad": bad, "epochs": len(epochs(root))}


def test_two_epochs_add_up_and_leave_no_trace(tmp_path: Path) -> None:
    for epoch in (0, 1):
        with claim(tmp_path, SCHEMAS) as staging:
            publish(tmp_path, stage(staging, epoch), SCHEMAS)
    assert seen(tmp_path) == {"ids": ["p0", "p1"], "bad": 2, "epochs": 2}
    assert (tmp_path / "sets" / "default" / "v1" / "manifest.json").exists()
    assert sorted(path.name for path in (tmp_path / ledger.STATE).iterdir()) == ["lock"]
    delta = open_table(tmp_path, "posts")
    assert delta is not None
    assert delta.to_pyarrow_table().column("route").to_pylist() == ["kept", "kept"]


def test_a_run_that_fails_before_publishing_leaves_nothing(tmp_path: Path) -> None:
    def run() -> None:
        with claim(tmp_path, SCHEMAS) as staging:
            stage(staging, 0)
            raise Crash

    with pytest.raises(Crash):
        run()
    assert seen(tmp_path) == {"ids": [], "bad": 0, "epochs": 0}
    assert sorted(path.name for path in (tmp_path / ledger.STATE).iterdir()) == ["lock"]


@pytest.mark.parametrize("crash_at", range(6))  # three moves, two commits, the record's removal
def test_a_crash_while_publishing_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """The crash is a value: the how-manieth rename or commit does not return."""
    with claim(tmp_path, SCHEMAS) as staging:
        publish(tmp_path, stage(staging, 0), SCHEMAS)
    calls = iter(range(100))

    def dies(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if next(calls) == crash_at:
                raise Crash
            return real(*arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dies(Path.rename))
        patched.setattr(Path, "unlink", dies(Path.unlink))
        patched.setattr(ledger, "commit_files", dies(tables.commit_files))
        with pytest.raises(Crash), claim(tmp_path, SCHEMAS) as staging:
            publish(tmp_path, stage(staging, 1), SCHEMAS)
    with claim(tmp_path, SCHEMAS):
        pass
    assert seen(tmp_path) == {"ids": ["p0", "p1"], "bad": 2, "epochs": 2}
    assert not recover(tmp_path, SCHEMAS)


def test_a_folder_in_use_or_not_writable_is_refused(tmp_path: Path) -> None:
    with (
        claim(tmp_path, SCHEMAS),
        pytest.raises(ConfigError, match="another run is writing there"),
        claim(tmp_path, SCHEMAS),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"), claim(tmp_path / "file", SCHEMAS):
        pass
