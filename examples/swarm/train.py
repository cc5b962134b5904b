"""Train the members of a swarm in turn on their packed token sets; killed at any moment, go on to the same loss.

    python -m examples.swarm.train curated --member news --member sport --models models

A turn is so many steps: the learning rate warms up, holds and cools down, and the newest version is read in an order of
its own. What a member is stands in one file, MEMBER.npz: parameters, moments of the optimiser, step, place in the feed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from examples.swarm.model import INPUTS, Batch, Parameters, Shape, count, initial, losses
from pipelines.feed import TokenFeed, jax_batches
from pipelines.tokens import sets
from schemas.errors import ConfigError

FIRST, SECOND = 0.9, 0.95  # how much of the moments a step keeps
Note = Callable[[int, float], None]  # told of each step: its number, its loss


@dataclass(frozen=True)
class Settings:
    """How a member is trained."""

    steps: int = 500  # of a turn
    batch: int = 4  # sequences
    rate: float = 3e-3
    warm_up: int = 20  # steps
    cool_down: float = 0.3  # share of a turn
    decay: float = 0.1
    save_every: int = 100  # steps, and at the end of a turn
    seed: int = 0


class Learner(NamedTuple):
    """A model in training: what a step changes."""

    parameters: Parameters
    first: Parameters  # running mean of the gradients
    second: Parameters  # and of their squares
    step: jax.Array


def beginner(shape: Shape, seed: int) -> Learner:
    """Return a model that has learnt nothing."""
    parameters = initial(shape, seed)
    empty = jax.tree.map(jnp.zeros_like, parameters)
    return Learner(parameters, empty, empty, jnp.zeros((), jnp.int32))


def learning_rate(step: int, settings: Settings) -> float:
    """Return the rate of a step: up from zero, level, and down to zero at the end of each turn.

    >>> [round(learning_rate(step, Settings(steps=10, rate=8, warm_up=4)), 1) for step in range(11)]
    [2.0, 4.0, 6.0, 8.0, 8.0, 8.0, 8.0, 8.0, 5.3, 2.7, 2.0]
    """
    place = step % settings.steps
    up = (place + 1) / settings.warm_up
    down = (settings.steps - place) / max(1, settings.cool_down * settings.steps)
    return settings.rate * min(1, up, down)


@partial(jax.jit, static_argnames=("shape", "decay"))
def learn(learner: Learner, batch: Batch, shape: Shape, rate: float, decay: float) -> tuple[Learner, jax.Array]:
    """Take one step of AdamW (Loshchilov and Hutter 2019); return the learner after it and the loss before it."""

    def mean_loss(parameters: Parameters) -> jax.Array:
        total, predicted = losses(parameters, shape, batch)
        return total / jnp.maximum(predicted, 1)

    loss, gradients = jax.value_and_grad(mean_loss)(learner.parameters)
    step = learner.step + 1
    first = jax.tree.map(lambda mean, new: FIRST * mean + (1 - FIRST) * new, learner.first, gradients)
    second = jax.tree.map(lambda mean, new: SECOND * mean + (1 - SECOND) * new**2, learner.second, gradients)

    def moved(value: jax.Array, mean: jax.Array, square: jax.Array) -> jax.Array:
        direction = (mean / (1 - FIRST**step)) / (jnp.sqrt(square / (1 - SECOND**step)) + 1e-8)
        return value - rate * (direction + decay * value)

    return Learner(jax.tree.map(moved, learner.parameters, first, second), first, second, step), loss


def save(path: Path, learner: Learner, about: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all: a kill leaves the one before."""
    arrays = {"about": np.array(json.dumps(about)), "step": np.asarray(learner.step)}
    for part in ("parameters", "first", "second"):
        arrays |= {f"{part} {name}": np.asarray(value) for name, value in getattr(learner, part).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pending = path.with_suffix(".pending")
    with pending.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    pending.replace(path)


def load(path: Path) -> tuple[Learner, dict[str, Any]]:
    """Read what `save` wrote."""
    with np.load(path) as saved:
        about = json.loads(str(saved["about"]))
        parts: dict[str, Parameters] = {"parameters": {}, "first": {}, "second": {}}
        for key in saved.files:
            part, _, name = key.partition(" ")
            if name:
                parts[part][name] = jnp.asarray(saved[key])
        return Learner(**parts, step=jnp.asarray(saved["step"])), about


def take_turn(data: Path, member: str, path: Path, settings: Settings, **options: Any) -> Learner:
    """Train a member to the end of its turn, from its checkpoint where there is one, and leave a checkpoint.

    Options: `shape` of a new model; `version` of the token set to read, the newest when left out; `note`. Raises
    ConfigError for settings that are not those of the checkpoint (a loss that is resumed would not be the same) and for
    a set in the tokens of another tokenizer.
    """
    learner, about = _begun(data, member, path, settings, options.get("shape"))
    shape, turn = Shape(**about["shape"]), int(learner.step) // settings.steps
    feed = TokenFeed(data, member, seed=settings.seed + turn, batch=settings.batch, version=options.get("version"))
    if int(learner.step) % settings.steps:  # killed in the middle of its turn
        feed.load_state_dict(about["feed"])
    note: Note = options.get("note") or (lambda step, loss: None)
    step = int(learner.step)
    with closing(jax_batches(feed)) as batches:
        for batch in batches:
            if feed.state_dict()["tokenizer"] != about["tokenizer"]:
                raise ConfigError(f"{path.name} was trained with another tokenizer: train a new model on this set")
            seen = {name: batch[name] for name in INPUTS}
            learner, loss = learn(learner, seen, shape, learning_rate(step, settings), settings.decay)
            step += 1
            over = step % settings.steps == 0
            if over or step % settings.save_every == 0:
                save(path, learner, about | {"feed": feed.state_dict()})
            note(step, float(loss))
            if over:
                return learner
    raise ConfigError(f"member '{member}': its token set is empty")


def _begun(
    data: Path, member: str, path: Path, settings: Settings, shape: Shape | None
) -> tuple[Learner, dict[str, Any]]:
    """Return a member as its checkpoint has it, or a new one."""
    if not path.exists():
        TokenFeed(data, member)  # raises, with the nearest name, where there is no such member
        newest = sets.versions(data, member)[-1]
        shape = shape or Shape(newest.tokenizer.vocabulary)
        about = {"shape": asdict(shape), "settings": asdict(settings), "tokenizer": newest.tokenizer.sha256}
        return beginner(shape, settings.seed), about
    learner, about = load(path)
    if about["settings"] != asdict(settings):
        raise ConfigError(f"{path.name} was trained with {about['settings']}: go on with these, or remove it")
    return learner, about


def train_in_turn(data: Path, members: Sequence[str], models: Path, settings: Settings, turns: int) -> None:
    """Give each member so many turns, never two at once; called again after a kill, do what is left."""
    for turn in range(1, turns + 1):
        for member in members:
            path = models / f"{member}.npz"
            done = int(load(path)[0].step) if path.exists() else 0
            if done >= turn * settings.steps:
                continue
            learner = take_turn(data, member, path, settings, note=partial(_tell, member))
            print(f"{member}: turn {turn} of {turns} done, {count(learner.parameters):,} parameters", flush=True)


def _tell(member: str, step: int, loss: float) -> None:
    if step % 10 == 0:
        print(f"{member}: step {step}, loss {loss:.4f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the members that are named."""
    made = argparse.ArgumentParser(prog="python -m examples.swarm.train", description=__doc__.partition("\n")[0])
    made.add_argument("data", type=Path, help="the folder that `swarmfeed publish` wrote to")
    made.add_argument("--member", action="append", required=True, help="a member, repeatable: the order of the turns")
    made.add_argument("--models", type=Path, default=Path("models"), help="where MEMBER.npz stand")
    made.add_argument("--turns", type=int, default=1, help="that each member has had in the end")
    made.add_argument("--steps", type=int, default=Settings.steps, help="of a turn")
    made.add_argument("--batch", type=int, default=Settings.batch, help="sequences of a step")
    made.add_argument("--seed", type=int, default=Settings.seed)
    asked = made.parse_args(arguments)
    settings = Settings(steps=asked.steps, batch=asked.batch, seed=asked.seed)
    train_in_turn(asked.data, asked.member, asked.models, settings, asked.turns)


if __name__ == "__main__":
    main()
