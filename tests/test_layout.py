"""The house guards: import arrows, names, sizes, and everything that must exist beside a stage, a reason or a model."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from filters import STAGES
from schemas.reasons import Reason

ROOT = Path(__file__).parents[1]
LAYERS = ("schemas", "filters", "pipelines", "jobs")  # each may import itself and those before it
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "core", "manager", "managers"}
SPARK = {"pyspark", "py4j", "deltalake"}
NETWORK_AND_CLOCK = {"socket", "ssl", "http", "urllib", "requests", "redis", "asyncio", "time"}
GPU = {"cudf", "cupy"}
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40


def sources(*layers: str) -> list[Path]:
    return [path for layer in layers for path in sorted((ROOT / layer).rglob("*.py"))]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of every import, wherever in the file it stands."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}:{node.lineno}: relative import"
            yield node.module or ""


def table_lines(module: ast.Module) -> int:
    """Count the lines of module-level data: assignments of a literal tuple, list, set, dict or string."""
    literal = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Constant)
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in module.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, literal)
    )


every_source = pytest.mark.parametrize("path", sources(*LAYERS), ids=named)
readable_source = pytest.mark.parametrize("path", sources(*LAYERS, "examples"), ids=named)


@every_source
def test_imports_run_one_way(path: Path) -> None:
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    upward = {*LAYERS[layer + 1 :], "tests", "bench", "docs", "examples"}
    wrong = [name for name in imports(path) if name.partition(".")[0] in upward]
    assert not wrong, f"{named(path)} imports {wrong}: only {LAYERS[: layer + 1]} are below it"


@pytest.mark.parametrize("path", sources("schemas", "filters"), ids=named)
def test_schemas_and_filters_know_no_spark_network_or_clock(path: Path) -> None:
    wrong = sorted({name for name in imports(path) if name.partition(".")[0] in SPARK | NETWORK_AND_CLOCK})
    assert not wrong, f"{named(path)} imports {wrong}"


@pytest.mark.parametrize("path", sources("schemas"), ids=named)
def test_schemas_import_pyarrow_and_pydantic_only(path: Path) -> None:
    allowed = {"schemas", "pyarrow", "pydantic"} | sys.stdlib_module_names
    wrong = [name for name in imports(path) if name.partition(".")[0] not in allowed]
    assert not wrong, f"{named(path)} imports {wrong}"


@every_source
def test_only_the_gpu_kernels_import_the_gpu(path: Path) -> None:
    if named(path) != "filters/kernels/gpu.py":
        wrong = [name for name in imports(path) if name.partition(".")[0] in GPU]
        assert not wrong, f"{named(path)} imports {wrong}"


@pytest.mark.parametrize("path", sources("schemas", "filters"), ids=named)
def test_no_environment_variables(path: Path) -> None:
    wrong = [
        f"{named(path)}:{node.lineno}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv")
    ]
    assert not wrong


@readable_source
def test_names_say_something(path: Path) -> None:
    wrong = {word for part in path.relative_to(ROOT).with_suffix("").parts for word in part.split("_")}
    assert not wrong & FORBIDDEN_NAMES


@readable_source
def test_modules_and_functions_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines()) - table_lines(tree(path))
    assert lines < MAX_MODULE_LINES, f"{named(path)} has {lines} lines"
    long = [
        f"{named(path)}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not long


@readable_source
def test_modules_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{named(path)} opens with no docstring"


@pytest.mark.parametrize("kind", STAGES, ids=lambda kind: kind.name)
def test_a_stage_has_one_name_everywhere(kind: type) -> None:
    assert kind.__module__ == f"filters.{kind.name}"
    assert kind.__name__ == "".join(word.capitalize() for word in kind.name.split("_"))
    golden = ROOT / "tests" / "golden" / f"{kind.name}.jsonl"
    assert golden.is_file(), f"no {named(golden)}"
    lines = [json.loads(line) for line in golden.read_text(encoding="utf-8").splitlines()]
    assert len(lines) >= 3
    for number, line in enumerate(lines, 1):
        assert str(line.get("why", "")).strip(), f"{named(golden)}:{number} does not say why"


def test_every_reason_is_used() -> None:
    used = {
        node.attr
        for path in sources("filters", "pipelines", "jobs")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }
    assert used == {reason.name for reason in Reason}


def test_every_model_has_a_card_with_the_right_hash() -> None:
    models = ROOT / "filters" / "models"
    folders = [path for path in sorted(models.iterdir()) if path.is_dir() and path.name != "__pycache__"]
    assert folders
    for folder in folders:
        assert (folder / "card.json").is_file(), f"{named(folder)} has no card.json"
        told = json.loads((folder / "card.json").read_text(encoding="utf-8"))["sha256"]
        shipped = [path for path in sorted(folder.iterdir()) if not path.name.startswith("card.")]
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shipped}
        expected = told if isinstance(told, dict) else dict.fromkeys(hashes, told)  # one file, or a hash for each
        assert hashes == expected, f"{named(folder)}/card.json tells another sha256"
        assert hashes, f"{named(folder)} ships a card and no model"


def test_filters_import_without_java_or_spark() -> None:
    code = "import sys\nfor name in ('pyspark', 'py4j', 'deltalake'): sys.modules[name] = None\nimport filters\n"
    code += "print(len(filters.STAGES))"
    bare = {key: value for key, value in os.environ.items() if key not in ("JAVA_HOME", "SPARK_HOME", "PATH")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(STAGES))), done.stderr
