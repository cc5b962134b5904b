"""Read the items of evaluation sets from the user's own files, once, on the driver.

    .jsonl .ndjson   an item a line: every string in it, however deep, is a text of the item
    .parquet .csv    an item a row, the same
    .txt             an item a line, itself its only text

All but Parquet may be compressed (.gz, .zst). An item is named `FILE:ID` after its field `id`, else `FILE:LINE`: the
line, from 1; of Parquet and CSV the row, heading not counted. `FILE` is the file's name without its endings.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import nearest

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
ID = "id"

Item = tuple[int, Any]  # line or row, and what stands there as plain data
Leaf = tuple[str, str]  # dotted path of the field, and its text


@dataclass
class EvaluationItems:
    """The items of all files in order; a text belongs to the item of the same place in `owners`."""

    names: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)  # of each file, how many texts were read up to its end
    sha256: str = ""  # of the bytes of all files, one after the other


def read_items(files: Sequence[str], fields: Sequence[str]) -> EvaluationItems:
    """Return the items of the files, their texts taken from `fields` (dotted paths), or from every field but `id`.

    An item that is one bare text gives it whatever the fields. Raises ValueError naming the setting for a file that
    cannot be read or holds no item or no text, and for a field that no file has.
    """
    items = EvaluationItems()
    digest = hashlib.sha256()
    seen: set[str] = set()
    for file, name in zip(files, _names(files), strict=True):
        try:
            data = Path(file).read_bytes()
        except (OSError, ValueError) as error:
            raise ValueError(f"'files': {file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        digest.update(data)
        before = len(items.names), len(items.texts)
        here = _take(_plain(file, data), name, fields, items)
        seen |= here
        if len(items.names) == before[0]:
            raise ValueError(f"'files': {file} holds no items")
        if len(items.texts) == before[1] and fields:
            raise ValueError(f"'fields': {file} has no text in {', '.join(fields)}: {nearest(fields[0], here)}")
        items.files.append(len(items.texts))
    for path in fields:
        if not any(_is_in(leaf, path) for leaf in seen):
            raise ValueError(f"'fields': no file has a text in {path!r}: {nearest(path, seen)}")
    items.sha256 = digest.hexdigest()
    return items


def _take(found: Iterable[Item], name: str, fields: Sequence[str], items: EvaluationItems) -> set[str]:
    """Add the items of one file; return the fields at which it has texts: a line that is a text itself has none."""
    seen: set[str] = set()
    for line, value in found:
        given = value.get(ID) if isinstance(value, dict) else None
        known = isinstance(given, str | int) and not isinstance(given, bool) and given != ""
        for path, text in _leaves(value):
            seen.add(path)
            if not path or (any(_is_in(path, one) for one in fields) if fields else path != ID):
                items.texts.append(text)
                items.owners.append(len(items.names))
        items.names.append(f"{name}:{given if known else line}")
    return seen - {""}


def _leaves(value: Any) -> Iterator[Leaf]:
    """Yield every string in plain data, in order; the members of a list have the path of the list.

    >>> list(_leaves({"question": {"stem": "Who?"}, "choices": ["I", {"text": "You"}], "label": 1}))
    [('question.stem', 'Who?'), ('choices', 'I'), ('choices.text', 'You')]
    """
    pending = [("", value)]
    while pending:
        path, one = pending.pop()
        if isinstance(one, str):
            yield path, one
        elif isinstance(one, dict):
            inner = ((f"{path}.{key}" if path else str(key), part) for key, part in one.items())
            pending.extend(reversed(list(inner)))
        elif isinstance(one, list):
            pending.extend((path, part) for part in reversed(one))


def _is_in(path: str, wanted: str) -> bool:
    return path == wanted or path.startswith(wanted + ".")


def _names(files: Sequence[str]) -> list[str]:
    """Return what items are named after: the file's name without its endings; the whole path where two share it."""
    stems = [_stem(file)[0] for file in files]
    return [stem if stems.count(stem) == 1 else file for stem, file in zip(stems, files, strict=True)]


def _stem(file: str) -> tuple[str, str, str]:
    """Split a file's name into its stem, its ending, and its second ending if that says how it is compressed."""
    path = Path(file)
    packed = path.suffix.lower() if path.suffix.lower() in COMPRESSED else ""
    path = path.with_suffix("") if packed else path
    return path.stem, path.suffix.lower(), packed


def _plain(file: str, data: bytes) -> Iterator[Item]:
    """Yield what stands in each line or row of a file; raise ValueError where it is not what its ending says."""
    _, ending, packed = _stem(file)
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv_rows, ".txt": _text_lines}
    try:
        if ending == ".parquet" and not packed:
            rows = pq.read_table(pa.BufferReader(data)).to_pylist()
            yield from enumerate(rows, 1)
            return
        if ending not in readers:
            raise ValueError(f"expected {', '.join(readers)} (plain, .gz or .zst) or .parquet")
        if packed:
            data = pa.CompressedInputStream(pa.BufferReader(data), COMPRESSED[packed]).read()
        yield from readers[ending](data.decode("utf-8-sig"))
    except (ValueError, OSError, csv.Error) as error:
        raise ValueError(f"'files': {file}: {str(error) or 'not what its ending says'}") from None


def _json_lines(text: str) -> Iterator[Item]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ValueError(f"line {number} is not JSON: {error.msg}") from None


def _csv_rows(text: str) -> Iterator[Item]:
    yield from enumerate(csv.DictReader(io.StringIO(text, newline=""), strict=True), 1)


def _text_lines(text: str) -> Iterator[Item]:
    yield from ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
