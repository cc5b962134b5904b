"""Which documents of a day a member reads: a function of the day's documents and the member's settings, nothing else.

    filtered   language, domain and quality are the member's
    capped     in the order of a hash, what an author, a campaign or a domain has no room for is passed over
    mixed      the day's tokens are shared out among groups, and each group takes in the same order what fits its part

Documents are looked at in the order of a hash of seed and id, so what is taken is a sample of what is there, and the
answer does not depend on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.quotas import NOBODY, take_within
from pipelines.duplicates.records import Longs, hash_ids
from schemas.swarm import Member

UNKNOWN = "und"  # the group of documents that name none
ENDLESS = np.iinfo(np.int64).max
OWNERS = ("author", "campaign", "domain")

FACTS = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),  # tokens
        pa.field("author", pa.int64()),  # hash of an id; null where nobody is named
        pa.field("campaign", pa.int64()),  # hash of the id of the original
        pa.field("language", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("quality", pa.float32()),
        pa.field("version", pa.int64(), nullable=False),  # of documents with one id the highest counts
    ]
)
"""What decides about a document."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Figures:
    """What a selection did; tokens unless said otherwise."""

    available: int  # of the documents that the member's filters leave
    quota: int | None  # the most the day may give
    taken: int
    documents: int  # taken
    languages: dict[str, int] = field(default_factory=dict)
    domains: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)  # taken, by what the mix goes by
    asked: dict[str, float] = field(default_factory=dict)  # shares of the mix
    estimated: float = 0.0  # share of the tokens taken that were estimated
    most: dict[str, float] = field(default_factory=dict)  # share of the largest author, campaign and domain


class Chosen(NamedTuple):
    """Rows of the documents that are taken, in the order they are packed in, and what was counted."""

    rows: Longs
    figures: Figures


def choose(facts: pa.Table, member: Member) -> Chosen:
    """Choose from all documents of a day; `facts` has the columns of FACTS and may have more, in any order."""
    facts = facts.select(FACTS.names).combine_chunks()
    newest = _newest(facts)
    fits = newest[fitting(facts.take(pa.array(newest)), member)]
    facts_of = facts.take(pa.array(fits))
    order = _order(facts_of, member.seed)
    sizes = np.asarray(facts_of.column("size")).astype(np.int64)
    available = int(sizes.sum())
    quota = member.day_tokens
    whole = available if quota is None else min(available, quota)
    capped = _capped(facts_of, member, order, whole)
    taken, asked = _mixed(facts_of, member, order[capped[order]], quota)
    figures = _figures(facts_of, taken, member)
    figures = Figures(**{**vars(figures), "available": available, "quota": quota, "asked": asked})
    return Chosen(fits[order[taken[order]]], figures)


def _newest(facts: pa.Table) -> Longs:
    """Return the row of the newest version of each document."""
    keys = [("document_id", "ascending"), ("version", "descending"), ("size", "ascending")]
    order = np.asarray(pc.sort_indices(facts, sort_keys=keys)).astype(np.int64)
    ids = facts.column("document_id").take(pa.array(order))
    if len(order) < 2:
        return order
    changes = np.asarray(pc.not_equal(ids[1:], ids[:-1]).combine_chunks().to_numpy(zero_copy_only=False), np.bool_)
    return order[np.r_[True, changes]]


def fitting(facts: pa.Table, member: Member) -> Flags:
    """Tell which documents the member's filters leave."""
    fits = np.ones(facts.num_rows, np.bool_)
    for name, wanted in (("language", member.languages), ("domain", member.domains)):
        if wanted:
            there = pc.is_in(pc.fill_null(facts.column(name), UNKNOWN), value_set=pa.array(wanted, pa.string()))
            fits &= _flags(there)
    if member.quality is not None:
        scores = facts.column("quality").to_numpy().astype(np.float64)
        fits &= (scores >= member.quality.least) & (scores <= member.quality.most)  # not a number is neither
    return fits & (np.asarray(facts.column("size")) > 0)


def _order(facts: pa.Table, seed: int) -> Longs:
    """Return the rows by a hash of seed and id; rows come sorted by id, which settles ties."""
    return np.argsort(mixed_hash(hash_ids(facts.column("document_id")), seed), kind="stable")


def mixed_hash(numbers: Longs, seed: int) -> npt.NDArray[np.uint64]:
    """Return another hash of hashes for each seed: the finaliser of SplitMix64 (Steele 2014)."""
    values = numbers.view(np.uint64) ^ np.uint64((seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) % (1 << 64))
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


def _capped(facts: pa.Table, member: Member, order: Longs, whole: int) -> Flags:
    """Tell which documents no cap speaks against; `whole` is what shares are of."""
    sizes = np.asarray(facts.column("size")).astype(np.int64)
    owners, weights, room = [], [], []
    for name in OWNERS:
        cap = getattr(member.caps, name)
        if cap is not None:
            code = _codes(facts.column(name))
            owners.append(np.where(code >= 0, code + sum(map(len, room)), NOBODY))
            weights.append(sizes if isinstance(cap, float) else np.ones_like(sizes))
            most = int(cap * whole) if isinstance(cap, float) else cap
            room.append(np.full(int(code.max(initial=-1)) + 1, most, np.int64))
    if isinstance(member.caps.day, int):
        owners.append(np.full(len(sizes), sum(map(len, room))))
        weights.append(np.ones_like(sizes))
        room.append(np.array([member.caps.day]))
    if not owners:
        return np.ones(len(sizes), np.bool_)
    return take_within(order, np.stack(weights), np.stack(owners), np.concatenate(room))


def _mixed(facts: pa.Table, member: Member, order: Longs, quota: int | None) -> tuple[Flags, dict[str, float]]:
    """Tell which documents fill the parts of the groups, and what share each group was to have."""
    sizes = np.asarray(facts.column("size")).astype(np.int64)
    if quota is None:
        taken = np.zeros(len(sizes), np.bool_)
        taken[order] = True
        return taken, {}
    day = np.zeros(len(sizes), np.int64)
    if member.mix is None:
        return take_within(order, sizes[None], day[None], np.array([quota])), {}
    names, codes = groups_of(facts, member.mix.by)
    there = np.bincount(codes[order], weights=sizes[order], minlength=len(names)).astype(np.int64)
    shares = asked_shares(dict(zip(names, there.tolist(), strict=True)), member.mix.temperature, member.mix.shares)
    parts = share_out(there, np.array([shares.get(name, 0.0) for name in names]), quota)
    owners, room = np.stack([day, codes + 1]), np.r_[quota, parts]
    taken = take_within(order, np.stack([sizes, sizes]), owners, room)
    return taken, {name: share for name, share in shares.items() if share}


def asked_shares(there: Mapping[str, int], temperature: float, fixed: Mapping[str, float]) -> dict[str, float]:
    """Return the share that each group is to have: those that are given, the rest by size to the power 1/temperature.

    A temperature of 1 keeps the proportions of what is there, a high one makes all groups alike (Devlin 2019 for
    languages).

    >>> asked_shares({"en": 900, "fi": 100, "xx": 7}, 1.0, {"xx": 0.5})
    {'en': 0.45, 'fi': 0.05, 'xx': 0.5}
    >>> asked_shares({"en": 900, "fi": 100}, 2.0, {})
    {'en': 0.75, 'fi': 0.25}
    """
    rest = max(0.0, 1 - sum(fixed.values()))
    others = {name: size ** (1 / temperature) for name, size in sorted(there.items()) if size and name not in fixed}
    weight = sum(others.values())
    return {**{name: rest * size / weight for name, size in others.items()}, **fixed}


def share_out(there: Longs, shares: Floats, quota: int) -> Longs:
    """Share a quota out among groups that have so much; what one lacks goes to those that have more, by their shares.

    >>> share_out(np.array([1000, 1000, 10]), np.array([0.5, 0.25, 0.25]), 400).tolist()
    [260, 130, 10]
    """
    parts = np.zeros(len(there), np.int64)
    open_ = (shares > 0) & (there > 0)
    while open_.any() and quota > parts.sum():
        wanted = parts + (quota - parts.sum()) * np.where(open_, shares, 0) / shares[open_].sum()
        full = open_ & (wanted >= there)
        if not full.any():
            parts = np.where(open_, np.floor(wanted + 1e-6).astype(np.int64), parts)
            break
        parts = np.where(full, there, parts)
        open_ &= ~full
    return parts


def groups_of(facts: pa.Table, by: str) -> tuple[list[str], Longs]:
    """Return the names of the groups, sorted, and the number of each document's group."""
    named = pc.fill_null(facts.column(by), UNKNOWN)
    names = sorted(pc.unique(named).to_pylist())
    return names, np.asarray(pc.index_in(named, value_set=pa.array(names, pa.string()))).astype(np.int64)


def _figures(facts: pa.Table, taken: Flags, member: Member) -> Figures:
    chosen = facts.filter(pa.array(taken))
    sizes = np.asarray(chosen.column("size")).astype(np.int64)
    total = int(sizes.sum())
    most = {}
    for name in OWNERS:
        code = _codes(chosen.column(name))
        held = np.bincount(code[code >= 0], weights=sizes[code >= 0])
        most[name] = round(float(held.max(initial=0)) / max(1, total), 6)
    return Figures(
        available=0,
        quota=None,
        taken=total,
        documents=chosen.num_rows,
        languages=_sums(chosen, "language", sizes),
        domains=_sums(chosen, "domain", sizes),
        groups=_sums(chosen, member.mix.by, sizes) if member.mix else {},
        most=most,
    )


def _sums(facts: pa.Table, by: str, sizes: Longs) -> dict[str, int]:
    names, codes = groups_of(facts, by)
    sums = np.bincount(codes, weights=sizes, minlength=len(names)).astype(np.int64).tolist()
    return dict(zip(names, sums, strict=True))


def _codes(column: pa.ChunkedArray) -> Longs:
    """Return a number for each value, NOBODY for null."""
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, NOBODY)).astype(np.int64)


def _flags(column: pa.ChunkedArray) -> Flags:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), np.bool_)
