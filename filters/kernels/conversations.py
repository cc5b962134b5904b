"""Conversations as arrays: cycles cut, reading order, what is shown, paths, and the text written. No recursion.

Turns stand in order of time (ties by id), so the earliest of several is the one with the least number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Longs = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

SHOWN, DELETED, REMOVED, EMPTY, OUT = 0, 1, 2, 3, 4
"""What becomes of a turn: its text, one of three marks in place of it, or nothing."""

UNKNOWN = -2
"""The speaker of a turn without an author; NOBODY says none."""
NOBODY = -1

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


@njit(cache=True, nogil=True)
def cut_cycles(parent: Longs) -> int:
    """Take the parent of the earliest turn of each cycle away, in place; return how many cycles there were."""
    cycles = 0
    visit = np.zeros(len(parent), np.int64)  # the walk that came by, from 1
    for start in range(len(parent)):
        at = start
        while at >= 0 and visit[at] == 0:
            visit[at] = start + 1
            at = parent[at]
        if at >= 0 and visit[at] == start + 1:
            first, turn = at, parent[at]
            while turn != at:
                first = min(first, turn)
                turn = parent[turn]
            parent[first] = -1
            cycles += 1
    return cycles


@njit(cache=True, nogil=True)
def reading_order(parent: Longs) -> tuple[Longs, Longs]:
    """Return the turns tree by tree, each before its answers and answers in order of time, and the root of each.

    Shapes (turns,), both in reading order. Trees come in the order of their roots; `parent` has no cycles.
    """
    turns = len(parent)
    child = np.full(turns, -1, np.int64)
    sibling = np.full(turns, -1, np.int64)
    for turn in range(turns - 1, -1, -1):
        above = parent[turn]
        if above >= 0:
            sibling[turn] = child[above]
            child[above] = turn
    order = np.empty(turns, np.int64)
    roots = np.empty(turns, np.int64)
    count = 0
    for root in range(turns):
        if parent[root] >= 0:
            continue
        turn = root
        while turn >= 0:
            order[count] = turn
            roots[count] = root
            count += 1
            if child[turn] >= 0:
                turn = child[turn]
                continue
            while turn != root and sibling[turn] < 0:
                turn = parent[turn]
            turn = sibling[turn] if turn != root else -1
    return order, roots


@njit(cache=True, nogil=True)
def part_starts(root: Longs, most: int) -> Longs:
    """Return where the parts of conversations begin: a run of one root, cut after every `most` turns; and the end."""
    starts = np.empty(len(root) + 1, np.int64)
    count = 0
    for at in range(len(root)):
        if at == 0 or root[at] != root[at - 1] or at - starts[count - 1] >= most:
            starts[count] = at
            count += 1
    starts[count] = len(root)
    return starts[: count + 1]


@njit(cache=True, nogil=True)
def decide_fates(parent: Longs, bounds: Longs, own: Kinds, cuts: Flags, severed: Flags) -> Kinds:
    """Return what becomes of each turn, in reading order.

    `own[i]` is what turn i is by itself, `cuts[kind]` whether such a turn takes its answers with it, `severed[i]`
    whether something above it, in another part, did. A mark under which its part shows nothing is out.
    """
    turns = len(parent)
    fate = own.copy()
    for turn in range(turns):
        above = parent[turn]
        if severed[turn] or cuts[own[turn]] or (above >= 0 and fate[above] == OUT):
            fate[turn] = OUT
    leads = np.zeros(turns, np.bool_)
    silent = np.zeros(turns, np.bool_)
    for part in range(len(bounds) - 2, -1, -1):
        for turn in range(bounds[part + 1] - 1, bounds[part] - 1, -1):
            says = fate[turn] == SHOWN or (fate[turn] != OUT and leads[turn])
            silent[turn] = not says
            if says and parent[turn] >= bounds[part]:
                leads[parent[turn]] = True
    for turn in range(turns):
        if silent[turn]:
            fate[turn] = OUT
    return fate


@njit(cache=True, nogil=True)
def path_entries(parent: Longs, first: Longs, fate: Kinds, most: int) -> tuple[Longs, Longs, Flags]:
    """Return the turns of every path from its beginning to a leaf, where each path starts, and which ones were cut.

    `first[i]` is where the part of turn i begins. A path longer than `most` turns keeps its last ones.
    """
    turns = len(parent)
    leaf = fate != OUT
    depth = np.ones(turns, np.int64)
    for turn in range(turns):
        above = parent[turn]
        if fate[turn] != OUT and above >= first[turn]:
            leaf[above] = False
            depth[turn] = depth[above] + 1
    leaves = np.flatnonzero(leaf)
    bounds = np.zeros(len(leaves) + 1, np.int64)
    for path in range(len(leaves)):
        bounds[path + 1] = bounds[path] + min(depth[leaves[path]], most)
    entries = np.empty(bounds[-1], np.int64)
    cut = np.empty(len(leaves), np.bool_)
    for path in range(len(leaves)):
        turn = leaves[path]
        cut[path] = depth[turn] > most
        for at in range(bounds[path + 1] - 1, bounds[path] - 1, -1):
            entries[at] = turn
            turn = parent[turn]
    return entries, bounds, cut


@njit(cache=True, nogil=True)
def place_quotes(bounds: Longs, turns: Longs, quotes: Longs, rows: int) -> Longs:
    """Return the row that each entry of a document quotes, -1 where that is shown or quoted in it elsewhere.

    `turns[i]` is the row of entry i where its text is shown, `quotes[i]` the one it quotes; else -1.
    """
    placed = np.full(len(turns), -1, np.int64)
    seen = np.full(rows, -1, np.int64)
    for document in range(len(bounds) - 1):
        for at in range(bounds[document], bounds[document + 1]):
            if turns[at] >= 0:
                seen[turns[at]] = document
        for at in range(bounds[document], bounds[document + 1]):
            if quotes[at] >= 0 and seen[quotes[at]] != document:
                seen[quotes[at]] = document
                placed[at] = quotes[at]
    return placed


@njit(cache=True, nogil=True)
def heaviest(bounds: Longs, codes: Longs, weights: Longs, count: int) -> Longs:
    """Return of each document the code, of `count`, whose entries weigh most; the first of equals; -1 for none."""
    total = np.zeros(count, np.int64)
    best = np.full(len(bounds) - 1, -1, np.int64)
    for document in range(len(bounds) - 1):
        first, last = bounds[document], bounds[document + 1]
        for at in range(first, last):
            if codes[at] >= 0:
                total[codes[at]] += weights[at]
        for at in range(first, last):
            if codes[at] >= 0 and (best[document] < 0 or total[codes[at]] > total[best[document]]):
                best[document] = codes[at]
        for at in range(first, last):
            if codes[at] >= 0:
                total[codes[at]] = 0
    return best


@njit(cache=True, nogil=True)
def count_distinct(bounds: Longs, codes: Longs, count: int) -> Longs:
    """Return how many distinct codes, of `count`, the entries of each document have; -1 is none."""
    seen = np.full(count, -1, np.int64)
    distinct = np.zeros(len(bounds) - 1, np.int64)
    for document in range(len(bounds) - 1):
        for at in range(bounds[document], bounds[document + 1]):
            if codes[at] >= 0 and seen[codes[at]] != document:
                seen[codes[at]] = document
                distinct[document] += 1
    return distinct


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
