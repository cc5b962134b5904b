"""Write the data dictionary from the schemas: `python -m schemas.dictionary > docs/data-dictionary.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, get_args

import pyarrow as pa

from schemas import columns, post, tokens
from schemas.reasons import Fault, Reason

STAGE_COLUMNS = {
    "clean_text": columns.CLEAN_TEXT,
    "language": columns.LANGUAGE,
    "quality": columns.QUALITY,
    "spam": columns.SPAM,
    "toxicity": columns.TOXICITY,
    "ai_text": columns.AI_TEXT,
    "credibility": columns.CREDIBILITY,
    "pii": columns.PII,
    "sketch": columns.SKETCH,
    "contamination": columns.CONTAMINATION,
    "fasttext": columns.FASTTEXT,
    "datatrove": columns.DATATROVE,
    "duplicates": columns.DUPLICATES,
    "verdict": columns.VERDICT,
}

TABLES = {
    "Post": (post.POST, "The canonical columns: what every source is turned into, and the first columns of `posts/`."),
    "Document": (tokens.DOCUMENT, "`documents/`: what becomes a training sequence."),
    "Token shard": (tokens.TOKEN_SHARD, "`sets/MEMBER/VERSION/shard-*.parquet`."),
    "Packed shard": (
        tokens.packed_shard(tokens.DEFAULT_CONTEXT),
        "`sets/MEMBER/VERSION/shard-*.parquet` of a member whose manifest has `context_tokens`, the length of a row.",
    ),
    "Tombstone": (post.TOMBSTONES, "`tombstones/`: what must go."),
    "Quarantine": (post.QUARANTINE, "`quarantine/`: records that did not become posts."),
}

MANIFEST = (
    "`sets/MEMBER/VERSION/manifest.json`. The versions that no other names under `replaces` hold every document of the "
    "member once; a packed version, one with `context_tokens`, stands alone and holds its window."
)


def data_dictionary() -> str:
    """Return the dictionary as Markdown: every table, stage column, reason and fault."""
    lines = ["# Data dictionary", "", "Generated from `schemas/` by `python -m schemas.dictionary`; a test compares."]
    for name, (schema, about) in TABLES.items():
        lines += ["", f"## {name}", "", about, "", *_rows(schema)]
    lines += ["", "## Manifest of a token set version", "", MANIFEST, "", "| key | type | meaning |", "|---|---|---|"]
    for name, field in tokens.Manifest.model_fields.items():
        lines.append(f"| `{name}` | {_kind(field.annotation)} | {field.description} |")
    lines += ["", "## Stage columns", "", "Each stage adds one struct column to `posts/`; null means it cannot say."]
    for name, struct in STAGE_COLUMNS.items():
        lines += ["", f"### {name}", "", *_rows(struct)]
    lines += [
        "",
        "`posts/` also has `duplicate_of` (id of the earliest post it duplicates), `epoch` (the step that wrote",
    ]
    lines += ["it) and the partition column `route` (`kept` or `rejected`)."]
    lines += ["", "## Reasons of the verdict", "", ", ".join(f"`{reason}`" for reason in Reason)]
    lines += ["", "## Faults of quarantined records", "", ", ".join(f"`{fault}`" for fault in Fault), ""]
    return "\n".join(lines)


def _kind(annotation: Any) -> str:
    """Name the type of a manifest's key; what may be null says so in its meaning."""
    if type(None) in get_args(annotation):
        annotation = get_args(annotation)[0]
    return "time" if annotation is datetime else str(annotation.__name__)


def _rows(fields: Iterable[pa.Field]) -> list[str]:
    rows = ["| column | type | meaning |", "|---|---|---|"]
    for field in fields:
        meaning = (field.metadata or {}).get(b"doc", b"").decode()
        kind = f"{field.type}" + ("" if field.nullable else ", required")
        rows.append(f"| `{field.name}` | {kind} | {meaning} |")
    return rows


if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
