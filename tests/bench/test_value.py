"""What is scored is never trained on, arms take what they say, and figures are means over seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import value_texts
from bench.prepare import BenchError
from bench.stages import complete

pytest.importorskip("jax", reason="JAX is not installed: pip install 'swarmfeed[trainer]'")

from bench import value
from pipelines.tokens.tokenizer import load_tokenizer

WORDS = ("river", "stone", "cloud", "market", "window", "garden", "letter", "pocket", "silver", "winter", "summer")
POSTS = 120


def said(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in range(1, 12)) + f" {number}"


def posts(source: str, count: int, **columns: list[str | None]) -> pa.Table:
    """Posts with canonical columns."""
    ids = [f"{source}-{number}" for number in range(count)]
    rows = {"id": ids, "text": [said(number) for number in range(count)], "source": [source] * count}
    return complete(pa.table(rows | columns))


@pytest.fixture(scope="module")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented posts and threads where the real ones would be."""
    root = tmp_path_factory.mktemp("real")
    (root / "posts").mkdir()
    (root / "threads").mkdir()
    hints: list[str | None] = ["English" if number % 3 else "Russian" for number in range(POSTS)]
    pq.write_table(posts("twitter", POSTS, lang_hint=hints), root / "posts" / value_texts.TWEETS)
    pq.write_table(posts("reddit", 400), root / "posts" / value_texts.REDDIT)
    turns = posts("irc", 9, conversation_id=[*"aaaabbccc"])
    texts = [*turns["text"].to_pylist()[:8], "write to someone@example.org"]
    turns = turns.set_column(turns.schema.get_field_index("text"), "text", pa.array(texts))
    for name in value_texts.THREADS:
        pq.write_table(turns, root / "threads" / f"{name}.parquet")
    return root


def test_what_is_scored_is_not_trained_on(real_data: Path) -> None:
    taken = value_texts.pool(real_data, POSTS)
    assert len(taken.tweets) == 80  # the English ones
    held_out, trained = ({*one["id"].to_pylist()} for one in (taken.held_out, taken.reddit))
    assert 20 < len(held_out) < 60
    assert not held_out & trained
    assert len(trained) == POSTS  # no more than asked, of each source
    scored = value_texts.held_out_documents(real_data, taken)
    assert not {*scored["reddit"]["text"].to_pylist()} & {*taken.reddit["text"].to_pylist()}
    assert {*scored["reddit"]["document_id"].to_pylist()} == held_out


def test_conversations_are_clean_turns_in_order(real_data: Path) -> None:
    found = value_texts.conversations(pq.read_table(real_data / "threads" / "irc-ubuntu.parquet"), "irc")
    assert found["document_id"].to_pylist() == ["a"]  # b is too short; c is, once its last turn is left out
    assert found["text"].to_pylist() == ["\n".join(map(said, range(4)))]


def test_random_takes_as_many_of_each_source_as_were_kept(real_data: Path) -> None:
    taken = value_texts.pool(real_data, POSTS)
    kept = [*taken.tweets["id"].to_pylist()[:7], *taken.reddit["id"].to_pylist()[:30]]
    curated = value_texts.documents(kept, kept, kept)
    one, same, other = (value_texts.at_random(taken, curated, seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)
    for drawn in (one, other):
        ids = drawn["document_id"].to_pylist()
        assert len(set(ids)) == len(ids) == 37
        assert sum(name.startswith("twitter") for name in ids) == 7


def test_absent_posts_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no posts/ira-tweets\.parquet"):
        value_texts.pool(tmp_path, 1)


def test_every_arm_is_trained_and_scored(real_data: Path, tmp_path: Path) -> None:
    taken = value_texts.pool(real_data, POSTS)
    experiment = value.Experiment(tmp_path, load_tokenizer("default"), 2 * 4 * value.CONTEXT, 16)
    held_out = value_texts.held_out_documents(real_data, taken)
    scored = value.write_held_out(experiment, {"reddit": held_out["reddit"]})
    raw = value_texts.raw_documents(pa.concat_tables([taken.tweets, taken.reddit]))
    read = value.write_set(experiment, "raw", raw)
    assert read["documents"] == 200
    assert 0.5 < value.reddit_share(raw) < 0.7
    experiment = value.replace(experiment, scored=tuple(scored))
    losses, models = value.trained(experiment, {"raw": ["raw"], "curated": ["raw"]}, 1)
    assert losses["raw"] == losses["curated"]  # the same posts, seed and tokens
    assert 0 < losses["raw"]["reddit"][0] < 12
    told = value.summary(losses)
    assert told["gains"]["raw"]["reddit"] == {"mean": 0, "error": None}
    assert value.ensembles(experiment, models) == {"reddit": {}}  # nobody could be missing
    json.dumps(told)
