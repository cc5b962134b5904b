"""Duplicates within a step, by one definition: a post duplicates the earliest post that owns one of its bands.

A post is a duplicate of the earliest post, in (epoch, created_at, id) order and inside the horizon, that owns one of
its bands and whose estimated Jaccard with it reaches the threshold. The owner of a band on a day is the earliest post
that had it that day, kept or not. There is no transitive closure: the answer is a function of the set and the order.

Only keys and sketches are shuffled, never texts: once by key, to learn who owned it first, and once by post, to
estimate the Jaccard of those who share one. Ids and originals are keys like any band; they need no estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 (the name the field uses)

from filters.kernels.owners import BY_ID, BY_ROOT, BY_TEXT, SUPERSEDED, link_rows
from filters.sketch import estimate_jaccard
from schemas.config import DuplicatesConfig

DAY_MICROS = 86_400_000_000
DECISION = "part int, row int, duplicate_of string, kind string, cluster_size long, cluster_authors long"


@dataclass(frozen=True)
class Corpus:
    """The posts of an epoch, staged, and the files of the posts table that may hold their originals."""

    epoch: int
    staged: Sequence[str]
    history: Sequence[str] = ()


def rank_posts(spark: SparkSession, corpus: Corpus, scratch: Path) -> DataFrame:
    """Number every post in (epoch, created_at, id) order and keep what the search needs, on disk.

    A post without a time stands first and shares a day with its like. History outside the horizon of any post can
    be left out of `corpus` but does no harm.
    """
    sides = [_keys(spark.read.parquet(*corpus.staged), F.lit(corpus.epoch), F.col("part"), F.col("row"))]
    if corpus.history:
        old = spark.read.parquet(*corpus.history).withColumn("version", F.lit(0).cast("long"))
        sides.append(_keys(old, F.col("epoch"), F.lit(None).cast("int"), F.lit(None).cast("int")))
    keys = sides[0] if len(sides) == 1 else sides[0].unionByName(sides[1])
    ordered = keys.sort("epoch", "micros", "id", "version", "fingerprint", "part", "row")
    # After a total sort this id is increasing in that order, which is all a rank has to be.
    ranked = ordered.withColumn("order", F.monotonically_increasing_id())
    path = str(scratch / "ranked")
    ranked.drop("epoch", "micros").write.parquet(path)
    return spark.read.parquet(path)


def _keys(posts: DataFrame, epoch: Column, part: Column, row: Column) -> DataFrame:
    micros = F.coalesce(F.unix_micros("created_at"), F.lit(0))
    return posts.select(
        epoch.cast("long").alias("epoch"),
        micros.alias("micros"),
        F.floor(micros / DAY_MICROS).alias("day"),
        part.alias("part"),
        row.alias("row"),
        "id",
        "version",
        F.xxhash64("id").alias("id_key"),
        _key("author_id").alias("author"),
        F.xxhash64(F.coalesce("repost_of", "id")).alias("root"),
        F.col("repost_of").isNotNull().alias("is_repost"),
        "sketch.fingerprint",
        "sketch.bands",
        "sketch.signature",
    )


def _key(name: str) -> Column:
    """Return a 64-bit key of an id column, null where there is no id."""
    return F.when(F.col(name).isNotNull(), F.xxhash64(name))


def find_duplicates(ranked: DataFrame, config: DuplicatesConfig) -> DataFrame:
    """Return what there is to say of each post of the epoch, as DECISION; of a post alone nothing is said.

    A post that both duplicates and is duplicated comes twice: the row that has a kind counts.
    """
    target = ranked.select(
        F.col("order").alias("target"),
        F.col("id").alias("duplicate_of"),
        F.col("fingerprint").alias("target_fingerprint"),
        F.col("author").alias("target_author"),
        F.col("part").alias("target_part"),
        F.col("row").alias("target_row"),
    )
    same_text = F.col("fingerprint") == F.col("target_fingerprint")
    kind = (
        F.when(F.col("what") == BY_ID, "repeated_id")
        .when(F.col("what") == SUPERSEDED, "superseded")
        .when(F.col("what") == BY_ROOT, "repost")
        .otherwise(F.when(same_text, "exact").otherwise("near"))
    )
    cluster = Window.partitionBy("target")
    authors = F.array_union(F.collect_set("author").over(cluster), F.array_compact(F.array("target_author")))
    linked = (
        _best_links(ranked, config)
        .join(ranked.select("order", "part", "row", "author", "fingerprint"), "order")
        .join(target, "target")
        .select(
            "*",
            kind.alias("kind"),
            (F.count("*").over(cluster) + 1).alias("cluster_size"),
            F.size(authors).cast("long").alias("cluster_authors"),
            F.row_number().over(cluster.orderBy("order")).alias("place"),
        )
        .persist()
    )
    nobody = F.lit(None).cast("string")
    firsts = linked.where("place = 1 and target_part is not null").select(
        F.col("target_part").alias("part"),
        F.col("target_row").alias("row"),
        nobody.alias("duplicate_of"),
        nobody.alias("kind"),
        "cluster_size",
        "cluster_authors",
    )
    return linked.select(firsts.columns).unionByName(firsts)


def _best_links(ranked: DataFrame, config: DuplicatesConfig) -> DataFrame:
    """Return (order, target, what): of each post's links that hold, an id counts before an original before a text."""
    links = _owners(ranked, config.horizon_days).distinct()
    by_text = F.col("what") == BY_TEXT
    similar = _verified(links.where(by_text).select("order", "owner"), ranked, config.threshold)
    every = links.where(~by_text).unionByName(similar.withColumn("what", F.lit(BY_TEXT).cast("byte")))
    rank = F.when(F.col("what") == BY_ROOT, 1).when(by_text, 2).otherwise(0)
    best = Window.partitionBy("order").orderBy(rank, "owner")
    return (
        every.withColumn("place", F.row_number().over(best))
        .where("place = 1")
        .select("order", F.col("owner").alias("target"), "what")
    )


def _owners(ranked: DataFrame, horizon_days: int) -> DataFrame:
    """Return (order, owner, what) for every post and every earlier owner of one of its keys inside the horizon.

    The owner of a key on a day is the earliest post that had it that day; days closer than `horizon_days`, either way,
    are inside the horizon. A text key needs a text: posts with nothing to compare have none.
    """
    current = F.col("part").isNotNull()

    def entry(what: int, key: Column, value: Column, asks: Column) -> Column:
        ask = F.when(current & asks, what).otherwise(what - 3).cast("byte")
        return F.struct(F.xxhash64(F.lit(what), key).alias("key"), value.cast("long").alias("value"), ask.alias("ask"))

    day, always = F.col("day"), F.lit(True)
    texts = F.concat(F.array("fingerprint"), F.coalesce("bands", F.array().cast("array<bigint>")))
    named = F.array(
        entry(BY_ID, F.col("id_key"), F.col("version"), always),
        entry(BY_ROOT, F.col("root"), day, F.col("is_repost")),
    )
    similar = F.transform(texts, lambda key: entry(BY_TEXT, key, day, always))
    entries = F.when(F.col("fingerprint").isNull(), named).otherwise(F.concat(named, similar))
    rows = ranked.select("order", F.explode(entries).alias("entry")).select("order", "entry.*")
    reach = horizon_days - 1

    def link(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        stretch = list(batches)
        if not stretch:
            return
        table = pa.Table.from_batches(stretch)
        key, order, value, ask = (table.column(name).to_numpy() for name in ("key", "order", "value", "ask"))
        links = link_rows(key, order, value, ask, reach)
        names = ["order", "owner", "what"]
        yield pa.RecordBatch.from_arrays(
            [*map(pa.array, links.T[:2]), pa.array(links[:, 2].astype(np.int8))], names=names
        )

    return rows.repartition("key").mapInArrow(link, "order long, owner long, what byte")


def _verified(pairs: DataFrame, ranked: DataFrame, threshold: float) -> DataFrame:
    """Keep the pairs whose estimated Jaccard reaches the threshold, two versions of one id never."""
    left = ranked.select("order", F.col("signature").alias("left"), F.col("id_key").alias("left_id"))
    right = ranked.select(
        F.col("order").alias("owner"), F.col("signature").alias("right"), F.col("id_key").alias("right_id")
    )

    def verify(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            similar = estimate_jaccard(batch.column("left"), batch.column("right")) >= threshold
            yield batch.select(["order", "owner"]).filter(pa.array(similar))

    signed = pairs.join(left, "order").join(right, "owner").where("left_id != right_id")
    return signed.select("order", "owner", "left", "right").mapInArrow(verify, "order long, owner long")


def find_deleted(spark: SparkSession, ranked: DataFrame, tombstones: Sequence[str]) -> DataFrame:
    """Return (part, row) of the posts that a tombstone names, by id or by author; the newest event on each counts."""
    events = spark.read.parquet(*tombstones).select(
        "kind", _key("post_id").alias("post"), _key("author_id").alias("account"), "event_at"
    )
    newest = F.max_by("kind", F.coalesce(F.unix_micros("event_at"), F.lit(0)))
    posts = events.where("kind like 'post_%'").groupBy("post").agg(newest.alias("kind"))
    accounts = events.where("kind like 'author_%'").groupBy("account").agg(newest.alias("kind"))
    gone_posts = posts.where("kind != 'post_restored'").select(F.col("post").alias("id_key"))
    gone_accounts = accounts.where("kind != 'author_restored'").select(F.col("account").alias("author"))
    current = ranked.where("part is not null")
    by_id = current.join(gone_posts, "id_key", "left_semi").select("part", "row")
    by_author = current.join(gone_accounts, "author", "left_semi").select("part", "row")
    return by_id.union(by_author).distinct()
