"""What most of a firehose is made of: emoji, one word, laughter, links, tags, key mash, copy-pasta, odd characters."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from pipelines.simulate.campaigns import mix
from pipelines.simulate.grammar import EMOJI, Language, aside, handle, link

Noise = tuple[str, str]  # language, text

_LAUGHS = ("hahaha", "lol", "lmao", "jajaja", "kkkkk", "wkwk", "xD", "hehe", "www", "555", "ahah", "mdr")
_KEYS = "asdfghjklqwertyuiopzxcvbnm"
_ODD = ("\u200b", "\u200d", "\u202e", "\u2066", "\u2069", "\ufffd", "\u00a0", "\ufeff", "\u0301", "\u3164", "\u034f")


def noise(language: Language, bits: int) -> tuple[str, str, str]:
    """Return (shape, language, text) of a post without content, from 64 bits; `und` where no one could tell."""
    shape, make = _SHAPES[bits & 127]
    return shape, *make(language, bits >> 7)


def _emoji(language: Language, bits: int) -> Noise:
    count = 1 + (bits & 7) % 6
    return "und", "".join(EMOJI[(bits >> 4 + 6 * at) % len(EMOJI)] for at in range(count))


def _word(language: Language, bits: int) -> Noise:
    word = language.shorts[bits & 63]
    return language.code, (word, word.upper(), f"{word}!", f"{word}...", word, f"{word} {EMOJI[bits >> 12 & 7]}")[
        (bits >> 6) % 6
    ]


def _laugh(language: Language, bits: int) -> Noise:
    return "und", _LAUGHS[bits % len(_LAUGHS)] * (1 + (bits >> 8) % 4) + EMOJI[bits >> 16 & 3] * (bits >> 24 & 3)


def _link(language: Language, bits: int) -> Noise:
    return "und", " ".join(link(mix(bits + at)) for at in range(1 + bits % 3))


def _tags(language: Language, bits: int) -> Noise:
    return language.code, " ".join(language.tags[bits >> 6 * at & 63] for at in range(2 + bits % 5))


def _mentions(language: Language, bits: int) -> Noise:
    names = " ".join(f"@{handle(mix(bits + at) & 0xFFFF)}" for at in range(1 + bits % 6))
    return "und", f"{names} {EMOJI[bits >> 8 & 15]}" if bits & 64 else names


def _mash(language: Language, bits: int) -> Noise:
    return "und", "".join(_KEYS[(mix(bits + at)) % 26] for at in range(6 + bits % 30))


def _digits(language: Language, bits: int) -> Noise:
    return "und", ("...", "?", "!!!!!!", str(bits % 100_000), "-", f"{bits % 10}/10", "$$$", ".")[bits >> 20 & 7]


def _shout(language: Language, bits: int) -> Noise:
    return language.code, f"{aside(language, bits, bits >> 12)}".upper() + "!" * (1 + bits % 9)


def _stretched(language: Language, bits: int) -> Noise:
    word = language.shorts[bits & 63]
    return language.code, word + word[-1] * (3 + (bits >> 6) % 40)


def _copy_pasta(language: Language, bits: int) -> Noise:
    """Repeat one sentence, up to 20,000 characters."""
    text = aside(language, bits, bits >> 12) + (language.space or " ")
    return language.code, (text * (2 + (bits >> 40) % 30 ** (1 + bits % 2)))[:20_000]


def _storm(language: Language, bits: int) -> Noise:
    return "und", EMOJI[bits % len(EMOJI)] * (20 + (bits >> 8) % 200)


def _odd(language: Language, bits: int) -> Noise:
    """Strew invisible, bidirectional and replacement characters over a sentence, or send them alone."""
    marks = "".join(_ODD[(bits >> 4 * at) % len(_ODD)] for at in range(1 + bits % 5))
    if bits >> 40 & 3 == 0:
        return "und", marks
    text = aside(language, bits, bits >> 12)
    cut = len(text) // 2
    return language.code, text[:cut] + marks + text[cut:]


def _empty(language: Language, bits: int) -> Noise:
    return "und", ("", " ", "\\n", "\\n\\n ")[bits & 3]


_WEIGHTS: tuple[tuple[int, str, Callable[[Language, int], Noise]], ...] = (
    (22, "emoji", _emoji),
    (30, "word", _word),
    (14, "laugh", _laugh),
    (12, "link", _link),
    (11, "tags", _tags),
    (12, "mentions", _mentions),
    (5, "mash", _mash),
    (5, "digits", _digits),
    (6, "shout", _shout),
    (4, "stretched", _stretched),
    (1, "copy_pasta", _copy_pasta),
    (1, "storm", _storm),
    (4, "odd", _odd),
    (1, "empty", _empty),
)
_ENDS = list(accumulate(weight for weight, _, _ in _WEIGHTS))
_SHAPES = tuple(next(row[1:] for row, end in zip(_WEIGHTS, _ENDS, strict=True) if at < end) for at in range(_ENDS[-1]))

_STATIONS = ("Hilltop", "Harbour East", "Mill Weir", "Airfield", "North Ridge", "Lighthouse", "Depot", "Old Quarry")


def automatic(bits: int) -> str:
    """Return a post in the fixed shape of a program, from 64 bits."""
    a, b, c, place = bits % 60, (bits >> 8) % 60, (bits >> 16) % 1000, _STATIONS[bits >> 32 & 7]
    return (
        f"{place} {a % 24:02d}:{b:02d} Temp {a / 2 - 5:.1f}C Hum {b + 40}% Wind {c % 80} km/h {980 + b}.{a % 10} hPa",
        f"Now playing: Track {c} by The {place} Quartet #nowplaying {link(bits)}",
        f"I just finished a {a % 30 + 1}.{b % 10} km run in {a + 5}:{b:02d} with StrideLog {link(bits)}",
        f"Day {c} of counting to 1000.",
        f"River level {place}: {a / 10:.2f} m ({'+' if b & 1 else '-'}{b % 9} cm) status: normal",
        f"New post on my blog: Issue {c} {link(bits)}",
        f"My week: {a} mentions, {b} likes, {c} views. See yours with TallyBird {link(bits)}",
        f"BUILD {c} {'PASSED' if b & 3 else 'FAILED'} on branch main in {a} min {b} s",
    )[bits >> 40 & 7]
