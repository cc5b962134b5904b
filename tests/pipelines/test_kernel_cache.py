"""Compiled kernels of a zip are found again wherever the zip lies, and only where nobody else may write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from pipelines import kernel_cache

ROOT = Path(__file__).parents[2]
KERNEL = """
from numba import njit

@njit(cache=True)
def double(x):
    return 2 * x
"""


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """A zip with one kernel in it."""
    path = tmp_path / "code.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("kernels/__init__.py", "")
        archive.writestr("kernels/doubling.py", KERNEL)
    return path


def compile_from(path: Path, home: Path) -> str:
    """Run the kernel in a process of its own; say how often it was loaded and how often compiled."""
    code = (
        f"import sys; sys.path[:0] = [{str(path)!r}, {str(ROOT)!r}]; from kernels.doubling import double; double(4)\n"
        "print(sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))"
    )
    env = os.environ | {
        "NUMBA_CACHE_LOCATOR_CLASSES": kernel_cache.LOCATORS,
        "HOME": str(home),
        "TMPDIR": str(path.parent),
    }
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout


def test_a_zip_that_moves_finds_its_kernels(zipped: Path, tmp_path: Path) -> None:
    assert compile_from(zipped, tmp_path / "home") == "0 1\n"
    moved = tmp_path / "elsewhere" / "other.zip"
    moved.parent.mkdir()
    shutil.copy(zipped, moved)
    assert compile_from(moved, tmp_path / "home") == "1 0\n"
    with ZipFile(moved, "a") as archive:
        archive.writestr("kernels/more.py", "")
    assert compile_from(moved, tmp_path / "home") == "0 1\n"


@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_a_home_that_cannot_be_written(zipped: Path, home: str) -> None:
    assert compile_from(zipped, Path(home)) == "0 1\n"
    assert compile_from(zipped, Path(home)) == "1 0\n"


def test_a_folder_that_others_may_write_is_not_trusted(zipped: Path, tmp_path: Path) -> None:
    assert compile_from(zipped, tmp_path / "home") == "0 1\n"
    (kept,) = (tmp_path / "home" / ".cache").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o700
    kept.chmod(0o777)
    assert compile_from(zipped, tmp_path / "home") == "0 1\n"
