"""What a curve says of a threshold is what the verdict does with it, post by post."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.verdict import Verdict
from pipelines.calibration.curves import BANDS, LENGTHS, Curves, measure
from pipelines.calibration.labels import judge, read_labels
from pipelines.calibration.proposal import MIN_POSTS, Wish, propose
from pipelines.calibration.scales import KEYS, moved
from pipelines.calibration.scored import Scored, open_scored
from schemas import columns
from schemas.errors import ConfigError

TYPES = {name: getattr(columns, name.upper()) for name in Verdict.reads}
TAGS = ("en", "zh", "zh-Hant", "th", "und", None)
SCORED = ("spam", "toxicity", "ai_text", "contamination")
VERDICTS = (
    Verdict(),
    Verdict(keep_copies=2, max_ai_text=0.5, max_campaign_posts=3, min_words=None, keep_unknown_language=True),
    Verdict(languages=("en", "zh"), per_language={"en": {"max_spam": 0.5, "min_readable_chars": None}}),
)


def invented(rows: int, seed: int) -> list[dict[str, Any]]:
    """Scored posts of every kind: measures at thresholds too, nulls, copies, languages with thresholds of their own."""
    random = np.random.default_rng(seed)

    def share() -> float | None:
        return None if random.random() < 0.1 else round(float(random.random() ** random.choice([0.1, 1, 5])), 3)

    def post() -> dict[str, Any]:
        quality = {field.name: share() for field in columns.QUALITY if field.type == columns.SCORE}
        quality |= {
            "readable_chars": int(random.integers(0, 250)),
            "words": int(random.integers(0, 9)),
            "entropy": round(6 * float(random.random()), 2),
            "template": bool(random.random() < 0.05),
        }
        kind = [None, "exact", "near", "repost", "repeated_id"][int(random.choice(5, p=[0.7, 0.1, 0.1, 0.05, 0.05]))]
        copy = (
            None if kind == "repeated_id" or random.random() < 0.1 else int(random.integers(1 + (kind is not None), 5))
        )
        duplicates = {"kind": kind, "copy": copy, "cluster_size": int(random.integers(1, 9)), "cluster_authors": 1}
        return {
            "language": {"lang": TAGS[int(random.integers(len(TAGS)))], "confidence": 0.9},
            "quality": None if random.random() < 0.05 else quality,
            "duplicates": duplicates,
            **{name: {"score": share()} for name in SCORED},
        }

    return [post() for _ in range(rows)]


def batch_of(posts: list[dict[str, Any]]) -> pa.RecordBatch:
    cells = [pa.array([post.get(name) for post in posts], kind) for name, kind in TYPES.items()]
    return pa.RecordBatch.from_arrays(cells, list(TYPES))


def kept(verdict: Verdict, batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
    return pc.fill_null(pc.struct_field(verdict(batch), "keep"), False).to_numpy(zero_copy_only=False)


def languages(batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
    tags = pc.fill_null(pc.struct_field(batch.column("language"), "lang"), "und")
    return np.array(tags.to_pylist())


def bands(batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
    chars = pc.fill_null(pc.struct_field(batch.column("quality"), "readable_chars"), 0).to_numpy()
    return np.searchsorted(LENGTHS, chars, side="right")


def saved(folder: Path, batch: pa.RecordBatch, **more: Any) -> Scored:
    """A file of `swarmfeed score`, in several row groups."""
    table = pa.Table.from_batches([batch])
    for name, column in more.items():
        table = table.append_column(name, pa.array(column))
    pq.write_table(table, folder / "scores.parquet", row_group_size=max(1, len(table) // 3))
    return open_scored(folder / "scores.parquet")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(VERDICTS), st.sampled_from(KEYS), st.data())
def test_curves_are_what_the_verdict_does(seed: int, verdict: Verdict, key: str, data: st.DataObject) -> None:
    batch = batch_of(invented(300, seed))
    curves = Curves(verdict)
    curves.add(batch.slice(0, 100))
    curves.add(batch.slice(100))
    tags, lengths = languages(batch), bands(batch)
    assert curves.kept.sum() == kept(verdict, batch).sum()
    assert curves.kept[curves.tags["en"]].sum() == kept(verdict, batch)[tags == "en"].sum()
    values = curves.scales[key].values
    place = data.draw(st.integers(0, len(values) - 1))
    off = key != "keep_copies" and data.draw(st.booleans())
    value = None if off else values[place]
    at = -1 if off else place
    there = kept(moved(verdict, {key: value}, {}), batch)
    assert curves.kept_at(key)[at] == there.sum()
    assert curves.kept_at_lengths(key)[:, at].tolist() == [there[lengths == n].sum() for n in range(len(BANDS))]
    if key != "keep_copies":
        own = kept(moved(verdict, {}, {"zh-Hant": {key: value}}), batch)
        assert curves.kept_at_of(key, "zh-Hant")[at] == own[tags == "zh-Hant"].sum()


def test_reasons_are_counted_as_the_verdict_gives_them() -> None:
    batch = batch_of(invented(500, 3))
    curves = Curves(Verdict())
    curves.add(batch)
    reasons = [one["reasons"] for one in Verdict()(batch).to_pylist()]
    for name, counts in curves.reasons.items():
        assert counts.sum() == sum(name in given for given in reasons)
        assert curves.alone[name].sum() == sum(given == [name] for given in reasons)


def test_deleted_posts_and_missing_columns_are_no_matter_of_a_policy(tmp_path: Path) -> None:
    posts = invented(60, 1)
    posts[7]["duplicates"]["deleted"] = True
    scored = saved(tmp_path, batch_of(posts))
    assert measure(scored, Verdict()).posts.sum() == 59
    scored = saved(tmp_path, batch_of(posts).select(["language", "spam"]))
    assert measure(scored, Verdict(max_spam=0.5)).kept.sum() == sum(
        (post["language"]["lang"] not in ("und",)) and not (post["spam"]["score"] or 0) > 0.5 for post in posts
    )


@pytest.mark.parametrize("wanted", [0.02, 0.07, 0.13])
def test_a_kept_share_is_reached_from_above(tmp_path: Path, wanted: float) -> None:
    scored = saved(tmp_path, batch_of(invented(6000, 2)))
    wish = Wish(wanted, ("max_spam", "max_toxicity", "min_words"), {}, False)
    base = Verdict(keep_unknown_language=True, max_contamination=None, min_quality=None, min_entropy=None)
    loose = moved(base, {"max_hashtag_share": None, "max_repetition": None, "max_upper_share": None}, {})
    chosen, missed = propose(scored, loose, wish)
    curves = measure(scored, chosen)
    share = curves.kept.sum() / curves.posts.sum()
    assert wanted <= share < wanted + 0.02
    assert missed == ()
    assert chosen.threshold("min_words", "ko") == 2, "a language with a threshold of its own keeps it"


def test_languages_get_thresholds_of_their_own(tmp_path: Path) -> None:
    posts = invented(5 * MIN_POSTS, 4)
    for number, post in enumerate(posts):
        post["language"]["lang"] = "en" if number < 2 * MIN_POSTS else "zh" if number < 4 * MIN_POSTS else "tr"
        post["spam"]["score"] = number % 1000 / 1000 * (1.0 if number < 2 * MIN_POSTS else 0.3)
        post["duplicates"] = None
        post["quality"] = None
        post["contamination"] = None
        if number >= 4 * MIN_POSTS:
            post["spam"] = None
    scored = saved(tmp_path, batch_of(posts))
    base = Verdict(max_toxicity=None)
    chosen, missed = propose(scored, base, Wish(0.5, ("max_spam",), {}, True))
    assert chosen.per_language["en"]["max_spam"] == pytest.approx(0.5, abs=0.002)
    assert chosen.per_language["zh"]["max_spam"] == pytest.approx(0.15, abs=0.002)
    assert missed == ("tr",), "of Turkish nothing is known: its threshold stays"
    assert (chosen.threshold("max_spam", "tr"), chosen.max_spam) == (base.max_spam, base.max_spam)
    with pytest.raises(ConfigError, match=r"--keep 0\.05: max_spam at their strictest still leave"):
        propose(scored, base, Wish(0.05, ("max_spam",), {}, False))
    with pytest.raises(ConfigError, match=r"--keep 1: without max_spam the other rules leave"):
        propose(scored, Verdict(languages=("en",)), Wish(1.0, ("max_spam",), {}, False))


@pytest.mark.parametrize("each", [False, True])
def test_a_cost_is_kept_to_and_used(tmp_path: Path, each: bool) -> None:
    posts = invented(4 * MIN_POSTS, 5)
    for number, post in enumerate(posts):
        post["language"]["lang"] = ("en", "zh", "zh")[number % 3]
        post["quality"] = None
    scored = saved(tmp_path, batch_of(posts))
    base = Verdict(max_spam=None, max_contamination=None)
    chosen, _ = propose(
        scored, base, Wish(None, (), {"max_toxicity": 0.01, "max_ai_text": 0.0, "min_words": 0.1}, each)
    )
    curves = measure(scored, chosen)
    tags = ["en", "zh"] if each else [None]
    for tag in tags:
        kept_at = curves.kept_at_of("max_toxicity", tag) if tag else curves.kept_at("max_toxicity")
        place = curves.scales["max_toxicity"].place(chosen.threshold("max_toxicity", tag))
        assert place
        read = curves.posts[curves.tags[tag]].sum() if tag else curves.posts.sum()
        costs = (kept_at[-1] - kept_at) / read
        assert costs[place] <= 0.01 < costs[place - 1]
    assert curves.kept_at("max_ai_text")[-1] == curves.kept.sum()
    assert chosen.max_ai_text == 1.0, "the strictest value that rejects nothing"
    assert chosen.min_words == base.min_words, "of words nothing is known: the threshold stays"


def test_labels_give_precision_and_recall(tmp_path: Path) -> None:
    posts = invented(200, 6)
    for number, post in enumerate(posts):
        post["toxicity"] = {"score": number / 200}
        post["duplicates"] = {"kind": "exact", "copy": 2} if number >= 190 else None
    scored = saved(tmp_path, batch_of(posts), id=[str(number) for number in range(200)])
    marks = {"toxicity": [0.6 if number >= 150 else 0.2 for number in range(100, 200)]}
    marks |= {"quality": [None] * 99 + [0.4], "machine_written": [0.0] * 100}
    labels = pa.table({"id": [str(number) for number in range(100, 200)], **marks})
    pq.write_table(labels, tmp_path / "labels.parquet")
    judged = judge(scored, Verdict(max_toxicity=0.7), read_labels(tmp_path / "labels.parquet", None))
    toxicity = judged["max_toxicity"]
    place = Curves(Verdict(max_toxicity=0.7)).scales["max_toxicity"].place(0.7)
    assert (toxicity.mark, toxicity.posts, toxicity.deserving) == ("toxicity", 90, pytest.approx(40 / 90))
    assert toxicity.rejected[place] == 49  # 141 to 189
    assert toxicity.precision[place] == pytest.approx(40 / 49)
    assert toxicity.recall[place] == 1
    assert (judged["max_spam"].mark, judged["max_spam"].posts) == ("quality", 0), "a null mark is no answer"
    assert "max_campaign_posts" not in judged


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    with pytest.raises(ConfigError, match="expected a file that `swarmfeed label` wrote"):
        read_labels(path, None)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(ConfigError, match="expected a file that `swarmfeed label` wrote"):
        read_labels(path, None)
    pq.write_table(pa.table({"id": ["1"], "toxicity": [1.0]}), path)
    with pytest.raises(ConfigError, match="no column 'machine_written'"):
        read_labels(path, None)
    pq.write_table(pa.table({"id": ["1"], "toxicity": ["much"], "machine_written": [0.0], "quality": [0.0]}), path)
    with pytest.raises(ConfigError, match="numbers as toxicity"):
        read_labels(path, None)
    pq.write_table(pa.table({"id": ["x"], "toxicity": [1.0], "machine_written": [0.0], "quality": [0.0]}), path)
    scored = saved(tmp_path, batch_of(invented(9, 1)), id=[str(number) for number in range(9)])
    with pytest.raises(ConfigError, match="none of the labelled posts"):
        judge(scored, Verdict(), read_labels(path, None))
