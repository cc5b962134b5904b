"""Token sets: `sets/MEMBER/VERSION/` with shard-*.parquet and, written last, manifest.json.

Executors write shards (`write_shards`) and hand back summaries, the driver turns them into the manifest (`finish`).
A folder without a manifest is no token set: whatever stopped a run half way, a reader never takes a part for the whole.
A version is never written twice. The same documents in the same order give the same bytes, however they were batched.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipelines.tokens import packed_checks
from pipelines.tokens.shards import TOKENIZER_KEY, ShardSummary, rows_with_tokens, write_pieces
from pipelines.tokens.tokenizer import Tokenizer
from schemas.errors import ConfigError, RunError
from schemas.tokens import TOKEN_SHARD, Manifest, Shard
from schemas.version import VERSION

SETS = "sets"
MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1

_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"v(\d{6,})")


@dataclass(frozen=True)
class Origin:
    """Where a token set comes from: the hash of the config, the sha256 of each model, the tokenizer."""

    config_hash: str
    models: Mapping[str, str]
    tokenizer: Tokenizer


def next_version(root: Path, member: str) -> str:
    """Return the folder of a member's next version below the output folder; it does not exist yet.

    Raises ConfigError for a member whose name cannot be a folder's.
    """
    if not _MEMBER.fullmatch(member):
        raise ConfigError(
            f"member '{member}': expected letters, digits, '.', '_' and '-', starting with a letter or digit"
        )
    return f"{SETS}/{member}/v{newest_number(root, member) + 1:06d}"


def newest_number(root: Path, member: str) -> int:
    """Return the highest number that a version of a member has, 0 before the first.

    No number comes back: a version goes only after another, with a higher number, was published in its place.
    """
    return max((version_number(name) for name in _folders(root, member)), default=0)


def version_number(version: str) -> int:
    """Return the number in the name of a version."""
    return int(version[1:])


def folder_name(manifest: Manifest) -> str:
    """Return the folder of a version below the output folder."""
    return f"{SETS}/{manifest.member}/{manifest.version}"


def members(root: Path) -> list[str]:
    """Return the members that have a token set, by name."""
    folder = root / SETS
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def current(root: Path, member: str) -> list[Manifest]:
    """Return the versions that no other stands for, oldest content first: what a trainer reads.

    Together they hold every document once. What is returned stays readable for upkeep.keep_hours, or until something
    in it has to be forgotten.
    """
    found = versions(root, member)
    old = {name for manifest in found for name in manifest.replaces}
    return sorted((manifest for manifest in found if manifest.version not in old), key=_age)


def replaced(root: Path, member: str) -> list[Manifest]:
    """Return the versions, still on disk, that another stands for, oldest content first."""
    found = versions(root, member)
    old = {name for manifest in found for name in manifest.replaces}
    return sorted((manifest for manifest in found if manifest.version in old), key=_age)


def versions(root: Path, member: str) -> list[Manifest]:
    """Return every finished version of a member as it was at one moment, in the order they were written.

    Versions come and go while this reads: one that takes the place of others could come after the look at the folder,
    and they go before they are read. So it looks again until nothing has changed in between.
    """
    folder = root / SETS / member
    names = _finished(root, member)
    while True:
        try:
            found = [read_manifest(folder / name) for name in names]
        except ConfigError:
            if names == _finished(root, member):
                raise
            found = []
        before, names = names, _finished(root, member)
        if names == before:
            return found


def _finished(root: Path, member: str) -> list[str]:
    names = [name for name in _folders(root, member) if (root / SETS / member / name / MANIFEST_FILE).is_file()]
    return sorted(names, key=version_number)


def _folders(root: Path, member: str) -> list[str]:
    folder = root / SETS / member
    return [path.name for path in folder.iterdir() if _VERSION.fullmatch(path.name)] if folder.is_dir() else []


def _age(manifest: Manifest) -> int:
    return min(map(version_number, (manifest.version, *manifest.replaces)))


def write_shards(
    documents: Iterable[pa.RecordBatch], tokenizer: Tokenizer, folder: Path, prefix: str, shard_tokens: int
) -> list[ShardSummary]:
    """Tokenize documents (schema DOCUMENT) into shard-PREFIX-NNNNN.parquet, in order, and return their summaries.

    No shard holds more than `shard_tokens` tokens, but for a document that is longer by itself: it gets a shard of its
    own. Memory holds one batch and one row group. A file appears under its name when it is whole, so a task that is
    run twice does no harm. Raises RunError when a file cannot be written or the version is finished already.
    """
    refuse_finished(folder)
    try:
        return write_pieces(rows_with_tokens(documents, tokenizer), folder, prefix, shard_tokens, tokenizer.sha256)
    except OSError as error:
        raise RunError(f"token set {folder.name}: cannot write a shard: {error.strerror or error}") from None


def finish(folder: Path, summaries: Sequence[ShardSummary], origin: Origin) -> Manifest:
    """Write the manifest of the shards in `.../MEMBER/VERSION`, which makes the folder a token set, and return it.

    Raises RunError where `seal` does.
    """
    manifest = describe(folder, summaries, origin)
    seal(folder, manifest)
    return manifest


def describe(folder: Path, summaries: Sequence[ShardSummary], origin: Origin) -> Manifest:
    """Return the manifest of the shards in `.../MEMBER/VERSION` and write nothing."""
    summaries = sorted(summaries, key=lambda summary: summary.shard.file)
    languages: Counter[str] = Counter()
    for summary in summaries:
        languages.update(summary.languages)
    firsts = [summary.first_created_at for summary in summaries if summary.first_created_at is not None]
    lasts = [summary.last_created_at for summary in summaries if summary.last_created_at is not None]
    return Manifest(
        member=folder.parent.name,
        version=folder.name,
        documents=sum(summary.shard.documents for summary in summaries),
        tokens=sum(summary.shard.tokens for summary in summaries),
        shards=tuple(summary.shard for summary in summaries),
        tokenizer=origin.tokenizer.card(),
        languages=most_first(languages),
        first_created_at=min(firsts, default=None),
        last_created_at=max(lasts, default=None),
        config_hash=origin.config_hash,
        models=dict(sorted(origin.models.items())),
        swarmfeed_version=VERSION,
    )


def most_first(languages: Mapping[str, int]) -> dict[str, int]:
    """Order languages the way a manifest lists them."""
    return dict(sorted(languages.items(), key=lambda entry: (-entry[1], entry[0])))


def seal(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder of shards, which makes it a token set.

    Files of the folder that the manifest does not name (left by lost attempts) are removed first. Raises RunError when
    the version is finished already, a shard is missing or the manifest cannot be written.
    """
    refuse_finished(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, manifest)
        _write_manifest(folder, manifest)
    except OSError as error:
        raise RunError(f"token set {folder.name}: cannot write its manifest: {error.strerror or error}") from None


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a token set; raise ConfigError when the folder is not one or the manifest is damaged."""
    path = folder / MANIFEST_FILE
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{folder}: no {MANIFEST_FILE}: not a token set, or one that was never finished") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(f"{path}: damaged: '{key}': {first['msg']}") from None
    if manifest.schema_version != SCHEMA_VERSION:
        raise ConfigError(f"{path}: schema_version {manifest.schema_version}: this swarmfeed reads {SCHEMA_VERSION}")
    return manifest


def verify(folder: Path) -> list[str]:
    """Compare a token set with its manifest and return what is wrong, a line each; nothing when it is whole.

    Reads every file once for its sha256 and the ids of each shard for its counts, one row group at a time.
    """
    try:
        manifest = read_manifest(folder)
    except ConfigError as error:
        return [str(error)]
    wrong = [line for shard in manifest.shards for line in _verify_shard(folder, shard, manifest)]
    named = {MANIFEST_FILE, *(shard.file for shard in manifest.shards)}
    wrong += [f"{name}: not in the manifest" for name in sorted({path.name for path in folder.iterdir()} - named)]
    totals = {
        "documents": (manifest.documents, sum(shard.documents for shard in manifest.shards)),
        "tokens": (manifest.tokens, sum(shard.tokens for shard in manifest.shards)),
        "sequences": (manifest.sequences, sum(shard.sequences for shard in manifest.shards)),
        "languages": (sum(manifest.languages.values()), manifest.tokens),
    }
    for key, (said, found) in totals.items():
        if said != found:
            wrong.append(f"{MANIFEST_FILE}: '{key}' adds up to {found}, not {said}")
    return wrong


def _verify_shard(folder: Path, shard: Shard, manifest: Manifest) -> list[str]:
    path = folder / shard.file
    try:
        size = path.stat().st_size
        if size != shard.bytes:
            return [f"{shard.file}: has {size} bytes, the manifest says {shard.bytes}"]
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                return [f"{shard.file}: its sha256 is not the manifest's: it was changed after it was written"]
        return [f"{shard.file}: {line}" for line in _verify_rows(path, shard, manifest)]
    except FileNotFoundError:
        return [f"{shard.file}: missing"]
    except (OSError, pa.ArrowException) as error:
        return [f"{shard.file}: cannot be read: {str(error).splitlines()[0]}"]


def _verify_rows(path: Path, shard: Shard, manifest: Manifest) -> list[str]:
    """Count what a shard holds: for a manifest that was edited by hand, hashes included."""
    file = pq.ParquetFile(path)
    wrong = []
    if (file.schema_arrow.metadata or {}).get(TOKENIZER_KEY, b"").decode() != manifest.tokenizer.sha256:
        wrong.append("was written with another tokenizer than the manifest names")
    if manifest.context_tokens is not None:
        return wrong + packed_checks.faults(file, shard, manifest)
    if not file.schema_arrow.equals(TOKEN_SHARD):
        return ["its columns are not those of a token shard"]
    documents = tokens = 0
    highest = 0
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, columns=["tokens"]).column("tokens")
        ids = pc.list_flatten(column)
        documents, tokens = documents + len(column), tokens + len(ids)
        highest = max(highest, pc.max(ids).as_py() or 0)
    for what, said, found in (("documents", shard.documents, documents), ("tokens", shard.tokens, tokens)):
        if said != found:
            wrong.append(f"has {found} {what}, the manifest says {said}")
    if highest >= manifest.tokenizer.vocabulary:
        wrong.append(f"has token {highest}, beyond the vocabulary of {manifest.tokenizer.vocabulary}")
    return wrong


def refuse_finished(folder: Path) -> None:
    """Raise RunError when a version has its manifest."""
    if (folder / MANIFEST_FILE).exists():
        raise RunError(
            f"token set {folder.parent.name}/{folder.name} is finished and never changes: write a new version"
        )


def _sweep(folder: Path, manifest: Manifest) -> None:
    """Remove what the manifest does not name, and check that what it names is there."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    names = [shard.file for shard in manifest.shards]
    if len(set(names)) != len(names):
        raise RunError(f"token set {manifest.version}: two shards have one name")
    for shard in manifest.shards:
        if sizes.get(shard.file) != shard.bytes:
            raise RunError(f"token set {manifest.version}: {shard.file} is not there as it was written")
    for name in sorted(set(sizes) - set(names)):
        (folder / name).unlink()


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    pending = folder / f".{MANIFEST_FILE}"
    with pending.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    pending.replace(folder / MANIFEST_FILE)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the names as well as the bytes
    finally:
        os.close(descriptor)
