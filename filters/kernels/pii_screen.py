"""Mark, at the speed of reading, the rows that could hold personal data; only those are worth a pattern."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from filters.kernels.utf8 import Bytes, Offsets

EMAIL = 1  # an @ between names, the second with a dot in it, or one spelt `(at)`
DIGITS = 2  # seven digits or more, with at most three separators between two of them
CODE = 4  # letters and digits mixed as account and identity numbers mix them
ADDRESS = 8  # four numbers with dots between, or an IPv6 address of the public range
EVERYTHING = EMAIL | DIGITS | CODE | ADDRESS

MIN_DIGITS = 7  # of a phone number; also the fewest in a card, and more than any date without its year
MIN_CODE_DIGITS = 6  # UK national insurance numbers and Mexican CURP have the fewest


@njit(cache=True, nogil=True)
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@njit(cache=True, nogil=True)
def _is_letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122 and byte < 128


@njit(cache=True, nogil=True)
def _is_word(byte: int) -> bool:
    return _is_digit(byte) or _is_letter(byte) or byte == 95


@njit(cache=True, nogil=True)
def _spells_at(row: Bytes, length: int) -> bool:
    """Tell whether `(at`, `[at` or either with spaces ends here, the bracket that closes it being next."""
    last = length - 1
    if last > 2 and row[last] == 32:
        last -= 1
    if last < 2 or (row[last] | 32) != 116 or (row[last - 1] | 32) != 97:
        return False
    return row[last - 2] == 40 or row[last - 2] == 91 or row[last - 2] == 32


@njit(cache=True, nogil=True)
def _fold_row(data: Bytes, span: tuple[int, int], table: Bytes, out: Bytes) -> tuple[int, int, int, bool]:
    """Write the folded row to `out`; return its length, its digits, its @ signs and whether one is spelt `(at)`."""
    position, end = span
    length = digits = ats = 0
    spelt = False
    while position < end:
        byte = data[position]
        if byte < 0x80:
            code = np.int64(byte)
            position += 1
        elif byte < 0xE0:
            code = (np.int64(byte) & 0x1F) << 6 | (np.int64(data[position + 1]) & 0x3F)
            position += 2
        elif byte < 0xF0:
            code = (np.int64(byte) & 0x0F) << 12 | (np.int64(data[position + 1]) & 0x3F) << 6
            code |= np.int64(data[position + 2]) & 0x3F
            position += 3
        else:
            code = (np.int64(byte) & 0x07) << 18 | (np.int64(data[position + 1]) & 0x3F) << 12
            code |= (np.int64(data[position + 2]) & 0x3F) << 6 | (np.int64(data[position + 3]) & 0x3F)
            position += 4
        plain = table[code]
        if plain == 0:
            continue
        spelt |= (plain == 41 or plain == 93) and _spells_at(out, length)
        out[length] = plain
        length += 1
        digits += _is_digit(plain)
        ats += plain == 64
    return length, digits, ats, spelt


@njit(cache=True, nogil=True)
def _is_named(byte: int) -> bool:
    """Tell whether a name may hold this; what is no letter of any script is let through, the pattern knows better."""
    return _is_word(byte) or byte == 128 or byte == 1 or byte == 45


@njit(cache=True, nogil=True)
def _has_email(row: Bytes, length: int) -> bool:
    for position in range(1, length - 3):
        if row[position] != 64 or not (_is_named(row[position - 1]) or row[position - 1] == 43):
            continue
        dot = position + 1
        while dot < length - 1 and _is_named(row[dot]):
            dot += 1
        if dot > position + 1 and row[dot] == 46 and dot + 1 < length and _is_named(row[dot + 1]):
            return True
    return False


@njit(cache=True, nogil=True)
def _opens_link(row: Bytes, length: int, position: int) -> bool:
    """Tell whether `://` stands here; a wa.me link is a phone number, so it does not count as a link."""
    if position + 3 > length or row[position] != 58 or row[position + 1] != 47 or row[position + 2] != 47:
        return False
    host = position + 3
    chat = host + 6 <= length and (row[host] | 32) == 119 and (row[host + 1] | 32) == 97 and row[host + 2] == 46
    return not (chat and (row[host + 3] | 32) == 109 and (row[host + 4] | 32) == 101 and row[host + 5] == 47)


@njit(cache=True, nogil=True)
def _skip(row: Bytes, length: int, position: int) -> int:
    """Return the end of the link, mention or hashtag that opens here, or `position` where none does."""
    byte = row[position]
    inside = position > 0 and (_is_word(row[position - 1]) or row[position - 1] >= 128)
    if byte == 64 or (byte == 35 and not inside):  # the second # of a Chinese #hashtag# opens nothing
        end = position + 1
        while end < length and (_is_word(row[end]) or row[end] >= 128):
            end += 1
        return end
    if byte == 58 and _opens_link(row, length, position):
        end = position + 3
        while end < length and row[end] != 32 and row[end] != 10 and row[end] != 129:
            end += 1
        return end
    return position


@njit(cache=True, nogil=True)
def _has_digits(row: Bytes, length: int) -> bool:
    count = gap = position = 0
    while position < length:
        byte = row[position]
        if _is_digit(byte):
            if count == 0 and position > 0 and _is_word(row[position - 1]):
                position += 1
                continue
            count += 1
            gap = 0
            if count >= MIN_DIGITS:
                return True
        elif (
            count > 0 and gap < 3 and (byte == 32 or byte == 45 or byte == 46 or byte == 47 or byte == 40 or byte == 41)
        ):
            gap += 1
        else:
            count = gap = 0
            skipped = _skip(row, length, position)
            if skipped > position:
                position = skipped
                continue
        position += 1
    return False


@njit(cache=True, nogil=True)
def _code_digits(row: Bytes, length: int, position: int) -> bool:
    """Tell whether enough digits follow, with at most one space or dash between two letters or digits."""
    count = gap = 0
    for end in range(position, min(length, position + 48)):
        byte = row[end]
        if _is_digit(byte):
            count += 1
            gap = 0
        elif _is_letter(byte):
            gap = 0
        elif gap == 0 and (byte == 32 or byte == 45):
            gap = 1
        else:
            return False
        if count >= MIN_CODE_DIGITS:
            return True
    return False


@njit(cache=True, nogil=True)
def _has_code(row: Bytes, length: int) -> bool:
    """Look for tokens of letters and digits, solid or in groups; links, mentions and hashtags cannot hold one."""
    position = 0
    while position < length:
        if not _is_word(row[position]):
            skipped = _skip(row, length, position)
            position = max(skipped, position + 1)
            continue
        end = position
        digits = 0
        while end < length and _is_word(row[end]):
            digits += _is_digit(row[end])
            end += 1
        if end - position >= 9 and MIN_CODE_DIGITS <= digits < end - position:
            return True
        if _is_letter(row[position]):
            split = end - position == 2 and digits == 0  # AB 12 34 56 C
            grouped = end - position >= 2 and _is_letter(row[position + 1]) and digits > 0
            if (split or grouped) and _code_digits(row, length, position):
                return True
        position = end
    return False


@njit(cache=True, nogil=True)
def _has_dotted(row: Bytes, length: int, position: int) -> bool:
    dots = run = 0
    for end in range(position, min(length, position + 15)):
        if _is_digit(row[end]):
            run += 1
            if dots == 3:
                return True
        elif row[end] == 46 and run > 0:
            dots += 1
            run = 0
        else:
            return False
    return False


@njit(cache=True, nogil=True)
def _has_colons(row: Bytes, length: int, position: int) -> bool:
    """Tell whether an IPv6 address begins here: eight groups, or two colons and, as all in use, a 2 or 3 in front."""
    colons = 0
    for end in range(position, min(length, position + 40)):
        low = row[end] | 32
        if row[end] == 58:
            colons += 1
        elif not (_is_digit(row[end]) or (97 <= low <= 102 and row[end] < 128)):
            break
    return colons >= 7 or (colons >= 2 and (row[position] == 50 or row[position] == 51))


@njit(cache=True, nogil=True)
def _has_address(row: Bytes, length: int) -> bool:
    for position in range(length - 4):
        if not _is_word(row[position]) or (position > 0 and _is_word(row[position - 1])):
            continue
        if _is_digit(row[position]) and _has_dotted(row, length, position):
            return True
        if _has_colons(row, length, position):
            return True
    return False


@njit(cache=True, nogil=True)
def screen(data: Bytes, offsets: Offsets, table: Bytes) -> npt.NDArray[np.uint8]:
    """Return per row which of EMAIL, DIGITS, CODE and ADDRESS it could hold; 0 for most rows. Shape: (rows,)."""
    rows = len(offsets) - 1
    flags = np.zeros(rows, np.uint8)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    folded = np.empty(longest + 1, np.uint8)
    for row in range(rows):
        length, digits, ats, spelt = _fold_row(data, (offsets[row], offsets[row + 1]), table, folded)
        found = 0
        if spelt or (ats > 0 and _has_email(folded, length)):
            found |= EMAIL
        if digits > 0 and _has_address(folded, length):
            found |= ADDRESS
        if digits >= MIN_CODE_DIGITS and _has_code(folded, length):
            found |= CODE
        if digits >= MIN_DIGITS and _has_digits(folded, length):
            found |= DIGITS
        flags[row] = found
    return flags
