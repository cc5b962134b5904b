"""The commands that look at an output folder, or tidy it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from jobs.command import (
    AsJson,
    ConfigFile,
    Debug,
    Folder,
    Master,
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
def report(out: Folder, as_json: AsJson = False, debug: Debug = False) -> None:
    """Write the newest report of a folder again and print its summary."""
    from pipelines.report import rebuild

    show(rebuild(out), as_json)


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

    chosen = (
        read_config(config, settings, []) if config or settings else None
    )  # None: the settings of the post's own run
    for one in explain_post(out, post_id, chosen):
        if as_json:
            print_json(one.to_dict())
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
        print_json([one.to_dict() for one in answer.campaigns])
    else:
        print_campaigns(answer, question, Console(highlight=False))


@app.command()
def calibrate(
    scored: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of a run, or the Parquet file of `swarmfeed score`.")
    ],
    policy: Annotated[Path | None, typer.Option("--out", help="Policy file to write, for `run --config`.")] = None,
    page: Annotated[Path | None, typer.Option("--page", help="HTML page of the curves to write.")] = None,
    keep: Annotated[float | None, typer.Option("--keep", help="Share of the posts to keep, from 0 to 1.")] = None,
    move: Annotated[
        list[str], typer.Option("--move", metavar="KEY", help="Threshold that may move for --keep; repeatable.")
    ] = [],  # noqa: B006
    costs: Annotated[
        list[str], typer.Option("--cost", metavar="KEY=SHARE", help="What a threshold alone may reject; repeatable.")
    ] = [],  # noqa: B006
    each: Annotated[bool, typer.Option("--each-language", help="Thresholds for each language of 1,000 posts.")] = False,
    labels: Annotated[Path | None, typer.Option("--labels", help="Labels that `swarmfeed label` wrote.")] = None,
    config: ConfigFile = None,
    settings: Settings = [],  # noqa: B006
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what each threshold costs, find thresholds for a kept share or a cost, and write them as a policy file."""
    from pipelines import calibration
    from pipelines.remembered import remembered

    wish = calibration.wish_of(keep, move, costs, each)
    base = read_config(config or remembered(scored), settings)
    order = calibration.CalibrationOrder(scored, base, wish, labels, policy, page)
    with notes.status(f"counting posts of {scored}"):
        figures = calibration.calibrate(order)
    if as_json:
        print_json(figures)
    else:
        calibration.print_calibration(figures, Console(highlight=False))


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
    from pipelines.remembered import remembered
    from pipelines.upkeep.tidying import tidy_folder

    words = [*settings, f"spark.master={master}"] if master else list(settings)
    done = tidy_folder(out, read_config(config or remembered(out), words))
    if as_json:
        print_json(done)
    else:
        gone = f"{done['files_deleted']:,} files and {done['versions_deleted']:,} versions deleted"
        say(f"{done['files_before']:,} files became {done['files_after']:,}, {done['versions_before']:,} token set "
             f"versions {done['versions_after']:,}; {gone}")  # fmt: skip


@app.command()
def label(
    out_of: Folder,
    endpoint: Annotated[str, typer.Option("--endpoint", help="Base address of an OpenAI-compatible chat endpoint.")],
    model: Annotated[str, typer.Option("--model", help="Name of the model there.")],
    out: Annotated[Path, typer.Option("--out", help="Parquet file of labels.")],
    posts: Annotated[int, typer.Option("--posts", help="How many posts are drawn.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="The same folder and seed give the same posts.")] = 0,
    spend: Annotated[
        float | None, typer.Option("--spend-at-most", help="In all, in the currency of the prices.")
    ] = None,
    price_in: Annotated[float | None, typer.Option("--price-in", help="Of a million tokens that are read.")] = None,
    price_out: Annotated[
        float | None, typer.Option("--price-out", help="Of a million tokens that are written.")
    ] = None,
    key_file: Annotated[str | None, typer.Option("--key-file", help="File that holds the key.")] = None,
    key_variable: Annotated[str | None, typer.Option("--key-variable", help="Environment variable that does.")] = None,
    at_once: Annotated[int, typer.Option("--at-once", help="Questions under way at a time.")] = 4,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Have a language model rate a sample of posts: quality, truthfulness, toxicity, machine-written. Resumes."""
    from pipelines.labelling import LabelOrder, label_posts
    from pipelines.labelling.budget import Budget
    from pipelines.labelling.endpoint import Endpoint
    from pipelines.receivers.address import read_token

    budget = Budget.of(spend, price_in, price_out)
    where = Endpoint(endpoint, model, read_token(key_file, key_variable, ("--key-file", "--key-variable")))
    make_folder(out.parent)
    order = LabelOrder(out_of, where, out, posts, seed, budget, at_once)
    with counting("asking", posts) as advance:
        done = label_posts(order, advance)
    if as_json:
        print_json(vars(done))
        return
    cost = f", {done.spent:,.2f} spent" if done.spent is not None else ""
    end = "; the budget is used up" if done.out_of_budget else ""
    say(f"{done.labelled:,} of {done.posts:,} posts labelled in {out}{cost}{end}")


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
    from pipelines.remembered import remembered
    from pipelines.swarm.taking import retrain, trained_words
    from pipelines.upkeep.requests import Request

    words = [*settings, f"spark.master={master}"] if master else list(settings)
    chosen = read_config(config or remembered(out), words)
    done = forgetting.run(forgetting.ForgetOrder(out, Request.from_files(ids, authors), chosen, wait))
    if as_json:
        print_json(done)
    elif done["waiting"]:
        say(f"{out} is held by a run or a stream, whose next pass does it")
    else:
        receipt = f"; receipt {done['receipt']:06d}" if done["receipt"] else ""
        say(f"{done['posts']:,} posts and {done['token_documents']:,} documents of token sets taken out{receipt}")
        for one in retrain(out):
            if one.pending:
                say(trained_words(one))


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
        print_json(found.to_dict())
    else:
        for file, what in found.leaks:
            sys.stdout.write(f"{file}: {what}\n")
        others = f"; the same words also stand in {found.same_words:,} rows of other posts" if found.same_words else ""
        state = "nothing is left" if found.clean else f"{len(found.leaks):,} leaks"
        say(f"{found.files:,} files, {found.ids:,} ids, {found.receipts:,} receipts: {state}{others}")
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
        print_json(to_dict(checks))
    else:
        print_checks(checks, Console(highlight=False))
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)
