"""The commands that take posts in, or make what that takes: run, stream, score, simulate, train."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from jobs.command import (
    AsJson,
    ConfigFile,
    Debug,
    InputFormat,
    Inputs,
    Master,
    Models,
    Out,
    Settings,
    app,
    counting,
    make_folder,
    notes,
    print_json,
    read_config,
    say,
    show,
)


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
    order = batch.Order(tuple(inputs), out, read_config(config, words, models))
    watch = ProgressBar() if notes.is_terminal and not as_json else Watch()
    show(batch.run(order, watch), as_json)


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
    done = job.stream(job.StreamOrder(source, out, read_config(config, words, models), once, accept))
    if as_json:
        print_json(done)
    else:
        posts = done["posts"]
        say(f"{done['epochs']:,} epochs, {posts.get('read', 0):,} posts read, {posts.get('kept', 0):,} kept")


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
    chosen = read_config(config, words, models)
    make_folder(out.parent)
    done = score_file(inputs, names, out, chosen)
    if as_json:
        print_json(vars(done))
    else:
        say(f"{done.posts:,} posts scored into {out}; {done.quarantined:,} records were no posts")


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

    make_folder(out.parent)
    with counting("simulating", posts) as advance:
        made = write(Simulation(posts=posts, seed=seed, rate=rate), out, advance)
    if as_json:
        print_json(asdict(made))
    else:
        say(f"{made.lines:,} lines in {out}")


@app.command()
def train(
    stage: Annotated[
        str,
        typer.Argument(metavar="STAGE", help="spam, toxicity, ai_text, quality, credibility, language or tokenizer."),
    ],
    data: Annotated[
        list[Path], typer.Option("--data", help="Parquet with text, label, lang, or of `swarmfeed label`; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model and its card.")],
    seed: Annotated[int, typer.Option("--seed", help="The same data and seed give the same bytes.")] = 0,
    positive: Annotated[
        str | None,
        typer.Option("--positive", metavar="LABEL", help="A classifier's label of your own that a high score means."),
    ] = None,
    language_model: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For ai_text: fit this exported model to posts that style leaves open."),
    ] = None,
    models: Models = [],  # noqa: B006
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train the model of a stage, or a tokenizer, from labelled Parquet files and write its card."""
    from pipelines import training

    with notes.status(f"training {stage}"):
        if language_model is None:
            card = training.train(stage, data, out, seed, positive)
        else:
            style = read_config(None, [], models).stages.get(stage, {}).get("model", "shipped")
            order = training.Order(str(language_model), style, positive)
            card = training.train_middle(stage, data, out, order)
    if as_json:
        print_json(card)
    else:
        say(f"{stage}: {out}/card.md says what it was trained on and how good it is")
