"""A member's day: its documents chosen and packed into shards of its own, whole or as what comes back of it later."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.duplicates.records import Longs
from pipelines.swarm.candidates import Gathered
from pipelines.swarm.counts import Counts
from pipelines.swarm.days import name_of
from pipelines.swarm.selection import Chosen, Figures, Flags, choose, mixed_hash
from pipelines.tokens.packed import PackedFile, group_sequences, pack_rows
from pipelines.tokens.shards import Lengths, ShardSummary
from pipelines.tokens.tokenizer import Tokenizer
from schemas.swarm import Member
from schemas.tokens import TOKEN_SHARD, packed_shard

PIECE_TOKENS = 1 << 22  # taken out of mapped files at once


@dataclass(frozen=True)
class Unit:
    """A day of a member: with `replay`, only the sequences that come back of it."""

    name: str  # of the member
    member: Member
    day: int
    replay: bool
    key: str  # equal for units that are equal to the byte
    whole_key: str  # the same of the whole day

    @property
    def recipe(self) -> str:
        """Return how its documents are made."""
        return recipe_of(self.member)

    @property
    def prefix(self) -> str:
        """Return what the names of its shards have in them."""
        day = name_of(self.day).replace("-", "")
        return f"replay-{day}" if self.replay else day


@dataclass(frozen=True)
class Made:
    """A unit that is there: its shards, and what was counted when its day was chosen."""

    key: str
    replay: bool
    shards: tuple[ShardSummary, ...]
    figures: Figures

    @property
    def tokens(self) -> int:
        """Return how many tokens it gives."""
        return sum(summary.shard.tokens for summary in self.shards)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a manifest's `days` say it."""
        shards = [summary.model_dump(mode="json") for summary in self.shards]
        counts = {name: sum(getattr(one.shard, name) for one in self.shards) for name in COUNTS}
        return {"key": self.key, "replay": self.replay, **counts, "chosen": vars(self.figures), "shards": shards}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Made:
        """Read what `to_dict` gave; raise KeyError, TypeError or ValueError for anything else."""
        shards = tuple(ShardSummary.model_validate(one) for one in data["shards"])
        return cls(data["key"], data["replay"], shards, Figures(**data["chosen"]))


COUNTS = ("documents", "tokens", "sequences")


class Whole(NamedTuple):
    """All of a member's day: its shards, and what was counted when it was chosen."""

    paths: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True)
class Making:
    """What units are made of, and where."""

    units: tuple[Unit, ...]
    gathered: Mapping[str, Gathered]  # by recipe
    tokenizer: Tokenizer
    folders: Mapping[str, str]  # of the new version, by member
    scratch: str
    counts: Counts = field(default_factory=Counts)  # of documents, where known
    wholes: Mapping[str, Whole] = field(default_factory=dict)  # that there are, by member/key


def recipe_of(member: Member) -> str:
    """Return how a member's documents are made: those of one recipe are chosen from the same ones."""
    return "post" if member.template == "post" else f"{member.template}/{member.on_rejected}/{member.quiet_hours}"


def unit_key(member: Member, tokenizer_sha256: str, inputs: tuple[int, int, int], replay: bool) -> str:
    """Return what a unit goes by; `inputs` are the day, the number of its posts and their digest."""
    part = member.replay_part if replay else 1.0
    told = [member.choosing(tokenizer_sha256), *inputs, replay, part]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def make(order: Making, task: int) -> Made:
    """Write the shards of a unit."""
    unit = order.units[task]
    folder = Path(order.folders[unit.name])
    if not unit.replay:
        chosen, summaries = _pack(order, unit, folder)
        return Made(unit.key, False, tuple(summaries), chosen.figures)
    whole = order.wholes.get(f"{unit.name}/{unit.whole_key}")
    scratch = Path(order.scratch) / f"{unit.name}-{unit.prefix}"
    if whole is None:
        chosen, packed = _pack(order, unit, scratch)
        whole = Whole(tuple(str(scratch / summary.shard.file) for summary in packed), chosen.figures)
    came_back = bring_back(unit, whole.paths, folder, order.tokenizer.sha256)
    shutil.rmtree(scratch, ignore_errors=True)
    return Made(unit.key, True, tuple(came_back), whole.figures)


def _pack(order: Making, unit: Unit, folder: Path) -> tuple[Chosen, list[ShardSummary]]:
    candidates = order.gathered[unit.recipe].of_day(unit.day)
    chosen = choose(candidates, unit.member)
    pieces = _pieces(candidates, chosen.rows)
    return chosen, pack_rows(pieces, order.tokenizer, folder, unit.prefix, unit.member.context_tokens)


def _pieces(candidates: pa.Table, rows: Longs) -> Iterator[tuple[pa.RecordBatch, Lengths]]:
    """Yield rows of some candidates as rows of TOKEN_SHARD, in the given order, some MiB at a time."""
    sizes = np.asarray(candidates.column("size")).astype(np.int64)[rows]
    parts = candidates.select(TOKEN_SHARD.names).to_batches()
    starts = np.cumsum([0, *(part.num_rows for part in parts)])
    ends = np.cumsum(sizes)
    first = 0
    while first < len(rows):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + PIECE_TOKENS, side="right")))
        yield _picked(parts, starts, rows[first:last]), sizes[first:last]
        first = last


def _picked(parts: Sequence[pa.RecordBatch], starts: Longs, rows: Longs) -> pa.RecordBatch:
    """Take rows, counted through all parts, in their order; nothing else is copied."""
    order = np.argsort(rows, kind="stable")
    bounds = np.searchsorted(rows[order], starts)
    found = []
    for number, part in enumerate(parts):
        here = rows[order[bounds[number] : bounds[number + 1]]]
        if len(here):
            found.append(part.take(pa.array(here - starts[number])))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    taken = pa.Table.from_batches(found).combine_chunks().take(pa.array(place)).combine_chunks()
    columns = [taken.column(one.name).combine_chunks().cast(one.type) for one in TOKEN_SHARD]
    return pa.RecordBatch.from_arrays([_whole(column) for column in columns], schema=TOKEN_SHARD)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def bring_back(unit: Unit, paths: Sequence[str], folder: Path, tokenizer_sha256: str) -> list[ShardSummary]:
    """Write the sequences of a whole day that come back: those whose hash is lowest, as far as their part goes.

    Which they are depends on the seed, the day and a sequence's number in it.
    """
    filled = [np.asarray(pq.read_table(path, columns=["filled"]).column("filled")).astype(np.int64) for path in paths]
    keep = _lowest(np.concatenate([np.zeros(0, np.int64), *filled]), unit)
    summaries = []
    start = 0
    for path, some in zip(paths, filled, strict=True):
        kept = keep[start : start + len(some)]
        start += len(some)
        if kept.any():
            name = folder / f"shard-{unit.prefix}-{len(summaries):05d}.parquet"
            with PackedFile(name, unit.member.context_tokens, tokenizer_sha256) as shard:
                for group in _groups(path, kept, unit.member.context_tokens):
                    shard.add(group)
            summaries.append(shard.summary())
    return summaries


def _lowest(filled: Longs, unit: Unit) -> Flags:
    numbers = mixed_hash(np.arange(len(filled)) + (unit.day << 40), unit.member.seed)
    order = np.argsort(numbers, kind="stable")
    most = int(unit.member.replay_part * int(filled.sum()))
    keep = np.zeros(len(filled), np.bool_)
    keep[order[np.cumsum(filled[order]) <= most]] = True
    return keep


def _groups(path: str, keep: Flags, context_tokens: int) -> Iterator[pa.RecordBatch]:
    """Yield the sequences that are kept in row groups of the size that every packed shard has."""
    size = group_sequences(context_tokens)
    held = packed_shard(context_tokens).empty_table()
    start = 0
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number).replace_schema_metadata(None)
            kept = rows.filter(pa.array(keep[start : start + rows.num_rows]))
            start += rows.num_rows
            held = pa.concat_tables([held, kept.cast(held.schema)])
            while held.num_rows >= size:
                yield held.slice(0, size).combine_chunks().to_batches()[0]
                held = held.slice(size)
    if held.num_rows:
        yield held.combine_chunks().to_batches()[0]


def count(order: Making, task: int) -> Figures:
    """Return what a unit's day would give, and write nothing: by known counts, else by the candidates' own sizes."""
    unit = order.units[task]
    candidates = order.gathered[unit.recipe].of_day(unit.day)
    counts, known = order.counts.of(candidates.column("document_id"), unit.day)
    sizes = pa.array(np.where(known, counts, np.asarray(candidates.column("size"))))
    place = candidates.schema.get_field_index("size")
    candidates = candidates.set_column(place, candidates.schema.field(place), sizes)
    chosen = choose(candidates, unit.member)
    guessed = np.where(known, 0, np.asarray(sizes))[chosen.rows].sum() / max(1, chosen.figures.taken)
    return replace(chosen.figures, estimated=round(float(guessed), 6))
