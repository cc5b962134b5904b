"""Conversations in, documents out: every line of the golden file, in any order of the posts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from posts_file import table

from pipelines.threads.policy import OnDeleted, OnRejected, Policy
from pipelines.threads.templates import MAX_POSTS, Template, find_template, render
from pipelines.threads.turns import turns_of
from schemas.errors import ConfigError
from schemas.tokens import DOCUMENT

LINES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "golden" / "threads.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["why"]))
@pytest.mark.parametrize("backwards", [False, True])
def test_golden(line: dict[str, Any], backwards: bool) -> None:
    posts = line["posts"][::-1] if backwards else line["posts"]
    policy = Policy(OnRejected(line.get("rejected", "cut_branch")), OnDeleted(line.get("deleted", "mark")))
    template = find_template(line.get("template", "tree"))
    found = render(turns_of(table(posts)), template, policy, line.get("max_posts", MAX_POSTS))
    assert found.schema.equals(DOCUMENT)
    rows = found.to_pylist()
    assert [[row["document_id"], row["text"], row["post_ids"]] for row in rows] == line["documents"]
    times = {post["id"]: row["created_at"] for post, row in zip(posts, table(posts).to_pylist(), strict=True)}
    for row in rows:
        known = [times[name] for name in row["post_ids"] if times[name] is not None]
        assert row["created_at"] == max(known, default=None)


def test_what_a_document_is_about_is_what_most_of_its_text_is() -> None:
    posts = [
        {"id": "1", "author": "a", "minute": 0, "text": "short", "language": "en", "topic": "food", "source": "x"},
        {"id": "2", "author": "a", "minute": 1, "text": "ein langer Satz", "language": "de", "reply_to": "1"},
        {"id": "3", "author": "b", "minute": 2, "text": "tiny", "language": "en", "topic": "sport", "reply_to": "1"},
    ]
    (row,) = render(turns_of(table(posts)), Template.TREE, Policy()).to_pylist()
    assert (row["language"], row["topic"], row["domain"], row["author_count"]) == ("de", "food", "x", 2)


def test_an_unknown_template_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'tree'"):
        find_template("treee")


@pytest.mark.parametrize("template", list(Template))
def test_no_posts_make_no_documents(template: Template) -> None:
    found = render(turns_of(table([])), template, Policy())
    assert found.num_rows == 0
    assert found.schema.equals(DOCUMENT)
