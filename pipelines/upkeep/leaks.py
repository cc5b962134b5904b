"""Look through one file for what was forgotten: ids, texts and runs of tokens, however the file holds them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.kernels.needles import WINDOW, Needles, find_needles
from filters.kernels.utf8 import utf8_buffers
from pipelines.deletions import Flags
from pipelines.tokens.packed import span_rows
from pipelines.upkeep.receipts import Hasher

CHUNK_BYTES = 16 << 20
WHO = ("id", "document_id")  # the column that tells whose a row is


@dataclass(frozen=True)
class Wanted:
    """What must not be found: ids, and what the receipts say of their texts and tokens. Pickled to workers."""

    ids: tuple[str, ...]
    hasher: Hasher
    texts: frozenset[str]
    tokens: frozenset[str]


@dataclass
class Looked:
    """What a file holds: leaks by what they are, rows of others with the same words, and words that may be theirs."""

    file: str
    leaks: Counter[str] = field(default_factory=Counter)
    same_words: int = 0
    others: set[str] = field(default_factory=set)  # hashes of texts that stand in posts of others
    loose: Counter[str] = field(default_factory=Counter)  # hashes of texts that stand in no row
    bytes: int = 0


class Search:
    """Looks for what is wanted, laid out once for many files."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._ids = pa.array(wanted.ids, pa.string())
        self._names = Needles.of(dict.fromkeys(wanted.ids, ""))
        long = [name for name in wanted.ids if len(name.encode()) >= WINDOW]
        quoted = [f"{left}{name}{right}" for name in wanted.ids for left, right in (('"', '"'), (">", "<"))]
        escaped = [one.replace("/", "\\/") for one in (*long, *quoted)]
        told = [json.dumps(one)[1:-1] for one in long]  # as JSON writes what is not ASCII
        parts = {*long, *quoted, *escaped, *told}
        self._raw = Needles.of(dict.fromkeys((one for one in parts if len(one.encode()) >= WINDOW), ""))
        self._rest = [one.encode() for one in parts if len(one.encode()) < WINDOW]
        self._overlap = max((len(one.encode()) for one in parts), default=1)

    def look(self, root: Path, path: Path) -> Looked:
        """Look through a file of an output folder; one that is gone by now holds nothing."""
        found = Looked(str(path.relative_to(root)))
        try:
            found.bytes = path.stat().st_size
            self._look_at_bytes(path, found)
            READERS.get(path.suffix, _nothing)(self, path, found)
        except FileNotFoundError:
            return Looked(found.file)
        return found

    def _look_at_bytes(self, path: Path, found: Looked) -> None:
        tail = b""
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                data = np.frombuffer(tail + chunk, np.uint8)
                hit = find_needles(data, np.array([0, len(data)]), self._raw)[0]
                if hit or any(one in chunk for one in self._rest):
                    found.leaks["an id in its bytes"] += 1
                tail = chunk[-self._overlap :]

    def look_at_table(self, rows: pa.Table, found: Looked) -> None:
        """Look through every column of some rows, decoded."""
        whose = self._whose(rows)
        for name, column in zip(rows.column_names, rows.columns, strict=True):
            for path, leaf, owner in _leaves(column.combine_chunks(), name):
                hits = self._ids_in(leaf)
                if hits.any():
                    found.leaks[f"an id in column {path}"] += int(hits.sum())
                self._look_for_texts(leaf, (path, owner), whose, found)
            if name == "tokens" and pa.types.is_list(column.type):
                self._look_for_tokens(column.combine_chunks(), whose, found)

    def _whose(self, rows: pa.Table) -> Flags | None:
        """Tell which rows are of posts that nobody asked to forget; None where rows name no post."""
        name = next((name for name in WHO if name in rows.column_names), None)
        if name is None:
            return None
        return ~np.asarray(pc.fill_null(pc.is_in(rows.column(name), value_set=self._ids), True))

    def _ids_in(self, leaf: pa.Array) -> Flags:
        if pa.types.is_binary(leaf.type) or pa.types.is_large_binary(leaf.type):
            return find_needles(*utf8_buffers(pc.fill_null(leaf, b"")), self._raw)
        return find_needles(*utf8_buffers(leaf), self._names)

    def _look_for_texts(self, leaf: pa.Array, place: tuple[str, Any], whose: Flags | None, found: Looked) -> None:
        if not self._wanted.texts or not pa.types.is_string(leaf.type):
            return
        known = [text for text in pc.unique(leaf).to_pylist() if text and self._is_text(text)]
        if known:
            path, owner = place
            hits = np.asarray(pc.is_in(leaf, value_set=pa.array(known)))
            rows = np.unique(owner[hits])
            self._count(rows, whose, f"a text in column {path}", found)
            if whose is not None:
                theirs = pc.unique(leaf.filter(pa.array(hits & whose[owner]))).to_pylist()
                found.others |= {self._wanted.hasher.text(text) for text in theirs}

    def _look_for_tokens(self, column: pa.Array, whose: Flags | None, found: Looked) -> None:
        if self._wanted.tokens and len(column):
            runs = self._wanted.hasher.tokens(column)
            rows = np.flatnonzero([run in self._wanted.tokens for run in runs])
            self._count(rows, whose, "a run of tokens", found)

    @staticmethod
    def _count(rows: Any, whose: Flags | None, what: str, found: Looked) -> None:
        of_others = int(whose[rows].sum()) if whose is not None else 0
        found.same_words += of_others
        if len(rows) > of_others:
            found.leaks[what] += len(rows) - of_others

    def _is_text(self, text: str) -> bool:
        return self._wanted.hasher.text(text) in self._wanted.texts

    def look_at_words(self, words: Iterator[str], found: Looked) -> None:
        """Look through the strings of a file that is no table."""
        for text in words:
            if self._is_text(text):
                found.loose[self._wanted.hasher.text(text)] += 1


def _leaves(column: pa.Array, path: str, owner: Any = None) -> Iterator[tuple[str, pa.Array, Any]]:
    """Yield every array of strings or bytes inside a column, its path, and the row of each of its values."""
    owner = np.arange(len(column)) if owner is None else owner
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _leaves(column.dictionary_decode(), path, owner)
    elif pa.types.is_struct(kind):
        for part in kind:
            yield from _leaves(pc.struct_field(column, part.name), f"{path}.{part.name}", owner)
    elif pa.types.is_map(kind):
        inside = np.repeat(owner, np.diff(np.asarray(column.offsets)))
        yield from _leaves(column.keys, f"{path}.key", inside)
        yield from _leaves(column.items, f"{path}.value", inside)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(pc.list_flatten(column), path, owner[np.asarray(pc.list_parent_indices(column))])
    elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        yield path, column.cast(pa.string()) if pa.types.is_large_string(kind) else column, owner


def _nothing(search: Search, path: Path, found: Looked) -> None:
    """Find nothing more in a file that is only bytes."""


def _parquet(search: Search, path: Path, found: Looked) -> None:
    with pq.ParquetFile(path) as parquet:
        for group in range(parquet.num_row_groups):
            search.look_at_table(_unpacked(parquet.read_row_group(group)), found)


def _unpacked(rows: pa.Table) -> pa.Table:
    """Return the spans of packed sequences as rows, so that whose they are is known; anything else as it is."""
    tokens = rows.schema.get_field_index("tokens")
    if not {"tokens", "cu_seqlens", "documents"} <= set(rows.column_names) or not rows.num_rows:
        return rows
    context = rows.schema.field(tokens).type.list_size
    return pa.Table.from_batches([span_rows(rows.combine_chunks().to_batches()[0], context)[0]])


def _arrow(search: Search, path: Path, found: Looked) -> None:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            search.look_at_table(pa.Table.from_batches([file.get_batch(number)]), found)


def _json(search: Search, path: Path, found: Looked) -> None:
    lines = path.read_text(encoding="utf-8", errors="replace")
    try:
        search.look_at_words(_strings(json.loads(lines)), found)
    except ValueError:
        for line in lines.splitlines():
            try:
                search.look_at_words(_strings(json.loads(line)), found)
            except ValueError:
                search.look_at_words(iter((line,)), found)


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for name, value in data.items():
            yield from (name, *_strings(value))
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value)


class _Words(HTMLParser):
    """Collects what a page shows, an element at a time."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        """Keep the words of an element."""
        self.words.append(data)


def _html(search: Search, path: Path, found: Looked) -> None:
    page = _Words()
    page.feed(path.read_text(encoding="utf-8", errors="replace"))
    page.close()
    search.look_at_words(iter(page.words), found)


def _lines(search: Search, path: Path, found: Looked) -> None:
    search.look_at_words(iter(path.read_text(encoding="utf-8", errors="replace").splitlines()), found)


READERS: dict[str, Callable[[Search, Path, Looked], None]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".json": _json,
    ".jsonl": _json,
    ".html": _html,
    ".log": _json,
    ".txt": _lines,
}
