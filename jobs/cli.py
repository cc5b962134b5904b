"""The `swarmfeed` command. Exit status: 0 done, 1 the run failed, 2 the call or the config is wrong."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from schemas.errors import SwarmfeedError
from schemas.version import VERSION

app = typer.Typer(
    name="swarmfeed",
    help="Curate raw social posts into training tokens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
notes = Console(stderr=True, highlight=False)

Inputs = Annotated[list[str], typer.Argument(help="Files, folders or globs: JSONL (plain, .gz, .zst), Parquet, CSV.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML or JSON file of settings.")]
Settings = Annotated[list[str], typer.Option("--set", help="One setting, as duplicates.threshold=0.8; repeatable.")]
Models = Annotated[list[str], typer.Option("--model", help="STAGE=FOLDER of a model you trained; repeatable.")]
InputFormat = Annotated[
    str, typer.Option("--format", help="canonical, x-v2, x-v1, jetstream, mastodon, reddit or auto.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one machine-readable summary line on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; a failure is one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=words, prog_name="swarmfeed", standalone_mode=True)
    except SwarmfeedError as error:
        if "--debug" in words:
            traceback.print_exc()
        notes.print(f"swarmfeed: {error}", style="bold red", markup=False, soft_wrap=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        notes.print("swarmfeed: stopped; nothing was published", markup=False)
        sys.exit(130)


@app.command()
def run(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    models: Models = [],  # noqa: B006
    input_format: InputFormat = "auto",
    master: Annotated[str | None, typer.Option("--master", help="Spark master; local[*] when left out.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Curate posts into a folder: tables, token set and report."""
    from pipelines import run as batch
    from pipelines.progress import ProgressBar, Watch

    words = [*settings, f"input.format={input_format}"] if input_format != "auto" else list(settings)
    if master:
        words.append(f"spark.master={master}")
    order = batch.Order(tuple(inputs), out, _config(config, words, models))
    watch = ProgressBar() if notes.is_terminal and not as_json else Watch()
    _show(batch.run(order, watch), as_json)


@app.command()
def score(
    inputs: Inputs,
    stages: Annotated[str, typer.Option("--stages", help="Stages to run, by comma: language,quality,toxicity.")],
    out: Out,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006
    models: Models = [],  # noqa: B006
    input_format: InputFormat = "auto",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run stages over a file, without Spark: `id` and one column per stage, in input order."""
    from pipelines.score import score as score_file

    words = [*settings, f"input.format={input_format}"] if input_format != "auto" else list(settings)
    done = score_file(inputs, [name.strip() for name in stages.split(",")], out, _config(config, words, models))
    if as_json:
        _print_json(vars(done))
    else:
        notes.print(f"{done.posts:,} posts scored into {out}; {done.quarantined:,} records were no posts", markup=False)


def _config(file: Path | None, words: Sequence[str], models: Sequence[str]) -> Any:
    from pipelines.settings import load_config

    return load_config(file, words, models)


def _print_json(data: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(data, default=str) + "\n")


def _show(report: dict[str, Any], as_json: bool) -> None:
    from pipelines.report import print_summary

    if as_json:
        _print_json(report)
    else:
        print_summary(report, notes)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        sys.stdout.write(f"swarmfeed {VERSION}\n")
        raise typer.Exit


if __name__ == "__main__":
    main()
