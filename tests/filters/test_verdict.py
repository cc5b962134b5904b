"""The verdict: golden posts, thresholds per language, explanations that agree with the decision."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.stage import configure
from filters.verdict import KINDS, PER_LANGUAGE, RULES, Verdict
from schemas import columns
from schemas.errors import ConfigError
from schemas.reasons import Reason

GOLDEN = Path(__file__).parents[1] / "golden" / "verdict.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
TYPES = {name: getattr(columns, name.upper()) for name in Verdict.reads}


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    cells = [pa.array([row.get(name) for row in rows], kind) for name, kind in TYPES.items()]
    return pa.RecordBatch.from_arrays(cells, list(TYPES))


def judged(row: dict[str, Any], **section: Any) -> dict[str, Any]:
    answer = Verdict(**section)(batch_of([row]))
    answer.validate(full=True)
    return answer[0].as_py()


SHARES = st.none() | st.floats(0, 1, width=32)
QUALITY = st.fixed_dictionaries(
    {
        **{field.name: SHARES for field in columns.QUALITY if field.type == columns.SCORE},
        "readable_chars": st.none() | st.integers(0, 40),
        "words": st.none() | st.integers(0, 10),
        "entropy": st.none() | st.floats(0, 8, width=32),
        "template": st.none() | st.booleans(),
        "exclamations": st.none() | st.integers(0, 3),
        "has_code": st.none() | st.booleans(),
        "is_question": st.none() | st.booleans(),
    }
)
SCORES = st.none() | st.fixed_dictionaries({"score": SHARES})
ROWS = st.fixed_dictionaries(
    {
        "language": st.none()
        | st.fixed_dictionaries({"lang": st.sampled_from(["en", "zh", "zh-Hant", "th", "und", None])}),
        "quality": st.none() | QUALITY,
        "spam": SCORES,
        "toxicity": SCORES,
        "ai_text": st.none() | st.fixed_dictionaries({"score": SHARES, "evidence": SHARES}),
        "contamination": SCORES,
        "duplicates": st.none()
        | st.fixed_dictionaries(
            {
                "kind": st.sampled_from([None, *KINDS]),
                "copy": st.none() | st.integers(1, 4),
                "cluster_size": st.none() | st.integers(1, 1 << 40),
                "cluster_authors": st.none() | st.integers(0, 9),
                "deleted": st.none() | st.booleans(),
            }
        ),
    }
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    assert judged(line["row"], **line["settings"]) == {"keep": not line["reasons"], "reasons": line["reasons"]}


def test_golden_lines_reach_every_reason() -> None:
    assert {reason for line in LINES for reason in line["reasons"]} == set(Reason)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, max_size=6), st.sampled_from([(), ("en",), ("zh", "th")]), st.booleans())
def test_explain_agrees_with_the_verdict(rows: list[dict[str, Any]], languages: tuple[str, ...], keep: bool) -> None:
    verdict = Verdict(
        languages=languages,
        keep_unknown_language=keep,
        max_ai_text=0.5,
        keep_copies=2,
        max_campaign_posts=3,
        max_ai_evidence=0.9,
    )
    answers = verdict(batch_of(rows)).to_pylist()
    for row, answer in zip(rows, answers, strict=True):
        found = verdict.explain(row)
        against = {finding.reason for finding in found if not finding.passed}
        assert [finding.reason for finding in found] == sorted(
            (finding.reason for finding in found), key=[*Reason].index
        )
        assert {finding.reason for finding in found} == set(Reason)
        if answer is None:
            assert all(part is None for part in row.values())
        else:
            assert answer["reasons"] == [reason for reason in Reason if reason in against]
            assert answer["keep"] is (not against)


def test_explain_tells_the_threshold_of_the_language() -> None:
    row = {"language": {"lang": "zh-Hant"}, "quality": {"readable_chars": 7}, "spam": {"score": 0.7}}
    verdict = Verdict(per_language={"zh-Hant": {"max_spam": 0.6}})
    told = {(finding.measure, finding.reason): finding for finding in verdict.explain(row)}
    chars = told["quality.readable_chars", "too_short"]
    assert (chars.measured, chars.threshold, chars.passed) == (7, PER_LANGUAGE["zh"]["min_readable_chars"], True)
    spam = told["spam.score", "spam"]
    assert (spam.measured, spam.bound, spam.threshold, spam.passed) == (0.7, "at most", 0.6, False)
    unheard = told["toxicity.score", "toxicity"]
    assert (unheard.measured, unheard.passed) == (None, True)
    off = told["ai_text.score", "ai_text"]
    assert (off.threshold, off.passed) == (None, True)


def test_explain_tells_what_is_enough_for_a_question() -> None:
    row = {"language": {"lang": "en"}, "quality": {"readable_chars": 9, "words": 2, "is_question": True}}
    told = {finding.measure: finding for finding in Verdict().explain(row) if finding.reason == "too_short"}
    assert (told["quality.readable_chars"].threshold, told["quality.readable_chars"].passed) == (9.1, False)
    assert (told["quality.words"].threshold, told["quality.words"].passed) == (1.95, True)


def test_explain_measures_no_capitals_in_a_calm_headline() -> None:
    quality = {"upper_share": 1.0, "words": 8, "exclamations": 0}
    told = {one.reason: one for one in Verdict().explain({"quality": quality})}
    assert (told["shouting"].measured, told["shouting"].passed) == (None, True)
    told = {one.reason: one for one in Verdict().explain({"quality": {**quality, "exclamations": 1}})}
    assert (told["shouting"].measured, told["shouting"].passed) == (1.0, False)


def test_explain_tells_which_copy_a_post_is() -> None:
    row = {"duplicates": {"kind": "near", "copy": 3, "cluster_size": 5, "cluster_authors": 2}}
    told = {(finding.reason, finding.measure): finding for finding in Verdict(keep_copies=2).explain(row)}
    place = told["near_duplicate", "duplicates.copy"]
    assert (place.measured, place.bound, place.threshold, place.passed) == (3, "at most", 2, False)
    assert told["near_duplicate", "duplicates.kind"].passed
    assert told["exact_duplicate", "duplicates.copy"].measured is None
    assert told["campaign", "duplicates.cluster_size"].measured == 5


def test_a_cluster_larger_than_a_float_can_count() -> None:
    row = {"duplicates": {"cluster_size": (1 << 40) + 1}}
    assert judged(row, max_campaign_posts=1000)["reasons"] == ["campaign"]


def test_a_column_nothing_filled_does_not_speak() -> None:
    row = LINES[0]["row"]
    batch = batch_of([row]).drop_columns(["duplicates"]).append_column("duplicates", pa.nulls(1))
    assert Verdict()(batch).to_pylist() == [{"keep": True, "reasons": []}]


def test_a_row_no_stage_looked_at_has_no_verdict() -> None:
    assert Verdict()(batch_of([{}, LINES[0]["row"]])).to_pylist()[0] is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_every_threshold_can_be_switched_off(rule: Any) -> None:
    column, child = rule.measure.split(".")
    extreme = 0 if rule.bound == "at least" else 9 if rule.reason in (Reason.GIBBERISH, Reason.CAMPAIGN) else 1
    row = {"language": {"lang": "en"}, column: {child: extreme}}
    unset = 2 if rule.reason is Reason.CAMPAIGN else 0.5
    on = {rule.key: unset if getattr(Verdict(), rule.key) is None else getattr(Verdict(), rule.key)}
    off = {other.key: None for other in RULES if other.measure == rule.measure}
    assert rule.reason in judged(row, **on)["reasons"]
    assert rule.reason not in judged(row, **off)["reasons"]


def test_equal_settings_are_one_verdict() -> None:
    plain = Verdict(languages=["en"], per_language={"de": {"max_spam": 0.5}})  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(plain))
    assert again == plain
    assert hash(again) == hash(plain)
    assert plain != Verdict(languages=("en",))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"min_wrds": 3}, "'stages.verdict.min_wrds': did you mean 'min_words'"),
        ({"languages": "en"}, "'languages' must be a list"),
        ({"languages": ["English"]}, "BCP 47 tag, like 'en' or 'zh-Hant', got 'English'"),
        ({"drop_templates": 1}, "'drop_templates' must be true or false, got 1"),
        ({"max_spam": 2}, "'max_spam' must be a number from 0 to 1, or null to switch the rule off, got 2"),
        ({"max_spam": "0.5"}, "'max_spam' must be a number from 0 to 1"),
        ({"max_spam": float("nan")}, "'max_spam' must be a number from 0 to 1"),
        ({"min_words": -1}, "'min_words' must be a number from 0 up"),
        ({"brevity": 1.5}, "'brevity' must be a number from 0 to 1"),
        ({"per_language": {"zh": {"brevty": 1}}}, "did you mean 'brevity'"),
        ({"min_words": True}, "'min_words' must be a number from 0 up"),
        ({"max_entropy": float("inf")}, "'max_entropy' must be a number from 0 up"),
        ({"keep_copies": 0}, "'keep_copies' must be a whole number from 1 up, got 0"),
        ({"keep_copies": 1.5}, "'keep_copies' must be a whole number"),
        ({"keep_copies": True}, "'keep_copies' must be a whole number"),
        ({"max_campaign_posts": 0}, "'max_campaign_posts' must be a number from 1 up, or null to switch the rule off"),
        ({"max_contamination": 1.5}, "'max_contamination' must be a number from 0 to 1"),
        ({"per_language": ["zh"]}, "'per_language' must map languages"),
        ({"per_language": {"zh": 5}}, "'per_language.zh' must map settings"),
        ({"per_language": {"Chinese": {}}}, "'per_language' must name languages by BCP 47 tag"),
        ({"per_language": {"zh": {"max_spm": 0.5}}}, "'per_language.zh.max_spm': did you mean 'max_spam'"),
        ({"per_language": {"zh": {"max_spam": 5}}}, "'max_spam' must be a number from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        configure([Verdict], {"verdict": section})
    assert message in str(raised.value)
