"""Duplicates within a step, by one definition: a post duplicates the earliest post that owns one of its bands.

A post is a duplicate of the earliest post, in (epoch, created_at, id) order and inside the horizon, that owns one of
its bands and whose estimated Jaccard with it reaches the threshold. The owner of a band on a day is the earliest post
that had it that day, kept or not. There is no transitive closure: the answer is a function of the set and the order.

Ids and originals are keys like any band; they need no estimate. Texts are never sent, each letter goes once:

    part   -> clock    the time and id of each post                    (rank_posts)
    clock  -> part     its rank in the order
    part   -> key      every key of each post, with its rank            (send_keys)
    key    -> part     who owned the key before, to the owner's part    (find_owners)
    part   -> part     the owner's signature, to the post's part        (send_signatures)
    part   -> part     the earliest owner that holds, to its part       (choose_owner)
    part   -> part     size and authors of the cluster, to each member  (count_cluster)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from filters.kernels.fingerprint import fingerprint
from filters.kernels.owners import BY_ID, BY_ROOT, BY_TEXT, SUPERSEDED, link_rows
from filters.kernels.utf8 import utf8_buffers
from filters.sketch import estimate_jaccard
from pipelines.exchange import Mail, answer, post, sort_out
from pipelines.staging import edit_times
from pipelines.tables import PostsFile, posts_files
from schemas.config import DuplicatesConfig

DAY_MICROS = 86_400_000_000
KEYS_PER_ADDRESS = 2_000_000  # what one key address holds at once: about 200 MB at work
KEYS_PER_POST = 27  # id, root, fingerprint and 24 bands

DECISION = pa.schema(
    [
        ("row", pa.int32()),
        ("duplicate_of", pa.string()),
        ("kind", pa.string()),
        ("cluster_size", pa.int64()),
        ("cluster_authors", pa.int64()),
    ]
)
"""What there is to say of a post of a part. A post that both duplicates and is duplicated is spoken of twice."""

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PartFile:
    """A file of posts: staged in this epoch, or of the posts table and only there to be duplicated."""

    path: str
    epoch: int  # of a staged file; files of the posts table have a column of it
    posts: int
    current: bool


@dataclass(frozen=True)
class Corpus:
    """The files of a step, addressed by their place, and how the work is spread."""

    parts: tuple[PartFile, ...]
    clock: tuple[int, ...]  # times, microseconds, that cut the posts into stretches of about one size
    config: DuplicatesConfig

    @property
    def key_addresses(self) -> int:
        """Return how many addresses share the keys."""
        keys = sum(part.posts for part in self.parts) * KEYS_PER_POST
        return max(len(self.clock) + 1, -(-keys // KEYS_PER_ADDRESS))


def find_duplicates(spark: SparkSession, corpus: Corpus) -> DataFrame:
    """Return mail for the current parts: tables of DECISION. Nothing is said of a post that stands alone."""
    parts = len(corpus.parts)
    times = post(spark, parts, partial(rank_posts, corpus))
    ranks = answer(times, len(corpus.clock) + 1, _rank)
    keys = answer(ranks, parts, partial(send_keys, corpus))
    owners = answer(keys, corpus.key_addresses, partial(find_owners, corpus))
    signed = answer(owners, parts, partial(send_signatures, corpus))
    chosen = answer(signed, parts, partial(choose_owner, corpus))
    return answer(chosen, parts, partial(count_cluster, corpus))


def rank_posts(corpus: Corpus, part: int) -> Mail:
    """Send what decides the order of each post to the stretch of time it belongs to.

    A post without a time stands at 1970, beside others without one.
    """
    file = corpus.parts[part]
    posts = _read(
        corpus, part, ["id", "created_at", "extra", "sketch.fingerprint", *([] if file.current else ["epoch"])]
    )
    micros = _micros(posts)
    rows = len(micros)
    table = pa.table(
        {
            "epoch": np.full(rows, file.epoch) if file.current else posts.column("epoch"),
            "micros": micros,
            "id": posts.column("id"),
            "version": edit_times(posts.column("extra").combine_chunks()),
            "fingerprint": pc.struct_field(posts.column("sketch"), "fingerprint"),
            "place": _place(part, np.arange(rows)),
        }
    )
    return sort_out(table, np.searchsorted(np.array(corpus.clock, np.int64), micros, side="right"))


def _rank(stretch: int, posts: pa.Table) -> Mail:
    """Number the posts of a stretch of time in (epoch, created_at, id) order: 40 bits below those of the epoch.

    The 12 bits above the place in the stretch are the stretch, so an epoch has room for 2^40 posts.
    """
    keys = [(name, "ascending") for name in ("epoch", "micros", "id", "version", "fingerprint", "place")]
    by_order = pc.sort_indices(posts, sort_keys=keys).to_numpy()
    epoch, place = posts.column("epoch").to_numpy(), posts.column("place").to_numpy()
    rank = np.empty(len(place), np.int64)
    rank[by_order] = np.arange(len(place))
    order = (epoch << 40) | (stretch << 28) | rank
    return sort_out(pa.table({"row": _row(place), "order": order}), _part(place))


def send_keys(corpus: Corpus, part: int, ranks: pa.Table) -> Mail:
    """Send every key of every post of a part to the address that keeps it."""
    file = corpus.parts[part]
    posts = _read(corpus, part, ["id", "created_at", "repost_of", "extra", "sketch.fingerprint", "sketch.bands"])
    rows = posts.num_rows
    order = np.empty(rows, np.int64)
    order[ranks.column("row").to_numpy()] = ranks.column("order").to_numpy()
    day = _micros(posts) // DAY_MICROS
    version = edit_times(posts.column("extra").combine_chunks()).to_numpy()
    ids, reposts = posts.column("id"), posts.column("repost_of")
    text_rows, text_keys = _text_keys(posts.column("sketch").combine_chunks())
    asks_root = np.where(reposts.is_valid().to_numpy() & file.current, BY_ROOT, BY_ROOT - 3)
    everyone = np.arange(rows)

    def asks(what: int, count: int) -> Longs:
        return np.full(count, what if file.current else what - 3)

    row = np.concatenate([everyone, everyone, text_rows])
    key = np.concatenate([_salted(_hash(ids), BY_ID), _salted(_hash(pc.coalesce(reposts, ids)), BY_ROOT), text_keys])
    ask = np.concatenate([asks(BY_ID, rows), asks_root, asks(BY_TEXT, len(text_rows))])
    value = np.concatenate([version, day, day[text_rows]])
    table = pa.table(
        {"key": key, "order": order[row], "value": value, "ask": ask.astype(np.int8), "place": _place(part, row)}
    )
    return sort_out(table, (key.view(np.uint64) % np.uint64(corpus.key_addresses)).astype(np.int64))


def _text_keys(sketch: pa.StructArray) -> tuple[Longs, Longs]:
    """Return the row and the key of each fingerprint and band; a post with nothing to compare has none."""
    prints, bands = pc.struct_field(sketch, "fingerprint"), pc.struct_field(sketch, "bands")
    printed = np.flatnonzero(prints.is_valid().to_numpy(zero_copy_only=False))
    banded = np.repeat(np.arange(len(bands)), pc.fill_null(pc.list_value_length(bands), 0).to_numpy())
    keys = np.concatenate([prints.drop_null().to_numpy(), pc.list_flatten(bands).to_numpy()])
    return np.concatenate([printed, banded]), _salted(keys, BY_TEXT)


def find_owners(corpus: Corpus, _: int, keys: pa.Table) -> Mail:
    """Tell each earlier owner's part which posts share its key; see kernels.owners for who owns what."""
    column = {name: keys.column(name).to_numpy() for name in keys.column_names}
    reach = corpus.config.horizon_days - 1
    links = link_rows(column["key"], column["order"], column["value"], column["ask"], reach)
    place, owner = column["place"][links[:, 0]], column["place"][links[:, 1]]
    table = pa.table(
        {
            "place": place,
            "owner": owner,
            "owner_order": column["order"][links[:, 1]],
            "what": links[:, 2].astype(np.int8),
        }
    )
    table = table.take(_distinct(place, owner, links[:, 2]))
    return sort_out(table, _part(table.column("owner").to_numpy()))


def send_signatures(corpus: Corpus, part: int, links: pa.Table) -> Mail:
    """Add to each link what the post's part must know of the owner."""
    place, owner = (links.column(name).to_numpy() for name in ("place", "owner"))
    links = links.take(_distinct(place, owner, links.column("what").to_numpy()))
    posts = _read(corpus, part, ["id", "sketch.fingerprint", "sketch.signature"])
    posts = posts.take(_row(links.column("owner").to_numpy()))
    for name, column in _identity(posts).items():
        links = links.append_column(f"owner_{name}", column)
    return sort_out(links, _part(links.column("place").to_numpy()))


def choose_owner(corpus: Corpus, part: int, links: pa.Table) -> Mail:
    """Keep for each post the link that counts, an id before an original before a text, and tell the owner's part."""
    row = _row(links.column("place").to_numpy())
    what = links.column("what").to_numpy()
    posts = _read(corpus, part, ["id", "author_id", "sketch.fingerprint", "sketch.signature"]).take(row)
    own = _identity(posts)
    by_text = np.flatnonzero(what == BY_TEXT)
    similar = estimate_jaccard(
        own["signature"].take(by_text).combine_chunks(), links.column("owner_signature").take(by_text).combine_chunks()
    )
    other_post = pc.not_equal(own["id"], links.column("owner_id")).to_numpy()  # no version duplicates another of its id
    holds = np.ones(len(what), np.bool_)
    holds[by_text] = (similar >= corpus.config.threshold) & other_post[by_text]
    first = np.where(what == BY_TEXT, 2, np.where(what == BY_ROOT, 1, 0))
    best = np.lexsort((links.column("owner_order").to_numpy(), first, row, ~holds))[: holds.sum()]
    best = best[np.r_[True, row[best][1:] != row[best][:-1]]] if len(best) else best
    same_text = pc.equal(own["fingerprint"], links.column("owner_fingerprint")).fill_null(False).to_numpy()
    kinds = np.select(
        [what == BY_ID, what == SUPERSEDED, what == BY_ROOT, same_text],
        ["repeated_id", "superseded", "repost", "exact"],
        "near",
    )
    table = pa.table(
        {
            "place": links.column("place").take(best),
            "owner": links.column("owner").take(best),
            "duplicate_of": links.column("owner_id").take(best),
            "kind": pa.array(kinds[best], pa.string()),
            "author": posts.column("author_id").take(best),
        }
    )
    return sort_out(table, _part(table.column("owner").to_numpy()))


def count_cluster(corpus: Corpus, part: int, members: pa.Table) -> Mail:
    """Count each cluster of a part's posts and tell its members, the original included, as DECISION."""
    owner = _row(members.column("owner").to_numpy())
    originals, cluster = np.unique(owner, return_inverse=True)
    authors = _read(corpus, part, ["author_id"]).column("author_id").take(originals)
    people = pa.table(
        {
            "cluster": np.concatenate([cluster, np.arange(len(originals))]),
            "author": pa.chunked_array([*members.column("author").chunks, *authors.chunks], pa.string()),
        }
    )
    counts = people.group_by("cluster").aggregate([("author", "count_distinct")]).sort_by("cluster")
    distinct = counts.column("author_count_distinct").to_numpy()
    size = np.bincount(cluster, minlength=len(originals)) + 1
    place = members.column("place").to_numpy()
    told = pa.table(
        [
            pa.array(_row(place), pa.int32()),
            members.column("duplicate_of"),
            members.column("kind"),
            pa.array(size[cluster], pa.int64()),
            pa.array(distinct[cluster], pa.int64()),
        ],
        schema=DECISION,
    )
    yield from sort_out(told, _part(place))
    if corpus.parts[part].current:
        nobody = pa.nulls(len(originals), pa.string())
        columns = [pa.array(originals, pa.int32()), nobody, nobody, pa.array(size), pa.array(distinct, pa.int64())]
        yield part, pa.table(columns, schema=DECISION)


def stretches(quantiles: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """Return the times that cut all posts into about `count` equal stretches, from the quantiles of each part."""
    times = np.sort(np.concatenate([np.asarray(part, np.int64) for part in quantiles] or [np.zeros(0, np.int64)]))
    if len(times) == 0:
        return ()
    cuts = times[(np.arange(1, count) * len(times)) // count]
    return tuple(np.unique(cuts).tolist())


def history(root: Path, times: Sequence[Sequence[int]], horizon_days: int) -> list[PartFile]:
    """Return the files of the posts table that may hold originals of posts made at some of `times`, microseconds.

    `times` are a sample, so a day is allowed for on both sides; a file that does not say its time is always read.
    """
    known = [time for part in times for time in part]
    reach = (horizon_days + 1) * DAY_MICROS
    first, last = min(known, default=0) - reach, max(known, default=0) + reach

    def in_reach(file: PostsFile) -> bool:
        if file.first is None or file.last is None:
            return True
        return file.last.timestamp() * 1e6 >= first and file.first.timestamp() * 1e6 <= last

    return [PartFile(file.path, -1, file.posts, False) for file in posts_files(root) if in_reach(file)]


def _read(corpus: Corpus, part: int, columns: list[str]) -> pa.Table:
    return pq.ParquetFile(corpus.parts[part].path).read(columns=columns)


def _identity(posts: pa.Table) -> dict[str, pa.ChunkedArray]:
    sketch = posts.column("sketch")
    return {
        "id": posts.column("id"),
        "fingerprint": pc.struct_field(sketch, "fingerprint"),
        "signature": pc.struct_field(sketch, "signature"),
    }


def _micros(posts: pa.Table) -> Longs:
    return posts.column("created_at").cast(pa.int64()).fill_null(0).to_numpy()


def _hash(ids: pa.ChunkedArray) -> Longs:
    return fingerprint(*utf8_buffers(ids))


def _salted(keys: Longs, what: int) -> Longs:
    """Keep keys of different meaning apart: times an odd number, the keys of one meaning stay distinct."""
    return (keys.view(np.uint64) * np.uint64(2 * what + 0x9E3779B97F4A7C15)).view(np.int64)


def _place(part: int, rows: Longs) -> Longs:
    return (part << 32) | rows.astype(np.int64)


def _part(place: Longs) -> Longs:
    return place >> 32


def _row(place: Longs) -> Longs:
    return place & 0xFFFFFFFF


def _distinct(*columns: Longs) -> Longs:
    """Return the position of the first of each distinct row of some columns."""
    by_value = np.lexsort(columns)
    new = np.zeros(len(by_value), np.bool_)
    new[:1] = True
    for column in columns:
        values = column[by_value]
        new[1:] |= values[1:] != values[:-1]
    return by_value[new]
