"""What the documents say is what the code does: stages, figures, models, commands."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import typer.main

from bench import policy
from filters import STAGES, catalogue
from filters.language_lid import model_file
from filters.stage import annotate, configure
from filters.verdict import Verdict
from jobs.cli import app
from pipelines.calibration.scales import KEYS
from schemas.columns import DUPLICATES
from schemas.post import POST

ROOT = Path(__file__).parents[1]
README = ROOT / "filters" / "README.md"
POLICY = ROOT / "docs" / "policy.md"
MODELS = ROOT / "filters" / "models"
PAGES = sorted(
    path
    for path in (
        ROOT / name for name in ("README.md", "filters/README.md", "bench/README.md", "docs/policy.md", "docs/swarm.md")
    )
    if path.is_file()
)
COMMANDS = {name: command for name, command in typer.main.get_command(app).commands.items()}  # type: ignore[attr-defined]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def rows_of(text: str) -> list[list[str]]:
    """The cells of every row of the first Markdown table in a text, heading left out."""
    lines = text[text.index("\n|") :].strip().split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(path: Path) -> Iterator[list[str]]:
    """Yield the words of each command in the `sh` blocks of a page."""
    for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def test_documented_stages_are_the_stages_in_order() -> None:
    rows = rows_of(README.read_text(encoding="utf-8"))
    assert [cells[0].strip("`") for cells in rows] == [kind.name for kind in STAGES]
    assert all(len(cells) == 7 and all(cells) for cells in rows)


def test_the_tables_of_stages_and_models_are_those_of_cards_and_costs() -> None:
    text = README.read_text(encoding="utf-8")
    assert catalogue.written(text) == text, "write them again: python -m filters.catalogue"
    name, _ = catalogue.costs()
    assert set(re.findall(r"\(\.\./bench/results/([\w.-]+-stages[\w.-]*)\)", text)) == {name}
    found = json.loads((ROOT / "bench" / "results" / name).read_text(encoding="utf-8"))
    assert f"first {found['config']['rows']:,} posts" in text


def test_every_model_folder_has_a_card_whose_hashes_match() -> None:
    folders = {path.name: path for path in MODELS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(folders) == set(catalogue.cards())
    for name, folder in folders.items():
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        weights = [path for path in folder.iterdir() if not path.name.startswith("card.")]
        hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in weights}
        assert set(hashes.values()) == {card["sha256"]}, name
        elsewhere = {"lid.176.ftz": hashlib.sha256(model_file().read_bytes()).hexdigest()}
        assert card.get("files") in (hashes | elsewhere, None) or isinstance(card["files"], list), name
        assert card["sha256"] in (folder / "card.md").read_text(encoding="utf-8"), f"{name}: card.md tells another hash"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_the_documents_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`swarmfeed ([a-z]+)", text):
        assert name in COMMANDS, f"swarmfeed {name}"
    for words in quoted(path):
        command, *rest = words
        if command == "make":
            assert set(rest) <= TARGETS, words
        elif command == "swarmfeed":
            assert rest[0] in COMMANDS, words
            legal = {name for option in COMMANDS[rest[0]].params for name in option.opts}
            assert {word for word in rest if word.startswith("--")} <= legal, words
        elif command == "spark-submit":
            assert all((ROOT / word).is_file() for word in rest if word.endswith(".py")), words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_in_the_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_policy_is_documented_with_the_figures_of_its_file() -> None:
    page = POLICY.read_text(encoding="utf-8")
    shown = page[page.index(policy.BEGIN) : page.index(policy.END) + len(policy.END)]
    (name,) = re.findall(r"\(\.\./bench/results/([\w.-]+-policy[\w.-]*)\)", shown)
    figures = json.loads((ROOT / "bench" / "results" / name).read_text(encoding="utf-8"))["figures"]
    assert shown == policy.tables(figures, name), "write it again: python -m bench.policy"
    verdict = Verdict()
    measured = {one["key"]: one["threshold"] for one in figures["thresholds"]}
    assert measured == {key: getattr(verdict, key) for key in KEYS}, "measure it again: python -m bench.policy"
    explained = page[page.index("## Why") : page.index("## Examples")]
    for key, threshold in measured.items():
        said = "" if threshold is None else " " + (f"{threshold:g}".removeprefix("0") or "0")
        assert f"`{key}`{said}" in explained, key


def test_the_examples_of_the_policy_are_decided_so() -> None:
    page = POLICY.read_text(encoding="utf-8")
    rows = rows_of(page[page.index("## Examples") :])
    assert len(rows) >= 15
    posts = pa.RecordBatch.from_pylist([{"id": text, "text": text} for text, _ in rows], schema=POST)
    alone = posts.append_column(pa.field("duplicates", DUPLICATES), pa.nulls(len(rows), DUPLICATES))
    decided, failures = annotate(alone, configure(STAGES, {}))
    assert not failures
    for (text, told), verdict in zip(rows, decided.column("verdict").to_pylist(), strict=True):
        expected = told.partition(":")[0]
        assert ", ".join(verdict["reasons"]) == ("" if expected == "kept" else expected), text


def test_the_documents_quote_commands() -> None:
    said = {words[0] for path in PAGES for words in quoted(path)}
    assert "swarmfeed" in said, "or the tests above check nothing"
