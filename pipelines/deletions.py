"""Which posts of a step a tombstone names, by id or by author.

part, tombstones -> key     ids and authors of posts, and what events say of them   (send_names, send_events)
key              -> part    the posts that must go                                  (find_gone)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from filters.kernels.fingerprint import fingerprint
from filters.kernels.utf8 import utf8_buffers
from pipelines.duplicates import DECISION, Corpus, Longs
from pipelines.exchange import Mail, answer, post, sort_out

NOBODY = -1  # the place of an event: it is no post


def find_deleted(spark: SparkSession, corpus: Corpus, tombstones: Sequence[str]) -> DataFrame:
    """Return mail for the current parts: a row of DECISION that says nothing else for each post that must go."""
    names = post(spark, len(corpus.parts), partial(send_names, corpus))
    events = post(spark, len(tombstones), partial(send_events, tuple(tombstones), corpus.key_addresses))
    return answer(names.union(events), corpus.key_addresses, find_gone)


def send_names(corpus: Corpus, part: int) -> Mail:
    """Send the id and the author of every current post to the address that keeps them."""
    if not corpus.parts[part].current:
        return []
    posts = pq.read_table(corpus.parts[part].path, columns=["id", "author_id"])
    place = (part << 32) | np.arange(posts.num_rows)
    known = posts.column("author_id").is_valid().to_numpy()
    keys = np.concatenate([_key(posts.column("id"), 0), _key(posts.column("author_id"), 1)[known]])
    places = np.concatenate([place, place[known]])
    return _mail(keys, places, np.zeros(len(keys), np.bool_), np.zeros(len(keys), np.int64), corpus.key_addresses)


def send_events(tombstones: Sequence[str], addresses: int, number: int) -> Mail:
    """Send what each event of a tombstone file says of a post or an author."""
    events = pq.read_table(tombstones[number], columns=["kind", "post_id", "author_id", "event_at"])
    kinds = events.column("kind")
    of_author = pc.or_(pc.starts_with(kinds, "author_"), pc.equal(kinds, "geo_scrubbed")).to_numpy()
    keys = np.where(of_author, _key(events.column("author_id"), 1), _key(events.column("post_id"), 0))
    gone = ~pc.is_in(kinds, pa.array(["post_restored", "author_restored"])).to_numpy()
    micros = events.column("event_at").cast(pa.int64()).fill_null(0).to_numpy()
    said = pc.not_equal(kinds, "geo_scrubbed").to_numpy()  # no location is kept in the canonical columns
    return _mail(keys[said], np.full(said.sum(), NOBODY), gone[said], micros[said], addresses)


def find_gone(_: int, said: pa.Table) -> Mail:
    """Tell the part of each post that the newest event on it, or on its author, takes away."""
    key, place, gone = (said.column(name).to_numpy() for name in ("key", "place", "gone"))
    events = np.flatnonzero(place == NOBODY)
    by_time = events[np.lexsort((gone[events], said.column("micros").to_numpy()[events], key[events]))]
    newest = np.r_[key[by_time][1:] != key[by_time][:-1], True] if len(by_time) else np.zeros(0, np.bool_)
    doomed = np.unique(key[by_time[newest & gone[by_time]]])
    posts = np.unique(place[(place != NOBODY) & np.isin(key, doomed)])
    blanks = [pa.nulls(len(posts), field.type) for field in list(DECISION)[1:]]
    table = pa.table([pa.array(posts & 0xFFFFFFFF, pa.int32()), *blanks], schema=DECISION)
    return sort_out(table, posts >> 32)


def _mail(keys: Longs, places: Longs, gone: Longs, micros: Longs, addresses: int) -> Mail:
    table = pa.table({"key": keys, "place": places, "gone": gone, "micros": micros})
    return sort_out(table, (keys.view(np.uint64) % np.uint64(addresses)).astype(np.int64))


def _key(ids: pa.ChunkedArray, what: int) -> Longs:
    return (fingerprint(*utf8_buffers(ids)).view(np.uint64) * np.uint64(2 * what + 3)).view(np.int64)
