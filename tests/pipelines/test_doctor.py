"""The doctor looks at the real machine; what it must find wrong is made wrong."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from filters import STAGES
from pipelines import doctor
from pipelines.doctor import Check, changed, disk, examine, memory_bytes, misfit, print_checks, to_dict


def test_this_machine_can_run(spark: SparkSession, tmp_path: Path) -> None:
    checks = {check.name: check for check in examine(tmp_path)}
    assert [name for name, check in checks.items() if check.state == "fail"] == []
    assert checks["Spark"].found.startswith(spark.version)
    assert checks["output folder"].found.endswith(str(tmp_path))
    assert f"{len(STAGES)} stages" in checks["models"].found
    assert SparkSession.getActiveSession() is not None


def test_no_java_fails_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    check = doctor._java()
    assert check.state == "fail"
    assert "install a JDK 17" in check.advice


@pytest.mark.parametrize(
    ("name", "bounds", "said"),
    [
        ("pyarrow", ">=1", ""),
        ("pyarrow", "<9999,>=1.0.0", ""),
        ("pyarrow", "", ""),
        ("pyarrow", ">=9999", "wanted >=9999"),
        ("pandas", "<2", "wanted <2"),
        ("no-such-package", ">=1", "no-such-package is missing"),
    ],
)
def test_packages_are_held_to_their_bounds(name: str, bounds: str, said: str) -> None:
    assert misfit(name, bounds).endswith(said)
    assert bool(misfit(name, bounds)) == bool(said)


@pytest.mark.parametrize(("one", "other"), [("2", "2.0.0"), ("4.1", "4.1.0rc1")])
def test_zeros_at_the_end_of_a_version_do_not_count(one: str, other: str) -> None:
    assert doctor._numbers(one) == doctor._numbers(other)
    assert doctor._numbers("10.2") > doctor._numbers("9.11")


def test_a_folder_is_looked_at_or_the_one_above_it(tmp_path: Path) -> None:
    assert str(tmp_path) in disk("x", tmp_path / "not" / "yet").found
    (tmp_path / "file").write_text("")
    assert disk("x", tmp_path / "file").state == disk("x", tmp_path / "file" / "below").state == "fail"


def test_a_changed_model_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    for told in (digest, {"weights.npz": digest}):
        (tmp_path / "card.json").write_text(json.dumps({"sha256": told}))
        assert not changed(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"other")
    assert changed(tmp_path)


def test_memory_is_never_more_than_the_machine_has() -> None:
    kib = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    assert 2**28 < memory_bytes() <= int(kib) * 1024


def test_what_is_wrong_is_printed_with_what_to_do() -> None:
    checks = [Check("Java", "fail", "missing", "install [a] JDK"), Check("disk", "ok", "5 GiB at /x")]
    console = Console(file=io.StringIO(), width=80)
    print_checks(checks, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "Java: install [a] JDK\n" in text
    assert text.rstrip().endswith("A run would fail: Java.")
    assert to_dict(checks)["ok"] is False
    assert to_dict(checks[1:])["ok"] is True
    assert json.loads(json.dumps(to_dict(checks)))["checks"][0]["advice"] == "install [a] JDK"
