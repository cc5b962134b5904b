"""The stages that are one model each, against their golden lines."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from filters.ai_text import AiText
from filters.scored import Scored
from filters.spam import Spam
from filters.toxicity import Toxicity
from filters.verdict import AI_TEXT_FLAG, Verdict
from schemas.columns import CLEAN_TEXT, LANGUAGE
from schemas.errors import SetupError

Kind = type[Scored] | type[AiText]
KINDS: tuple[Kind, ...] = (Spam, Toxicity, AiText)
FLAGS = {"spam": Verdict.max_spam, "toxicity": Verdict.max_toxicity, "ai_text": AI_TEXT_FLAG}
BANDS = {"low": (0, 0.5), "high": (0.5, 1), "any": (0, 1)}
Line = dict[str, str | None]


def golden(kind: Kind) -> list[Line]:
    file = Path(__file__).parents[1] / "golden" / f"{kind.name}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def batch(lines: list[Line]) -> pa.RecordBatch:
    texts = [None if line["text"] is None else {"text": line["text"], "changed": False} for line in lines]
    languages = [line["lang"] and {"lang": line["lang"], "confidence": 0.9} for line in lines]
    return pa.record_batch({"clean_text": pa.array(texts, CLEAN_TEXT), "language": pa.array(languages, LANGUAGE)})


@pytest.mark.parametrize(
    ("kind", "line"),
    [pytest.param(kind, line, id=f"{kind.name}-{line['why']}") for kind in KINDS for line in golden(kind)],
)
def test_golden(kind: Kind, line: Line) -> None:
    answer = kind()(batch([line]))
    assert answer.type == kind.output
    score = (answer[0].as_py() or {"score": None})["score"]
    if line["expect"] is None:
        assert score is None
    else:
        low, high = (0, FLAGS[kind.name]) if line["expect"] == "unflagged" else BANDS[line["expect"]]
        assert score is not None
        assert low <= score <= high


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_golden_lines_at_once_say_the_same(kind: Kind) -> None:
    stage, lines = kind(), golden(kind)
    whole = stage(batch(lines))
    assert len(lines) >= 40
    assert whole.to_pylist() == [stage(batch([line]))[0].as_py() for line in lines]
    assert whole.field("score").null_count == sum(line["expect"] is None for line in lines)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_model_is_a_setting_and_a_wrong_one_stops_the_run(kind: Kind, tmp_path: Path) -> None:
    assert kind(model="shipped") == kind()
    assert len(kind().sha256) == 64
    with pytest.raises(SetupError, match=f"no model for stage '{kind.name}'"):
        kind(model=str(tmp_path / "nowhere"))
