"""The step's word on authors: the same however posts are cut into parts and addresses; only where there is enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters import RECORD_STAGES
from filters.authorship import FEWEST_POSTS
from filters.stage import configure
from pipelines.authors import MOST_POSTS, Weighing, find_evidence, model_of, with_evidence
from pipelines.duplicates import Expiry, Search
from pipelines.duplicates.history import NoHistory
from pipelines.duplicates.records import Numbering, StagedRecords
from pipelines.exchange import in_this_process, map_rows, read_box
from pipelines.sources import Records
from pipelines.staging import Workplan, stage_part
from schemas.config import DuplicatesConfig
from schemas.post import POST, QUARANTINE, TOMBSTONE

NEEDED = ("clean_text", "language", "ai_text", "sketch")
STAGES = configure([kind for kind in RECORD_STAGES if kind.name in NEEDED], {})
START = datetime(2026, 5, 1, tzinfo=UTC)
SENTENCES = (
    "The council closed the old swimming pool last night and nobody asked us",
    "my neighbour swears the fox came back, i have seen no fox",
    "Discover how our innovative solutions empower communities to grow together",
    "why does it always rain when the washing is out on the line",
)


def posts_of(author: str | None, count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{author}-{number}",
            "author_id": author,
            "created_at": START + timedelta(minutes=7 * number),
            "text": f"{SENTENCES[number % 4]}, said {number} of them today",
        }
        for number in range(count)
    ]


def told(parts: Sequence[list[dict[str, Any]]], folder: Path, addresses: int = 4) -> dict[str, float | None]:
    """Return the evidence of every post by its id."""
    nothing = [pa.RecordBatch.from_pylist([], schema=schema) for schema in (TOMBSTONE, QUARANTINE)]
    staged = []
    for number, rows in enumerate(parts):
        records = Records(pa.RecordBatch.from_pylist(rows, schema=POST), *nothing)
        staged.append(stage_part(number, "", [records], Workplan(STAGES, str(folder / f"{number}"))))
    numbering = Numbering.of([0] * len(staged), [part.posts for part in staged])
    search = Search(
        staged=StagedRecords(tuple(part.file for part in staged), numbering),
        keys=tuple(part.keys for part in staged),
        history=NoHistory(),
        config=DuplicatesConfig(),
        expiry=Expiry(0),
        addresses=addresses,
        folder=str(folder / "search"),
        index_folder=str(folder / "index"),
    )
    files = find_evidence(in_this_process, Weighing(search, tuple(part.authors for part in staged), model_of(STAGES)))
    out: dict[str, float | None] = {}
    for box, part in enumerate(staged):
        posts = with_evidence(map_rows(part.file), read_box(files, box))
        said = [row and row["evidence"] for row in posts.column("ai_text").to_pylist()]
        out |= dict(zip(posts.column("id").to_pylist(), said, strict=True))
    return out


def test_every_post_of_an_author_with_enough_gets_the_same_evidence(tmp_path: Path) -> None:
    found = told([posts_of("a", 12) + posts_of("b", FEWEST_POSTS - 1) + posts_of(None, 9)], tmp_path)
    ours = {found[f"a-{number}"] for number in range(12)}
    assert len(ours) == 1
    assert 0 <= (ours.pop() or -1) <= 1
    assert {found[f"b-{number}"] for number in range(FEWEST_POSTS - 1)} == {None}
    assert {found[f"None-{number}"] for number in range(9)} == {None}


@pytest.mark.parametrize("addresses", [1, 8])
def test_parts_and_addresses_do_not_matter(tmp_path: Path, addresses: int) -> None:
    rows = posts_of("a", 14) + posts_of("b", 12) + posts_of("c", FEWEST_POSTS)
    whole = told([rows], tmp_path / "one")
    shuffled = [rows[place] for place in np.random.RandomState(5).permutation(len(rows))]
    cut = told([shuffled[:9], shuffled[9:10], shuffled[10:]], tmp_path / "three", addresses)
    assert cut == whole
    assert None not in whole.values()


def test_no_more_than_the_first_posts_are_read(tmp_path: Path) -> None:
    rows = posts_of("a", MOST_POSTS)
    more = [{**row, "id": f"late-{row['id']}", "created_at": row["created_at"] + timedelta(days=9)} for row in rows]
    assert told([rows + more], tmp_path / "more")["late-a-3"] == told([rows], tmp_path / "first")["a-3"]


def test_posts_without_a_score_do_not_count_and_an_epoch_without_any_is_fine(tmp_path: Path) -> None:
    short = [{**row, "text": "ok"} for row in posts_of("a", 9)]
    assert set(told([short], tmp_path).values()) == {None}
