"""Write a new version of a token set out of old ones: without what must be forgotten, or in fewer files.

Tokens are copied as they are. A shard that stays as it is costs a hard link: its bytes, and so its hash, are kept.
Executors write the shards of a draft; the driver gives it a number, which the epochs count too, once none of them is on
its way. Epochs only add versions, so a draft that was begun before one is still right after it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.exchange import Run, in_groups, map_rows
from pipelines.tokens import sets
from pipelines.tokens.packed_rewriting import without
from pipelines.tokens.shards import Lengths, time_range, tokens_by_language, write_pieces
from schemas.errors import RunError
from schemas.tokens import TOKEN_SHARD, Manifest, Shard
from schemas.version import VERSION

TASK_BYTES = 16 << 20  # of shards that a task reads; larger ones have a task to themselves

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rewrite:
    """Which versions one is to be made of, oldest first, and how; `staging` mirrors `root`.

    `drop` is an Arrow file whose first column names posts: documents with one of them are left out, and those in the
    `rows` of a shard, by its path. With `merge`,
    shards are put together up to `shard_tokens`; without, each stays by itself.
    """

    root: Path
    member: str
    versions: tuple[str, ...]
    staging: Path
    shard_tokens: int
    drop: str | None = None
    merge: bool = True
    rows: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A version that has its shards and no number yet."""

    order: Rewrite
    folder: Path
    sources: tuple[Manifest, ...]
    shards: tuple[Shard, ...]
    dropped: int  # documents
    languages: dict[str, int]  # tokens by language
    times: tuple[datetime | None, datetime | None]  # first and last


@dataclass(frozen=True)
class Source:
    """A shard that is read."""

    path: str
    shard: Shard


@dataclass
class Piece:
    """What a task wrote and what it left out."""

    shards: list[Shard] = field(default_factory=list)
    dropped: int = 0  # documents
    languages: Counter[str] = field(default_factory=Counter)  # tokens left out, by language
    times: list[datetime] = field(default_factory=list)  # first and last of what stays, where something may go


Groups = list[tuple[str, list[Source]]]  # of shards that become one, each with the prefix of its name


@dataclass(frozen=True)
class Plan:
    """How a version is made: where its shards go, of which versions, and what each task does."""

    order: Rewrite
    folder: Path
    sources: tuple[Manifest, ...]
    tasks: list[Groups]


def origin(manifest: Manifest) -> tuple[object, ...]:
    """Return what a manifest says of how its documents were made: only versions that agree can become one."""
    return manifest.tokenizer, manifest.config_hash, tuple(sorted(manifest.models.items()))


def rewrite(run: Run, order: Rewrite) -> Draft:
    """Write the shards of a version that stands for others and return it as a draft; see `rewrite_all`."""
    return rewrite_all(run, [order])[0]


def rewrite_all(run: Run, orders: Sequence[Rewrite]) -> list[Draft]:
    """Write the shards of several versions in one round, and return each as a draft.

    A task holds one row group of tokens and the ids of the posts in `shard_tokens` tokens, besides the ids to drop.
    Raises RunError when versions that are to become one were made in different ways, or are packed: each of those
    stands alone.
    """
    plans = [_plan(order) for order in orders]
    tasks = [(plan, task) for plan in plans for task in plan.tasks]
    sizes = [sum(source.shard.bytes for _, group in task for source in group) for _, task in tasks]
    pieces = iter(in_groups(run, sizes, TASK_BYTES, lambda number: rewrite_groups(*tasks[number])))
    return [_draft(plan, [next(pieces) for _ in plan.tasks]) for plan in plans]


def _plan(order: Rewrite) -> Plan:
    folder = order.root / sets.SETS / order.member
    sources = tuple(sets.read_manifest(folder / version) for version in order.versions)
    if len({origin(source) for source in sources}) != 1:
        raise RunError(
            f"token set {order.member}: {', '.join(order.versions)} differ in tokenizer, config or models: "
            "expected versions of one origin"
        )
    if sources[0].context_tokens is not None and (len(sources) > 1 or order.merge):
        raise RunError(f"token set {order.member}: packed versions stand alone: expected one, and nothing to merge")
    shards = [Source(str(folder / source.version / shard.file), shard) for source in sources for shard in source.shards]
    draft = order.staging / sets.SETS / order.member / f"draft-{uuid.uuid4().hex}"
    draft.mkdir(parents=True)
    return Plan(order, draft, sources, _share_out(shards, order))


def _draft(plan: Plan, pieces: Sequence[Piece]) -> Draft:
    languages = Counter[str]()
    for source in plan.sources:
        languages.update(source.languages)
    for piece in pieces:
        languages.subtract(piece.languages)
    return Draft(
        plan.order,
        plan.folder,
        plan.sources,
        tuple(shard for piece in pieces for shard in piece.shards),
        sum(piece.dropped for piece in pieces),
        sets.most_first({language: tokens for language, tokens in languages.items() if tokens}),
        _times(plan.sources, pieces, plan.order),
    )


def complete(draft: Draft, receipts: Iterable[str] = ()) -> Manifest:
    """Give a draft the next number and its manifest; the folder can be published then (see sets.folder_name).

    Call it, and publish, while no epoch is on its way.
    """
    order, sources = draft.order, draft.sources
    number = 1 + max(sets.newest_number(root, order.member) for root in (order.root, order.staging))
    folder = draft.folder.with_name(f"v{number:06d}")
    manifest = Manifest(
        member=order.member,
        version=folder.name,
        documents=sum(shard.documents for shard in draft.shards),
        tokens=sum(shard.tokens for shard in draft.shards),
        shards=draft.shards,
        tokenizer=sources[-1].tokenizer,
        languages=draft.languages,
        first_created_at=draft.times[0],
        last_created_at=draft.times[1],
        config_hash=sources[-1].config_hash,
        models=sources[-1].models,
        swarmfeed_version=VERSION,
        replaces=_replaces(order.root, sources),
        forgotten=draft.dropped + sum(source.forgotten for source in sources),
        receipts=tuple(sorted({*receipts, *(receipt for source in sources for receipt in source.receipts)})),
        **_packed(draft),
    )
    draft.folder.rename(folder)
    sets.seal(folder, manifest)
    return manifest


def _packed(draft: Draft) -> dict[str, Any]:
    """Return what the manifest of a packed version says besides; its sequences are those of the one it is made of."""
    source = draft.sources[-1]
    if source.context_tokens is None:
        return {}
    names = ("context_tokens", "group_sequences", "swarm", "mix", "table_versions", "days")
    said = {name: getattr(source, name) for name in names}
    sequences = sum(shard.sequences for shard in draft.shards)
    return {**said, "sequences": sequences, "sequences_of": source.sequences_of or source.version}


def _replaces(root: Path, sources: Sequence[Manifest]) -> tuple[str, ...]:
    """Return what a version made of others stands for.

    That is what they stood for too, as far as it is on disk: were they deleted first, it would count again. The oldest
    is named for good, because it tells how old the content is.
    """
    names = {source.version for source in sources}
    for source in sources:
        folder = root / sets.SETS / source.member
        names |= {name for name in source.replaces if (folder / name).exists()}
        names |= set(sorted(source.replaces, key=sets.version_number)[:1])
    return tuple(sorted(names, key=sets.version_number))


def _share_out(shards: Sequence[Source], order: Rewrite) -> list[Groups]:
    """Return what each task does."""
    packs: list[list[Source]] = []
    room = 0
    for source in shards:
        if source.shard.tokens > room or not packs:
            packs.append([])
            room = order.shard_tokens
        packs[-1].append(source)
        room -= source.shard.tokens
    if order.merge:
        return [[(f"{number:06d}", pack)] for number, pack in enumerate(packs)]
    number = iter(range(len(shards)))
    return [[(f"{next(number):06d}", [source]) for source in pack] for pack in packs]


def rewrite_groups(plan: Plan, groups: Groups) -> Piece:
    """Write each group of shards as one, or as none where nothing is left, without the documents to drop."""
    if plan.sources[0].context_tokens is not None:
        return _rewrite_packed(plan, groups)
    order, sha256 = plan.order, plan.sources[0].tokenizer.sha256
    sources = [source for _, group in groups for source in group]
    piece = Piece()
    kept: Iterator[Mask | None] = iter([None] * len(sources))
    if order.drop is not None:
        kept = iter(_find_kept(sources, order.drop, order.rows, piece))
    try:
        for prefix, group in groups:
            masks = [next(kept) for _ in group]
            if len(group) == 1 and (masks[0] is None or masks[0].all()):
                piece.shards.append(_link(group[0], plan.folder / f"shard-{prefix}-00000.parquet"))
            else:
                rows = _kept_rows(group, masks, piece)
                written = write_pieces(rows, plan.folder, prefix, order.shard_tokens, sha256)
                piece.shards += [summary.shard for summary in written]
    except OSError as error:
        raise RunError(f"token set {order.member}: cannot rewrite a shard: {error.strerror or error}") from None
    return piece


def _rewrite_packed(plan: Plan, groups: Groups) -> Piece:
    """Write each packed shard that holds something to drop anew, under its own name, and link the others."""
    piece = Piece()
    posts = map_rows(plan.order.drop).column(0).combine_chunks() if plan.order.drop else pa.array([], pa.string())
    try:
        for source in (source for _, group in groups for source in group):
            target = plan.folder / source.shard.file
            cut = without(Path(source.path), target, plan.sources[0], posts)
            piece.shards.append(_link(source, target) if cut.summary is None else cut.summary.shard)
            piece.dropped += cut.dropped
            piece.languages.update(cut.languages)
            piece.times += cut.times
    except OSError as error:
        raise RunError(f"token set {plan.order.member}: cannot rewrite a shard: {error.strerror or error}") from None
    return piece


def _find_kept(
    sources: Sequence[Source], drop: str, left_out: Mapping[str, tuple[int, ...]], piece: Piece
) -> list[Mask]:
    """Tell of each document of some shards whether it stays, and note the times of those that do."""
    tables = [pq.ParquetFile(source.path).read(["post_ids", "created_at"]) for source in sources]
    rows = pa.concat_tables(tables)
    posts = rows.column("post_ids").combine_chunks()
    hit = pc.is_in(pc.list_flatten(posts), value_set=map_rows(drop).column(0).combine_chunks())
    kept = np.ones(rows.num_rows, bool)
    kept[np.asarray(pc.list_parent_indices(posts).filter(hit))] = False
    starts = np.cumsum([0, *(table.num_rows for table in tables)])
    for source, start in zip(sources, starts.tolist(), strict=False):
        kept[[start + row for row in left_out.get(source.path, ())]] = False
    piece.times = [time for time in time_range(rows.column("created_at").filter(pa.array(kept))) if time is not None]
    return np.split(kept, starts[1:-1])


def _kept_rows(
    group: Sequence[Source], masks: Sequence[Mask | None], piece: Piece
) -> Iterator[tuple[pa.RecordBatch, Lengths]]:
    """Yield the rows of some shards that stay, a row group at a time, and count those that do not."""
    for source, mask in zip(group, masks, strict=True):
        start = 0
        with pq.ParquetFile(source.path) as file:
            for number in range(file.num_row_groups):
                columns = [column.combine_chunks() for column in file.read_row_group(number).columns]
                rows = pa.RecordBatch.from_arrays(columns, schema=TOKEN_SHARD)
                lengths = np.asarray(pc.list_value_length(rows.column("tokens"))).astype(np.int64)
                keep = np.ones(rows.num_rows, bool) if mask is None else mask[start : start + rows.num_rows]
                start += rows.num_rows
                if not keep.all():
                    piece.dropped += int((~keep).sum())
                    piece.languages.update(tokens_by_language(rows.filter(pa.array(~keep)), lengths[~keep]))
                    rows, lengths = rows.filter(pa.array(keep)), lengths[keep]
                yield rows, lengths


def _link(source: Source, path: Path) -> Shard:
    """Give a shard that stays as it is its name in another version."""
    try:
        os.link(source.path, path)
    except FileExistsError:  # an earlier attempt of the task did
        pass
    except OSError:  # a file system without links
        pending = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        shutil.copyfile(source.path, pending)
        pending.replace(path)
    return source.shard.model_copy(update={"file": path.name})


def _times(
    sources: Sequence[Manifest], pieces: Sequence[Piece], order: Rewrite
) -> tuple[datetime | None, datetime | None]:
    known = [time for piece in pieces for time in piece.times]
    if order.drop is None:
        said = [time for source in sources for time in (source.first_created_at, source.last_created_at)]
        known = [time for time in said if time is not None]
    return min(known, default=None), max(known, default=None)
