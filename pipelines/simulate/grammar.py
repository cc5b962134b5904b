"""Turn language tables into functions from random bits to text.

Every list is padded to 64 entries, so six bits choose from it. Texts are kept as they stand inside a JSON string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import permutations

from pipelines.simulate.tables import TABLES, Table

Sentence = Callable[[int], str]
Words = tuple[str, ...]

CHOICES = 64
EMOJI = (
    *("😀", "😂", "🤣", "😊", "😍", "🥰", "😎", "🤔", "😴", "😭", "😡", "🙄", "🔥", "✨"),
    *("💯", "👍", "👏", "🙏", "💪", "🎉", "❤️", "💔", "☕", "🍕", "⚽", "🌧️", "☀️", "🌈"),
    *("🚲", "🚌", "🐈", "🐕", "👀", "💀", "🤷‍♀️", "👨‍👩‍👧", "🏳️‍🌈", "🇺🇳"),
)
COINS = "ZURKO|LUMENTO|BRIXALO|QUANDRO|PIBBLO|MULAKO|TERNUVO|FLUXIMO|GRAVENTO|NIMBOLO|OCTAREX|VELUMO"
PRIZES = "smart watch|tablet|phone|gift card 500|e-scooter|4K TV|headphones|drone"
LINKS = "|".join(
    f"https://{site}.example/{page}" for site in ("win", "b1t", "go2", "promo") for page in ("a7", "x", "k9q")
)
_SHARED_SLOTS = {
    "n": "|".join(map(str, range(2, 2 + CHOICES))),
    "coin": COINS,
    "prize": PRIZES,
    "link": LINKS,
    "user": "|".join(f"@support_{number}" for number in range(10, 40)),
    "value": "{value}",
}
_SLOT = re.compile(r"{(\w+)}")


def pad(words: Iterable[str], filler: str | None = None, filled: int = CHOICES) -> Words:
    """Repeat words up to `filled` of 64 entries; the rest is the filler.

    >>> pad(["a", "b"], "", 3)[:5]
    ('a', 'b', 'a', '', '')
    """
    words = list(words)
    full = [words[at % len(words)] for at in range(CHOICES if filler is None else filled)]
    return tuple(full + [filler or ""] * (CHOICES - len(full)))


def sentence(text: str, slots: dict[str, Words]) -> Sentence:
    """Compile a sentence with up to five slots; six bits of the argument choose each word, lowest first.

    >>> sentence("{n} {what}", {"n": pad("23"), "what": pad(["owls", "hats"])})(0b000001_000000)
    '2 hats'
    """
    names = _SLOT.findall(text)
    form = _SLOT.sub("%s", text.replace("%", "%%"))
    words = [slots[name] for name in names]
    if not words:
        plain = form % ()
        return lambda bits: plain
    if len(words) == 1:
        (a,) = words
        return lambda bits: form % a[bits & 63]
    if len(words) == 2:
        a, b = words
        return lambda bits: form % (a[bits & 63], b[bits >> 6 & 63])
    if len(words) == 3:
        a, b, c = words
        return lambda bits: form % (a[bits & 63], b[bits >> 6 & 63], c[bits >> 12 & 63])
    a, b, c, d, *rest = words
    if not rest:
        return lambda bits: form % (a[bits & 63], b[bits >> 6 & 63], c[bits >> 12 & 63], d[bits >> 18 & 63])
    (e,) = rest
    return lambda bits: (
        form % (*(a[bits & 63], b[bits >> 6 & 63], c[bits >> 12 & 63], d[bits >> 18 & 63], e[bits >> 24 & 63]),)
    )


@dataclass(frozen=True, slots=True)
class Language:
    """A compiled table; every tuple has 64 entries."""

    code: str
    space: str
    topics: tuple[tuple[tuple[Sentence, Sentence, Sentence], ...], ...]  # each a tuple of 64 orders of its sentences
    openers: Words  # with the space that follows
    closers: Words  # with the space that goes before
    tails: Words
    replies: tuple[Sentence, ...]
    acks: Words
    abuse: Words
    contact: Words
    calls: tuple[Sentence, ...]
    spam: tuple[Sentence, ...]
    machine: tuple[Sentence, ...]
    shorts: Words
    tags: Words
    hints: Words  # JSON values of `lang_hint`: mostly right, sometimes missing or wrong


def compile_table(table: Table) -> Language:
    """Compile one language."""
    space = table["space"]
    slots = {name: pad(words.split("|")) for name, words in (_SHARED_SLOTS | table["slots"]).items()}
    slots |= {f"{name}_": tuple(word[:1].upper() + word[1:] for word in words) for name, words in slots.items()}
    tags = [f"#{tag}" for tag in table["tags"].split("|")]

    def compiled(texts: Iterable[str]) -> tuple[Sentence, ...]:
        found = [sentence(text, slots) for text in texts]
        return tuple(found[at % len(found)] for at in range(CHOICES))

    topics = [_orders([sentence(text, slots) for text in texts]) for texts in table["topics"].values()]
    return Language(
        code=table["code"],
        space=space,
        topics=tuple(topics[at % len(topics)] for at in range(CHOICES)),
        openers=pad([f"{opener}{space}" for opener in table["openers"].split("|")], "", 26),
        closers=pad([f"{space}{closer}" for closer in table["closers"].split("|")], "", 24),
        tails=pad([f" {tail}" for tail in (*tags, *EMOJI[:12], "\\ud83d\\ude42", *EMOJI[-5:])], "", 26),
        replies=compiled(table["replies"]),
        acks=pad(table["acks"].split("|")),
        abuse=pad(table["abuse"]),
        contact=pad(table["contact"]),
        calls=compiled(table["calls"]),
        spam=compiled(table["spam"]),
        machine=compiled(table["machine"]),
        shorts=pad(table["shorts"].split("|")),
        tags=pad(tags),
        hints=_hints(table["code"]),
    )


def _orders(sentences: list[Sentence]) -> tuple[tuple[Sentence, Sentence, Sentence], ...]:
    """Spread 64 of the ordered triples of different sentences evenly over all of them."""
    triples = list(permutations(sentences, 3))
    return tuple(
        triples[at * len(triples) // CHOICES] if len(triples) > CHOICES else triples[at % len(triples)]
        for at in range(CHOICES)
    )


def _hints(code: str) -> Words:
    wrong = [f'"{table["code"]}"' for table in TABLES if table["code"] != code]
    return tuple([f'"{code}"'] * 46 + ["null"] * 12 + ['"und"'] * 2 + wrong[:4])


LANGUAGES = tuple(compile_table(table) for table in TABLES)
"""Every language, in the order of the tables."""

AUTHOR_LANGUAGES = tuple(at for at, table in enumerate(TABLES) for _ in range(table["weight"]))
"""The language of 100 authors, by position in LANGUAGES."""


def compose(language: Language, shape: int, words: int, more: int) -> str:
    """Write a post of two or three sentences on one topic; `shape` has 48 bits, `words` and `more` 60 each."""
    first, second, third = language.topics[shape & 63][shape >> 6 & 63]
    space = language.space if shape >> 12 & 15 else "\\n"
    text = language.openers[shape >> 16 & 63] + first(words) + space + second(words >> 30)
    if shape >> 22 & 1:
        text += space + third(more)
    text += language.closers[shape >> 24 & 63] + language.tails[shape >> 30 & 63]
    return text if shape >> 36 & 15 else f"{text} {link(more >> 30)}"


def aside(language: Language, shape: int, words: int) -> str:
    """Write one sentence on some topic; 12 bits of shape, 30 of words."""
    return language.topics[shape & 63][shape >> 6 & 63][0](words)


def link(bits: int) -> str:
    """Return a link no one will open: 28 bits.

    >>> link(123456789)
    'https://sim.example/75bcd15'
    """
    return f"https://sim.example/{bits & 0xFFFFFFF:x}"


_HANDLE_FIRST = (
    *("quiet", "amber", "lucky", "paper", "rusty", "velvet", "sunny", "tiny"),
    *("brave", "misty", "clever", "silver", "wild", "sleepy", "salty", "gentle"),
)
_HANDLE_SECOND = (
    *("otter", "lamp", "teapot", "comet", "walnut", "badger", "kite", "harbor"),
    *("pixel", "maple", "heron", "button", "violin", "lynx", "pebble", "wagon"),
)


def handle(author: int) -> str:
    """Name an author; different numbers have different names.

    >>> handle(18), handle(274)
    ('lucky_lamp0', 'lucky_lamp1')
    """
    return f"{_HANDLE_FIRST[author & 15]}_{_HANDLE_SECOND[author >> 4 & 15]}{author >> 8}"
