"""Feed a trainer from a packed token set: shuffled, sharded over ranks, resumed on the exact next sequence.

    feed = TokenFeed("curated", "news", rank=0, world=8, seed=1)
    feed.load_state_dict(checkpoint["feed"])   # of any rank, of any number of ranks
    for batch in feed:
        step(batch["tokens"], batch["position_ids"])
        checkpoint = {"feed": feed.state_dict()}

NumPy and pyarrow are all it needs: no Spark, no Java. torch and JAX are imported by their adapters alone.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.feeding.groups import Groups
from pipelines.feeding.order import Order
from pipelines.feeding.prefetch import Batch, Share, batches, in_background
from pipelines.feeding.versions import Member, PackedVersion
from schemas.errors import ConfigError, RunError, nearest

STATE_VERSION = 1


@dataclass(frozen=True)
class Progress:
    """How far all ranks are together: the same on every rank after the same step."""

    member: str
    seed: int
    epoch: int = 0
    position: int = 0  # sequences of the epoch that were taken, by all ranks
    version: str | None = None  # that the epoch reads; None before the first
    sequences_of: str | None = None
    sequences: int | None = None
    context_tokens: int | None = None
    tokenizer: str | None = None  # sha256
    state_version: int = STATE_VERSION


@dataclass(eq=False)
class TokenFeed:
    """Yield batches of one rank, epoch after epoch, as dicts of NumPy arrays.

    tokens          (batch, context) int32, padded behind the last document
    position_ids    (batch, context) int32, from 0 in each document and in the padding
    cu_seqlens      for each row an int32 array: 0, where each document ends, `filled` last
    filled          (batch,) int32, tokens that are not padding
    position        (batch,) int64, place in the order of the epoch, the same for any number of ranks
    sequence        (batch,) int64, row of the version, counted through its shards

    Rank r of n takes every n-th position. Every rank takes the same number of steps of the same shape: the last batch
    of an epoch is filled up with rows whose `position` and `sequence` are -1 and `filled` 0. A row may also be empty
    because all of its posts were forgotten.

    At the end of an epoch the newest version is followed. So that all ranks follow the same one, `agree` is called on
    each with the epoch and the version it would take, and returns the one that all take (see `SharedFolder`; or a
    broadcast of rank 0). Without it a feed of several ranks stays with the version it began with. `version` fixes one.
    A version that goes because posts were forgotten is replaced in mid-epoch by the one without them, whose other
    sequences are the same.

    In memory are one row group (1 MiB) for each lane a rank reads, 64 or 64 / world, up to 32 more ahead of their turn,
    and three times `prefetch` batches.
    """

    path: str | os.PathLike[str]
    member: str
    rank: int = 0
    world: int = 1
    seed: int = 0
    batch: int = 8  # sequences of a rank and a step
    epochs: int | None = None  # without end when None
    prefetch: int = 8  # batches that are handed over at once; as many again are made meanwhile
    filesystem: Any = None  # of pyarrow.fs or fsspec
    version: str | None = None
    agree: Callable[[int, str], str] | None = None
    _member: Member = field(init=False, repr=False)
    _progress: Progress = field(init=False, repr=False)
    _groups: Groups | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        """Find the member; raise ConfigError for a share that is none and for a set that cannot be read."""
        if not 0 <= self.rank < self.world:
            raise ConfigError(f"rank {self.rank} of {self.world}: expected a rank from 0 to {self.world - 1}")
        if self.batch < 1:
            raise ConfigError(f"batch {self.batch}: expected 1 or more")
        self._member = Member(os.fspath(self.path), self.member, self.filesystem)
        self._progress = Progress(self.member, self.seed)
        if self.version is None:
            self._member.newest()
        else:
            self._find(self.version)

    def __iter__(self) -> Iterator[Batch]:
        """Go on behind the last batch that was taken."""
        while True:
            progress = self._progress
            epoch = progress.epoch
            if progress.sequences is not None and progress.position >= progress.sequences:
                epoch += 1
            if self.epochs is not None and epoch >= self.epochs:
                return
            if progress.sequences is None or epoch > progress.epoch:
                self._progress = self._begin(epoch, progress)  # in the caller's thread: `agree` may be a broadcast
            for batch, after in in_background(partial(self._rest, self._progress), self.prefetch):
                self._progress = after
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return how far all ranks are, as plain data: equal on every rank after the same step."""
        return asdict(self._progress)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a state was taken, on any rank of any number, with batches of any size.

        Raises ConfigError for a state of another member or seed, or that is none.
        """
        try:
            progress = Progress(**state)
        except TypeError as error:
            raise ConfigError(f"state of a feed: {error}") from None
        for name, mine in (("state_version", STATE_VERSION), ("member", self.member), ("seed", self.seed)):
            said = getattr(progress, name)
            if said != mine:
                raise ConfigError(f"state of a feed: {name} {said!r}, expected {mine!r}")
        self._progress = progress

    def _rest(self, progress: Progress) -> Iterator[tuple[Batch, Progress]]:
        """Yield the rest of an epoch; go on in the heir of its version when that is deleted meanwhile."""
        while progress.position < (progress.sequences or 0):
            groups = self._open(progress)
            order = Order(groups.rows, self.seed, progress.epoch)
            share = Share(progress.position, self.rank, self.world, self.batch)
            version, step = groups.version.version, self.batch * self.world
            try:
                for batch in batches(groups, order, share):
                    position = min(order.total, progress.position + step)
                    progress = replace(progress, version=version, position=position)
                    yield batch, progress
            except FileNotFoundError as error:
                heir = self._member.heir(groups.version.sequences_of)
                if heir is None or heir.version == version:
                    raise RunError(f"{error.filename or error}: missing, and the manifest names it") from None
                self._groups = None
                progress = replace(progress, version=heir.version)

    def _open(self, progress: Progress) -> Groups:
        """Return the row groups of the version that an epoch reads, or of its heir."""
        if self._groups is None or self._groups.version.version != progress.version:
            found = self._find(progress.version or "", progress.sequences_of)
            if (found.sequences, found.sequences_of) != (progress.sequences, progress.sequences_of):
                raise RunError(
                    f"member '{self.member}': {found.version} has {found.sequences:,} sequences of "
                    f"{found.sequences_of}, expected {progress.sequences:,} of {progress.sequences_of}: another set"
                )
            self._check_same(progress, found)
            self._groups = Groups(self._member.files, found)
        return self._groups

    def _find(self, version: str, sequences_of: str | None = None) -> PackedVersion:
        """Return a version, or the one that has its sequences (those of `sequences_of`) without what was forgotten.

        Raises ConfigError where there is neither.
        """
        found = self._member.version(version) or self._member.heir(sequences_of or version)
        if found is None:
            hint = nearest(version, self._member.names())
            raise ConfigError(
                f"member '{self.member}' has no version {version}, nor one that has its sequences: {hint}; "
                "an epoch that was begun with it cannot be finished: begin without the state"
            )
        return found

    def _begin(self, epoch: int, before: Progress) -> Progress:
        """Begin an epoch with the version that every rank begins it with."""
        version = self._next(epoch, before)
        self._check_same(before, version)
        if not version.sequences:
            raise ConfigError(f"member '{self.member}': {version.version} has no sequences: widen its window")
        return Progress(
            self.member,
            self.seed,
            epoch,
            version=version.version,
            sequences_of=version.sequences_of,
            sequences=version.sequences,
            context_tokens=version.context_tokens,
            tokenizer=version.tokenizer,
        )

    def _next(self, epoch: int, before: Progress) -> PackedVersion:
        if self.version is not None:
            return self._find(self.version)
        if before.version is not None and self.world > 1 and self.agree is None:
            return self._find(before.version, before.sequences_of)
        seen = self._member.newest()
        return seen if self.agree is None else self._find(self.agree(epoch, seen.version))

    def _check_same(self, before: Progress, version: PackedVersion) -> None:
        """Raise ConfigError where a version is none that the same model can go on with."""
        for what in ("tokenizer", "context_tokens"):
            old, new = getattr(before, what), getattr(version, what)
            if old not in (None, new):
                raise ConfigError(
                    f"member '{self.member}': {what} was {old} in {before.version} and is {new} in {version.version}: "
                    "a model goes on with what it began with; publish another member, or begin without the state"
                )


@dataclass(frozen=True)
class SharedFolder:
    """Let ranks agree on the version of each epoch through a folder they share: whoever writes first decides.

    One folder for one training, kept with its checkpoints, on a file system with hard links.
    """

    folder: str | os.PathLike[str]

    def __call__(self, epoch: int, newest: str) -> str:
        """Return the version of an epoch, the same to every caller."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"epoch-{epoch:06d}"
        pending = folder / f".{path.name}.{uuid.uuid4().hex}"
        pending.write_text(newest)
        try:
            with contextlib.suppress(FileExistsError):  # another rank has decided: its word is read below
                os.link(pending, path)  # whole or not at all, and once
        finally:
            pending.unlink()
        return path.read_text()


def torch_dataset(feed: TokenFeed) -> Any:
    """Return a feed as a torch IterableDataset of batches: DataLoader(torch_dataset(feed), batch_size=None).

    The feed prefetches by itself: a worker process would have a state of its own, so it raises ConfigError in one.
    """
    import torch
    from torch.utils.data import IterableDataset, get_worker_info

    class FeedDataset(IterableDataset):  # type: ignore[misc, type-arg]
        def __iter__(self) -> Iterator[Batch]:
            if get_worker_info() is not None:
                raise ConfigError("a feed prefetches by itself and keeps its own state: use num_workers=0")
            for batch in feed:
                arrays = {name: value for name, value in batch.items() if name != "cu_seqlens"}
                tensors: Batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
                yield tensors | {"cu_seqlens": [torch.from_numpy(row) for row in batch["cu_seqlens"]]}

    return FeedDataset()


def jax_batches(feed: TokenFeed) -> Iterator[Batch]:
    """Yield batches as JAX arrays of fixed shapes: `segment_ids` (from 1, padding 0) in place of `cu_seqlens`."""
    import jax.numpy as jnp

    for batch in feed:
        segments = (batch["position_ids"] == 0).cumsum(axis=1)
        places = np.arange(segments.shape[1])
        segments[places >= batch["filled"][:, None]] = 0
        numbers = {name: value.astype(np.int32) for name, value in batch.items() if name != "cu_seqlens"}
        yield {name: jnp.asarray(value) for name, value in (numbers | {"segment_ids": segments}).items()}
