"""A decoder-only transformer in plain JAX: parameters are a dict of arrays, the model is a function of it.

It reads packed sequences: several documents stand in a row, and none may see another. Attention looks only at earlier
tokens of the same segment, positions begin at 0 in each document, and no token is predicted across a boundary.

A token's embedding is narrow and tied with the output, because a vocabulary of 32,768 would otherwise be most of a
small model: with the default shape 2.1 of 3.9 million parameters, and 6.3 if it were as wide as the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

Parameters = dict[str, jax.Array]
Batch = Mapping[str, jax.Array]  # of `pipelines.feed.jax_batches`, each (batch, context)
INPUTS = ("tokens", "position_ids", "segment_ids")


@dataclass(frozen=True)
class Shape:
    """How large a model is; the context length is the token set's."""

    vocabulary: int
    width: int = 192
    layers: int = 4
    heads: int = 6
    embedding: int = 64


def initial(shape: Shape, seed: int) -> Parameters:
    """Return random parameters; what ends a branch begins at zero: layers change nothing, all tokens are as likely."""
    wide, narrow = shape.width, shape.embedding
    sizes = {"embed": (shape.vocabulary, narrow), "widen": (narrow, wide), "narrow": (wide, narrow)}
    for layer in range(shape.layers):
        sizes |= {f"{layer}.look": (wide, 3 * wide), f"{layer}.mix": (wide, wide)}
        sizes |= {f"{layer}.up": (wide, 4 * wide), f"{layer}.down": (4 * wide, wide)}
    keys = jax.random.split(jax.random.key(seed), len(sizes))
    parameters = {}
    for (name, size), key in zip(sizes.items(), keys, strict=True):
        scale = 0.0 if name.endswith(("mix", "down", "narrow")) else (narrow if name == "embed" else size[0]) ** -0.5
        parameters[name] = scale * jax.random.normal(key, size)
    return parameters


def count(parameters: Parameters) -> int:
    """Return how many numbers a model holds."""
    return sum(one.size for one in parameters.values())


def losses(parameters: Parameters, shape: Shape, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Return the loss summed over the tokens that are predicted, in nats, and their number.

    Logits of one row at a time are in memory, not of the whole batch: they are by far the largest array there is.
    """
    targets, counts = following(batch)

    def row_loss(row: tuple[jax.Array, ...]) -> jax.Array:
        outputs, targets, counts = row
        logits = outputs @ parameters["embed"].T
        wanted = jnp.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
        return jnp.sum(counts * (jax.nn.logsumexp(logits, axis=-1) - wanted))

    rows = (hidden(parameters, shape, batch), targets, counts)
    return jax.lax.map(jax.checkpoint(row_loss), rows).sum(), counts.sum()


def following(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Return the token after each token, and whether it is predicted: not in another document, not in padding."""
    segments = batch["segment_ids"]
    after = jnp.roll(segments, -1, axis=1).at[:, -1].set(0)
    return jnp.roll(batch["tokens"], -1, axis=1), (segments > 0) & (segments == after)


def hidden(parameters: Parameters, shape: Shape, batch: Batch) -> jax.Array:
    """Return the outputs of the last layer, as narrow as embeddings. Shape (batch, context, embedding)."""
    segments, context = batch["segment_ids"], batch["tokens"].shape[1]
    seen = (segments[:, :, None] == segments[:, None, :]) & jnp.tri(context, dtype=bool)
    turns = rotations(batch["position_ids"], shape.width // shape.heads)
    states = normal(parameters["embed"][batch["tokens"]] @ parameters["widen"])
    for layer in range(shape.layers):
        look, mix, up, down = (parameters[f"{layer}.{name}"] for name in ("look", "mix", "up", "down"))
        states += attention(normal(states) @ look, shape.heads, seen, turns) @ mix
        states += jax.nn.gelu(normal(states) @ up) @ down
    return normal(states) @ parameters["narrow"]


def normal(states: jax.Array) -> jax.Array:
    """Scale each vector to a root mean square of 1."""
    return states * jax.lax.rsqrt(jnp.mean(states**2, axis=-1, keepdims=True) + 1e-6)


def rotations(positions: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """Return cosines and sines of rotary position embeddings (Su and others 2021).

    Shape (batch, context, 1, width / 2). The slowest pair turns once in 2 pi 10,000 tokens.
    """
    speeds = 10_000.0 ** -jnp.linspace(0, 1, width // 2)
    angles = positions[:, :, None, None] * speeds
    return jnp.cos(angles), jnp.sin(angles)


def attention(looks: jax.Array, heads: int, seen: jax.Array, turns: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Let each token gather from those it may see. `looks` holds query, key and value side by side."""
    batch, context, width = looks.shape
    query, key, value = looks.reshape(batch, context, 3, heads, width // 3 // heads).transpose(2, 0, 1, 3, 4)
    query, key = rotated(normal(query), turns), rotated(normal(key), turns)
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * query.shape[-1] ** -0.5
    shares = jax.nn.softmax(jnp.where(seen[:, None], scores, -1e30))
    return jnp.einsum("bhqk,bkhd->bqhd", shares, value).reshape(batch, context, -1)


def rotated(vectors: jax.Array, turns: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Turn each pair of numbers by the angle of its position."""
    cosine, sine = turns
    one, other = jnp.split(vectors, 2, axis=-1)
    return jnp.concatenate([one * cosine - other * sine, one * sine + other * cosine], axis=-1)
