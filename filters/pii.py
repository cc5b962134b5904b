"""Find personal data that has a form (mail, phone, card, account, IP, identity number) and write the text without it.

Names and postal addresses have no form a pattern can hold to; they are out of scope.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import SUPPORTED_REGIONS

from filters.kernels.pii_screen import ADDRESS, CODE, DIGITS, EMAIL, EVERYTHING, screen
from filters.kernels.utf8 import utf8_buffers
from filters.pii_fold import fold, fold_table
from filters.pii_kinds import addresses, cards, emails, ibans
from filters.pii_national import national_numbers
from filters.pii_phone import phones
from filters.pii_text import PLACEHOLDERS, Finder, Text, read
from schemas.columns import PII, PII_SPAN
from schemas.errors import nearest

KINDS = tuple(PLACEHOLDERS)
MAX_ROUNDS = 8  # each looks at what the last one left; two are the rule


class Span(NamedTuple):
    """One stretch of personal data, in characters of clean_text.text."""

    kind: str
    start: int
    end: int


class _Search(NamedTuple):
    kind: str
    flags: int  # the marks of the screen that make the search worth while
    find: Finder


@dataclass(frozen=True)
class Pii:
    """Mark and redact personal data; `redacted` is the text with `[EMAIL]`, `[PHONE]` and so on in its place.

    `kinds` says what to look for. `default_region` (ISO 3166, e.g. "DE") admits national telephone numbers of one
    country without their prefix. Both raise ValueError when they name something unknown. Redacting twice changes
    nothing, and a row's placeholders do not depend on other rows.
    """

    kinds: tuple[str, ...] = KINDS
    default_region: str | None = None

    name: ClassVar[str] = "pii"
    reads: ClassVar[tuple[str, ...]] = ("clean_text",)
    output: ClassVar[pa.StructType] = PII

    def __post_init__(self) -> None:
        """Check the settings; a list from a config file becomes a tuple."""
        if isinstance(self.kinds, str):
            raise ValueError(f"'kinds' is a list, got {self.kinds!r}: write [{self.kinds}]")
        for kind in self.kinds:
            if kind not in KINDS:
                raise ValueError(f"unknown kind {kind!r} in 'kinds': {nearest(str(kind), KINDS)}")
        if self.default_region is not None and self.default_region not in SUPPORTED_REGIONS:
            raise ValueError(f"'default_region' is a country code such as DE or US, got {self.default_region!r}")
        object.__setattr__(self, "kinds", tuple(self.kinds))

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return spans and redacted text per row; null where there is no text. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        flags = screen(*utf8_buffers(texts), fold_table())
        searches = self._searches()
        found: dict[int, list[Span]] = {}
        redacted: dict[int, str] = {}
        for row in np.flatnonzero(flags).tolist():
            text = texts[row].as_py()
            spans = find_spans(text, int(flags[row]), searches)
            if spans:
                found[row], redacted[row] = spans, redact(text, spans)
        return _assemble(texts, found, redacted)

    def spans(self, text: str) -> list[Span]:
        """Return the personal data in one text, without the screen.

        >>> Pii().spans("Grüße an ana@example.org!")
        [Span(kind='email', start=9, end=24)]
        """
        return find_spans(text, EVERYTHING, self._searches())

    def _searches(self) -> tuple[_Search, ...]:
        telephone = partial(phones, default_region=self.default_region)
        every = (
            _Search("email", EMAIL, emails),
            _Search("iban", CODE, ibans),
            _Search("card", DIGITS, cards),
            _Search("ip", ADDRESS, addresses),
            _Search("national_id", DIGITS | CODE, national_numbers),
            _Search("phone", DIGITS, telephone),
        )
        return tuple(search for search in every if search.kind in self.kinds)


def redact(text: str, spans: Sequence[Span]) -> str:
    """Write `text` with each span replaced by its placeholder.

    >>> redact("mail a@b.org or c@d.org", [Span("email", 5, 12), Span("email", 16, 23)])
    'mail [EMAIL] or [EMAIL]'
    """
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += (text[done : span.start], PLACEHOLDERS[span.kind])
        done = span.end
    return "".join(parts) + text[done:]


def find_spans(text: str, flags: int, searches: Sequence[_Search]) -> list[Span]:
    """Return what the searches that `flags` calls for find, in order, never overlapping.

    The redacted text is searched again until nothing more turns up, so that redaction is idempotent.
    """
    folded, positions = fold(text)
    spans: list[Span] = []
    for _ in range(MAX_ROUNDS):
        more = _claim(read(redact(folded, spans)), flags, searches)
        if not more:
            break
        spans = sorted([*spans, *_shifted(more, spans)], key=lambda span: span.start)
        flags = EVERYTHING
    if positions is None:
        return spans
    return [Span(kind, positions[start], _past_marks(text, positions[end - 1] + 1)) for kind, start, end in spans]


def _past_marks(text: str, end: int) -> int:
    """Take in the box and the variation selector that make the last digit a keycap."""
    while text[end : end + 1] in ("\ufe0f", "\u20e3"):
        end += 1
    return end


def _claim(text: Text, flags: int, searches: Sequence[_Search]) -> list[Span]:
    """Let each kind take what the kinds before it left."""
    taken: list[Span] = []
    for search in searches:
        if not search.flags & flags:
            continue
        for start, end in search.find(text):
            if all(end <= other.start or other.end <= start for other in taken):
                taken.append(Span(search.kind, start, end))
    return sorted(taken, key=lambda span: span.start)


def _shifted(more: Sequence[Span], spans: Sequence[Span]) -> Iterator[Span]:
    """Move spans found in a redacted text to where they stand in the text before `spans` were replaced."""
    shift = 0
    earlier = iter(spans)
    following = next(earlier, None)
    for span in more:
        while following is not None and following.start <= span.start + shift:
            shift += following.end - following.start - len(PLACEHOLDERS[following.kind])
            following = next(earlier, None)
        yield Span(span.kind, span.start + shift, span.end + shift)


def _assemble(texts: pa.Array, found: dict[int, list[Span]], redacted: dict[int, str]) -> pa.Array:
    counts = np.zeros(len(texts) + 1, np.int32)
    for row, spans in found.items():
        counts[row + 1] = len(spans)
    flat = [span for row in sorted(found) for span in found[row]]
    columns = [pa.array([span[place] for span in flat], field.type) for place, field in enumerate(PII_SPAN)]
    items = pa.StructArray.from_arrays(columns, fields=list(PII_SPAN))
    spans_type = PII.field("spans").type
    lists = pa.ListArray.from_arrays(pa.array(np.cumsum(counts, dtype=np.int32)), items, type=spans_type)
    mask = np.zeros(len(texts), bool)
    mask[list(redacted)] = True
    replaced = pc.replace_with_mask(texts, mask, pa.array([redacted[row] for row in sorted(redacted)], pa.string()))
    return pa.StructArray.from_arrays([lists, replaced], fields=list(PII), mask=pc.is_null(texts))
