"""datatrove's filters as a stage: golden posts, the same answers as datatrove itself, and what is refused."""

from __future__ import annotations

import doctest
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import datatrove.pipeline.filters as shipped
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

import filters.datatrove
from filters.clean_text import clean_strings
from filters.datatrove import UNFIT, Datatrove
from filters.stage import annotate, configure
from schemas.columns import CLEAN_TEXT, LANGUAGE
from schemas.errors import ConfigError, SetupError

GOLDEN = Path(__file__).parents[1] / "golden" / "datatrove.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
NASTY = {"emoji_storm", "one_word", "copy_pasta", "rtl_mix", "zero_width", "20k_chars"}
FOUR: dict[str, dict[str, Any]] = {
    "quality": {"filter": "GopherQualityFilter", "min_doc_words": 6, "min_stop_words": 1},
    "repetition": {"filter": "GopherRepetitionFilter"},
    "c4": {"filter": "C4QualityFilter", "min_num_sentences": 1},
    "fineweb": {"filter": "FineWebQualityFilter", "short_line_thr": 0.9},
    "paragraphs": {"filter": "C4ParagraphFilter"},
    "links": {"filter": "RegexFilter", "regex_exp": "https?://"},
}


class Longer(BaseFilter):
    """A filter of a user's own: mutates what it sees, and fails on one word."""

    name = "longer"

    def __init__(self, chars: int, exclusion_writer: Any = None) -> None:
        super().__init__(exclusion_writer)
        self.chars = chars

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        if "xyzzy" in doc.text:
            raise KeyError(doc.text)
        told = f"{doc.id} {doc.metadata.get('language', 'none')}"
        long = len(doc.text) >= self.chars
        doc.text = ""
        doc.metadata["seen"] = True
        return long, told


class Unfinished(BaseFilter):
    """No filter yet."""


class Lacking(BaseFilter):
    """Needs what is not installed, and finds out late."""

    def filter(self, doc: Document) -> bool:
        raise ImportError("Please install `jieba`")


def posts(texts: list[str | None], langs: list[str | None]) -> pa.RecordBatch:
    rows = [None if text is None else {"text": text, "changed": False} for text in texts]
    told = [
        None if text is None else {"lang": lang, "confidence": 1.0} for text, lang in zip(texts, langs, strict=True)
    ]
    ids = [str(number) for number in range(len(texts))]
    return pa.record_batch({"id": ids, "clean_text": pa.array(rows, CLEAN_TEXT), "language": pa.array(told, LANGUAGE)})


def asked(stage: Datatrove, texts: list[str | None], lang: str = "en") -> list[Any]:
    answer = stage(posts(texts, [lang] * len(texts)))
    answer.validate(full=True)
    return [
        row and [(one["filter"], one["passed"], one["reason"]) for one in row["answers"]] for row in answer.to_pylist()
    ]


def datatroves_own(sections: dict[str, dict[str, Any]], text: str) -> list[tuple[str, bool, str | None]]:
    """Run datatrove's own pipeline step over one document, as its executors do, and see what is left."""
    told = []
    for name in sorted(sections):
        settings = dict(sections[name])
        step = getattr(shipped, settings.pop("filter"))(**settings)
        left = list(step.run([Document(text=text, id="1")]))
        dropped = [label.removeprefix("dropped_") for label in step.stats.stats if label.startswith("dropped_")]
        told.append((name, bool(left), dropped[0] if dropped else None))
    return told


def test_there_are_enough_golden_lines() -> None:
    assert len(LINES) >= 40
    assert {line["why"] for line in LINES} >= NASTY


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any]) -> None:
    expected = line["answers"] and [tuple(answer) for answer in line["answers"]]
    assert asked(Datatrove(filters=line["filters"]), [line["text"]], line["lang"]) == [expected]


def test_examples_in_the_docstrings() -> None:
    result = doctest.testmod(filters.datatrove)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_answers_are_those_of_datatroves_own_pipeline() -> None:
    texts = sorted({line["text"] for line in LINES if line["text"] is not None})
    texts += ["Read on at https://example.org/a", "\n".join([f"{letter * 210}." for letter in "abc"])]
    told = asked(Datatrove(filters=FOUR), [*texts])
    assert told == [datatroves_own(FOUR, text) for text in texts]
    for place in range(len(FOUR)):
        assert {row[place][1] for row in told} == {True, False}, "or equal answers would say little"


def test_real_posts_are_answered_as_by_datatrove(real_data: Path) -> None:
    texts = []
    for name in ("ira-tweets", "reddit-posts"):
        table = pq.read_table(real_data / "posts" / f"{name}.parquet", columns=["text"]).slice(0, 1000)
        texts += clean_strings(table["text"].combine_chunks().cast(pa.string()))[0].to_pylist()
    assert asked(Datatrove(filters=FOUR), texts) == [datatroves_own(FOUR, text) for text in texts]


def own(name: str) -> str:
    return f"{__name__}.{name}"


def test_a_filter_of_the_users_own_sees_id_language_and_a_document_of_its_own() -> None:
    stage = Datatrove(filters={one: {"filter": own("Longer"), "chars": 100} for one in "ab"})
    answer = stage(posts(["short", None, "also short"], ["en", None, "und"])).to_pylist()
    told = [row and [one["reason"] for one in row["answers"]] for row in answer]
    assert told == [["0 en", "0 en"], None, ["2 none", "2 none"]]


def test_a_row_on_which_a_filter_fails_is_a_failure_and_the_others_are_answered() -> None:
    stage = Datatrove(filters={"long": {"filter": own("Longer"), "chars": 3}})
    texts = ["yes", "a xyzzy b", *["more"] * 30]
    batch, failures = annotate(posts([*texts], ["en"] * 32), [stage])
    assert [(one.row, one.stage) for one in failures] == [(1, "datatrove")]
    assert "xyzzy" not in failures[0].error
    assert batch.num_rows == 31
    assert [row["answers"][0]["passed"] for row in batch.column("datatrove").to_pylist()] == [True] * 31


def test_the_pickle_carries_the_settings_alone() -> None:
    stage = Datatrove(filters=FOUR)
    asked(stage, ["a post " * 1000])
    assert len(pickle.dumps(stage)) < 1000


def test_every_filter_of_datatrove_can_be_a_stage_or_says_why_not() -> None:
    for name, kind in vars(shipped).items():
        if isinstance(kind, type) and issubclass(kind, BaseFilter):
            settings = {"regex_exp": "a"} if name == "RegexFilter" else {}
            if name in UNFIT:
                with pytest.raises(ConfigError, match=f"{name} cannot be a stage: it"):
                    configure([Datatrove], {"datatrove": {"filters": {"one": {"filter": name, **settings}}}})
            else:
                Datatrove(filters={"one": {"filter": name, **settings}})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("GopherQualityFilter", "'filters' must map names to filters"),
        ({"q": "GopherQualityFilter"}, "'filters.q': expected a name and a mapping with 'filter'"),
        ({"q": {"min_doc_words": 3}}, "'filters.q': expected a name and a mapping with 'filter'"),
        ({"q": {"filter": 3}}, "'filter' must be the name of a class, got 3"),
        ({"q": {"filter": "GopherQualityFiltr"}}, "did you mean 'GopherQualityFilter'"),
        ({"q": {"filter": "no_such_module.Filter"}}, "cannot be imported: No module named 'no_such_module'"),
        ({"q": {"filter": "datatrove.data.Document"}}, r"datatrove\.data\.Document is no filter"),
        ({"q": {"filter": own("Unfinished")}}, "Unfinished is no filter: .*Lacking, Longer"),
        (
            {"q": {"filter": "GopherQualityFilter", "min_words": 3}},
            "no setting 'min_words': did you mean 'min_doc_words'",
        ),
        ({"q": {"filter": "GopherQualityFilter", "exclusion_writer": 3}}, "no setting 'exclusion_writer'"),
        ({"q": {"filter": "GopherQualityFilter", "min_doc_words": "ten"}}, "it fails on an ordinary text: TypeError"),
        ({"q": {"filter": "GopherQualityFilter", "language": "xx-no"}}, "it fails on an ordinary text: ValueError"),
        ({"q": {"filter": "GopherQualityFilter", "language": "cy"}}, "downloads a model"),
        ({"q": {"filter": "GopherQualityFilter", "language": "bo"}}, "downloads a model"),
        ({"q": {"filter": "RegexFilter"}}, "it fails .*regex_exp"),
        ({"q": {"filter": "RegexFilter", "regex_exp": "("}}, "it fails on an ordinary text: "),
    ],
)
def test_wrong_settings(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure([Datatrove], {"datatrove": {"filters": given}})


def test_what_is_not_installed_is_a_setup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="Lacking: Please install `jieba`"):
        Datatrove(filters={"q": {"filter": own("Lacking")}})
    for name in [name for name in sys.modules if name.partition(".")[0] == "datatrove"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "datatrove", None)
    assert asked(Datatrove(), ["a post"]) == [None]
    with pytest.raises(SetupError, match=r"pip install 'swarmfeed\[datatrove\]'"):
        Datatrove(filters=FOUR)
