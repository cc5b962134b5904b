"""What a post looks like, in one pass over its bytes: links, mentions, hashtags, words, repetition, entropy.

`span_at` finds the links, mentions and hashtags; every other function builds on it. A *boundary* is where such a span
may begin: the start of the text, after anything that is no letter, digit or `_`, or after another span.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from filters.kernels.characters import (
    DIGIT,
    EMOJI,
    INVISIBLE,
    KIND,
    LETTER,
    MARK,
    SPACE,
    UNSPACED,
    class_of,
    decode,
)

PLAIN = 0  # span kinds
LINK = 1
MENTION = 2
HASHTAG = 3


_WORD_KINDS = 1 << LETTER | 1 << DIGIT | 1 << MARK
_LINK_STOPS = 1 << SPACE | 1 << EMOJI | 1 << INVISIBLE


@njit(cache=True, nogil=True)
def _is_word(kind: int) -> bool:
    return _WORD_KINDS >> kind & 1 != 0


@njit(cache=True, nogil=True)
def _is_ascii_alphanumeric(byte: int) -> bool:
    low = byte | 0x20
    return (low >= 97 and low <= 122) or (byte >= 48 and byte <= 57)


@njit(cache=True, nogil=True)
def _starts_with(data: Any, at: int, end: int, word: bytes) -> bool:
    """Tell whether ASCII letters of either case spell `word` (lower case) at `at`."""
    if at + len(word) > end:
        return False
    for index in range(len(word)):
        byte = data[at + index]
        if byte >= 65 and byte <= 90:
            byte += 32
        if byte != word[index]:
            return False
    return True


@njit(cache=True, nogil=True)
def _link_body(data: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of the run of characters a link may hold, closing punctuation trimmed."""
    here = at
    while here < end:
        code, width = decode(data, here, end)
        flags = class_of(code, classes)
        kind = flags & KIND
        if _LINK_STOPS >> kind & 1 or flags & UNSPACED:
            break
        if code == 0x22 or code == 0x3C or code == 0x3E or (code >= 0x3001 and code <= 0x303F) or code >= 0xFF00:
            break
        here += width
    while here > at:
        byte = data[here - 1]
        if byte in (0x2E, 0x2C, 0x3A, 0x3B, 0x21, 0x3F, 0x27, 0x29, 0x5D, 0x7D):  # .,:;!?')]}
            here -= 1
        else:
            break
    return here


@njit(cache=True, nogil=True)
def _is_top_level(data: Any, at: int, end: int) -> bool:
    """Tell whether every byte is a lower-case ASCII letter, as in `com`."""
    lower = 0
    for index in range(at, end):
        lower += data[index] >= 97 and data[index] <= 122
    return lower == end - at


@njit(cache=True, nogil=True)
def _bare_domain(data: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of a link without scheme (`t.co/x`, `bit.ly/x`, `example.com`), or `at` when there is none."""
    here = at
    dot = -1
    while here < end and here - at <= 64:
        byte = data[here]
        if byte == 0x2E:
            if here == at or data[here - 1] == 0x2E:
                return at
            dot = here
        elif not (_is_ascii_alphanumeric(byte) or byte == 0x2D):
            break
        here += 1
    if dot < 0 or here - dot < 3 or here - at > 64 or not _is_top_level(data, dot + 1, here):
        return at
    if here + 1 < end and data[here] == 0x2F and data[here + 1] > 0x20:
        return _link_body(data, here + 1, end, classes)
    for domain in (b".com", b".net", b".org"):
        if here - dot == 4 and _starts_with(data, dot, end, domain):
            return here
    return at


@njit(cache=True, nogil=True)
def _link_end(data: Any, at: int, end: int, classes: Any) -> int:
    byte = data[at] | 0x20
    head = 0
    if byte == 0x68:
        if _starts_with(data, at, end, b"https://"):
            head = 8
        elif _starts_with(data, at, end, b"http://"):
            head = 7
    elif byte == 0x77 and _starts_with(data, at, end, b"www."):
        head = 4
    if head:
        return max(_link_body(data, at + head, end, classes), at + head)
    return _bare_domain(data, at, end, classes)


@njit(cache=True, nogil=True)
def _mention_end(data: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of an @name or @name@host; names in unspaced scripts may hold them, ASCII names stop there."""
    here = at
    ascii_name = True
    if at < end and data[at] < 0x80 and not (_is_word(classes[data[at]] & KIND) or data[at] == 0x5F):
        return at
    while here < end:
        code, width = decode(data, here, end)
        flags = class_of(code, classes)
        if code < 0x80 and not (_is_word(flags & KIND) or code == 0x5F or code == 0x2D or code == 0x2E or code == 0x40):
            break
        if code >= 0x80:
            if not _is_word(flags & KIND) or (ascii_name and here > at):
                break
            ascii_name = False
        here += width
    while here > at and data[here - 1] in (0x2D, 0x2E, 0x40):
        here -= 1
    return here


@njit(cache=True, nogil=True)
def _hashtag_end(data: Any, at: int, end: int, classes: Any) -> int:
    """Return the end of a #tag with at least one letter, or `at`; a closing # (Weibo) belongs to it."""
    here = at
    letters = 0
    unspaced = False
    while here < end:
        code, width = decode(data, here, end)
        flags = class_of(code, classes)
        if not (_is_word(flags & KIND) or code == 0x5F or code == 0x200C or code == 0x200D):
            break
        letters += flags & KIND == LETTER
        unspaced = unspaced or flags & UNSPACED != 0
        here += width
    if not letters:
        return at
    return here + 1 if unspaced and here < end and data[here] == 0x23 else here


@njit(cache=True, nogil=True)
def span_at(data: Any, at: int, end: int, classes: Any) -> tuple[int, int]:
    """Return (kind, end) of the link, mention or hashtag at a boundary; (PLAIN, at) when none begins there."""
    byte = data[at]
    if byte == 0x52 and at + 3 < end and data[at + 1] == 0x54 and data[at + 2] == 0x20 and data[at + 3] == 0x40:
        return MENTION, at + 2  # the RT of "RT @name:" belongs to the name
    if byte == 0x40:
        stop = _mention_end(data, at + 1, end, classes)
        return (MENTION, stop) if stop > at + 1 else (PLAIN, at)
    if byte == 0x23:
        stop = _hashtag_end(data, at + 1, end, classes)
        return (HASHTAG, stop) if stop > at + 1 else (PLAIN, at)
    if _is_ascii_alphanumeric(byte):
        stop = _link_end(data, at, end, classes)
        return (LINK, stop) if stop > at else (PLAIN, at)
    if byte == 0xEF and at + 2 < end and data[at + 1] == 0xBC:
        if data[at + 2] == 0xA0:
            stop = _mention_end(data, at + 3, end, classes)
            return (MENTION, stop) if stop > at + 3 else (PLAIN, at)
        if data[at + 2] == 0x83:
            stop = _hashtag_end(data, at + 3, end, classes)
            return (HASHTAG, stop) if stop > at + 3 else (PLAIN, at)
    return PLAIN, at
