"""The sentences about groups: no group tells the classes apart, and lists of words find what they are for."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.contrasts import GROUPS, HATE, PEACE, main, names_group, sentences
from filters.labelled import FIT, RECIPES, read_examples
from filters.slices import slices, spells_dialect


def test_every_group_is_hated_and_left_in_peace_alike() -> None:
    for several, one in GROUPS:
        named = re.compile(rf"\b({re.escape(several)}|{re.escape(one)})\b", re.IGNORECASE)
        counts = Counter(label for text, label in sentences() if named.search(text))
        assert 0.6 < counts[HATE] / counts[PEACE] < 1.1, several


def test_no_sentence_stands_twice_and_no_slot_is_left_open() -> None:
    texts = [text for text, _ in sentences()]
    assert len(texts) == len({text.casefold() for text in texts}) > 4000
    assert not [text for text in texts if "{" in text or "}" in text]
    assert sentences() == sentences()


def test_the_file_trains_and_is_never_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "contrasts.train.parquet"
    monkeypatch.setattr("sys.argv", ["contrasts", str(file)])
    main()
    first = file.read_bytes()
    main()
    assert file.read_bytes() == first
    assert len(pq.read_table(file)) == len(sentences())
    examples = read_examples("toxicity", RECIPES["toxicity"], [file])
    assert set(examples.parts.tolist()) == {FIT}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two Jews and an atheist walk into a bar", True),
        ("GAY PEOPLE exist", True),
        ("a manual for mending a washing machine", False),
        ("I hate Mondays", False),
        ("", False),
    ],
)
def test_groups_are_found_by_whole_words(text: str, expected: bool) -> None:
    assert names_group(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He ain’t comin' back", True),
        ("y'all tryna eat", True),
        ("I am going to the distant office without it", False),
        ("", False),
    ],
)
def test_dialect_is_found_by_its_spellings(text: str, expected: bool) -> None:
    assert spells_dialect(text) is expected


def test_slices_are_of_english_and_leave_nothing_out() -> None:
    texts = pa.array(["Jews live here", "he ain't", "plain words", "Jews ain't here"])
    found = slices(texts, pa.array(["en", "en", "en", "de"]))
    assert found["a group is named"].tolist() == [True, False, False, False]
    assert found["dialect spelling"].tolist() == [False, True, False, False]
    for one, rest in (("a group is named", "no group is named"), ("dialect spelling", "no dialect spelling")):
        assert np.array_equal(found[one] ^ found[rest], np.array([True, True, True, False]))
