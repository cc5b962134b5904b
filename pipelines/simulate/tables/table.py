"""The shape of a language table."""

from __future__ import annotations

from typing import TypedDict


class Table(TypedDict):
    """One language: sentences with `{slot}`s, and the words for the slots, parted by `|`.

    No entry holds a double quote, a backslash or a control character, so every text goes into JSON as it stands.
    """

    code: str  # BCP 47
    weight: int  # authors of this language, of 100
    space: str  # what stands between two sentences
    slots: dict[str, str]
    topics: dict[str, tuple[str, ...]]
    openers: str
    closers: str
    replies: tuple[str, ...]  # how an answer begins
    acks: str  # a whole answer in a word or three
    abuse: tuple[str, ...]  # mild insults, standing in for the real thing
    contact: tuple[str, ...]  # sentences with `{value}`, a piece of personal data
    calls: tuple[str, ...]  # the line a campaign opens with
    spam: tuple[str, ...]
    machine: tuple[str, ...]  # what a careless model writes
    shorts: str  # one-word posts
    tags: str  # hashtags without their mark
