"""An edit that comes in a later epoch ends as it would had it come in the same one."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from epochs import AT, WORDS, Output, everywhere, post

from pipelines.exchange import in_this_process
from pipelines.tokens import sets
from pipelines.tokens.rewriting import Rewrite, complete, rewrite
from pipelines.upkeep.doomed import count_open
from pipelines.upkeep.forgetting import forget


def edited(name: str, words: int | str, minutes: int, at: int) -> dict[str, Any]:
    """A version of a post."""
    return post(name, words, minutes, extra=json.dumps({"edited_at": at}))


FIRST = [
    post("edited-00001", 0, 0),
    post("plain-000002", 1, 1),
    post("reworded-003", 2, 2),
    post("same-words-04", 3, 3),
]
SECOND = [
    edited("edited-00001", 4, 0, 5),
    edited("reworded-003", WORDS[2] + " Really!", 2, 6),
    edited("same-words-04", 3, 3, 7),
    post("plain-000002", 1, 1),  # once more, not edited
    post("new-00000005", 5, 5),
]
THIRD = [edited("edited-00001", 6, 0, 9)]


def facts(output: Output) -> list[tuple[str, ...]]:
    """What one run over everything and several runs must agree on."""
    names = ("id", "text", "duplicate_of", "route", "verdict", "duplicates")
    return sorted(tuple(str(row[name]) for name in names) for row in output.rows("posts"))


def spelled(output: Output) -> dict[str, list[int]]:
    """Tokens by document."""
    return output.tokens()


def texts(output: Output) -> list[tuple[str, str]]:
    """The documents."""
    return sorted((row["document_id"], row["text"]) for row in output.rows("documents"))


@pytest.mark.parametrize("compacted", [False, True])
def test_runs_and_a_pass_equal_one_run(tmp_path: Path, compacted: bool) -> None:
    one, three = Output(tmp_path / "one"), Output(tmp_path / "three")
    one.epoch([*FIRST, *SECOND, *THIRD])
    for rows in (FIRST, SECOND, THIRD):
        three.epoch(rows)
    assert count_open(three.root).count == 4  # an edit of an edit is another one
    if compacted:
        merge_sets(three)
    done = forget(three.upkeep())
    assert done.superseded == 4
    assert facts(three) == facts(one)
    assert texts(three) == texts(one)
    assert spelled(three) == spelled(one)
    assert count_open(three.root).count == 0
    assert all(sets.verify(three.root / sets.folder_name(one)) == [] for one in sets.current(three.root, "default"))
    assert forget(three.upkeep()).superseded == 0


def merge_sets(output: Output) -> None:
    """Make one version of all."""
    versions = tuple(one.version for one in sets.current(output.root, "default"))
    upkeep = output.upkeep()
    with upkeep.workspace():
        draft = rewrite(in_this_process, Rewrite(output.root, "default", versions, upkeep.staging, 1000))
        upkeep.publish(folders=(sets.folder_name(complete(draft)),))


def test_what_was_edited_and_then_deleted_is_only_taken_out(tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    for rows in (FIRST[:1], SECOND[:1]):
        output.epoch(rows)
    output.epoch([], [{"kind": "post_deleted", "post_id": "edited-00001", "event_at": AT + timedelta(hours=1)}])
    assert forget(output.upkeep()).posts == 2
    assert output.rows("posts") == output.rows("documents") == []
    assert everywhere(output.root, "edited-00001") == []
