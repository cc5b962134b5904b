"""Read the word lists that the rules of `quality` know: `wordlists/*.tsv`, tab-separated, a heading in the first line.

Four files hold a wording a line, under `lang`, `use` and `wording`. A language (`*` is any) is where a wording comes
from; it is looked for in every post, but for an `ending`. In a wording `0` is any number, `@x` any mention, `*` any
word, and an opening bracket a word. `topics.tsv` holds under `language`, `topic` and `points` the words that tell a
topic: `_` joins two, six letters and `*` are a stem.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

from filters.kernels import lookups
from filters.kernels.lookups import ANYWHERE, OPENING
from filters.kernels.measures import Known

USES = {
    ("templates", "opening"): (OPENING, lookups.TEMPLATE),
    ("templates", "opening with link"): (OPENING, lookups.LINKED_TEMPLATE),
    ("templates", "phrase"): (ANYWHERE, lookups.TEMPLATE),
    ("templates", "phrase with link"): (ANYWHERE, lookups.LINKED_TEMPLATE),
    ("templates", "unit"): (ANYWHERE, lookups.UNIT),
    ("bait", "phrase"): (ANYWHERE, lookups.BAIT),
    ("questions", "opening"): (OPENING, lookups.QUESTION),
    ("code", "phrase"): (ANYWHERE, lookups.CODE),
    ("code", "hint"): (ANYWHERE, lookups.CODE_HINT),
}
"""Where a wording may stand and what it means, by file and use. Endings that ask are compared byte by byte."""

LISTS = ("templates", "bait", "questions", "code")
ENDING = "ending"


class Wordlists(NamedTuple):
    """The lists as kernels read them; a language is its place in `languages`, the first of which is none."""

    known: Known
    languages: tuple[str, ...]
    topics: tuple[str, ...]


def rows(name: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a list, without its heading."""
    text = (resources.files("filters") / "wordlists" / f"{name}.tsv").read_text(encoding="utf-8")
    yield from (tuple(line.split("\t")) for line in text.splitlines()[1:])


@functools.cache
def wordlists() -> Wordlists:
    """Read and hash every list; raise ValueError naming what is no row of its list."""
    wordings = [(*USES[name, use], text) for name in LISTS for _, use, text in rows(name) if use != ENDING]
    endings = [(lang, text) for lang, use, text in rows("questions") if use == ENDING]
    listed = list(rows("topics"))
    languages = ("", *sorted({lang for lang, *_ in (*endings, *listed)}))
    topics = tuple(sorted({topic for _, topic, _, _ in listed}))
    words = [
        (languages.index(lang), topics.index(topic), int(points), word)
        for lang, topic, points, together in listed
        for word in together.split(" ")
    ]
    known = Known(
        lookups.wording_table(wordings),
        lookups.topic_table(words),
        lookups.ending_table([[text for lang, text in endings if lang == one] for one in languages]),
    )
    return Wordlists(known, languages, topics)
