"""The text of conversations: boilerplate left out of turns, and turns written down one after the other."""

from __future__ import annotations

import numpy as np
from numba import njit

from filters.kernels.conversations import DELETED, EMPTY, NOBODY, REMOVED, SHOWN, UNKNOWN, Flags, Longs
from filters.kernels.utf8 import Bytes

_MARKS = (b"[deleted]", b"[removed]", b"[no text]")
MARKS = np.frombuffer(b"".join(_MARKS), np.uint8)
MIDDLE = np.frombuffer(b"[...]\n", np.uint8)
MARK_BYTES = 9
_NEWLINE, _SPACE, _COLON, _COMMA, _AT, _SLASH, _GREATER, _QUESTION = 10, 32, 58, 44, 64, 47, 62, 63
_REPLY_TO = np.frombuffer("回复@".encode(), np.uint8)  # how Weibo begins an answer
_REPOSTED = tuple(np.frombuffer(words.encode(), np.uint8) for words in ("转发微博", "轉發微博"))  # what it fills in
_FULL_STOP = np.frombuffer("。".encode(), np.uint8)
_WIDE_COLON = np.frombuffer("：".encode(), np.uint8)
_WIDE_SPACE = np.frombuffer("\u3000".encode(), np.uint8)


@njit(cache=True, nogil=True, inline="always")
def _blank(byte: int) -> bool:
    return byte == _SPACE or (9 <= byte <= 13)


@njit(cache=True, nogil=True)
def _starts_with(data: Bytes, at: int, end: int, words: Bytes) -> bool:
    same = end - at >= len(words)
    place = 0
    while same and place < len(words):
        same = data[at + place] == words[place]
        place += 1
    return same


@njit(cache=True, nogil=True, inline="always")
def _in_handle(byte: int, wide: bool) -> bool:
    if byte >= 128:
        return wide
    return 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte in (_AT, 45, 46, 95)


@njit(cache=True, nogil=True)
def _after_blank(data: Bytes, at: int, end: int) -> int:
    while at < end:
        if _blank(data[at]):
            at += 1
        elif _starts_with(data, at, end, _WIDE_SPACE):
            at += 3
        else:
            break
    return at


@njit(cache=True, nogil=True)
def _after_mention(data: Bytes, at: int, end: int) -> int:
    """Return where the text goes on after a mention at `at` and what parts it from the text; `at` when there is none.

    A name in letters beyond ASCII ends at a blank or a colon: one in ASCII ends with its last ASCII letter.
    """
    if at + 1 >= end or data[at] != _AT:
        return at
    wide = data[at + 1] >= 128
    place = at + 1
    while place < end and _in_handle(data[place], wide):
        if wide and (_starts_with(data, place, end, _WIDE_SPACE) or _starts_with(data, place, end, _WIDE_COLON)):
            break
        place += 1
    if place == at + 1:
        return at
    parted = place == end
    while place < end and (data[place] in (_COLON, _COMMA) or _blank(data[place])):
        parted = True
        place += 1
    for apart in (_WIDE_COLON, _WIDE_SPACE):
        if _starts_with(data, place, end, apart):
            parted = True
            place += 3
    return place if parted or data[place] >= 128 else at


@njit(cache=True, nogil=True)
def _after_nick(data: Bytes, at: int, end: int, name: Bytes) -> int:
    """Return where the text goes on after the name of whom it answers and a colon or comma; `at` when there is none."""
    close = at + len(name)
    if len(name) == 0 or close >= end or not _starts_with(data, at, end, name):
        return at
    return close + 1 if data[close] in (_COLON, _COMMA) else at


@njit(cache=True, nogil=True)
def _before_chain(data: Bytes, at: int, end: int) -> int:
    """Return where the earlier turns begin that Weibo appends after `//@`; `end` without any."""
    for place in range(at, end - 2):
        chain = data[place] == _SLASH and data[place + 1] == _SLASH and data[place + 2] == _AT
        if chain and (place == at or data[place - 1] != _COLON):
            return place
    return end


@njit(cache=True, nogil=True)
def _after_filler(data: Bytes, at: int, end: int) -> int:
    """Return the end of a text that is only what Weibo writes where nothing was written; else `at`."""
    for words in _REPOSTED:
        if _starts_with(data, at, end, words):
            after = at + len(words)
            if after == end or (_starts_with(data, after, end, _FULL_STOP) and after + 3 == end):
                return end
    return at


@njit(cache=True, nogil=True)
def trim_turns(texts: tuple[Bytes, Longs], authors: tuple[Bytes, Longs], answers: Longs, replies: Flags) -> Longs:
    """Return where what each text says begins when it is quoted, where in its place, and where it ends: (rows, 3).

    That is without blanks around it and, of an answer (`replies`), without the mentions it begins with and the earlier
    turns that Weibo appends after `//@`; in its place also without the name of whom it answers (`answers`: the row, or
    -1) and a colon.
    """
    data, offsets = texts
    spans = np.empty((len(replies), 3), np.int64)
    for row in range(len(replies)):
        end = offsets[row + 1]
        at = _after_blank(data, offsets[row], end)
        if replies[row]:
            end = _before_chain(data, at, end)
            if _starts_with(data, at, end, _REPLY_TO):
                at += 6
            while True:
                after = _after_blank(data, _after_mention(data, at, end), end)
                if after == at:
                    break
                at = after
        while end > at and _blank(data[end - 1]):
            end -= 1
        if replies[row]:
            at = _after_filler(data, at, end)
        spans[row, 0], spans[row, 1], spans[row, 2] = at, at, max(at, end)
        if answers[row] >= 0:
            at = _after_nick(data, at, end, _handle(authors, answers[row]))
            spans[row, 1] = min(_after_blank(data, at, end), spans[row, 2])
    return spans


@njit(cache=True, nogil=True)
def _handle(authors: tuple[Bytes, Longs], row: int) -> Bytes:
    """Return the part of an author's id after its last colon: ids of several platforms share a column."""
    data, offsets = authors
    first = offsets[row]
    for place in range(offsets[row + 1] - 1, offsets[row] - 1, -1):
        if data[place] == _COLON:
            first = place + 1
            break
    return data[first : offsets[row + 1]]


@njit(cache=True, nogil=True)
def _write(out: Bytes, at: int, words: Bytes) -> int:
    if len(out):
        for place in range(len(words)):
            out[at + place] = words[place]
    return at + len(words)


@njit(cache=True, nogil=True)
def _write_byte(out: Bytes, at: int, byte: int) -> int:
    if len(out):
        out[at] = byte
    return at + 1


@njit(cache=True, nogil=True)
def _write_name(out: Bytes, at: int, speaker: int, fate: int) -> int:
    """Write A for speaker 0, Z for 25, AA for 26; a turn that is marked goes by its mark."""
    if fate in (DELETED, REMOVED):
        return _write(out, at, MARKS[(fate - 1) * MARK_BYTES : fate * MARK_BYTES])
    if speaker == UNKNOWN:
        return _write_byte(out, at, _QUESTION)
    length, first = 1, 26
    number = speaker
    while number >= first:
        number -= first
        first *= 26
        length += 1
    for place in range(at + length - 1, at - 1, -1):
        _write_byte(out, place, 65 + number % 26)
        number //= 26
    return at + length


@njit(cache=True, nogil=True)
def _write_quote(out: Bytes, at: int, text: Bytes) -> int:
    at = _write_byte(out, _write_byte(out, _write_byte(out, at, _NEWLINE), _GREATER), _SPACE)
    for byte in text:
        at = _write_byte(out, at, byte)
        if byte == _NEWLINE:
            at = _write_byte(out, _write_byte(out, at, _GREATER), _SPACE)
    return at


@njit(cache=True, nogil=True)
def _write_entry(out: Bytes, at: int, entry: Longs, named: bool, data: Bytes, spans: Longs) -> int:
    """Write one turn. `entry` is its row, fate, speaker, the speaker and fate of whom it answers, the quoted row."""
    row, fate, speaker, towards, towards_fate, quote = entry
    if named and fate in (SHOWN, EMPTY):
        at = _write_name(out, at, speaker, SHOWN)
        if towards != NOBODY:
            for byte in (_SPACE, 116, 111, _SPACE):
                at = _write_byte(out, at, byte)
            at = _write_name(out, at, towards, towards_fate)
        at = _write_byte(out, _write_byte(out, at, _COLON), _SPACE)
    if fate == SHOWN:
        at = _write(out, at, data[spans[row, 1] : spans[row, 2]])
    else:
        at = _write(out, at, MARKS[(fate - 1) * MARK_BYTES : fate * MARK_BYTES])
    if quote >= 0:
        at = _write_quote(out, at, data[spans[quote, 0] : spans[quote, 2]])
    return at


@njit(cache=True, nogil=True)
def write_documents(bounds: Longs, entries: Longs, middle: Flags, data: Bytes, spans: Longs, out: Bytes) -> Longs:
    """Write the text of each document into `out`, or only measure it when `out` is empty; return n + 1 offsets.

    Shapes: bounds (documents + 1,), entries (turns, 6) as `_write_entry` takes them, middle (documents,).
    """
    offsets = np.zeros(len(bounds), np.int64)
    at = 0
    for document in range(len(bounds) - 1):
        first, last = bounds[document], bounds[document + 1]
        if middle[document]:
            at = _write(out, at, MIDDLE)
        for place in range(first, last):
            if place > first:
                at = _write_byte(out, at, _NEWLINE)
            at = _write_entry(out, at, entries[place], last - first > 1, data, spans)
        offsets[document + 1] = at
    return offsets
