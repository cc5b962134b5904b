"""The `swarmfeed` command. Exit status: 0 done, 1 the run failed, 2 the call or the config is wrong."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from schemas.errors import ConfigError, SwarmfeedError
from schemas.version import VERSION

app = typer.Typer(
    name="swarmfeed",
    help="Curate raw social posts into training tokens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
notes = Console(stderr=True, highlight=False)
UsageError: type[Any] = typer.BadParameter.__mro__[1]  # click's, or typer's own copy of it; not exported by name
STOPPED = 130

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; whatever goes wrong is one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" not in words:
        logging.basicConfig(handlers=[logging.NullHandler()])  # py4j logs a traceback for what ends up as one line
    try:
        status = app(args=words, prog_name="swarmfeed", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in words:
            traceback.print_exc()
        line, status = _explained(error)
        if line:
            _say(f"swarmfeed: {line}", style="bold red")
    else:
        if status == STOPPED:  # typer makes an exit status of Ctrl-C
            _say("swarmfeed: stopped; nothing was published")
    sys.exit(status or 0)


def _explained(error: BaseException) -> tuple[str, int]:
    """Return the one line for a failure, empty when all is said, and the exit status."""
    if isinstance(error, SwarmfeedError):
        return " ".join(str(error).split()), error.exit_status
    if isinstance(error, UsageError):
        message = " ".join(error.format_message().split()).rstrip(".")
        context = getattr(error, "ctx", None)
        asked = f"{context.command_path} --help" if context else "swarmfeed --help"
        return message and f"{message[0].lower()}{message[1:]}; see `{asked}`", 2
    if isinstance(error, KeyboardInterrupt):
        return "stopped; nothing was published", STOPPED
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return what, SwarmfeedError.exit_status
    # Not one of ours, so a defect: its message may quote a post, which is for --debug alone.
    return f"unexpected {type(error).__name__}; --debug shows the traceback", 1


@app.command()
def run(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    models: Models = [],  # noqa: B006
    input_format: InputFormat = "auto",
    master: Master = None,
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
def stream(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="kafka://BROKERS/TOPIC, files://DIR, jetstream://HOST, mastodon://HOST."),
    ],
    out: Out,
    once: Annotated[bool, typer.Option("--once", help="Process what is there, then stop.")] = False,
    most: Annotated[int | None, typer.Option("--max-posts-per-epoch", metavar="N", help="Bound an epoch.")] = None,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006
    models: Models = [],  # noqa: B006
    input_format: InputFormat = "auto",
    master: Master = None,
    accept: Annotated[bool, typer.Option("--new-config", help="Go on with another configuration.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Curate a live stream into a folder, epoch after epoch, until SIGTERM or Ctrl-C; each epoch is whole or absent."""
    from pipelines.stream import job

    words = [*settings, f"input.format={input_format}"] if input_format != "auto" else list(settings)
    words += [f"stream.max_posts_per_epoch={most}"] if most is not None else []
    words += [f"spark.master={master}"] if master else []
    done = job.stream(job.StreamOrder(source, out, _config(config, words, models), once, accept))
    if as_json:
        _print_json(done)
    else:
        posts = done["posts"]
        _say(f"{done['epochs']:,} epochs, {posts.get('read', 0):,} posts read, {posts.get('kept', 0):,} kept")


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
    names = [name.strip() for name in stages.split(",") if name.strip()]
    chosen = _config(config, words, models)
    _make_folder(out.parent)
    done = score_file(inputs, names, out, chosen)
    if as_json:
        _print_json(vars(done))
    else:
        _say(f"{done.posts:,} posts scored into {out}; {done.quarantined:,} records were no posts")


@app.command()
def simulate(
    posts: Annotated[int, typer.Option("--posts", help="How many lines.")],
    out: Out,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 0,
    rate: Annotated[float, typer.Option("--rate", help="Lines per simulated second.")] = 5787.0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make up a stream of posts, with the truth about each in `extra`: .jsonl, .jsonl.gz, .jsonl.zst or .parquet."""
    from pipelines.simulate import Simulation, write

    _make_folder(out.parent)
    with _counting("simulating", posts) as advance:
        made = write(Simulation(posts=posts, seed=seed, rate=rate), out, advance)
    if as_json:
        _print_json(asdict(made))
    else:
        _say(f"{made.lines:,} lines in {out}")


@app.command()
def train(
    stage: Annotated[
        str, typer.Argument(metavar="STAGE", help="spam, toxicity, ai_text, quality, language or tokenizer.")
    ],
    data: Annotated[list[Path], typer.Option("--data", help="Parquet with text, label, lang; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model and its card.")],
    seed: Annotated[int, typer.Option("--seed", help="The same data and seed give the same bytes.")] = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train the model of a stage, or a tokenizer, from labelled Parquet files and write its card."""
    from pipelines.training import train as train_model

    with notes.status(f"training {stage}"):
        card = train_model(stage, data, out, seed)
    if as_json:
        _print_json(card)
    else:
        _say(f"{stage}: {out}/card.md says what it was trained on and how good it is")


@app.command()
def report(out: Folder, as_json: AsJson = False, debug: Debug = False) -> None:
    """Write the newest report of a folder again and print its summary."""
    from pipelines.report import rebuild

    _show(rebuild(out), as_json)


@app.command()
def explain(
    out: Folder,
    post_id: Annotated[str, typer.Argument(metavar="POST_ID", help="Id of the post.")],
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say why a post was kept or rejected: scores, thresholds, what it duplicates."""
    from pipelines.explain import explain as explain_post
    from pipelines.explain import print_explanation

    chosen = _config(config, settings, []) if config or settings else None  # None: the settings of the post's own run
    for one in explain_post(out, post_id, chosen):
        if as_json:
            _print_json(one.to_dict())
        else:
            print_explanation(one, Console(highlight=False))


@app.command()
def campaigns(
    out: Folder,
    top: Annotated[int, typer.Option("--top", help="How many to list.")] = 20,
    min_posts: Annotated[int, typer.Option("--min-posts", help="The least posts of a campaign.")] = 2,
    by: Annotated[str, typer.Option("--by", help="What the largest has most of: posts, authors or rate.")] = "posts",
    since: Annotated[str | None, typer.Option("--since", help="Only posts made from then on, UTC.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only posts made before then, UTC.")] = None,
    master: Master = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line on stdout: a list.")] = False,
    debug: Debug = False,
) -> None:
    """List the largest campaigns: posts that copy one original, who made them, when, how fast, and a sample."""
    from pipelines.campaigns import Question, list_campaigns, parse_time, print_campaigns
    from pipelines.progress import ProgressBar, Watch
    from schemas.config import SparkConfig

    question = Question(top, min_posts, by, parse_time("--since", since), parse_time("--until", until))
    watch = ProgressBar() if notes.is_terminal and not as_json else Watch()
    answer = list_campaigns(out, question, SparkConfig(master=master) if master else SparkConfig(), watch)
    if as_json:
        _print_json([one.to_dict() for one in answer.campaigns])
    else:
        print_campaigns(answer, question, Console(highlight=False))


@app.command()
def compact(
    out: Folder,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006
    master: Master = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Put the small files of a folder together and delete what they replaced; a stream does so by itself."""
    from pipelines.upkeep.tidying import tidy_folder

    words = [*settings, f"spark.master={master}"] if master else list(settings)
    done = tidy_folder(out, _config(config, words, []))
    if as_json:
        _print_json(done)
    else:
        gone = f"{done['files_deleted']:,} files and {done['versions_deleted']:,} versions deleted"
        _say(f"{done['files_before']:,} files became {done['files_after']:,}, {done['versions_before']:,} token set "
             f"versions {done['versions_after']:,}; {gone}")  # fmt: skip


@app.command()
def forget(
    out: Folder,
    ids: Annotated[Path | None, typer.Option("--ids", help="File of ids of posts, one a line.")] = None,
    authors: Annotated[Path | None, typer.Option("--authors", help="File of ids of authors, one a line.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for whoever holds the folder.")] = True,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006
    master: Master = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Take posts out of every table, token set, report and the index; without a file, what deletions still ask for."""
    from pipelines import forget as forgetting
    from pipelines.upkeep.requests import Request

    words = [*settings, f"spark.master={master}"] if master else list(settings)
    chosen = _config(config, words, []) if config or words else None
    done = forgetting.run(forgetting.ForgetOrder(out, Request.from_files(ids, authors), chosen, wait))
    if as_json:
        _print_json(done)
    elif done["waiting"]:
        _say(f"{out} is held by a run or a stream, whose next pass does it")
    else:
        receipt = f"; receipt {done['receipt']:06d}" if done["receipt"] else ""
        _say(f"{done['posts']:,} posts and {done['token_documents']:,} documents of token sets taken out{receipt}")


@app.command("verify-forgotten")
def verify_forgotten(
    out: Folder,
    ids: Annotated[Path, typer.Option("--ids", help="File of ids of posts, one a line.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Scan every file below a folder for posts that were forgotten: ids, texts, tokens. Exit status 1: some is left."""
    from pipelines.upkeep.requests import read_names
    from pipelines.upkeep.verifying import verify_forgotten as verify

    with notes.status(f"looking through {out}"):
        found = verify(out.absolute(), read_names(ids))
    if as_json:
        _print_json(found.to_dict())
    else:
        for file, what in found.leaks:
            sys.stdout.write(f"{file}: {what}\n")
        others = f"; the same words also stand in {found.same_words:,} rows of other posts" if found.same_words else ""
        state = "nothing is left" if found.clean else f"{len(found.leaks):,} leaks"
        _say(f"{found.files:,} files, {found.ids:,} ids, {found.receipts:,} receipts: {state}{others}")
    if not found.clean:
        raise typer.Exit(1)


@app.command()
def doctor(
    out: Annotated[Path, typer.Option("--out", help="Folder that results would go to.")] = Path(),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Look at Java, memory, disk, models, GPU and versions, and say what to do."""
    from pipelines.doctor import examine, print_checks, to_dict

    checks = examine(out)
    if as_json:
        _print_json(to_dict(checks))
    else:
        print_checks(checks, Console(highlight=False))
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


@contextlib.contextmanager
def _counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Draw a bar on a terminal's stderr; the callable takes how many are done in all."""
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _say(line: str, style: str | None = None) -> None:
    notes.print(line, style=style, markup=False, soft_wrap=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out: cannot make the folder {folder}: {error.strerror}") from None


def _config(file: Path | None, words: Sequence[str], models: Sequence[str]) -> Any:
    from pipelines.settings import load_config

    return load_config(file, words, models)


def _print_json(data: dict[str, Any] | list[dict[str, Any]]) -> None:
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
