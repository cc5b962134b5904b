"""What the finders of personal data share: where links and tags are, what stands before a number, what was replaced.

Every finder reads folded text (`filters.pii_fold`) and yields (start, end) in its characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from filters.pii_fold import GLUED_CLASS

PLACEHOLDERS = {
    "email": "[EMAIL]",
    "iban": "[IBAN]",
    "card": "[CARD]",
    "ip": "[IP]",
    "national_id": "[NATIONAL_ID]",
    "phone": "[PHONE]",
}
"""What each kind is replaced by, in the order in which the kinds claim a stretch of text."""

CONTEXT_CHARS = 48  # how far before a number the word that explains it may begin
_QUIET = re.compile(
    rf"://(?!wa\.me/)[^ \n{GLUED_CLASS}]*"  # a link: what follows the scheme
    rf"|(?<![\w@.-])(?!wa\.me/)(?:[a-z0-9-]{{1,63}}\.){{1,6}}[a-z]{{2,12}}/[^ \n{GLUED_CLASS}]*"  # one without scheme
    rf"|@[\w{GLUED_CLASS}]*|(?<![\w{GLUED_CLASS}])#[\w{GLUED_CLASS}]*",  # a mention, a hashtag
    re.IGNORECASE,
)
NAMED_OTHERWISE = re.compile(
    r"(?:(?<![a-z])(?:order|invoice|isbn|issn|ean|doi|pmid|tracking|parcel|ref|reference|account|acct|ticket|booking"
    r"|case|flight|serial|model|sku|lot|part|patent|asin|imei|vin|ssn|iban|id|uid|qq|pin|zip|post ?code|lat|lon|lng"
    r"|coords?|population|score|friend code|bestellung|rechnung|pedido|commande|заказ\w*|инн|огрн|счет|счёт|订单|单号"
    r"|群|快递|注文)"
    r"(?: ?(?:no|nr|number|code|id|#|№|номер))?\W{0,4}|[$€£¥₽₹₴₺₩%=&?°§№] ?)$",
    re.IGNORECASE,
)
"""What stands before a number that is no one's telephone or card: an order, a book, a price, a place."""

_REPLACED = re.compile("|".join(re.escape(mark) for mark in PLACEHOLDERS.values()))
_LONGEST = max(map(len, PLACEHOLDERS.values()))

Range = tuple[int, int]
Finder = Callable[["Text"], Iterator[Range]]


class Text(NamedTuple):
    """Folded text, and the same with links, mentions and hashtags blotted out, character for character."""

    whole: str
    plain: str


def read(folded: str) -> Text:
    """Blot out what numbers of people do not stand in.

    >>> read("see https://a.io/12 #5 now").plain
    'see https\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01\\x01 \\x01\\x01 now'
    """
    return Text(folded, _QUIET.sub(lambda match: "\x01" * len(match[0]), folded))


def before(text: str, start: int) -> str:
    """Return what leads up to `start`: at most CONTEXT_CHARS, and nothing from before a placeholder.

    Stopping there is what makes redaction idempotent: a placeholder's own name never explains the next number.
    """
    reach = max(0, start - CONTEXT_CHARS)
    replaced = [mark.end() for mark in _REPLACED.finditer(text, max(0, reach - _LONGEST), start)]
    return text[max([reach, *replaced]) : start]


def context(words: str, reach: int = 24) -> re.Pattern[str]:
    """Compile a pattern for one of `words` and at most `reach` characters without a digit, up to the end.

    A word on an earlier line explains a number only as a heading does, with next to nothing between.
    """
    return re.compile(rf"(?:{words})(?:[^0-9!?;\n]{{0,{reach}}}|[^0-9!?;]{{0,{min(reach, 6)}}})$", re.IGNORECASE)
