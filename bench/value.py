"""Say what curation is worth to a model: the same small model, the same number of tokens, three choices of posts.

python -m bench.value --real-data DIR

raw       every post of the pool, text as it came
random    as many posts of each source as were kept, drawn at random anew for each seed, text as it came
curated   the documents that `swarmfeed run` keeps by its default policy

Each is scored on clean text that none is trained on. `raw` has the sources in other shares than `curated`, which alone
moves a loss; `random` has the same shares, so `curated` beside `random` is the choice of posts and the cleaning alone.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from bench import record, value_texts
from bench.policy import curate
from bench.prepare import BenchError, say
from bench.record import Target
from bench.side import add_options, finish, machine
from examples.swarm.ensemble import present, score_set
from examples.swarm.model import Parameters, Shape, count
from examples.swarm.train import Settings, take_turn
from pipelines.tokens import sets
from pipelines.tokens.packed import Published, fill, finish_packed, write_packed
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from pipelines.tokens.training import train_tokenizer

ARMS = ("raw", "random", "curated")
CONTEXT = 512
SCORED_CHARS = 150_000  # of each held-out set
LAYERS, HEADS = 4, 2
Losses = dict[str, dict[str, list[float]]]  # by arm and held-out set, one of each seed
Model = tuple[Parameters, Shape]


@dataclass(frozen=True)
class Experiment:
    """What every model is given, and where everything is written."""

    work: Path
    tokenizer: Tokenizer
    tokens: int
    width: int
    scored: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """Return the output folder that holds the token sets."""
        return self.work / "tokens"

    def settings(self, seed: int) -> Settings:
        """Return how a model is trained."""
        steps = max(1, self.tokens // (Settings.batch * CONTEXT))
        return Settings(steps=steps, warm_up=max(1, min(20, steps // 5)), save_every=max(1, steps // 4), seed=seed)

    def shape(self) -> Shape:
        """Return how large a model is."""
        return Shape(self.tokenizer.vocabulary, self.width, LAYERS, HEADS, self.width)


def write_set(experiment: Experiment, member: str, documents: pa.Table, seed: int = 0) -> dict[str, Any]:
    """Pack documents in an order of the seed as the token set of a member; return what is in it."""
    folder = experiment.data / sets.next_version(experiment.data, member)
    mixed = documents.take(np.random.default_rng(seed).permutation(len(documents)))
    shards = write_packed(mixed.to_batches(), experiment.tokenizer, folder, "000000", CONTEXT)
    made = finish_packed(folder, shards, sets.Origin("bench", {}, experiment.tokenizer), Published(CONTEXT))
    return {"documents": len(documents), "tokens": made.tokens, "sequences": made.sequences, "fill": fill(made)}


def reddit_share(documents: pa.Table) -> float:
    """Return the share of the characters that are of Reddit posts."""
    chars = pc.utf8_length(documents["text"])
    reddit = pc.starts_with(pc.fill_null(documents["domain"], ""), "reddit")
    return float(pc.sum(pc.if_else(reddit, chars, 0)).as_py() / max(1, pc.sum(chars).as_py()))


def write_held_out(experiment: Experiment, documents: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Pack what is scored, so many characters of each set, drawn at random."""
    said = {}
    for name, every in documents.items():
        mixed = every.take(np.random.default_rng(0).permutation(len(every)))
        chars = np.cumsum(pc.utf8_length(mixed["text"]).to_numpy())
        said[name] = write_set(experiment, name, mixed.slice(0, int(np.searchsorted(chars, SCORED_CHARS)) + 1))
    return said


def train_and_score(experiment: Experiment, arm: str, member: str, seed: int) -> tuple[Model, dict[str, float]]:
    """Train a model on an arm from the beginning; return it with its loss on each held-out set."""
    started = time.monotonic()
    path = experiment.work / "models" / f"{arm}-{seed}.npz"
    path.unlink(missing_ok=True)
    learner = take_turn(experiment.data, member, path, experiment.settings(seed), shape=experiment.shape())
    model = (learner.parameters, experiment.shape())
    found = {name: score_set([model], experiment.data, name) for name in experiment.scored}
    told = ", ".join(f"{name} {loss:.4f}" for name, loss in found.items())
    say(f"{arm}, seed {seed}: {told} ({time.monotonic() - started:.0f} s)")
    return model, found


def ensembles(experiment: Experiment, models: Mapping[str, Model]) -> dict[str, Any]:
    """Return the loss of the seeds' models together on each held-out set, and with each of them missing."""
    missing = ["", *models] if len(models) > 1 else []
    return {
        name: {
            f"without {one}" if one else "together": score_set(present(models, one), experiment.data, name)
            for one in missing
        }
        for name in experiment.scored
    }


def summary(losses: Losses) -> dict[str, Any]:
    """Return mean and standard error over seeds for each arm and set, and of what curation gains in each seed.

    >>> told = summary({arm: {"reddit": values} for arm, values in zip(ARMS, ([5, 6], [5, 6], [4, 5.5]))})
    >>> told["losses"]["curated"]["reddit"], told["gains"]["random"]["reddit"]
    ({'mean': 4.75, 'error': 0.75}, {'mean': 0.75, 'error': 0.25})
    """
    told = {arm: {name: _mean(values) for name, values in found.items()} for arm, found in losses.items()}
    gains = {
        arm: {
            name: _mean([one - other for one, other in zip(values, losses["curated"][name], strict=True)])
            for name, values in losses[arm].items()
        }
        for arm in losses
        if arm != "curated"
    }
    return {"losses": told, "gains": gains}


def _mean(values: Sequence[float]) -> dict[str, float | None]:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "error": error}


def show(found: Mapping[str, Any], seeds: int) -> None:
    """Print a row for each arm: its loss on each held-out set, in nats a token."""
    names = list(found["losses"]["curated"])
    table = Table(title=f"loss on held-out text, nats a token, mean and standard error of {seeds} seeds")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    lines = dict(found["losses"]) | {f"{arm} less curated": one for arm, one in found["gains"].items()}
    for arm, one in lines.items():
        table.add_row(arm, *(_cell(one[name]) for name in names))
    Console(width=None if Console().is_terminal else 110).print(table)


def _cell(figure: Mapping[str, float | None]) -> str:
    error = figure["error"]
    return f"{figure['mean']:.4f}" + ("" if error is None else f" ± {error:.4f}")


def prepared(asked: argparse.Namespace, taken: value_texts.Pool) -> tuple[Experiment, pa.Table]:
    """Curate the pool, where that is not done, and train the tokenizer that all arms share, on raw posts."""
    files = value_texts.write_pool(taken, asked.work / "pool")
    out = asked.curated or asked.work / "curated"
    if not asked.curated:
        shutil.rmtree(out, ignore_errors=True)
        curate(files, out)
    curated = value_texts.curated_documents(out)
    known = {*taken.tweets["id"].to_pylist(), *taken.reddit["id"].to_pylist()}
    if strange := set(curated["document_id"].to_pylist()) - known:
        raise BenchError(f"{out} holds {len(strange):,} documents that are not of this pool: curate it again")
    train_tokenizer(files, asked.work / "tokenizer", asked.vocabulary)
    tokenizer = load_tokenizer(str(asked.work / "tokenizer"))
    shutil.rmtree(asked.work / "tokens", ignore_errors=True)
    return Experiment(asked.work, tokenizer, asked.tokens, asked.width), curated


def trained(
    experiment: Experiment, members: Mapping[str, Sequence[str]], seeds: int
) -> tuple[Losses, dict[str, Model]]:
    """Train every arm with every seed, arms in turn; return the losses, and the models of curated posts."""
    losses: Losses = {arm: {name: [] for name in experiment.scored} for arm in members}
    models: dict[str, Model] = {}
    for seed in range(seeds):
        for arm, names in members.items():
            model, found = train_and_score(experiment, arm, names[seed], seed)
            for name, loss in found.items():
                losses[arm][name].append(loss)
            if arm == "curated":
                models[f"seed {seed}"] = model
    return losses, models


def compare(asked: argparse.Namespace) -> Sequence[Target]:
    """Make the token sets, train and score, print what came out and write the result file."""
    about = {"hardware": machine(asked.cores), "versions": record.versions() | {"jax": jax.__version__}}
    started = time.monotonic()
    taken = value_texts.pool(asked.real_data, asked.posts)
    experiment, curated = prepared(asked, taken)
    scored = write_held_out(experiment, value_texts.held_out_documents(asked.real_data, taken))
    experiment = replace(experiment, scored=tuple(scored))
    raw = value_texts.raw_documents(pa.concat_tables([taken.tweets, taken.reddit]))
    drawn = {f"random-{seed}": value_texts.at_random(taken, curated, seed) for seed in range(asked.seeds)}
    every = {"raw": raw, "curated": curated, **drawn}
    read = {name: write_set(experiment, name, one) | {"reddit_share": reddit_share(one)} for name, one in every.items()}
    members = {"raw": ["raw"] * asked.seeds, "random": list(drawn), "curated": ["curated"] * asked.seeds}
    losses, models = trained(experiment, members, asked.seeds)
    told = summary(losses)
    config = {key: getattr(asked, key) for key in ("posts", "tokens", "seeds", "width", "vocabulary")}
    result = about | {
        "config": config | {"shape": asdict(experiment.shape()), "settings": asdict(experiment.settings(0))},
        "device": jax.devices()[0].device_kind,
        "seconds": round(time.monotonic() - started),
        "parameters": count(models["seed 0"][0]),
        "arms": read,
        "held_out": scored,
        "by_seed": losses,
        **told,
        "curated_together": ensembles(experiment, models),
    }
    show(told, asked.seeds)
    say(f"written to {record.write(result, 'value', asked.out).name}")
    return []


def main() -> None:
    """Read the options and compare."""
    made = argparse.ArgumentParser(prog="python -m bench.value", description=__doc__.partition("\n")[0])
    add_options(made)
    made.add_argument("--posts", type=int, default=60_000, help="English tweets of the pool (%(default)s)")
    made.add_argument("--tokens", type=int, default=800_000, help="that each model is trained on (%(default)s)")
    made.add_argument("--seeds", type=int, default=3, help="models of each arm (%(default)s)")
    made.add_argument("--width", type=int, default=128, help="of a model (%(default)s)")
    made.add_argument("--vocabulary", type=int, default=4096, help="of the tokenizer, made here (%(default)s)")
    made.add_argument("--curated", type=Path, help="a folder of a run over this pool, in place of a new one")
    asked = made.parse_args()
    finish(lambda: compare(asked))


if __name__ == "__main__":
    main()
