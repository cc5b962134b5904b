"""What every command shares: the app, its options, how it reads settings and how it speaks."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from schemas.errors import ConfigError
from schemas.version import VERSION

app = typer.Typer(
    name="swarmfeed",
    help="Curate raw social posts into training tokens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
notes = Console(stderr=True, highlight=False)

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT", help="Files, folders or globs: JSONL (plain, .gz, .zst), Parquet, CSV."),
]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that `swarmfeed run --out` wrote.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML or JSON file of settings.")]
Settings = Annotated[list[str], typer.Option("--set", help="One setting, as duplicates.threshold=0.8; repeatable.")]
Models = Annotated[list[str], typer.Option("--model", help="STAGE=FOLDER of a model you trained; repeatable.")]
InputFormat = Annotated[
    str, typer.Option("--format", help="canonical, x-v2, x-v1, jetstream, mastodon, reddit or auto.")
]
Master = Annotated[str | None, typer.Option("--master", help="Spark master; local[*] when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one machine-readable summary line on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        sys.stdout.write(f"swarmfeed {VERSION}\n")
        raise typer.Exit


@contextlib.contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Draw a bar on a terminal's stderr; the callable takes how many are done in all."""
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def say(line: str, style: str | None = None) -> None:
    notes.print(line, style=style, markup=False, soft_wrap=True)


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out: cannot make the folder {folder}: {error.strerror}") from None


def read_config(file: Path | None, words: Sequence[str], models: Sequence[str] = ()) -> Any:
    from pipelines.settings import load_config

    return load_config(file, words, models)


def print_json(data: dict[str, Any] | list[dict[str, Any]]) -> None:
    sys.stdout.write(json.dumps(data, default=str) + "\n")


def show(report: dict[str, Any], as_json: bool) -> None:
    from pipelines.report import print_summary

    if as_json:
        print_json(report)
    else:
        print_summary(report, notes)
