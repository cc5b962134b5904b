"""Whatever Spark, a worker or the file system throws becomes one of our errors, in one line, without a post's text."""

from __future__ import annotations

import pytest
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from pipelines.failures import explain, explained
from schemas.errors import ConfigError, RunError, SetupError, SwarmfeedError

WORKER = """An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "pipelines/staging.py", line 90, in stage_part
    posts.write_batch(batch)
{}
"""


@pytest.mark.parametrize(
    ("message", "kind", "said"),
    [
        (WORKER.format("schemas.errors.SetupError: no model for stage 'spam'"), SetupError, "no model for"),
        (WORKER.format("schemas.errors.ConfigError: wrong: key"), ConfigError, "wrong: key"),
        (WORKER.format("OSError: [Errno 28] No space left on device"), RunError, "the disk is full: nothing was"),
        (WORKER.format("OSError: [Errno 28] Error writing bytes to file. Detail: x"), RunError, "the disk is full"),
        ("java.io.IOException: No space left on device", RunError, "the disk is full"),
        ("Generic LocalFileSystem error: (os error 28)", RunError, "the disk is full"),
        (
            WORKER.format("PermissionError: [Errno 13] Permission denied: '/data/a.jsonl'"),
            ConfigError,
            "a file cannot be read or written: Permission denied: '/data/a.jsonl'",
        ),
        (
            WORKER.format("FileNotFoundError: [Errno 2] No such file or directory: '/data/a.jsonl'"),
            RunError,
            "a file is gone",
        ),
        (
            WORKER.format("ModuleNotFoundError: No module named 'orjson'"),
            SetupError,
            "an executor lacks the Python module 'orjson'",
        ),
        ("org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)", RunError, "a worker was lost"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", RunError, "Spark's JVM was lost"),
        ("Py4JNetworkError: Answer from Java side is empty", RunError, "Spark's JVM was lost"),
        ("java.lang.OutOfMemoryError: Java heap space", RunError, "a worker was lost"),
        (WORKER.format("pyarrow.lib.ArrowInvalid: words of a post"), RunError, "the run failed (ArrowInvalid)"),
        (WORKER.format("KeyError: 'the words of a post'"), RunError, "the run failed (KeyError)"),
        ("Py4JJavaError: An error\n: java.lang.IllegalStateException: words of a post", RunError, "(IllegalState"),
        ("", RunError, "the run failed (unknown failure)"),
    ],
)  # fmt: skip
def test_a_message_is_explained_in_one_line(message: str, kind: type[SwarmfeedError], said: str) -> None:
    error = explain(message)
    assert type(error) is kind
    assert said in str(error)
    assert "\n" not in str(error)
    assert "words of a post" not in str(error)


def test_our_own_errors_pass_untouched() -> None:
    given = SetupError("no Java")
    with pytest.raises(SetupError) as caught, explained():
        raise given
    assert caught.value is given


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("x"), Py4JError("gone")])
def test_the_cause_is_kept(error: Exception) -> None:
    with pytest.raises(RunError) as caught, explained():
        raise error
    assert caught.value.__cause__ is error


def test_what_breaks_behind_an_interrupt_is_the_interrupt() -> None:
    def clean_up_badly() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(KeyboardInterrupt), explained():
        clean_up_badly()


def test_a_defect_keeps_its_name() -> None:
    with pytest.raises(RunError, match=r"the run failed \(ZeroDivisionError\)") as caught, explained():
        raise ZeroDivisionError("the words of a post")
    assert "words" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("raise OSError(28, 'No space left on device')", RunError, "the disk is full"),
        ("from schemas.errors import SetupError; raise SetupError('no model')", SetupError, "^no model$"),
        ("raise KeyError('the words of a post')", RunError, r"^the run failed \(KeyError\)"),
    ],
)
def test_what_a_real_worker_raises(spark: SparkSession, code: str, kind: type[SwarmfeedError], said: str) -> None:
    def work(batches: object) -> object:
        exec(code)
        return batches

    with pytest.raises(kind, match=said), explained():
        spark.range(1).mapInArrow(work, "id long").collect()
