"""Contamination: how much of a post is the wording of evaluation items, and of which one most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.clean_text import clean_strings
from filters.evaluation_sets import EvaluationItems, read_items
from filters.kernels.overlap import Hashes, Index, Matches, bloom, find, keys_at, word_sums
from filters.kernels.utf8 import utf8_buffers
from schemas.columns import CONTAMINATION

Longs = npt.NDArray[np.int64]

MAX_WORDS = 1000
NAMED_ITEMS = 16  # of the items that share a window, the first ones that a post may be named after: bounds the work
WORDS_AT_ONCE = 1 << 18  # matches are looked at for so many words of posts at a time: bounds the memory


@dataclass(frozen=True)
class Contamination:
    """Look for the wording of evaluation items in the clean text; null without `files`, and for a null text.

    A post that shares `ngram_words` words in a row with a text of an item holds that item. A text shorter than that,
    but of at least `min_item_words`, is held by a post that has all its words in a row. Shorter texts are ignored.
    Links, mentions, case, punctuation and emoji are no words (see kernels/normalise.py); a letter of a script without
    spaces is one. `score` is the share of the post's words that lie in such stretches; `item` names the item whose
    stretches hold most of them, of equals the first.

    >>> import tempfile
    >>> posts = pa.array([{"text": "which RIVER flows, it asked, through #Prague"}, {"text": "River or brook?"}])
    >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    ...     _ = file.write("Which river flows?"), file.flush()
    ...     stage = Contamination(files=(file.name,), ngram_words=3, min_item_words=3)
    >>> found = stage(pa.RecordBatch.from_arrays([posts], ["clean_text"]))
    >>> found.field("score").to_pylist(), found[0]["item"].as_py().endswith(":1"), found[1]["item"].as_py()
    ([0.4285714328289032, 0.0], True, None)
    """

    name: ClassVar[str] = "contamination"
    reads: ClassVar[tuple[str, ...]] = ("clean_text",)
    output: ClassVar[pa.StructType] = CONTAMINATION

    files: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    ngram_words: int = 13  # Brown et al. 2020, appendix C, and most after them
    min_item_words: int = 8
    sha256: str | None = field(init=False, repr=False, default=None)
    wanted: Wanted | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Read the files once, here, so that workers get arrays; raise ValueError naming the setting that is wrong."""
        for key in ("files", "fields"):
            object.__setattr__(self, key, _checked_strings(key, getattr(self, key)))
        for key in ("ngram_words", "min_item_words"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WORDS:
                raise ValueError(f"'{key}' must be a whole number from 1 to {MAX_WORDS}, got {value!r}")
        if self.min_item_words > self.ngram_words:
            raise ValueError(f"'min_item_words' must not be over 'ngram_words' = {self.ngram_words}")
        if self.files:
            items = read_items(self.files, self.fields)
            object.__setattr__(self, "sha256", items.sha256)
            object.__setattr__(self, "wanted", Wanted.of(items, self))

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the contamination of each row, shape (rows,)."""
        if self.wanted is None:
            return pa.nulls(batch.num_rows, self.output)
        texts = pc.struct_field(batch.column("clean_text"), "text")
        sums, words = word_sums(*utf8_buffers(texts))
        covered = np.zeros(len(texts))
        best = np.full(len(texts), -1, np.int64)
        for first, last in _stretches(words):
            matches = find(sums, words[first : last + 1], self.wanted.index)
            if len(matches):
                matches[:, 0] += first
                rows, covered_here = _covered(matches[:, 0], matches)
                covered[rows] = covered_here
                best[rows] = self.wanted.name(matches)
        unknown = pc.is_null(texts).to_numpy(zero_copy_only=False)
        score = (covered / np.maximum(np.diff(words), 1)).astype(np.float32)
        named = self.wanted.names.take(pa.array(best, mask=best < 0))
        return pa.StructArray.from_arrays(
            [pa.array(score, mask=unknown), named], fields=list(self.output), mask=pa.array(unknown)
        )


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is looked for, and the items each stretch of words comes from; pickled with the stage."""

    index: Index
    starts: npt.NDArray[np.int32]  # (keys + 1,): where the items of each key begin in `items`
    items: npt.NDArray[np.int32]  # of each key at most NAMED_ITEMS, ascending
    names: pa.Array

    @classmethod
    def of(cls, items: EvaluationItems, stage: Contamination) -> Wanted:
        """Cut the texts of the items into stretches; raise ValueError for a file without a text long enough."""
        size, least = stage.ngram_words, stage.min_item_words
        texts, _ = clean_strings(pa.array(items.texts, pa.string()))
        sums, ends = word_sums(*utf8_buffers(texts))
        words = np.diff(ends)
        short = (words >= least) & (words < size)
        before = 0
        for file, last in zip(stage.files, items.files, strict=True):
            if not (words[before:last] >= least).any():
                raise ValueError(f"'files': {file} has no text of {least} words or more ('min_item_words')")
            before = last
        text = np.repeat(np.arange(len(words)), words)
        at = np.arange(len(text))
        windows = at[at + size <= ends[text + 1]]
        starts = np.concatenate([windows, ends[:-1][short]])
        lengths = np.concatenate([np.full(len(windows), size), words[short]])
        keys = keys_at(sums, starts, lengths)
        openings = keys_at(sums, ends[:-1][short], np.full(int(short.sum()), least))
        owners = np.asarray(items.owners, np.int64)[text[starts]]
        distinct, first, owner = _postings(keys, owners)
        filters = bloom(keys[: len(windows)]), bloom(openings)
        index = Index(size, least, distinct, *filters, np.unique(words[short]))
        return cls(index, first, owner, pa.array(items.names, pa.string()))

    def name(self, matches: Matches) -> Longs:
        """Return for each row with matches, ascending, the item that covers most of it, of equals the first."""
        place = matches[:, 3]
        many = self.starts[place + 1] - self.starts[place]
        which = np.repeat(np.arange(len(place)), many)
        inner = np.arange(len(which)) - np.repeat(np.cumsum(many) - many, many)
        item = self.items[self.starts[place][which] + inner].astype(np.int64)
        pairs, covered = _covered(matches[which, 0] * len(self.names) + item, matches[which])
        row, item = np.divmod(pairs, len(self.names))
        order = np.lexsort((item, -covered, row))
        _, first = np.unique(row[order], return_index=True)
        chosen: Longs = item[order][first]
        return chosen


def _postings(keys: Hashes, owners: Longs) -> tuple[Hashes, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the distinct keys, ascending, where the owners of each begin, and the first NAMED_ITEMS owners of each."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    new_key = np.append(True, keys[1:] != keys[:-1])
    new = new_key.copy()
    new[1:] |= owners[1:] != owners[:-1]
    keys, owners, new_key = keys[new], owners[new], new_key[new]
    first = np.flatnonzero(new_key)
    rank = np.arange(len(keys)) - np.repeat(first, np.diff(np.append(first, len(keys))))
    named = rank < NAMED_ITEMS
    starts = np.append(np.flatnonzero(new_key[named]), named.sum())
    return keys[first], starts.astype(np.int32), owners[named].astype(np.int32)


def _covered(groups: Longs, matches: Matches) -> tuple[Longs, Longs]:
    """Return the distinct groups, ascending, and how many words the stretches of each cover together."""
    distinct, group = np.unique(groups, return_inverse=True)
    base = matches[:, 1].min()
    apart = matches[:, 1].max() - base + MAX_WORDS + 1  # lays the groups one behind the other on a line
    start = group * apart + matches[:, 1] - base
    order = np.argsort(start, kind="stable")
    start, group = start[order], group[order]
    end = start + matches[order, 2]
    reached = np.append(np.int64(0), np.maximum.accumulate(end)[:-1])
    gained = np.maximum(0, end - np.maximum(start, reached))
    return distinct, np.bincount(group, gained).astype(np.int64)


def _stretches(words: Longs) -> Iterator[tuple[int, int]]:
    """Yield (first row, one past the last) of stretches of about WORDS_AT_ONCE words; `words` ends each row."""
    cuts = np.searchsorted(words, np.arange(0, words[-1] + 1, WORDS_AT_ONCE), side="left")
    bounds = np.unique(np.concatenate([[0], cuts, [len(words) - 1]])).tolist()
    yield from pairwise(bounds)


def _checked_strings(key: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, list | tuple):
        raise ValueError(f"'{key}' must be a list, got {given!r}")
    for one in given:
        if not isinstance(one, str) or not one:
            raise ValueError(f"'{key}' must list names, got {one!r}")
    return tuple(given)
