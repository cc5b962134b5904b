"""A repeat is new posts: no id comes twice, a seed gives the same posts, copies stay copies, days stay as full."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench import edits

DAYS = 20
WORDS = [
    "river",
    "stone",
    "cloud",
    "market",
    "window",
    "garden",
    "letter",
    "pocket",
    "silver",
    "winter",
    "summer",
    "bridge",
]


def made_up(rows: int = 400) -> pa.Table:
    """Posts of twenty days, in time order; every tenth says what the one before said, every seventh is a repost."""
    chance = random.Random(5)
    texts = [" ".join(chance.choices(WORDS, k=8)) + f" https://x.example/{row} @someone #Winter" for row in range(rows)]
    for row in range(9, rows, 10):
        texts[row] = texts[row - 1]
    first = datetime(2024, 3, 1, 7, tzinfo=UTC)
    return pa.table(
        {
            "id": [f"post-{row}" for row in range(rows)],
            "author_id": [None if row % 50 == 0 else f"author-{row % 30}" for row in range(rows)],
            "created_at": pa.array(
                [first + timedelta(days=DAYS * row / rows) for row in range(rows)], pa.timestamp("us", "UTC")
            ),
            "text": texts,
            "lang_hint": ["English" if row % 3 else None for row in range(rows)],
            "repost_of": ["group-1" if row % 7 == 0 else None for row in range(rows)],
            "extra": ["{}"] * rows,
        }
    )


@pytest.fixture(scope="module")
def posts() -> pa.Table:
    return made_up()


def test_the_first_are_the_real_posts(posts: pa.Table) -> None:
    assert next(edits.repeated(posts, 3)).equals(posts)
    assert [table.num_rows for table in edits.repeated(posts, 1)] == [posts.num_rows]


def test_the_same_seed_gives_the_same_posts_and_another_seed_others(posts: pa.Table) -> None:
    once, again = list(edits.repeated(posts, 3, seed=4)), list(edits.repeated(posts, 3, seed=4))
    assert all(one.equals(other) for one, other in zip(once, again, strict=True))
    assert not once[1]["text"].equals(once[2]["text"])
    assert not once[1]["text"].equals(list(edits.repeated(posts, 2, seed=5))[1]["text"])


def test_no_id_comes_twice_and_what_belongs_together_still_does(posts: pa.Table) -> None:
    whole = pa.concat_tables(edits.repeated(posts, 3))
    assert pc.count_distinct(whole["id"]).as_py() == whole.num_rows == 3 * posts.num_rows
    assert pc.count_distinct(whole["author_id"]).as_py() == 3 * 30
    assert whole["author_id"].null_count == 3 * posts["author_id"].null_count
    assert sorted(whole["repost_of"].drop_null().unique().to_pylist()) == ["group-1", "group-1~1", "group-1~2"]
    assert whole.schema.equals(posts.schema)


def test_repeats_follow_in_time_and_days_stay_as_full(posts: pa.Table) -> None:
    whole = pa.concat_tables(edits.repeated(posts, 3))["created_at"]
    micros = whole.cast(pa.int64()).to_pylist()
    assert micros == sorted(micros)
    days = Counter(value.date() for value in whole.to_pylist())
    assert edits.spanned_days(posts) == DAYS + 1
    assert len(days) == 3 * (DAYS + 1)
    assert max(days.values()) == posts.num_rows // DAYS


def test_posts_of_a_few_days_never_meet_their_repeats(posts: pa.Table) -> None:
    first, second = edits.repeated(posts.slice(0, 20), 2)
    later = (
        pc.subtract(second["created_at"].cast(pa.int64()), first["created_at"].cast(pa.int64())).unique().to_pylist()
    )
    assert later == [edits.SHORTEST_SHIFT_DAYS * edits.DAY_MICROS]


def test_most_texts_change_and_copies_stay_copies(posts: pa.Table) -> None:
    for repeat in list(edits.repeated(posts, 3))[1:]:
        before, after = posts["text"].to_pylist(), repeat["text"].to_pylist()
        changed = sum(one != other for one, other in zip(before, after, strict=True))
        assert changed > 0.9 * len(before)
        assert len(dict(zip(before, after, strict=True))) == len(set(after)) == len(set(before))
        assert edits.copies(repeat["text"]) == edits.copies(posts["text"]) == 0.1


def test_links_mentions_and_hashtags_stay(posts: pa.Table) -> None:
    for before, after in zip(
        posts["text"].to_pylist(), list(edits.repeated(posts, 2))[1]["text"].to_pylist(), strict=True
    ):
        assert before.split()[8:] == after.split()[8:]
        assert len(before.split()) == len(after.split())


def test_words_change_places_one_to_one_and_keep_their_capitals() -> None:
    vocabulary = edits.count_words(["River stone CLOUD market", "river Stone cloud Market window"], ["en", "en"])
    becomes = edits.swap(vocabulary, random.Random(3))
    assert sorted(becomes) == sorted(becomes.values())
    assert all(word != other for word, other in becomes.items())
    spelled = edits.spelled(becomes, vocabulary)
    assert spelled
    for word, other in spelled.items():
        assert (word.isupper(), word[0].isupper()) == (other.isupper(), other[0].isupper())
        assert other.lower() == becomes[word.lower()]


def test_a_word_goes_to_a_word_of_its_own_language() -> None:
    texts = ["river stone cloud market", "fluss stein wolke markt"] * 3
    vocabulary = edits.count_words(texts, ["en", "de"] * 3)
    for seed in range(5):
        becomes = edits.swap(vocabulary, random.Random(seed))
        assert becomes
        assert all((word in texts[0]) == (other in texts[0]) for word, other in becomes.items())


def test_files_hold_as_many_posts_as_asked_for_dealt_out_in_turn(posts: pa.Table, tmp_path: Path) -> None:
    folder, said = edits.input_folder(posts, 1001, 2, tmp_path / "edited")
    parts = [pq.read_table(path) for path in sorted(folder.iterdir())]
    assert [part.num_rows for part in parts] == [501, 500]
    assert (said["posts"], said["repeats"]) == (1001, 3)
    assert said["changed"] > 0.9
    assert said["first_copies"] == pytest.approx(said["last_copies"], abs=0.02)
    ids = [name for part in parts for name in part["id"].to_pylist()]
    assert len(set(ids)) == 1001
