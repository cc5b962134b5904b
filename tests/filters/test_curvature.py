"""A tiny language model's curvature: the formula, which posts are asked, how it is fitted, what is refused."""

from __future__ import annotations

import doctest
import json
import math
import pickle
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from causal_model import INPUTS, Causal, fitted, pairs, people

import filters.curvature
from filters.ai_text import AiText
from filters.card import page
from filters.curvature import (
    FIT_FILE,
    LIMIT,
    MAX_TOKENS,
    MODEL_FILE,
    TOKENIZER_FILE,
    LanguageModel,
    conditional_curvature,
)
from filters.curvature_training import Order
from filters.evaluation import roc_auc
from filters.stage import annotate, configure
from jobs.cli import main
from pipelines.summary import config_hash, model_hashes
from pipelines.training import train_middle
from schemas.columns import CLEAN_TEXT, LANGUAGE
from schemas.config import Config
from schemas.errors import ConfigError, SetupError

MACHINE = "Did you know that our innovative solutions are transforming entire communities and empowering growth today?"
FOREIGN = "Сегодня в городе прошёл первый снег, дороги стоят."


@pytest.fixture(scope="module")
def causal() -> Causal:
    return Causal()


@pytest.fixture(scope="module")
def folder(causal: Causal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with a fit of chosen weights; no test may change it."""
    return fitted(causal.save(tmp_path_factory.mktemp("model")))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def labelled(causal: Causal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled texts of both kinds, as a user would have them."""
    return write(tmp_path_factory.mktemp("labelled") / "mine.parquet", causal, 400, 11)


def write(path: Path, causal: Causal, count: int, seed: int) -> Path:
    rows = [*((text, "ai") for text in causal.write(count, seed)), *((text, "human") for text in people(count, seed))]
    random.Random(seed).shuffle(rows)
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels, "lang": ["en"] * len(rows)}), path)
    return path


def posts(texts: list[str | None], lang: str = "en") -> pa.RecordBatch:
    rows = [None if text is None else {"text": text, "changed": False} for text in texts]
    langs = [None if text is None else {"lang": "ru" if text == FOREIGN else lang, "confidence": 0.9} for text in texts]
    return pa.record_batch({"clean_text": pa.array(rows, CLEAN_TEXT), "language": pa.array(langs, LANGUAGE)})


def scores(stage: AiText, texts: list[str | None]) -> npt.NDArray[np.float64]:
    answer = stage(posts(texts))
    answer.validate(full=True)
    return np.array([math.nan if row is None else row["score"] for row in answer.to_pylist()])


def slowly(rows: list[list[float]], tokens: list[int]) -> float:
    """The curvature by its definition, a token and a word at a time."""
    gap = spread = 0.0
    for row, token in zip(rows, tokens, strict=True):
        total = math.fsum(math.exp(logit) for logit in row)
        logs = [logit - math.log(total) for logit in row]
        chances = [math.exp(log) for log in logs]
        mean = math.fsum(p * log for p, log in zip(chances, logs, strict=True) if p)
        spread += math.fsum(p * (log - mean) ** 2 for p, log in zip(chances, logs, strict=True) if p)
        gap += logs[token] - mean
    return gap / math.sqrt(spread)


@pytest.mark.parametrize("shape", [(1, 2), (7, 50), (100, 300)])
@pytest.mark.parametrize("scale", [0.1, 3.0, 15.0])
def test_the_curvature_is_that_of_the_definition(shape: tuple[int, int], scale: float) -> None:
    draws = np.random.default_rng(shape[0])
    logits = (draws.normal(size=shape) * scale).astype(np.float32)
    tokens = draws.integers(0, shape[1], shape[0])
    expected = max(-LIMIT, slowly(logits.astype(float).tolist(), tokens.tolist()))
    assert conditional_curvature(logits, tokens) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    shifted = (logits + np.float32(40)).astype(np.float32)  # logits mean the same wherever they start
    assert conditional_curvature(shifted, tokens) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_impossible_words_do_no_harm_and_what_is_no_number_is_said() -> None:
    logits = np.array([[0.5, 0.3, 0.2, 0.0], [0.1, 0.9, 0.0, 0.0]], np.float32)
    logits = np.log(logits, out=np.full_like(logits, -np.inf), where=logits > 0)
    without = slowly([[math.log(0.5), math.log(0.3), math.log(0.2)], [math.log(0.1), math.log(0.9)]], [0, 1])
    assert conditional_curvature(logits, np.array([0, 1])) == pytest.approx(without, rel=1e-5)
    assert conditional_curvature(logits, np.array([3, 1])) == -LIMIT
    for wrong in (np.nan, np.inf):
        spoilt = logits.copy()
        spoilt[1, 0] = wrong
        with pytest.raises(ValueError, match="no numbers"):
            conditional_curvature(spoilt, np.array([0, 1]))


def test_examples_in_the_docstrings() -> None:
    result = doctest.testmod(filters.curvature)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("inputs", [INPUTS[:1], INPUTS[:2], INPUTS, (INPUTS[0], INPUTS[2])])
def test_the_file_answers_as_the_model_it_was_written_of(causal: Causal, tmp_path: Path, inputs: list[str]) -> None:
    model = LanguageModel.open(str(causal.save(tmp_path, inputs)))
    texts = [*causal.write(3, 1), *people(3, 2), "the kettle", "unheard words among the known"]
    read = [causal.tokenizer.encode(text).ids for text in texts]
    expected = [slowly(causal.table[tokens[:-1]].astype(float).tolist(), tokens[1:]) for tokens in read]
    assert model.measure(pa.array(texts)).tolist() == pytest.approx(expected, rel=1e-4)


def test_what_a_model_wrote_has_no_curvature_on_average_and_other_texts_lie_below(folder: Path, causal: Causal) -> None:
    model = LanguageModel.open(str(folder))
    own, other = (model.measure(pa.array(texts)) for texts in (causal.write(500, 1), people(500, 2)))
    assert abs(own.mean()) < 0.15
    assert 0.85 < own.std() < 1.15  # by the definition a sum of its own draws over their deviation
    assert roc_auc(np.append(own, other), np.arange(1000) < 500) > 0.95


def test_texts_with_less_than_two_tokens_have_none_and_long_ones_are_cut(folder: Path, causal: Causal) -> None:
    model = LanguageModel.open(str(folder))
    assert np.isnan(model.measure(pa.array(["", "kettle", None]))).all()
    (words,) = causal.write(1, 5, words=MAX_TOKENS + 40)
    cut = " ".join(words.split()[:MAX_TOKENS])
    whole = model.measure(pa.array([words, cut, " ".join(cut.split()[:-1])]))
    assert whole[0] == whole[1] != whole[2]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let every model count the texts it is asked about."""
    asked: list[int] = []

    class Counting(onnxruntime.InferenceSession):  # type: ignore[misc]
        def run(self, *given: Any, **named: Any) -> Any:
            asked.append(given[1]["input_ids"].shape[1])
            return super().run(*given, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counting)
    filters.curvature._reader.cache_clear()
    return asked


def test_the_middle_alone_is_asked_and_each_text_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str | None] = [*people(40, 3), None, MACHINE, FOREIGN, "too few words", "", *people(40, 3)]
    alone = scores(AiText(), texts)
    low, high = np.quantile(alone[:40], [0.25, 0.75])
    middle = (alone >= low) & (alone <= high)
    assert 20 <= middle.sum() < 80
    asked = counted(monkeypatch)
    stage = AiText(language_model=str(folder), uncertain=(float(low), float(high)))
    tried = len(asked)
    both = scores(stage, texts)
    different = len({text for text, here in zip(texts, middle, strict=True) if here})
    assert len(asked) - tried == different < middle.sum(), "the same text twice is asked once"
    np.testing.assert_array_equal(both[~middle], alone[~middle])  # NaN stands where it stood
    assert (both[middle] != alone[middle]).all()
    filters.curvature._reader.cache_clear()
    scores(AiText(language_model=str(folder), uncertain=(0.9999, 1)), texts[:40])
    assert len(asked) - tried == different + 2, "the model is tried on two texts when it is opened, and that is all"
    filters.curvature._reader.cache_clear()  # its session counts


def test_the_score_is_the_logistic_of_style_and_curvature(copy: Path, causal: Causal) -> None:
    texts = causal.write(5, 8)
    marked = [f"{text} https://example.org/a @bob #tag \U0001f602" for text in texts]
    style, curvature, bias = 0.7, 1.3, -0.4
    stage = AiText(language_model=str(fitted(copy, (style, curvature, bias))), uncertain=(0, 1))
    curves = LanguageModel.open(str(copy)).measure(pa.array(texts))
    for told in (texts, marked):
        alone = scores(AiText(), [*told])
        expected = 1 / (1 + np.exp(-(style * np.log(alone / (1 - alone)) + curvature * curves + bias)))
        np.testing.assert_allclose(scores(stage, [*told]), expected, rtol=1e-5)  # marks are not read


def test_a_text_without_a_curvature_keeps_its_score_by_style(copy: Path, causal: Causal) -> None:
    causal.tokenizer.save(str(copy / TOKENIZER_FILE))
    told = json.loads((copy / TOKENIZER_FILE).read_text(encoding="utf-8"))
    told["normalizer"] = {"type": "Replace", "pattern": {"String": "kettle"}, "content": ""}
    told["pre_tokenizer"] = None  # the whole text is one token
    (copy / TOKENIZER_FILE).write_text(json.dumps(told), encoding="utf-8")
    stage = AiText(language_model=str(fitted(copy)), uncertain=(0, 1))
    texts: list[str | None] = [*people(5, 1)]
    np.testing.assert_array_equal(scores(stage, texts), scores(AiText(), texts))


@pytest.fixture(scope="module")
def trained(causal: Causal, labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A model fitted on labelled rows by the command's own function, in a folder of its own."""
    model, out = causal.save(tmp_path_factory.mktemp("plain")), tmp_path_factory.mktemp("out") / "fitted"
    return out, train_middle("ai_text", [labelled], out, Order(str(model)))


def test_a_fitted_model_tells_what_style_cannot(trained: tuple[Path, dict[str, Any]], causal: Causal) -> None:
    stage = AiText(language_model=str(trained[0]))
    texts = [*causal.write(300, 21), *people(300, 22)]
    truth = np.arange(600) < 300
    alone, both = scores(AiText(), [*texts]), scores(stage, [*texts])
    middle = (alone >= 0.2) & (alone <= 0.97)
    assert middle.mean() > 0.8
    assert roc_auc(alone[middle], truth[middle]) < 0.6
    assert roc_auc(both[middle], truth[middle]) > 0.95
    assert both[middle & truth].mean() > 0.8 > 0.2 > both[middle & ~truth].mean()


def test_the_card_says_what_was_fitted_and_how_good_it_is(trained: tuple[Path, dict[str, Any]], labelled: Path) -> None:
    out, card = trained
    assert json.loads((out / FIT_FILE).read_text(encoding="utf-8")) == card
    assert (out / "card.md").read_text(encoding="utf-8") == page(card)
    assert "## The uncertain middle" in page(card)
    assert card["weights"]["curvature"] > 0.5
    assert card["sha256"] == LanguageModel.open(str(out)).sha256
    assert card["files"] == [labelled.name]
    for reading in ("as it came", "masked"):
        alone, both = (card["middle"][f"by {kind}, {reading}"] for kind in ("style", "both"))
        assert alone["roc_auc"] < 0.7 < 0.9 < both["roc_auc"]
        assert alone["rows"] == both["rows"] > 30
        assert 0.8 < both["share_of_rows"] <= 1
    for reading in ("raw", "masked"):
        assert card["validation"][reading]["all"]["roc_auc"] > 0.85
        assert "mine" in card["validation"][reading]["by_set"]
    assert any("does not know" in limit for limit in card["limits"])
    assert any("language model" in limit for limit in card["limits"])


def test_the_same_rows_and_model_give_the_same_bytes(
    trained: tuple[Path, dict[str, Any]], labelled: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(trained[0], again)
    (again / FIT_FILE).write_bytes(b"an older fit")
    train_middle("ai_text", [labelled], again, Order(str(again)))  # into the model's own folder
    files = sorted(path.name for path in trained[0].iterdir())
    assert files == ["card.md", FIT_FILE, MODEL_FILE, TOKENIZER_FILE]
    assert [(again / name).read_bytes() for name in files] == [(trained[0] / name).read_bytes() for name in files]


def test_too_few_rows_are_refused(causal: Causal, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rows whose style is uncertain: expected 20: give more rows"):
        train_middle("ai_text", [write(tmp_path / "few.parquet", causal, 15, 1)], tmp_path, Order(str(folder)))


def test_another_stage_has_no_middle(labelled: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--language-model is for stage 'ai_text' alone"):
        train_middle("spam", [labelled], tmp_path, Order(str(folder)))


def call(words: list[Any]) -> int:
    """Run the command and return its exit status."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(str(left.value.code))


def test_the_commands(causal: Causal, labelled: Path, tmp_path: Path) -> None:
    model, out = causal.save(tmp_path / "exported"), tmp_path / "told.parquet"
    order = ["train", "ai_text", "--data", labelled, "--language-model", model, "--out", model]
    assert call(order) == 0
    texts = [*causal.write(2, 31), *people(2, 32)]
    lines = [json.dumps({"id": str(at), "text": text}) for at, text in enumerate(texts)]
    (tmp_path / "posts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    order = ["score", tmp_path / "posts.jsonl", "--stages", "language,ai_text", "--out", out]
    order += ["--set", f"stages.ai_text.language_model={model}", "--set", "stages.ai_text.uncertain=[0.1, 0.9]"]
    assert call(order) == 0
    told = [row["ai_text"]["score"] for row in pq.read_table(out).to_pylist()]
    assert min(told[:2]) > 0.5 > max(told[2:])
    assert call([*order[:-1], "stages.ai_text.uncertain=[0.9, 0.1]"]) == 2


def test_the_files_stand_in_the_report_and_the_config_hash(copy: Path) -> None:
    config = Config.parse({"stages": {"ai_text": {"language_model": str(copy)}}})
    first = configure([AiText], config.stages)
    assert model_hashes(first)["ai_text"] not in (AiText().sha256, AiText().style.sha256)
    assert AiText().sha256 == AiText().style.sha256
    assert config_hash(config, configure([AiText], config.stages)) == config_hash(config, first)
    fitted(copy, (1, 1, 0.5))
    assert config_hash(config, configure([AiText], config.stages)) != config_hash(config, first)


def test_the_pickle_carries_no_model_and_a_worker_refuses_another(copy: Path) -> None:
    stage, texts = AiText(language_model=str(copy), uncertain=(0, 1)), people(3, 1)
    carried = pickle.dumps(stage)
    assert len(carried) < len(pickle.dumps(AiText())) + 2000
    filters.curvature._reader.cache_clear()  # as in a process that has not read it yet
    worker = pickle.loads(carried)
    np.testing.assert_array_equal(scores(worker, [*texts]), scores(stage, [*texts]))
    for change in (lambda: (copy / "model.onnx_data").write_bytes(b"weights"), lambda: shutil.rmtree(copy)):
        filters.curvature._reader.cache_clear()
        change()
        with pytest.raises(SetupError, match=r"expected files of sha256|where every worker can read it"):
            annotate(posts([*texts]), [worker])


def test_a_page_or_another_fit_changes_no_model(copy: Path) -> None:
    before = LanguageModel.open(str(copy)).sha256
    (copy / "README.md").write_text("what it is", encoding="utf-8")
    fitted(copy, (2, 2, 2))
    assert LanguageModel.open(str(copy)).sha256 == before


def test_without_the_package_the_message_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    filters.curvature._reader.cache_clear()
    with pytest.raises(SetupError, match=r"pip install 'swarmfeed\[lm\]'"):
        AiText(language_model=str(folder))
    assert AiText().joined is None


def other_graph(causal: Causal, *inputs: str, **graph: Any) -> Callable[[Path], object]:
    return lambda folder: causal.save(folder, inputs or INPUTS[:1], **graph)


def saved(table: npt.NDArray[Any]) -> Callable[[Path], object]:
    return lambda folder: onnx.save(pairs(table, INPUTS[:1]), folder / MODEL_FILE)


def test_half_precision_is_read(causal: Causal, tmp_path: Path) -> None:
    whole, half = causal.save(tmp_path / "whole"), causal.save(tmp_path / "half")
    saved(causal.table.astype(np.float16))(half)
    texts = pa.array(people(5, 1))
    told = [LanguageModel.open(str(folder)).measure(texts) for folder in (whole, half)]
    np.testing.assert_allclose(*told, atol=0.02)


@pytest.mark.parametrize("case", range(12))
def test_a_folder_that_will_not_do_is_refused_before_the_run(causal: Causal, copy: Path, case: int) -> None:
    content = (copy / MODEL_FILE).read_bytes()
    cases: tuple[tuple[Callable[[Path], object], str], ...] = (
        (shutil.rmtree, "no language model in .*copy: expected model.onnx and tokenizer.json"),
        (lambda folder: (folder / TOKENIZER_FILE).unlink(), "expected model.onnx and tokenizer.json"),
        (lambda folder: (folder / MODEL_FILE).write_bytes(b""), r"model\.onnx cannot be read"),
        (lambda folder: (folder / MODEL_FILE).write_bytes(content[: len(content) // 2]), r"model\.onnx cannot be read"),
        (lambda folder: (folder / MODEL_FILE).write_bytes(b"no model at all"), r"model\.onnx cannot be read"),
        (lambda folder: (folder / TOKENIZER_FILE).write_text("{}"), r"tokenizer\.json cannot be read"),
        (other_graph(causal, "input_ids", "past_key"), "asks for past_key: .*--task text-generation"),
        (other_graph(causal, output="scores"), "is no causal language model: expected input_ids in, logits out"),
        (other_graph(causal, rank=2), r"it fails on 2 tokens: expected logits of shape \(1, 2, vocabulary\)"),
        (saved(causal.table[:-1]), "it fails on"),  # the last word has no row
        (saved(causal.table[:, :-1]), "pieces, the model knows .* not of one model"),
        (saved(np.full_like(causal.table, np.nan)), "the language model's logits are no numbers"),
    )
    spoil, message = cases[case]
    spoil(copy)
    with pytest.raises(SetupError, match=message):
        configure([AiText], {"ai_text": {"language_model": str(copy)}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected curvature.json in .*: fit it: swarmfeed train ai_text --data FILE --language-model FOLDER"),
        ("", r"curvature\.json cannot be read"),
        ("[]", r"curvature\.json cannot be read"),
        ({"weights": {"style": 1, "curvature": 1}}, r"curvature\.json cannot be read: KeyError"),
        ({"weights": {"style": 1, "curvature": "x", "bias": 0}}, r"curvature\.json cannot be read: ValueError"),
        ({"weights": {"style": 1, "curvature": math.nan, "bias": 0}}, "a weight is no number"),
        ({"sha256": "0" * 64}, "was fitted on the language model of sha256 0{16}, this one is"),
        ({"style_sha256": "0" * 64}, "was fitted on the style model of sha256 0{16}, this one is"),
    ],
)
def test_a_fit_that_will_not_do_is_refused_before_the_run(copy: Path, content: Any, message: str) -> None:
    told = (copy / FIT_FILE).read_text(encoding="utf-8")
    if isinstance(content, dict):
        content = json.dumps(json.loads(told) | content)
    if content is None:
        (copy / FIT_FILE).unlink()
    else:
        (copy / FIT_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(SetupError, match=message):
        configure([AiText], {"ai_text": {"language_model": str(copy)}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"language_models": "x"}, "did you mean 'language_model'"),
        ({"language_model": 3}, "'language_model' must be a folder, got 3"),
        ({"language_model": ""}, "'language_model' must be a folder, got ''"),
        ({"uncertain": 0.5}, "'uncertain' must be two scores from 0 to 1, the lower one first, got 0.5"),
        ({"uncertain": [0.5]}, "must be two scores"),
        ({"uncertain": [0.9, 0.2]}, "must be two scores"),
        ({"uncertain": [0.5, 1.5]}, "must be two scores"),
        ({"uncertain": ["a", 1]}, "must be two scores"),
        ({"uncertain": [math.nan, 1]}, "must be two scores"),
        ({"uncertain": [False, True]}, "must be two scores"),
    ],
)
def test_wrong_settings(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure([AiText], {"ai_text": section})


def test_it_never_fails_on_a_row(folder: Path) -> None:
    lines = (Path(__file__).parents[1] / "golden" / "ai_text.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    batch, failures = annotate(posts(texts), [AiText(language_model=str(folder), uncertain=(0, 1))])
    assert failures == []
    told, alone = batch.column("ai_text"), AiText()(posts(texts))
    assert told.is_null().equals(alone.is_null())
    assert pc.max(told.field("score")).as_py() <= 1
