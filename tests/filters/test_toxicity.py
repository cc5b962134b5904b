"""The toxicity stage against its golden lines."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from filters.toxicity import Toxicity
from schemas.columns import CLEAN_TEXT, LANGUAGE, TOXICITY
from schemas.errors import SetupError

GOLDEN = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "golden" / "toxicity.jsonl").read_text(encoding="utf-8").splitlines()
]


def batch(lines: list[dict[str, str | None]]) -> pa.RecordBatch:
    texts = [(line["text"] is not None and {"text": line["text"], "changed": False}) or None for line in lines]
    languages = [line["lang"] and {"lang": line["lang"], "confidence": 0.9} for line in lines]
    return pa.record_batch({"clean_text": pa.array(texts, CLEAN_TEXT), "language": pa.array(languages, LANGUAGE)})


@pytest.mark.parametrize("line", GOLDEN, ids=lambda line: line["why"])
def test_golden(line: dict[str, str | None]) -> None:
    answer = Toxicity()(batch([line]))
    assert answer.type == TOXICITY
    score = (answer[0].as_py() or {"score": None})["score"]
    if line["expect"] is None:
        assert score is None
    else:
        low, high = {"low": (0, 0.5), "high": (0.5, 1), "any": (0, 1)}[line["expect"]]
        assert score is not None
        assert low <= score <= high


def test_all_golden_lines_at_once_say_the_same() -> None:
    stage = Toxicity()
    whole = stage(batch(GOLDEN))
    assert whole.to_pylist() == [stage(batch([line]))[0].as_py() for line in GOLDEN]
    assert whole.field("score").null_count == sum(line["expect"] is None for line in GOLDEN)


def test_the_model_is_a_setting_and_a_wrong_one_stops_the_run(tmp_path: Path) -> None:
    assert Toxicity(model="shipped") == Toxicity()
    assert Toxicity().sha256 == Toxicity().classifier.sha256
    with pytest.raises(SetupError, match="no model for stage 'toxicity'"):
        Toxicity(model=str(tmp_path / "nowhere"))
