"""Posts whose label other posts contradict are found, and no others."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from filters.labelled import FIT, TUNE, VALIDATION
from filters.language_doubts import ENOUGH, doubted
from filters.language_fit import Lessons

WORDS = {
    "de": "wir gehen heute nicht nach hause weil das wetter schlecht ist und ich noch viel arbeit habe",
    "en": "we are not going home today because the weather is bad and i still have a lot of work",
    "ru": "мы сегодня не идём домой потому что погода плохая и у меня ещё много работы",
}
MISLABELLED = 30


def lessons(languages: tuple[str, ...], count: int, sets: str = "mine") -> tuple[Lessons, np.ndarray]:
    """Return invented posts, of the first language the first few English, and which those are."""
    draw, rows = Random(7), []
    for name in languages:
        for number in range(count):
            wrong = name == languages[0] and number < MISLABELLED
            rows.append((" ".join(draw.choices(WORDS["en" if wrong else name].split(), k=8)), name, wrong))
    texts, truth, wrong = zip(*rows, strict=True)
    parts = np.array([(FIT, FIT, FIT, TUNE, VALIDATION)[at % 5] for at in range(len(rows))], np.int8)
    return Lessons(pa.array(texts), np.array(truth), np.full(len(rows), sets), parts), np.array(wrong)


def test_english_posts_of_another_label_are_doubted_and_no_others() -> None:
    posts, wrong = lessons(("de", "en"), ENOUGH + 40)
    found = doubted(posts)
    assert found.tolist() == wrong.tolist()
    assert found[posts.parts == VALIDATION].any(), "held-out posts are asked about, too"
    assert doubted(posts).tolist() == found.tolist()


@pytest.mark.parametrize(
    ("languages", "count", "sets"),
    [
        (("de", "en"), ENOUGH - 1, "mine"),
        (("de", "en"), ENOUGH + 40, "tatoeba_laser"),
        (("de",), ENOUGH + 40, "mine"),
        (("ru", "en"), 0, "mine"),
    ],
    ids=["too few posts", "examples", "one language", "nothing"],
)
def test_nothing_is_doubted_where_nothing_can_be_said(languages: tuple[str, ...], count: int, sets: str) -> None:
    rows = lessons(languages, count, sets)[0] if count else lessons(languages, 1, sets)[0].where(np.zeros(2, np.bool_))
    assert not doubted(rows).any()
