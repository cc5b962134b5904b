"""Tell code from prose by its signs: calls, operators, braces, tags, escapes, paths, flags, names, back ticks.

A sign alone is an emoticon, a list, an equation or a slip of the keyboard; two different ones close together are code.
Only ASCII is looked at. Links, mentions and hashtags hold no signs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

CALL, ASSIGNMENT, OPERATOR, ARROW, END, BRACE, TAG, CLOSING_TAG = (1 << bit for bit in range(8))
KEY, ESCAPE, CHARACTER_CLASS, PATH, FLAG, SNAKE_CASE, VARIABLE, WORDING = (1 << bit for bit in range(8, 16))
SURE = 1 << 16 | 1 << 17  # a sign that needs no other

NEAR_BYTES = 120  # signs farther apart than this do not belong together

_TICK, _BACKSLASH, _QUOTE = 0x60, 0x5C, 0x22
_OPEN, _CLOSE, _LESS, _GREATER, _EQUALS, _HYPHEN = 0x28, 0x29, 0x3C, 0x3E, 0x3D, 0x2D

_LOWER, _UPPER, _DIGIT, _SIGN, _OPERATOR, _NAMING = (1 << bit for bit in range(6))


def _byte_kinds() -> Any:
    kinds = np.zeros(256, np.uint8)
    for letters, kind in (
        (b"abcdefghijklmnopqrstuvwxyz", _LOWER),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", _UPPER),
        (b"0123456789", _DIGIT),
        (b'(){}[]=;<>\\_$`"*&|:-/~!+', _SIGN),
        (b"=!<>+-*&|:", _OPERATOR),
        (b"$[]*<>&.", _NAMING),  # beside letters and digits, in a variable and its type
    ):
        kinds[list(letters)] |= kind
    return kinds


KINDS = _byte_kinds()
_ERRORS = (b"Exception", b"Error:")
_ROOTS = (b"/usr/", b"/etc/", b"/home/", b"/var/", b"/bin/", b"/tmp/", b"/opt/", b"/dev/")
_PAIRS = (b"==", b"!=", b"+=", b"-=", b":=", b"&&", b"||", b"<=", b">=")


@njit(cache=True, nogil=True)
def _is(byte: int, kinds: int) -> bool:
    return KINDS[byte] & kinds != 0


@njit(cache=True, nogil=True)
def _is_name(byte: int) -> bool:
    return KINDS[byte] & (_LOWER | _UPPER | _DIGIT) != 0 or byte == 0x5F


@njit(cache=True, nogil=True)
def _reads(data: Any, at: int, end: int, word: bytes) -> bool:
    """Tell whether `word` stands at `at`."""
    if at < 0 or at + len(word) > end:
        return False
    same = 0
    while same < len(word) and data[at + same] == word[same]:
        same += 1
    return same == len(word)


@njit(cache=True, nogil=True)
def _byte(data: Any, at: int, token: tuple[int, int]) -> Any:
    """Return the byte at `at`, 0 outside the token."""
    return np.int64(data[at]) if at >= token[0] and at < token[1] else np.int64(0)


@njit(cache=True, nogil=True)
def _holds(data: Any, at: int, end: int, byte: int) -> bool:
    here = at
    while here < end and data[here] != byte:
        here += 1
    return here < end


@njit(cache=True, nogil=True)
def _call(data: Any, at: int, token: tuple[int, int]) -> int:
    """Return the sign of an opening bracket right behind a lower-case name: `name()`, `name("...`, `name(x):`."""
    start = at
    dots = 0
    while start > token[0] and (_is_name(data[start - 1]) or data[start - 1] == 0x2E):
        start -= 1
        dots += data[start] == 0x2E
    after = _byte(data, at + 1, token)
    if at - start < 2 or not _is(data[start], _LOWER) or data[at - 1] == 0x2E:
        return 0  # "so far....(more)" is prose
    if after in (_QUOTE, 0x27, _CLOSE) or dots > 1:
        return SURE
    ended = _holds(data, at, token[1], _CLOSE) or _holds(data, at, token[1], 0x2C)
    plural = _reads(data, at + 1, token[1], b"s)") or _reads(data, at + 1, token[1], b"es)")
    if plural or not ended or not _is_name(after):
        return 0
    return CALL | SNAKE_CASE if dots else CALL


@njit(cache=True, nogil=True)
def _assigns(data: Any, start: int, at: int) -> bool:
    """Tell whether an `=` between spaces has a variable before it: few words and no prose, back to the line's start."""
    spaces = 0
    here = at
    while here > start and data[here - 1] != 0x0A and spaces < 3:
        here -= 1
        spaces += data[here] == 0x20
        if data[here] >= 0x80 or not (_is_name(data[here]) or data[here] == 0x20 or _is(data[here], _NAMING)):
            return False
    return here < at and spaces < 3 and not _is(data[here], _DIGIT)


@njit(cache=True, nogil=True)
def _operator(data: Any, at: int, token: tuple[int, int], row: tuple[int, int]) -> int:
    """Return the sign of a run of operator characters that begins at `at`; alone, something must follow in the line."""
    stop = at
    while stop < token[1] and _is(data[stop], _OPERATOR):
        stop += 1
    before, after = _byte(data, at - 1, token), _byte(data, stop, token)
    alone = before == 0 and after == 0 and stop < row[1] and data[stop] == 0x20
    named = _is_name(before) or before == _CLOSE or before == 0x5D
    joins = named and (_is_name(after) or after == _QUOTE or after == 0x27 or after == 0x24)
    size = stop - at
    if size == 1 and data[at] == _EQUALS:
        return ASSIGNMENT if joins or (alone and _assigns(data, row[0], at)) else 0
    if size == 2 and (_reads(data, at, stop, b"->") or _reads(data, at, stop, b"::")):
        return ARROW if joins else 0
    if size == 2 and _reads(data, at, stop, b"=>"):
        return ARROW if joins or alone else 0
    if size == 3 and (_reads(data, at, stop, b"===") or _reads(data, at, stop, b"!==")):
        return OPERATOR if joins or alone else 0
    if size == 2 and (joins or alone):
        for pair in _PAIRS:
            if _reads(data, at, stop, pair):
                return OPERATOR
    return 0


@njit(cache=True, nogil=True)
def _tag(data: Any, at: int, token: tuple[int, int]) -> int:
    """Return the sign of `<name>`, `<name` before attributes, or `</name>`; a heart is none."""
    closing = _byte(data, at + 1, token) == 0x2F
    here = at + 1 + closing
    first = here
    while here < token[1] and (_is(data[here], _LOWER | _DIGIT) or data[here] == 0x2E):
        here += 1
    if here == first or not _is(data[first], _LOWER):
        return 0
    ended = _byte(data, here, token) == _GREATER
    if closing:
        return CLOSING_TAG if ended else 0
    return TAG if ended or here == token[1] or _byte(data, here, token) == 0x2F else 0


@njit(cache=True, nogil=True)
def _escape(data: Any, at: int, token: tuple[int, int]) -> int:
    r"""Return the sign of a back slash: `\d+`, `\n`, `C:\`."""
    letter, after = _byte(data, at + 1, token), _byte(data, at + 2, token)
    if _byte(data, at - 1, token) == 0x3A and at - 2 == token[0] and _is(data[at - 2], _UPPER):
        return PATH
    if letter == 0x64 or letter == 0x77 or letter == 0x73:
        repeated = after == 0x2B or after == 0x2A or after == 0x7B or after == 0x5D or after == _BACKSLASH
        return SURE if repeated else 0
    return ESCAPE if (letter == 0x6E or letter == 0x74) and not _is_name(after) else 0


@njit(cache=True, nogil=True)
def _bracket(data: Any, at: int, token: tuple[int, int]) -> int:
    """Return the sign of `[a-z]`, `[^...]`, `{"`, and of a brace that stands alone or ends its token."""
    byte, after = data[at], _byte(data, at + 1, token)
    if byte == 0x5B:
        ranged = _is_name(after) and _byte(data, at + 2, token) == _HYPHEN and _is_name(_byte(data, at + 3, token))
        closed = ranged and (_byte(data, at + 4, token) == 0x5D or _byte(data, at + 5, token) == _HYPHEN)
        return CHARACTER_CLASS if closed or (after == 0x5E and _holds(data, at, token[1], 0x5D)) else 0
    if byte == 0x7B and (after == _QUOTE or (after == 0x27 and _holds(data, at, token[1], 0x3A))):
        return SURE
    alone = at == token[0] and (after == 0 or after == 0x3B or after == _CLOSE)
    return BRACE if alone or (byte == 0x7B and after == 0 and _byte(data, at - 1, token) == _CLOSE) else 0


@njit(cache=True, nogil=True)
def _sign_at(data: Any, at: int, token: tuple[int, int], row: tuple[int, int]) -> int:
    byte, before, after = data[at], _byte(data, at - 1, token), _byte(data, at + 1, token)
    if byte == _OPEN:
        return _call(data, at, token)
    if byte == _LESS and (_is(after, _LOWER) or after == 0x2F):
        return _tag(data, at, token)
    if _is(byte, _OPERATOR):
        return 0 if _is(before, _OPERATOR) else _operator(data, at, token, row)
    if byte == _BACKSLASH:
        return _escape(data, at, token)
    if byte == 0x5B or byte == 0x7B or byte == 0x7D:
        return _bracket(data, at, token)
    if byte == _QUOTE and after == 0x3A and _is_name(before):
        return KEY if data[token[0]] == _QUOTE else 0
    if byte == 0x5F:
        return SNAKE_CASE if _is(before, _LOWER) and _is(after, _LOWER) else 0
    if byte == 0x24:
        return VARIABLE if _is(after, _LOWER) or after == 0x7B else 0
    return 0


@njit(cache=True, nogil=True)
def _whole_token(data: Any, token: tuple[int, int], end: int) -> int:
    """Return the sign a token is as a whole: a flag, a path, an error's name, the end of a statement."""
    first, stop = token
    if data[first] == _HYPHEN:
        long_flag = _byte(data, first + 1, token) == _HYPHEN
        here = first + 1 + long_flag
        while here < stop and (_is(data[here], _LOWER) or (long_flag and data[here] == _HYPHEN)):
            here += 1
        letters = here - first - 1 - long_flag
        closed = here == stop or (long_flag and data[here] == _EQUALS)
        return FLAG if closed and letters > 0 and (long_flag or letters <= 2) else 0
    if (data[first] == 0x7E or data[first] == 0x2E) and _byte(data, first + 1, token) == 0x2F:
        return PATH if _is(_byte(data, first + 2, token), _LOWER) else 0
    for root in _ROOTS:
        if _reads(data, first, stop, root):
            return PATH
    last, before = data[stop - 1], _byte(data, stop - 2, token)
    if last != 0x3B:
        return 0
    called = before == _CLOSE and data[first] != _OPEN and _holds(data, first, stop, _OPEN)
    return END if called or (before != _CLOSE and (stop == end or data[stop] == 0x0A)) else 0


@njit(cache=True, nogil=True)
def _error(data: Any, token: tuple[int, int]) -> int:
    """Return the sign of a name in camel case that ends in Exception, or in Error and a colon."""
    for ending in _ERRORS:
        for colon in range(2):
            at = token[1] - len(ending) - colon
            if at > token[0] and _is(data[at - 1], _LOWER) and _reads(data, at, token[1], ending):
                return SURE
    return 0


@njit(cache=True, nogil=True)
def _inline(data: Any, at: int, end: int) -> int:
    """Return the sign of a fence, or of a snippet between back ticks that holds more than a plain word."""
    if _reads(data, at, end, b"```"):
        return SURE if end - at > 4 else 0
    here = at + 1
    signs = 0
    while here < end and data[here] != _TICK and data[here] != 0x0A:
        signs += _is(data[here], _SIGN) and data[here] != _HYPHEN
        here += 1
    closed = here < end and data[here] == _TICK and here > at + 1 and data[here - 1] != 0x20
    if not closed or (here + 1 < end and _is_name(data[here + 1])) or data[at + 1] == 0x20:
        return 0
    return SURE if signs else WORDING


@njit(cache=True, nogil=True)
def _token_signs(data: Any, token: tuple[int, int], row: tuple[int, int]) -> int:
    first, stop = token
    if (data[first] == 0x40 or data[first] == 0x23) and not _reads(data, first, stop, b"#include"):
        return 0
    signs = _whole_token(data, token, row[1])
    for at in range(first, stop):
        if data[at] == 0x3A and _reads(data, at, stop, b"://"):
            return 0
        if _is(data[at], _SIGN):
            signs |= _sign_at(data, at, token, row)
    return signs & ~SNAKE_CASE if _holds(data, first, stop, 0x40) else signs  # the name of an account


@njit(cache=True, nogil=True)
def _tell(signs: int) -> bool:
    """Tell whether at least two bits are set."""
    return signs & (signs - 1) != 0


@njit(cache=True, nogil=True)
def has_code(data: Any, start: int, end: int, wording: int) -> bool:
    """Tell whether a stretch of a post is code; `wording` is what known wordings add to its signs."""
    signs = wording
    last = start
    at = start
    while at < end and not _tell(signs):
        first = at
        any_sign = False
        upper = 0
        while at < end and data[at] > 0x20:
            any_sign |= KINDS[data[at]] & _SIGN != 0
            upper += KINDS[data[at]] & _UPPER != 0
            at += 1
        if any_sign or upper > 1:
            found = _error(data, (first, at)) if upper > 1 else 0
            if any_sign:
                found |= _token_signs(data, (first, at), (start, end))
                found |= _ticks(data, first, at, end)
            if found and first - last > NEAR_BYTES:
                signs = wording
            if found:
                signs |= found
                last = at
        at += 1
    return _tell(signs)


@njit(cache=True, nogil=True)
def _ticks(data: Any, first: int, stop: int, end: int) -> int:
    """Return the sign of what a token opens with a back tick, behind at most a bracket."""
    at = first + (data[first] == _OPEN)
    return _inline(data, at, end) if at < stop and data[at] == _TICK else 0
