"""The laws every stage keeps. A new stage is picked up from the tuple; nothing here needs to be touched."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from causal_model import Causal, fitted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters import RECORD_STAGES, STAGES
from filters.ai_text import AiText
from filters.contamination import Contamination
from filters.datatrove import Datatrove
from filters.fasttext import Fasttext
from filters.language_lid import model_file
from filters.stage import Stage, annotate, configure, neighbours
from filters.verdict import KINDS, Verdict
from schemas.columns import DUPLICATES

NASTY = (
    "",
    " ",
    "\U0001f602",
    "\U0001f602" * 500,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "\u200b\u200c\u200d\ufeff",
    "\u202eesrever\u202c \u2066abc\u2069",
    "\ufffd\ufffd",
    "\x00\x01\x7f",
    "e\u0301" * 40 + "\u0315" * 60,
    "word",
    "buy now " * 60,
    "x" * 20_000,
    "שלום abc مرحبا 123 def",
    "&amp;amp; &#x1F600; &#55357; Ã©tÃ©",
    "\U0010ffff\ue000\ufdd0",
)
ORDINARY = (
    "The council voted last night to close the old swimming pool, and nobody asked the children.",
    "RT @someone: good morning #coffee #monday https://example.org/a?b=c",
    "Сегодня в городе прошёл первый снег, дороги стоят.",
    "今天的天气真好，我们一起去公园散步吧。",
    "WIN A FREE PHONE!!! click http://win.example now, call +1 202 555 0143 or mail me@win.example",
    "Das kostet 1.234,56 Euro, IBAN DE89 3704 0044 0532 0130 00, Karte 4111 1111 1111 1111",
)
TEXTS = st.lists(st.none() | st.sampled_from(NASTY + ORDINARY) | st.text(max_size=60), min_size=1, max_size=8)
READY: tuple[Stage, ...] = configure(STAGES, {})
EVALUATION = TemporaryDirectory()
FILE = Path(EVALUATION.name) / "quiz.txt"
FILE.write_text("\n".join((ORDINARY[0], ORDINARY[3], "buy now buy now buy now buy now")), encoding="utf-8")
SET_UP: tuple[Stage, ...] = (  # stages that say nothing until they are set up
    Contamination(files=(str(FILE),)),
    Fasttext(models={"lid": str(model_file())}, labels_per_model=2),
    Datatrove(
        filters={
            "quality": {"filter": "GopherQualityFilter", "min_doc_words": 8, "min_stop_words": 1},
            "repetition": {"filter": "GopherRepetitionFilter"},
            "c4": {"filter": "C4QualityFilter", "min_num_sentences": 1},
            "fineweb": {"filter": "FineWebQualityFilter"},
        }
    ),
)
MODEL = fitted(Causal().save(Path(EVALUATION.name) / "model"))
SAY_MORE: tuple[Stage, ...] = (AiText(language_model=str(MODEL), uncertain=(0, 1)),)  # with what is optional

each_stage = pytest.mark.parametrize(
    "stage",
    [*READY, *SET_UP, *SAY_MORE],
    ids=[*(stage.name for stage in READY), *(f"{stage.name} set up" for stage in (*SET_UP, *SAY_MORE))],
)
some = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def annotated(texts: list[str | None], upto: Stage) -> pa.RecordBatch:
    """Return the columns `upto` may read: the text and the columns of the stages before it."""
    ids = pa.array([None if text is None else text[:20] for text in texts], pa.string())
    batch = pa.RecordBatch.from_arrays([pa.array(texts, pa.string()), ids], ["text", "id"])
    needed = set(upto.reads)
    for kind in reversed(STAGES):
        needed |= set(kind.reads) if kind.name in needed else set()
    for stage in READY:
        if stage.name == upto.name:
            break
        if stage.name in needed:
            batch = batch.append_column(stage.name, stage(batch.select(list(stage.reads))))
    return batch.append_column("duplicates", _duplicates(texts)).select(list(upto.reads))


CLUSTER = {"cluster_size": 2, "cluster_authors": 1, "deleted": False}


def _duplicates(texts: list[str | None]) -> pa.Array:
    kinds = [None, *KINDS]
    rows = [text and {"kind": kinds[len(text) % len(kinds)], "copy": len(text) % 4 or None} | CLUSTER for text in texts]
    return pa.array([row or None for row in rows], DUPLICATES)


def same(left: pa.Array, right: pa.Array) -> bool:
    return left.type == right.type and left.to_pylist() == right.to_pylist()


def as_bytes(column: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_arrays([column], ["column"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def test_the_verdict_comes_last_and_every_stage_reads_what_stands_before_it() -> None:
    assert [*RECORD_STAGES, Verdict] == [*STAGES]
    ready = {"id", "text", "lang_hint", "duplicates"}
    for kind in STAGES:
        assert set(kind.reads) <= ready, f"{kind.name} reads a column that no stage before it adds"
        ready.add(kind.name)


@each_stage
@some
@given(texts=TEXTS)
def test_rows_in_are_rows_out_of_the_exact_type(stage: Stage, texts: list[str | None]) -> None:
    answer = stage(annotated(texts, stage))
    assert isinstance(answer, pa.Array)
    answer.validate(full=True)
    assert len(answer) == len(texts)
    assert answer.type == stage.output


@each_stage
@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text[:8]))
def test_nasty_texts_alone(stage: Stage, text: str) -> None:
    answer = stage(annotated([text], stage))
    answer.validate(full=True)
    assert len(answer) == 1


@each_stage
@some
@given(texts=TEXTS, data=st.data())
def test_split(stage: Stage, texts: list[str | None], data: st.DataObject) -> None:
    batch = annotated(texts, stage)
    cut = data.draw(st.integers(0, len(texts)))
    parts = [stage(batch.slice(0, cut)), stage(batch.slice(cut))]
    assert same(pa.concat_arrays(parts), stage(batch))


@each_stage
@some
@given(texts=TEXTS, data=st.data())
def test_order(stage: Stage, texts: list[str | None], data: st.DataObject) -> None:
    batch = annotated(texts, stage)
    order = pa.array(data.draw(st.permutations(range(len(texts)))), pa.int64())
    assert same(stage(batch.take(order)), stage(batch).take(order))


@each_stage
def test_null_in_null_out(stage: Stage) -> None:
    batch = annotated([*ORDINARY], stage)
    nulls = pa.RecordBatch.from_arrays([pa.nulls(3, column.type) for column in batch.columns], batch.schema.names)
    mixed = pa.Table.from_batches([batch, nulls, batch]).combine_chunks().to_batches()[0]
    answer = stage(mixed)
    assert answer.slice(len(batch), 3).null_count == 3
    assert same(answer.slice(0, len(batch)), stage(batch))


@each_stage
@some
@given(texts=TEXTS, other=st.text(max_size=5))
def test_columns_outside_reads_cannot_matter(stage: Stage, texts: list[str | None], other: str) -> None:
    batch = annotated(texts, stage)
    wide = pa.RecordBatch.from_arrays(
        [pa.array([other] * len(texts), pa.string()), *reversed(batch.columns), pa.array(range(len(texts)))],
        ["note", *reversed(batch.schema.names), "number"],
    )
    assert same(stage(wide), stage(batch))


@each_stage
@some
@given(texts=TEXTS)
def test_slices_of_longer_columns(stage: Stage, texts: list[str | None]) -> None:
    whole = annotated(["some other post", None, *texts, "one more"], stage)
    assert same(stage(whole.slice(2, len(texts))), stage(annotated(texts, stage)))


@each_stage
def test_pickling(stage: Stage) -> None:
    again: Any = pickle.loads(pickle.dumps(stage))
    assert again == stage
    assert hash(again) == hash(stage)
    batch = annotated([*ORDINARY, *NASTY, None], stage)
    assert same(again(batch), stage(batch))


@each_stage
def test_same_bytes_twice(stage: Stage) -> None:
    batch = annotated([*ORDINARY, *NASTY, None], stage)
    assert as_bytes(stage(batch)) == as_bytes(stage(batch))
    assert as_bytes(replace(stage)(batch)) == as_bytes(stage(batch))  # type: ignore[type-var]


@each_stage
def test_no_rows(stage: Stage) -> None:
    answer = stage(annotated([*ORDINARY], stage).slice(0, 0))
    assert (len(answer), answer.type) == (0, stage.output)


@some
@given(texts=TEXTS)
def test_stages_answered_in_one_pass_say_the_same_alone(texts: list[str | None]) -> None:
    posts = pa.RecordBatch.from_arrays([pa.array(texts, pa.string()), _duplicates(texts)], ["text", "duplicates"])
    posts = posts.append_column("lang_hint", pa.nulls(len(texts), pa.string()))
    posts = posts.append_column("id", pa.array([str(number) for number in range(len(texts))]))
    done, failures = annotate(posts, READY)
    assert failures == []
    assert max(len(group) for group in neighbours(READY)) > 1, "no stages stand side by side: nothing was tested"
    for stage in READY:
        alone = pa.concat_arrays([stage(done.select(list(stage.reads)))])  # lays empty buffers out as `annotate` does
        assert as_bytes(done.column(stage.name)) == as_bytes(alone)


@pytest.mark.parametrize("stage", SET_UP, ids=lambda stage: stage.name)
def test_what_is_set_up_has_something_to_say(stage: Stage) -> None:
    told = stage(annotated([*ORDINARY], stage)).to_pylist()
    assert None not in told
    assert len({repr(one) for one in told}) > 1
