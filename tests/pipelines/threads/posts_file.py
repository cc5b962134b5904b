"""Posts as the posts table keeps them, from a few plain facts, and files of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.columns import DUPLICATES, LANGUAGE, PII, QUALITY, VERDICT
from schemas.post import POST

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
NAMED = {"author": "author_id", "reply_to": "reply_to_id", "conversation": "conversation_id"}
SCHEMA = pa.schema(
    [
        *POST,
        *(pa.field(name, kind) for name, kind in (("pii", PII), ("language", LANGUAGE), ("quality", QUALITY))),
        pa.field("verdict", VERDICT),
        pa.field("duplicates", DUPLICATES),
    ]
)


def row(fact: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the posts table: kept and by its own words unless the fact says otherwise."""
    minute, edited = fact.get("minute"), fact.get("edited")
    known = {NAMED.get(name, name): value for name, value in fact.items()}
    return {
        **{name: known.get(name) for name in POST.names},
        "created_at": None if minute is None else AT + timedelta(minutes=minute),
        "extra": None if edited is None or fact.get("deleted") else json.dumps({"edited_at": edited}),
        "pii": None if fact.get("deleted") else {"redacted": fact["text"]},
        "language": {"lang": fact.get("language")},
        "quality": {"topic": fact.get("topic")},
        "verdict": {"keep": fact.get("keep", True) and not fact.get("deleted", False)},
        "duplicates": {"deleted": fact.get("deleted", False)},
        "text": "" if fact.get("deleted") else fact["text"],
    }


def table(facts: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A piece of the posts table."""
    return pa.Table.from_pylist([row(fact) for fact in facts], schema=SCHEMA)


def files(folder: Path, parts: Sequence[pa.Table]) -> list[str]:
    """Files of posts."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"part-{number}.parquet" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        pq.write_table(part, path)
    return [str(path) for path in paths]
