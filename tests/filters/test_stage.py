"""The stage protocol: rows that fail stand alone, our own errors stop the run, mistyped keys are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.stage import Failure, Stage, annotate, annotated_schema, configure, neighbours
from schemas.errors import ConfigError, SetupError
from schemas.post import POST

LENGTH = pa.struct([("chars", pa.int32())])


@dataclass(frozen=True)
class Length:
    """Count the characters of a text; choke on one word."""

    name: ClassVar[str] = "length"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    output: ClassVar[pa.StructType] = LENGTH

    poison: str = "poison"
    missing: str = "missing model"

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        assert batch.schema.names == ["text"]
        texts = batch.column("text").to_pylist()
        if self.missing in texts:
            raise SetupError("no such model")
        if self.poison in texts:
            raise ValueError(f"cannot look at {self.poison}")
        return pa.StructArray.from_arrays([pc.utf8_length(batch.column("text"))], fields=list(LENGTH))


@dataclass(frozen=True)
class Doubled:
    """Read the column of the stage before."""

    name: ClassVar[str] = "doubled"
    reads: ClassVar[tuple[str, ...]] = ("length",)
    output: ClassVar[pa.StructType] = LENGTH

    choke_on: int = -1

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        chars = pc.struct_field(batch.column("length"), "chars")
        if self.choke_on in chars.to_pylist():
            raise KeyError("no")
        doubled = pc.cast(pc.multiply(chars, 2), pa.int32())
        return pa.StructArray.from_arrays([doubled], fields=list(LENGTH))


@dataclass(frozen=True)
class Shrinking(Length):
    """Break the first law: answer with one row too few."""

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        return super().__call__(batch).slice(1)


@dataclass(frozen=True)
class Letters:
    """Count one letter; answered together with its like, from one look at the texts."""

    name: ClassVar[str] = "letters"
    reads: ClassVar[tuple[str, ...]] = ("text",)
    output: ClassVar[pa.StructType] = LENGTH

    letter: str = "a"
    poison: str = "poison"
    short: bool = False  # answers with a row too few, together as alone

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        texts = batch.column("text").to_pylist()
        if self.poison in texts:
            raise ValueError("cannot look at it")
        counts = pa.array([text.count(self.letter) for text in texts], pa.int32())
        return pa.StructArray.from_arrays([counts.slice(int(self.short))], fields=list(LENGTH))

    @staticmethod
    def answer_together(stages: Sequence[Letters], batch: pa.RecordBatch) -> list[pa.Array]:
        LOOKS.append([stage.name for stage in stages])
        return [stage(batch) for stage in stages]


@dataclass(frozen=True)
class MoreLetters(Letters):
    """The same under another name."""

    name: ClassVar[str] = "more_letters"


LOOKS: list[list[str]] = []


def batch_of(texts: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([str(number) for number in range(len(texts))], pa.string()), pa.array(texts, pa.string())],
        ["id", "text"],
    )


def test_a_stage_is_recognised() -> None:
    assert isinstance(Length(), Stage)


def test_columns_are_added_in_order() -> None:
    done, failures = annotate(batch_of(["a", "bcd"]), (Length(), Doubled()))
    assert done.schema.names == ["id", "text", "length", "doubled"]
    assert done.column("doubled").to_pylist() == [{"chars": 2}, {"chars": 6}]
    assert failures == []
    assert annotated_schema((Length(), Doubled())).names == [*POST.names, "length", "doubled"]


@given(st.lists(st.sampled_from(["ok", "poison", "word", ""]), max_size=40))
def test_failing_rows_stand_alone(texts: list[str]) -> None:
    done, failures = annotate(batch_of(texts), (Length(), Doubled(choke_on=4)))
    at = {number: text for number, text in enumerate(texts)}
    assert {failure.row for failure in failures} == {n for n, text in at.items() if text in ("poison", "word")}
    assert {at[failure.row]: failure.stage for failure in failures}.items() <= {
        "poison": "length",
        "word": "doubled",
    }.items()
    assert done.column("id").to_pylist() == [str(n) for n, text in at.items() if text not in ("poison", "word")]
    assert done.column("doubled").to_pylist() == [{"chars": 2 * len(text)} for text in texts if text in ("ok", "")]


def test_a_failure_names_the_error_and_never_the_text() -> None:
    _, failures = annotate(batch_of(["fine", "poison"]), (Length(),))
    assert failures == [Failure(1, "length", "ValueError in stage length")]


def test_every_row_may_fail() -> None:
    done, failures = annotate(batch_of(["poison"] * 3), (Length(), Doubled()))
    assert (done.num_rows, len(failures)) == (0, 3)
    assert done.schema.field("doubled").type == LENGTH


def test_a_wrong_answer_is_a_failure_too() -> None:
    done, failures = annotate(batch_of(["a", "b"]), (Shrinking(),))
    assert (done.num_rows, [failure.row for failure in failures]) == (0, [0, 1])


def test_neighbours_are_answered_in_one_pass() -> None:
    stages = (Letters(), MoreLetters("b"), Length(), Letters("c"))
    assert [[stage.name for stage in group] for group in neighbours(stages)] == [
        ["letters", "more_letters"],
        ["length"],
        ["letters"],
    ]
    LOOKS.clear()
    done, failures = annotate(batch_of(["abb", "a"]), stages[:3])
    assert (LOOKS, failures) == ([["letters", "more_letters"]], [])
    assert done.schema.names == ["id", "text", "letters", "more_letters", "length"]
    assert done.column("more_letters").to_pylist() == [{"chars": 2}, {"chars": 0}]


@pytest.mark.parametrize("second", [MoreLetters("b"), MoreLetters("b", poison="worse"), MoreLetters("b", short=True)])
def test_neighbours_that_fail_together_are_asked_alone(second: MoreLetters) -> None:
    batch = batch_of(["abb", "poison", "b", "worse", "a"])
    alone, failures = annotate(batch, (Letters(),))
    expected, more = annotate(alone, (second,))
    assert [failure.row for failure in failures] == [1]
    rows = [row for row in range(5) if row != 1]
    done, found = annotate(batch, (Letters(), second))
    assert done.equals(expected)
    assert found == [*failures, *(Failure(rows[one.row], one.stage, one.error) for one in more)]


def test_our_own_errors_stop_the_run() -> None:
    with pytest.raises(SetupError, match="no such model"):
        annotate(batch_of(["fine", "missing model"]), (Length(),))


def test_no_rows_are_welcome() -> None:
    done, failures = annotate(batch_of([]), (Length(), Doubled()))
    assert (done.num_rows, failures) == (0, [])


def test_settings_reach_their_stage() -> None:
    assert configure([Length, Doubled], {"doubled": {"choke_on": 7}}) == (Length(), Doubled(choke_on=7))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lenght": {}}, "config: unknown stage 'stages.lenght': did you mean 'length'?"),
        ({"length": {"poisn": "x"}}, "config: unknown key 'stages.length.poisn': did you mean 'poison'?"),
        ({"doubled": {"zzz": 1}}, "config: unknown key 'stages.doubled.zzz': expected one of: choke_on"),
    ],
)
def test_a_mistyped_key_is_named_with_the_nearest_legal_one(settings: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        configure([Length, Doubled], settings)
    assert str(raised.value) == message
