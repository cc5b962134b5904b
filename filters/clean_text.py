"""The text a reader of the post sees: entities, mojibake, invisible marks, controls and stray spaces resolved."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from html import entities, unescape
from typing import ClassVar

import ftfy
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.tidy import COMPOSE, ENTITY, MOJIBAKE, screen_rows, tidy_rows
from filters.kernels.utf8 import string_array, utf8_buffers
from schemas.columns import CLEAN_TEXT

_LOOKED_UP = ENTITY | MOJIBAKE | COMPOSE
_MAX_ROUNDS = 16  # every round resolves one layer of what was encoded twice; real posts need two
_NESTED = re.compile(r"&(?:amp;)+")
_ENTITIES = re.compile(
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});|&(?:amp|lt|gt|quot)(?![A-Za-z0-9=;])"
)
_MENDING = ftfy.TextFixerConfig(unescape_html=False, explain=False)


@dataclass(frozen=True)
class CleanText:
    """Resolve what stands between the text as sent and the text as meant; never change its meaning.

    HTML entities and mojibake are undone, also where they were applied twice. Invisible and bidirectional control
    characters go, but joiners stay in emoji sequences and in scripts whose reading they change. Spaces and line breaks
    are single, at most one empty line stands between two lines, U+FFFD goes unless it stands for a letter inside a
    word, and the text is in normal form C. Cleaning clean text changes nothing.

    >>> CleanText()(pa.record_batch({"text": ["Tom &amp;amp; Ann\\u200b  itâ€™s"]})).to_pylist()
    [{'text': 'Tom & Ann it’s', 'changed': True}]
    """

    name: ClassVar[str] = "clean_text"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    output: ClassVar[pa.StructType] = CLEAN_TEXT

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return (text, changed) per row; null where the text is null."""
        column = batch.column("text")
        clean, changed = clean_strings(column)
        absent = column.is_null() if column.null_count else None
        return pa.StructArray.from_arrays([clean, changed], fields=list(CLEAN_TEXT), mask=absent)


def clean_strings(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return (clean text, whether it differs) of a string column; rows that are clean already are not looked at twice.

    A round undoes one layer of encoding in every row that needs it; rows that a round changed get another one.
    """
    if pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    rows = np.arange(len(column))
    changed = np.zeros(len(column), np.bool_)
    current = column
    for _ in range(_MAX_ROUNDS):
        pending = current.take(pa.array(rows)) if len(rows) < len(column) else current
        flags = screen_rows(*utf8_buffers(pending))
        suspects = np.flatnonzero(flags)
        if not len(suspects):
            break
        old = pending.take(pa.array(suspects))
        new = _one_round(old, flags[suspects])
        differs = np.asarray(pc.fill_null(pc.not_equal(old, new), False))
        rows = rows[suspects[differs]]
        if not len(rows):
            break
        changed[rows] = True
        current = _replace(current, rows, new.filter(pa.array(differs)))
    return current, pa.array(changed)


def _replace(column: pa.Array, rows: np.ndarray, values: pa.Array) -> pa.Array:
    mask = np.zeros(len(column), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), values)


def _one_round(column: pa.Array, flags: np.ndarray) -> pa.Array:
    """Undo one layer of encoding in each row, then tidy it."""
    looked_up = np.flatnonzero(flags & _LOOKED_UP)
    if len(looked_up):
        texts = column.take(pa.array(looked_up)).to_pylist()
        wanted = flags[looked_up].tolist()
        mended = [text and _look_up(text, flag) for text, flag in zip(texts, wanted, strict=True)]
        column = _replace(column, looked_up, pa.array(mended, pa.string()))
    tidied = string_array(*tidy_rows(*utf8_buffers(column)))
    return pc.if_else(column.is_valid(), tidied, None) if column.null_count else tidied


def _look_up(text: str, flags: int) -> str:
    """Undo one layer of entities, of mojibake and of decomposition.

    >>> _look_up("caf&eacute; &notit; ?a=1&copy=2", ENTITY)
    'café &notit; ?a=1&copy=2'
    """
    if flags & ENTITY:
        text = _ENTITIES.sub(_resolve, _NESTED.sub("&amp;", text))
    if flags & MOJIBAKE:
        text = ftfy.fixes.fix_c1_controls(ftfy.fix_encoding(text, _MENDING))
    return unicodedata.normalize("NFC", text)


def _resolve(found: re.Match[str]) -> str:
    entity = found[0]
    known = entity[1] == "#" or not entity.endswith(";") or entity[1:] in entities.html5
    return unescape(entity) if known else entity
