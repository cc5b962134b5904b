"""Near-duplicate campaigns: one text, many authors, small edits that keep every member close to the first."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipelines.simulate.grammar import EMOJI, LANGUAGES, Language, Sentence, handle, link

MIN_JACCARD = 0.82  # of each variant with the first member; the promise is 0.8
MAX_OVERLAP = 0.4  # Jaccard of two campaigns that run at about the same time
ACTIVE = 6  # campaigns that run at once
REMEMBERED = 32  # campaigns a new one is compared with
MIN_CHARS = 110  # of a campaign's text: one changed word must stay a small change
MAX_PIECES = 14
TRIES = 8

_DROPPED = re.compile(r"https?://\S+|@\w+|^RT\b")
_MARKS = re.compile(r"[\s!-/:-@\[-`{-~¡-¿‐-⁞、-〟！-／：-＠।॥،؛؟…]+")
_MASK = (1 << 64) - 1


def shingles(text: str) -> frozenset[str]:
    """Return the character 4-grams of a text without links, mentions, case, punctuation and runs of white space.

    >>> sorted(shingles("Hello!  https://example.org/x"))
    ['ello', 'hell']
    """
    plain = _MARKS.sub(" ", _DROPPED.sub(" ", text).lower()).strip()
    return frozenset(plain[at : at + 4] for at in range(len(plain) - 3)) or frozenset([plain])


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Return the share of shingles two texts have in common.

    >>> jaccard(shingles("abcde"), shingles("abcdx"))
    0.3333333333333333
    """
    both = len(left & right)
    return both / (len(left) + len(right) - both)


def mix(bits: int) -> int:
    """Scramble 64 bits (the finaliser of splitmix64), to draw more from one draw.

    >>> mix(0), mix(1) == mix(2)
    (0, False)
    """
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31


@dataclass(slots=True)
class Campaign:
    """One campaign while it runs; `variants` are (edit, text), the first the text itself."""

    cluster: str
    language: int
    text: str
    variants: list[tuple[str, str]]
    grams: frozenset[str]
    left: int  # members still to come
    begun: bool = False

    def member(self, bits: int) -> tuple[str, str]:
        """Return (edit, text) of the next member: the first is the text itself."""
        self.left -= 1
        if not self.begun:
            self.begun = True
            return "first", self.text
        choice = bits & 15
        if choice < 4:
            return "link", f"{self.text} {link(bits >> 8)}"
        if choice == 4:
            return "mention", f"@{handle(bits >> 8 & 0xFFFFF)} {self.text}"
        return self.variants[(bits >> 8) % len(self.variants)]


class Campaigns:
    """The campaigns that run, each replaced when it has had its members. Memory is bounded."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.begun = 0  # campaigns of which at least one member was sent
        self._planned = 0
        self._active: list[Campaign] = []
        self._recent: list[frozenset[str]] = []

    def member(self, language: int, bits: int) -> tuple[Campaign, str, str]:
        """Return (campaign, edit, text) of the next post; `language` is that of the campaign, should one begin."""
        place = (bits >> 40) % ACTIVE
        if place >= len(self._active):
            place = len(self._active)
            self._active.append(self._plan(language, bits))
        elif not self._active[place].left:
            self._active[place] = self._plan(language, bits)
        campaign = self._active[place]
        self.begun += not campaign.begun
        edit, text = campaign.member(bits)
        return campaign, edit, text

    def _plan(self, language: int, bits: int) -> Campaign:
        for _ in range(TRIES):
            bits = mix(bits + 1)
            pieces = _pieces(LANGUAGES[language], bits)
            text = _join(LANGUAGES[language], pieces)
            grams = shingles(text)
            if all(jaccard(grams, other) <= MAX_OVERLAP for other in self._recent):
                break
        self._recent = [*self._recent[1 - REMEMBERED :], grams]
        self._planned += 1
        size = 8 + (bits & 0xFF) * (bits >> 8 & 0xFF) // 160  # 8 to 414, mostly under 150
        variants = _variants(LANGUAGES[language], pieces, text, grams)
        return Campaign(f"c{self._seed}-{self._planned}", language, text, variants, grams, size)


Piece = tuple[Sentence, int]


def _pieces(language: Language, bits: int) -> list[Piece]:
    """Choose a call and as many different sentences as the text needs."""
    pieces: list[Piece] = [(language.calls[bits & 63], mix(bits))]
    used = set()
    while len(pieces) < MAX_PIECES and len(shingles(_join(language, pieces))) < MIN_CHARS:
        bits = mix(bits + 1)
        choice = language.topics[bits & 63][bits >> 6 & 63][0]
        if choice not in used:
            used.add(choice)
            pieces.append((choice, bits >> 12))
    return pieces


def _join(language: Language, pieces: list[Piece]) -> str:
    return language.space.join(say(words) for say, words in pieces)


def _variants(language: Language, pieces: list[Piece], text: str, grams: frozenset[str]) -> list[tuple[str, str]]:
    """List the edited texts that stay close to the first; an exact copy is always among them."""
    candidates = [("word", changed) for changed in _word_changes(language, pieces) if changed != text]
    candidates += [("emoji", f"{text} {EMOJI[at]}") for at in (12, 19, 23)]
    candidates += [("case", text.upper()), ("case", text.lower()), ("punctuation", text.rstrip("!.।。！") + "!!")]
    candidates += [("cut", f"{text[: -len(text) * share // 100].rstrip()}…") for share in (3, 5, 8)]
    candidates += [("emoji", f"{EMOJI[12]} {text}")]
    close = [(edit, changed) for edit, changed in candidates if jaccard(grams, shingles(changed)) >= MIN_JACCARD]
    return [("copy", text), *close]


def _word_changes(language: Language, pieces: list[Piece]) -> list[str]:
    """Put another word into one slot at a time, for the first three slots of each piece."""
    changes = []
    for at, (say, words) in enumerate(pieces[:5]):
        for slot in range(3):
            other = [*pieces[:at], (say, words ^ (words % 31 + 1) << 6 * slot), *pieces[at + 1 :]]
            changes.append(_join(language, other))
    return changes
