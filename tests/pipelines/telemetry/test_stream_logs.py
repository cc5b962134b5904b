"""The log: closed events, numbers, short names, one line each; no text gets in, whatever is logged."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import string
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from streams import EPOCH

from pipelines.telemetry import logs
from pipelines.telemetry.logs import Entry, Event, JsonFormatter, SentenceFormatter, epoch_entry, open_log
from schemas.errors import ConfigError
from schemas.reasons import Fault

NAME = set(string.ascii_letters + string.digits + "_.:/-")
MARK = "\N{SNOWMAN}"  # in no word of ours
texts = st.text(min_size=1).filter(lambda text: not set(text) <= NAME or len(text) > 64)


def record(message: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("swarmfeed.stream", level, __file__, 1, message, None, None)


def written(entry: object) -> dict[str, Any]:
    line = JsonFormatter().format(record(entry))
    assert "\n" not in line
    data: dict[str, Any] = json.loads(line)
    return data


def test_an_epoch_is_one_line() -> None:
    data = written(epoch_entry(EPOCH))
    assert datetime.fromisoformat(data.pop("ts")).utcoffset() is not None
    assert data == {
        "level": "info",
        "event": "epoch_done",
        "epoch": 0,
        "counts": {
            "read": 1000,
            "kept": 190,
            "rejected": 805,
            "quarantined": 5,
            "tokens": 19_000,
            "tombstones": 3,
        },
        "seconds": {"annotate": 2.0, "duplicates": 1.0, "decide": 0.5, "index": 0.25, "commit": 0.25, "total": 4.0},
    }


def test_what_may_be_logged() -> None:
    counts = {"numpy": np.int64(3), "share": np.float32(0.5), "flag": True, "none": float("nan")}
    data = written(Entry(Event.STARTED, 7, counts, {}, {"source": "jetstream", "fault": Fault.BAD_JSON}))  # type: ignore[arg-type]
    assert data["counts"] == {"numpy": 3, "share": 0.5, "flag": True, "none": None}
    assert data["names"] == {"source": "jetstream", "fault": "bad_json"}


@given(texts, texts)
def test_a_text_never_comes_out_whichever_way_it_goes_in(key: str, text: str) -> None:
    key, text = MARK + key, MARK + text
    values: dict[Any, Any] = {key: text, "text": text, "list": [text], "error": ValueError(text), "of": {text: text}}
    entries = (
        Entry(Event.FAILED, counts=values, seconds=values, names=values),
        Entry(text, epoch=text),  # type: ignore[arg-type]
        text,
        f"%s {text}",
        ValueError(text),
    )
    for entry in entries:
        for formatter in (JsonFormatter(), SentenceFormatter()):
            line = formatter.format(record(entry))
            assert MARK not in line
            assert MARK.encode("unicode_escape").decode() not in line
            assert "\n" not in line


@given(texts)
def test_a_value_that_is_no_short_name_is_withheld(text: str) -> None:
    assert logs.allowed(text) == "withheld"


def test_a_long_word_is_no_short_name() -> None:
    assert logs.allowed("a" * 64) == "a" * 64
    assert logs.allowed("a" * 65) == "withheld"


@given(st.text(alphabet=sorted(NAME), min_size=1, max_size=64))
def test_a_short_name_comes_through(word: str) -> None:
    assert logs.allowed(word) == word


@given(st.one_of(st.binary(), st.lists(st.text()), st.dictionaries(st.text(), st.text()), st.dates()))
def test_any_other_kind_of_value_is_withheld(value: object) -> None:
    assert logs.allowed(value) == "withheld"


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_numbers_and_flags_come_through(value: float) -> None:
    found = written(Entry(Event.STARTED, counts={"value": value}))["counts"]["value"]
    assert found == value
    assert type(found) is type(value)


def test_a_decimal_is_no_number_of_ours() -> None:
    assert logs.allowed(Decimal("1.5")) == "withheld"


@given(st.integers(0, 10**9), st.text())
def test_a_trailing_newline_is_no_name(number: int, text: str) -> None:
    assume(text)
    assert logs.allowed(f"{number}\n") == "withheld"


def test_json_goes_to_stderr_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(Console(file=io.StringIO())) as log:
        log.info(Entry(Event.STARTED))
        log.warning(Entry(Event.SOURCE_LOST, names={"source": "kafka"}))
        log.error(Entry(Event.DISK_FULL))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [
        ("info", "started"),
        ("warning", "source_lost"),
        ("error", "disk_full"),
    ]


def test_a_terminal_gets_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    with open_log(Console(file=file, force_terminal=True, no_color=True, width=40)) as log:
        log.info(epoch_entry(EPOCH))
        log.warning(Entry(Event.SOURCE_LOST, names={"source": "kafka"}, counts={"reconnects": 3}))
    first, second = (Text.from_ansi(row).plain for row in file.getvalue().splitlines())
    assert first[9:] == (
        "epoch done 0 · read 1,000 · kept 190 · rejected 805 · quarantined 5 · tokens 19,000 · tombstones 3"
        " · annotate 2.0 s · duplicates 1.0 s · decide 0.5 s · index 0.2 s · commit 0.2 s · total 4.0 s"
    )
    assert second[9:] == "source lost · source kafka · reconnects 3"
    assert capsys.readouterr().err == ""


def test_a_file_gets_json_and_the_terminal_sentences_all_the_same(tmp_path: Path) -> None:
    path, shown = tmp_path / "stream.log", io.StringIO()
    with open_log(Console(file=shown, force_terminal=True), path) as log:
        log.info(Entry(Event.STARTED))
    assert json.loads(path.read_text())["event"] == "started"
    assert "started" in shown.getvalue()


def test_a_file_is_rotated_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    monkeypatch.setattr(logs, "FILES", 3)
    path = tmp_path / "stream.log"
    with open_log(Console(file=io.StringIO()), path) as log:
        for epoch in range(200):
            log.info(Entry(Event.EPOCH_DONE, epoch))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["stream.log", "stream.log.1", "stream.log.2", "stream.log.3"]
    assert all(file.stat().st_size <= 2000 for file in files)
    lines = [json.loads(line)["epoch"] for file in (*files[:0:-1], files[0]) for line in file.read_text().splitlines()]
    assert lines == list(range(lines[0], 200)), "the newest are whole and in order"


def test_a_file_that_cannot_be_written_is_named_with_its_key(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"stream\.log_file: .*No such file or directory"),
        open_log(Console(file=io.StringIO()), tmp_path / "none" / "stream.log"),
    ):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, a file on a disk that is full")
def test_a_full_disk_stops_the_log_and_not_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            full.write("x\n")
        handler = logs._StreamHandler(full)
        handler.setFormatter(JsonFormatter())
        logs.StreamLog(handler).info(Entry(Event.STARTED))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            full.flush()
        full.buffer.raw.close()  # type: ignore[attr-defined]
    assert capsys.readouterr() == ("", "")
