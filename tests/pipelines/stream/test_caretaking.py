"""A stream that is to stop does not wait for a pass: what is half done is dropped, and done after the next start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from epochs import Output, post
from pyspark.sql import SparkSession
from rich.console import Console

from pipelines.exchange import on_executors
from pipelines.stream.caretaking import Housekeeping
from pipelines.telemetry import open_telemetry
from pipelines.upkeep import requests
from pipelines.upkeep.forgetting import forget, pending
from pipelines.upkeep.requests import Request
from schemas.config import StreamConfig

T = TypeVar("T")
LONG_SECONDS = 600.0


def test_leaving_drops_a_pass(spark: SparkSession, tmp_path: Path) -> None:
    output = Output(tmp_path / "out")
    output.epoch([post("first-000001", 0), post("second-00002", 1)])
    requests.leave(output.root, Request(ids=("first-000001",)))
    at_work = threading.Event()

    def slowly(count: int, work: Callable[[int], T], even: bool = False) -> list[T]:
        at_work.set()
        return on_executors(spark)(1, lambda _: time.sleep(LONG_SECONDS))

    settings = StreamConfig(log_file=str(tmp_path / "log"))
    with open_telemetry(settings, output.root, Console(quiet=True)) as telemetry:
        housekeeping = Housekeeping(spark, replace(output.upkeep(), run=slowly), telemetry)
        with housekeeping.beside():
            assert at_work.wait(60)
            began = time.monotonic()
        assert time.monotonic() - began < LONG_SECONDS / 10
    assert '"failed"' not in (tmp_path / "log").read_text()
    assert pending(output.root)["requests"] == 1
    assert forget(output.upkeep()).posts == 1
