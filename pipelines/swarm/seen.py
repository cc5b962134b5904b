"""What members were trained on, post by post: hashes with the folder's key, a sorted file for each shard.

A receipt of forgetting has the same hashes, so members that were trained on what was forgotten can be named for good,
long after the versions are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.exchange import Run, in_groups
from pipelines.swarm.rota import FOLDER, Rota
from pipelines.tokens import sets
from pipelines.upkeep.receipts import Hasher, numbered_receipts
from schemas.tokens import Manifest

SEEN = f"{FOLDER}/seen"
TASK_BYTES = 16 << 20
DIGITS = 16  # of a hash in hexadecimal: 64 bits

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Trained:
    """Posts that were forgotten and that a member was trained on."""

    member: str
    posts: int  # in all
    pending: int  # of those, forgotten since its last turn: what it is due for
    versions: tuple[str, ...]  # that it was given with them

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return dict(vars(self))


def remember_posts(root: Path, manifest: Manifest, hasher: Hasher, run: Run) -> None:
    """Note the posts of each shard of a version, where they are not noted yet."""
    folder = root / SEEN
    folder.mkdir(parents=True, exist_ok=True)
    new = [shard for shard in manifest.shards if not _file(root, shard.sha256).exists()]
    version = root / sets.folder_name(manifest)

    def note(task: int) -> None:
        shard = new[task]
        _write(_file(root, shard.sha256), _hashes(version / shard.file, hasher))

    in_groups(run, [shard.bytes for shard in new], TASK_BYTES, note)


def _hashes(path: Path, hasher: Hasher) -> Hashes:
    found = [np.zeros(0, np.uint64)]
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            documents = file.read_row_group(group, columns=["documents.list.element.post_ids"]).column("documents")
            posts = pc.list_flatten(pc.struct_field(pc.list_flatten(documents), "post_ids"))
            names = pc.unique(posts).to_pylist()
            found.append(np.array([int(hasher.text(name)[:DIGITS], 16) for name in names], np.uint64))
    return np.unique(np.concatenate(found))


def _write(path: Path, hashes: Hashes) -> None:
    pending = path.with_suffix(".tmp")
    with pending.open("wb") as file:
        np.save(file, hashes)
    pending.replace(path)


def _file(root: Path, sha256: str) -> Path:
    return root / SEEN / f"{sha256[:32]}.npy"


def trained_on_forgotten(root: Path, rota: Rota) -> list[Trained]:
    """Say which members were trained on posts that were forgotten since, most posts first."""
    forgotten: dict[int, int] = {}  # the number of the first receipt, by hash
    for number, receipt in numbered_receipts(root):
        forgotten.setdefault(int(receipt.id[:DIGITS], 16), number)
    if not forgotten:
        return []
    wanted = np.array(sorted(forgotten), np.uint64)
    shards = {one for turns in rota.turns.values() for turn in turns for one in turn.shards}
    held = {one: set(_found(root, one, wanted)) for one in sorted(shards)}
    found = [_of_member(name, rota, held, forgotten) for name in sorted(rota.turns)]
    return sorted((one for one in found if one.posts), key=lambda one: -one.posts)


def _found(root: Path, sha256: str, wanted: Hashes) -> Sequence[int]:
    path = _file(root, sha256)
    if not path.exists():
        return []
    there: list[int] = np.intersect1d(np.load(path, mmap_mode="r"), wanted, assume_unique=True).tolist()
    return there


def _of_member(name: str, rota: Rota, held: Mapping[str, set[int]], forgotten: Mapping[int, int]) -> Trained:
    turns = rota.turns[name]
    by_turn = [set().union(*(held[shard] for shard in turn.shards)) for turn in turns]
    posts: set[int] = set().union(*by_turn)
    since = turns[-1].receipt if turns else 0
    pending = sum(forgotten[one] > since for one in posts)
    versions = tuple(turn.version for turn, some in zip(turns, by_turn, strict=True) if some)
    return Trained(name, len(posts), pending, versions)
