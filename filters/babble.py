"""Text that simple machines make of people's posts: chains of words and of characters, as the bots of 2019 were.

A detector that has seen only the generators of its labelled sets takes any other register for human. Made from the
human rows alone, babble is machine text of every register there is, and carries no label of a set.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

_END = "\x03"
WORD_ORDERS, CHARACTER_ORDERS = (1, 2), (4, 6)
_MAX_WORDS, _MAX_CHARS = 60, 280


def babble(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Return `count` texts of three words or more, a quarter each from word chains of order 1 and 2 and character
    chains of order 4 and 6 that have read `texts`. The same texts and seed give the same babble.

    >>> babble(["to be or not to be"], 4, seed=0) == babble(["to be or not to be"], 4, seed=0)
    True
    """
    draws = random.Random(seed)
    chains = [(order, " ", [text.split() for text in texts], _MAX_WORDS) for order in WORD_ORDERS]
    chains += [(order, "", [list(text) for text in texts], _MAX_CHARS) for order in CHARACTER_ORDERS]
    made: list[str] = []
    for number, (order, joint, tokens, longest) in enumerate(chains):
        wanted = count * (number + 1) // len(chains)
        endless = _chain(tokens, order, longest, draws)
        tries = 0
        while len(made) < wanted and tries < 20 * count:
            text = joint.join(next(endless))
            tries += 1
            if len(text.split()) > 2:
                made.append(text)
    return made


def _chain(texts: Sequence[Sequence[str]], order: int, longest: int, draws: random.Random) -> Iterator[list[str]]:
    """Yield texts without end: each token drawn from those that followed the `order` tokens before it."""
    start = ("",) * order
    follows: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for tokens in texts:
        before = start
        for token in (*tokens, _END):
            follows[before].append(token)
            before = (*before[1:], token)
    while True:
        out: list[str] = []
        before = start
        while len(out) < longest and (token := follows[before][draws.randrange(len(follows[before]))]) != _END:
            out.append(token)
            before = (*before[1:], token)
        yield out
