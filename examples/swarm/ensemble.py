"""Let the members of a swarm predict together, whoever is there: one that is out in training is simply not asked.

    python -m examples.swarm.ensemble curated --read held-out --model models/news.npz --model models/sport.npz

The prediction is the mean of the members' log-probabilities, scaled to a sum of 1 again: a product of experts. Its loss
is never above the mean of the members' losses (Jensen), so with one member missing quality falls gently.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from examples.swarm.model import INPUTS, Batch, Parameters, Shape, following, hidden
from examples.swarm.train import load
from pipelines.feed import TokenFeed, jax_batches
from schemas.errors import ConfigError


@partial(jax.jit, static_argnames=("shapes",))
def losses_together(
    members: Sequence[Parameters], batch: Batch, shapes: tuple[Shape, ...]
) -> tuple[jax.Array, jax.Array]:
    """Return the loss of the members together, summed over the tokens that are predicted, and their number."""
    targets, counts = following(batch)
    outputs = [hidden(one, shape, batch) for one, shape in zip(members, shapes, strict=True)]

    def row_loss(row: tuple[Any, ...]) -> jax.Array:
        outputs, targets, counts = row
        said = [jax.nn.log_softmax(one @ member["embed"].T) for one, member in zip(outputs, members, strict=True)]
        together = jax.nn.log_softmax(sum(said) / len(said))
        return -jnp.sum(counts * jnp.take_along_axis(together, targets[:, None], axis=-1)[:, 0])

    return jax.lax.map(row_loss, (outputs, targets, counts)).sum(), counts.sum()


def score(members: Sequence[tuple[Parameters, Shape]], batches: Iterable[Mapping[str, Any]]) -> float:
    """Return the loss per token of some members together, in nats."""
    parameters, shapes = zip(*members, strict=True)
    total, predicted = 0.0, 0
    for batch in batches:
        seen = {name: batch[name] for name in INPUTS}
        loss, number = losses_together(parameters, seen, shapes)
        total, predicted = total + float(loss), predicted + int(number)
    if not predicted:
        raise ConfigError("nothing to predict: the token set has no document of two tokens")
    return total / predicted


def score_set(members: Sequence[tuple[Parameters, Shape]], data: Path, member: str, most: int = 32) -> float:
    """Return the loss per token on the first batches of a token set, at most so many of four sequences."""
    with closing(jax_batches(TokenFeed(data, member, batch=4, epochs=1))) as batches:
        return score(members, islice(batches, most))


def present(models: Mapping[str, tuple[Parameters, Shape]], missing: str = "") -> list[tuple[Parameters, Shape]]:
    """Return the members that are there."""
    return [one for name, one in models.items() if name != missing]


def read_models(paths: Sequence[Path]) -> dict[str, tuple[Parameters, Shape]]:
    """Read the models of members; raise ConfigError when they do not speak in the same tokens."""
    loaded = {path.stem: load(path) for path in paths}
    if len({about["tokenizer"] for _, about in loaded.values()}) > 1:
        raise ConfigError("members with different tokenizers cannot predict together")
    return {name: (learner.parameters, Shape(**about["shape"])) for name, (learner, about) in loaded.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the loss of each member alone, of all together, and of all but one."""
    made = argparse.ArgumentParser(prog="python -m examples.swarm.ensemble", description=__doc__.partition("\n")[0])
    made.add_argument("data", type=Path, help="the folder that `swarmfeed publish` wrote to")
    made.add_argument("--read", required=True, help="the member whose token set is predicted")
    made.add_argument("--model", type=Path, action="append", required=True, help="MEMBER.npz, repeatable")
    asked = made.parse_args(arguments)
    models = read_models(asked.model)
    loss = partial(score_set, data=asked.data, member=asked.read)
    for name, one in models.items():
        print(f"{name} alone: {loss([one]):.4f}")
    print(f"together: {loss(present(models)):.4f}")
    for name in models if len(models) > 1 else ():
        print(f"without {name}: {loss(present(models, name)):.4f}")


if __name__ == "__main__":
    main()
