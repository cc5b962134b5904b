"""The search for many strings says what plain Python says, and what it writes over is gone and nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.kernels.needles import WINDOW, Needles, find_needles, mask_needles
from filters.kernels.utf8 import string_array, utf8_buffers

WORD = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
letters = st.text("ab1é:_ ", max_size=40)
needles = st.text("ab1é:_", min_size=1, max_size=12)


def occurrences(text: bytes, needle: bytes) -> list[int]:
    """Where a needle counts, in plain Python."""
    found = []
    for at in range(len(text) - len(needle) + 1):
        if text[at : at + len(needle)] != needle:
            continue
        around = text[at - 1 : at] if at else b"", text[at + len(needle) : at + len(needle) + 1]
        word = any(one and (one[0] >= 0x80 or chr(one[0]) in WORD) for one in around)
        if len(needle) >= WINDOW or not word:
            found.append(at)
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(letters, max_size=6), st.lists(needles, max_size=6), st.data())
def test_it_finds_what_plain_python_finds(texts: list[str], names: list[str], data: st.DataObject) -> None:
    texts = [*texts, *(data.draw(letters) + name + data.draw(letters) for name in names)]
    column = pa.array(["in front", *texts])[1:]  # a slice
    laid_out = Needles.of({name: "gone:" for name in names})
    expected = [[(name.encode(), occurrences(text.encode(), name.encode())) for name in names] for text in texts]
    buffers = utf8_buffers(column)
    assert find_needles(*buffers, laid_out).tolist() == [any(at for _, at in one) for one in expected]
    masked = mask_needles(*buffers, laid_out)
    assert len(masked) == len(buffers[0])
    for row, found in enumerate(expected):
        start, end = int(buffers[1][row]), int(buffers[1][row + 1])
        before, after = bytes(buffers[0][start:end]), bytes(masked[start:end])
        covered = np.zeros(len(before), bool)
        for name, places in found:
            for at in places:
                covered[at : at + len(name)] = True
        assert all(one == other for one, other, hidden in zip(before, after, covered, strict=True) if not hidden)
        for name, places in found:  # every occurrence has lost at least a byte
            assert all(after[at : at + len(name)] != name or name in b"gone:" for at in places)  # a mask may say it


def test_thousands_of_ids_with_one_beginning() -> None:
    names = [f"17712345678{number:08d}" for number in range(0, 4000, 2)]
    texts = [f"https://x.example/status/17712345678{number:08d}?s=20" for number in range(4000)]
    laid_out = Needles.of({name: f"gone:{name[::-1]}" for name in names})
    data, offsets = utf8_buffers(pa.array(texts))
    assert find_needles(data, offsets, laid_out).tolist() == [number % 2 == 0 for number in range(4000)]
    masked = string_array(mask_needles(data, offsets, laid_out), offsets).to_pylist()
    assert [text == after for text, after in zip(texts, masked, strict=True)] == [n % 2 == 1 for n in range(4000)]
    assert masked[0] == "https://x.example/status/" + f"gone:{names[0][::-1]}"[:19] + "?s=20"


def test_no_needles_find_nothing() -> None:
    data, offsets = utf8_buffers(pa.array(["a", None, ""]))
    assert find_needles(data, offsets, Needles.of({})).tolist() == [False, False, False]
    assert bytes(mask_needles(data, offsets, Needles.of({}))) == b"a"
