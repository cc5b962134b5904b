"""What `value.py` trains on and is scored on: a pool of real posts, what each arm takes of it, held-out texts.

No post of the pool is held out, and no text of the pool is scored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.prepare import BenchError
from bench.stages import complete
from filters.clean_text import CleanText
from filters.pii import Pii
from filters.stage import annotate
from pipelines import tables
from schemas.tokens import DOCUMENT

TWEETS, REDDIT = "ira-tweets.parquet", "reddit-posts.parquet"
THREADS = ("irc-ubuntu", "twitter-semeval2017")
HELD_OUT = 10  # one Reddit post in so many, by the hash of its id, is scored and never trained on
LEAST_CHARS = 40  # of a Reddit post that is scored
LEAST_TURNS = 3  # of a conversation that is scored


class Pool(NamedTuple):
    """Real posts by where they are from, and the Reddit posts that were held out of them."""

    tweets: pa.Table
    reddit: pa.Table
    held_out: pa.Table


def pool(real_data: Path, posts: int) -> Pool:
    """Return the first tweets that are said to be English, so many, and of the Reddit posts, but for a tenth."""
    paths = [real_data / "posts" / name for name in (TWEETS, REDDIT)]
    if absent := [path.name for path in paths if not path.is_file()]:
        raise BenchError(f"no posts/{absent[0]} under {real_data}: give --real-data DIR")
    tweets, reddit = map(pq.read_table, paths)
    tweets = tweets.filter(pc.equal(tweets["lang_hint"], "English")).slice(0, posts)
    held_out = pa.array([is_held_out(one) for one in reddit["id"].to_pylist()])
    return Pool(tweets, reddit.filter(pc.invert(held_out)).slice(0, posts), reddit.filter(held_out))


def is_held_out(post_id: str) -> bool:
    """Tell whether a post is scored and not trained on."""
    return int.from_bytes(hashlib.sha256(post_id.encode()).digest()[:8], "big") % HELD_OUT == 0


def write_pool(taken: Pool, folder: Path) -> list[Path]:
    """Write the posts of the pool for `swarmfeed run`, a file for each source."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, posts in ((TWEETS, taken.tweets), (REDDIT, taken.reddit)):
        pq.write_table(posts, folder / name, compression="zstd")
    return [folder / TWEETS, folder / REDDIT]


def raw_documents(posts: pa.Table) -> pa.Table:
    """Make one document of each post, its text as it came."""
    return documents(posts["id"].to_pylist(), posts["text"].to_pylist(), posts["source"].to_pylist())


def curated_documents(out: Path) -> pa.Table:
    """Return the documents that `swarmfeed run` made: one of each kept post."""
    found = pa.concat_tables([pq.read_table(file) for file in tables.table_files(out, "documents")])
    return found.select(DOCUMENT.names).cast(DOCUMENT).sort_by("document_id")


def documents(ids: Sequence[str], texts: Sequence[str], domains: Sequence[str]) -> pa.Table:
    """Return documents of schema DOCUMENT, each its own post."""
    rows = {"document_id": ids, "text": texts, "post_ids": [[one] for one in ids], "domain": domains}
    columns = [pa.array(rows[one.name], one.type) if one.name in rows else pa.nulls(len(ids), one.type)
               for one in DOCUMENT]  # fmt: skip
    return pa.Table.from_arrays(columns, schema=DOCUMENT)


def at_random(taken: Pool, curated: pa.Table, seed: int) -> pa.Table:
    """Return as many posts of each source as were kept, drawn at random, as documents with their text as it came."""
    chance = np.random.default_rng(seed)
    kept = set(curated["document_id"].to_pylist())
    drawn = []
    for posts in (taken.tweets, taken.reddit):
        count = len(kept.intersection(posts["id"].to_pylist()))
        drawn.append(posts.take(np.sort(chance.permutation(len(posts))[:count])))
    return raw_documents(pa.concat_tables(drawn))


def held_out_documents(real_data: Path, taken: Pool) -> dict[str, pa.Table]:
    """Return what is scored, by name: Reddit posts that were held out, and conversations of `threads/`.

    Clean text only: what cleaning or redaction would change is left out, so no arm is favoured by how texts are
    spelt. A conversation is its turns in time order, a line each; a text of the pool is not scored.
    """
    known = set(taken.reddit["text"].to_pylist())
    reddit = [one for one in clean_rows(taken.held_out) if len(one["text"]) >= LEAST_CHARS and one["text"] not in known]
    found = {"reddit": documents(*zip(*((one["id"], one["text"], one["source"]) for one in reddit), strict=True))}
    for name in THREADS:
        path = real_data / "threads" / f"{name}.parquet"
        if not path.is_file():
            raise BenchError(f"no threads/{name}.parquet under {real_data}: give --real-data DIR")
        found[name] = conversations(pq.read_table(path), name)
    return found


def conversations(turns: pa.Table, name: str) -> pa.Table:
    """Return a document for each conversation that has enough clean turns."""
    said: dict[str, list[str]] = {}
    for one in clean_rows(turns.sort_by([("created_at", "ascending"), ("id", "ascending")])):
        said.setdefault(one["conversation_id"], []).append(one["text"])
    long_enough = {key: texts for key, texts in said.items() if len(texts) >= LEAST_TURNS}
    return documents(list(long_enough), ["\n".join(texts) for texts in long_enough.values()], [name] * len(long_enough))


def clean_rows(posts: pa.Table) -> list[dict[str, str]]:
    """Return the posts whose text cleaning and redaction leave as it is."""
    rows: list[dict[str, str]] = []
    for batch in complete(posts).combine_chunks().to_batches():
        done, _ = annotate(batch, (CleanText(), Pii()))
        same = pc.equal(pc.struct_field(done.column("pii"), "redacted"), done.column("text"))
        rows += done.select(["id", "text", "source", "conversation_id"]).filter(same).to_pylist()
    return [row for row in rows if row["text"]]
