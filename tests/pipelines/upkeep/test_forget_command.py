"""`swarmfeed forget` and `verify-forgotten`: on a free folder, on a held one, and at the end of a batch run."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from epochs import AT, WORDS, Output, everywhere, post
from output import curate
from pyspark.sql import SparkSession

from jobs import cli
from pipelines import forget as command
from pipelines.forget import ForgetOrder
from pipelines.ledger import claim
from pipelines.upkeep import requests
from pipelines.upkeep.doomed import count_open
from pipelines.upkeep.forgetting import forget, pending
from pipelines.upkeep.requests import Request
from schemas.errors import ConfigError


def call(*words: str | Path) -> int:
    """Run the command and return its exit status."""
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in words])
    return int(left.value.code or 0)


def test_forget_and_verify_on_a_free_folder(
    spark: SparkSession, output: Output, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("original-0001\nnever-seen-01\n\noriginal-0001\n")
    assert call("verify-forgotten", output.root, "--ids", ids) == 1
    said = capsys.readouterr()
    assert "posts/route=" in said.out
    assert WORDS[0] not in said.out + said.err
    assert call("forget", output.root, "--ids", ids, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["posts"], done["receipt"], done["waiting"]) == (2, 1, False)
    assert call("verify-forgotten", output.root, "--ids", ids, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["clean"], found["ids"], found["receipts"]) == (True, 2, 1)
    assert list((output.root / requests.FOLDER).iterdir()) == []
    assert call("forget", output.root) == 0


def test_a_held_folder_is_asked(output: Output) -> None:
    """The holder's next pass takes the request, whoever asked waits for the answer."""
    answers: list[Any] = []
    upkeep = output.upkeep()
    asks = ForgetOrder(output.root, Request(ids=("another-0003",)))
    with claim(output.root, output.schemas, upkeep.index):
        left = command.run(ForgetOrder(output.root, Request(authors=("gone-author-1",)), wait=False))
        assert left["waiting"]
        assert pending(output.root)["requests"] == 1
        asker = threading.Thread(target=lambda: answers.append(command.run(asks)))
        asker.start()
        while pending(output.root)["requests"] < 2:
            assert asker.is_alive()
        forget(upkeep)
        asker.join(timeout=30)
    assert answers[0]["receipt"] == 1
    for name in ("another-0003", "gone-author-1"):
        assert everywhere(output.root, name) == []


def test_a_batch_run_works_off_what_it_learnt_of_earlier_epochs(spark: SparkSession, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number, rows in enumerate(
        (
            [post("first-000001", 0), post("second-00002", 1)],
            [post("third-000003", 2), {"kind": "post_deleted", "post_id": "first-000001", "event_at": AT}],
        )
    ):
        path = tmp_path / f"{number}.jsonl"
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
        told = curate([path], out)
    assert told["forgotten"]["posts"] == 1
    assert everywhere(out, "first-000001") == []
    assert count_open(out).count == 0


def test_what_is_wrong_is_said(tmp_path: Path, output: Output) -> None:
    with pytest.raises(ConfigError, match="no posts table there"):
        command.run(ForgetOrder(tmp_path / "nothing"))
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ConfigError, match="one id a line, found none"):
        Request.from_files(tmp_path / "empty.txt", None)
    assert call("forget", output.root, "--ids", tmp_path / "missing.txt") == 2
