"""The measuring code measures: what a child takes in memory, time and processes is what is reported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

MIB = 1 << 20


def _load(name: str) -> ModuleType:
    """Load a module of bench/, which is no installed package."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", Path(__file__).parents[2] / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


measure = _load("measure")
ALLOCATE = "import time; block = bytearray(b'x') * (100 << 20); time.sleep(0.7); print('done')"
FORK = """
import os, time
block = bytearray(b'x') * (100 << 20)
os.fork()
time.sleep(1.0)
"""
BUSY = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass\ntime.sleep(0.5)"
LEAVE_BEHIND = """
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(child.pid)
"""


def run(code: str, log: Path, **options: object) -> object:
    return measure.measure([sys.executable, "-c", code], log, interval_seconds=0.05, **options)


def test_memory_of_a_child_is_seen(tmp_path: Path) -> None:
    seen = run(ALLOCATE, tmp_path / "log")
    assert seen.exit_status == 0
    assert seen.stdout == "done\n"
    assert 100 * MIB <= seen.peak_bytes < 150 * MIB
    assert 0.7 <= seen.wall_seconds < 30


def test_memory_a_fork_shares_counts_once(tmp_path: Path) -> None:
    seen = run(FORK, tmp_path / "log")
    assert seen.peak_processes == 2
    assert 100 * MIB <= seen.peak_bytes < 150 * MIB  # 200 MiB and more when resident sizes are added up


def test_processor_time_is_that_of_the_child(tmp_path: Path) -> None:
    assert 0.5 <= run(BUSY, tmp_path / "log").cpu_seconds < 2.0


def test_a_failure_is_reported_and_its_stderr_kept(tmp_path: Path) -> None:
    seen = run("import sys; sys.exit('no such luck')", tmp_path / "log")
    assert seen.exit_status == 1
    assert "no such luck" in (tmp_path / "log").read_text()


def test_what_a_command_leaves_running_is_ended(tmp_path: Path) -> None:
    left = int(run(LEAVE_BEHIND, tmp_path / "log").stdout)
    assert left not in {process.pid for process in measure.process_table()}


def test_the_child_is_held_to_its_cores_and_we_are_not(tmp_path: Path) -> None:
    mine = os.sched_getaffinity(0)
    core = min(mine)
    seen = run("import os; print(sorted(os.sched_getaffinity(0)))", tmp_path / "log", cores=[core])
    assert seen.stdout.strip() == str([core])
    assert os.sched_getaffinity(0) == mine


@pytest.mark.parametrize(("root", "expected"), [(5, [5, 6, 7, 9]), (8, [8])])
def test_a_tree_is_its_descendants_and_its_session(root: int, expected: list[int]) -> None:
    rows = [(5, 1, 5), (6, 5, 6), (7, 1, 5), (8, 1, 8), (9, 6, 9)]  # (pid, parent, session)
    table = [measure.Process(pid, parent, session, 0, 0) for pid, parent, session in rows]
    assert [process.pid for process in measure.tree(root, table)] == expected


def test_the_process_table_holds_this_process() -> None:
    (mine,) = [process for process in measure.process_table() if process.pid == os.getpid()]
    assert (mine.parent, mine.session) == (os.getppid(), os.getsid(0))


def test_a_process_that_is_gone_holds_nothing() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert measure.proportional_bytes(done.pid) == 0
