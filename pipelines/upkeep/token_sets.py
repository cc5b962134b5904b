"""The tokens of what must be forgotten: found in every version of every member, and left out of new ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.exchange import map_rows, new_file, write_rows
from pipelines.tokens import sets
from pipelines.tokens.packed import span_rows
from pipelines.tokens.rewriting import Draft, Rewrite, rewrite_all
from pipelines.upkeep import Upkeep
from pipelines.upkeep.excising import Excision, Taken
from pipelines.upkeep.receipts import Hasher
from schemas.tokens import Manifest


@dataclass(frozen=True)
class FoundTokens:
    """What was found of the posts that must go, and the versions to be written anew."""

    taken: list[Taken]
    drafts: list[Draft]


def take_tokens(upkeep: Upkeep, order: Excision, posts: Collection[str], stale: Collection[str]) -> FoundTokens:
    """Draft every version that holds some of the posts, or of the stale ones, without them.

    Those that another version stands for are looked through too: they are still on disk.
    """
    rows = order.demotion.shards
    if not posts and not rows:
        return FoundTokens([], [])
    drop = new_file(upkeep.staging, "posts")
    write_rows(drop, pa.table({"id": pa.array([*posts, *stale], pa.string())}))
    sizes = {
        _Shard(
            f"{member}/{manifest.version}",
            upkeep.root / sets.folder_name(manifest) / shard.file,
            manifest.context_tokens,
        ): shard.bytes
        for member in sets.members(upkeep.root)
        for manifest in sets.versions(upkeep.root, member)
        for shard in manifest.shards
    }
    found = upkeep.each(list(sizes.values()), partial(_find, list(sizes), str(drop), order.hasher))
    edited = {shard.place for shard in sizes if str(shard.path) in rows}
    places = edited | {one.place for some in found for one in some}
    orders = [
        replace(_order(upkeep, manifest, str(drop)), rows=rows)
        for member in sets.members(upkeep.root)
        for manifest in sets.current(upkeep.root, member)
        if f"{member}/{manifest.version}" in places
    ]
    taken = [one for some in found for one in some if one.id in posts]
    return FoundTokens(taken, rewrite_all(upkeep.run, orders))


def _order(upkeep: Upkeep, manifest: Manifest, drop: str) -> Rewrite:
    shard_tokens = upkeep.config.tokens.shard_tokens
    return Rewrite(upkeep.root, manifest.member, (manifest.version,), upkeep.staging, shard_tokens, drop, merge=False)


class _Shard(NamedTuple):
    place: str  # MEMBER/VERSION
    path: Path
    context_tokens: int | None


def _find(shards: Sequence[_Shard], wanted: str, hasher: Hasher, task: int) -> list[Taken]:
    place, path, context = shards[task]
    ids = map_rows(wanted).column("id").combine_chunks()
    taken = []
    with pq.ParquetFile(path) as parquet:
        for group in range(parquet.num_row_groups):
            posts = _posts(parquet, group, context)
            hits = np.asarray(pc.is_in(pc.list_flatten(posts), value_set=ids))
            if not hits.any():
                continue
            owners = pa.array(np.asarray(pc.list_parent_indices(posts))[hits])
            tokens = _tokens(parquet, group, context).take(owners)
            names = pc.list_flatten(posts).filter(pa.array(hits)).to_pylist()
            runs = hasher.tokens(tokens)
            taken += [Taken(name, place, tokens=(run,)) for name, run in zip(names, runs, strict=True)]
    return taken


def _posts(parquet: pq.ParquetFile, group: int, context_tokens: int | None) -> pa.ListArray:
    """Return the posts of each document, or span, of a row group."""
    if context_tokens is None:
        return parquet.read_row_group(group, ["post_ids"]).column("post_ids").combine_chunks()
    documents = parquet.read_row_group(group, ["documents"]).column("documents").combine_chunks()
    return pc.list_flatten(documents).field("post_ids")


def _tokens(parquet: pq.ParquetFile, group: int, context_tokens: int | None) -> pa.ListArray:
    """Return the tokens of each document, or span, of a row group."""
    if context_tokens is None:
        return parquet.read_row_group(group, ["tokens"]).column("tokens").combine_chunks()
    (rows,) = parquet.read_row_group(group).combine_chunks().to_batches()
    return span_rows(rows, context_tokens)[0].column("tokens")
