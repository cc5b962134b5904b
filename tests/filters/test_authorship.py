"""Timelines: what is measured of them by hand, and what they weigh under the shipped model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from filters.ai_text import AiText
from filters.authorship import FEWEST_POSTS, Timelines, evidence, measure_timelines
from filters.kernels.timelines import TIMELINE_FEATURES

TEMPLATE = (
    "Discover how our innovative solutions are transforming the industry and empowering communities to grow number {}."
)
LOOSE = (
    "lol no way they closed the pool again",
    "Went to see mum today. She's doing better, thanks for asking everyone who did",
    "why is the bus ALWAYS late when it rains",
    "new boots!! wore them in the garden and the dog hates them already",
    "ok so that match... i have no words tbh",
    "Can anyone lend me a drill for saturday? mine went up in smoke, literally",
)


def lines(groups: list[list[str]], micros: list[int] | None = None) -> Timelines:
    texts = [text for group in groups for text in group]
    starts = np.append(0, np.cumsum([len(group) for group in groups])).astype(np.int64)
    times = np.zeros(len(texts), np.int64) if micros is None else np.array(micros, np.int64)
    return Timelines(starts, pa.array(texts), times)


def measured(one: Timelines) -> dict[str, float]:
    return dict(zip(TIMELINE_FEATURES, measure_timelines(AiText().style, one)[0].tolist(), strict=True))


def test_equal_posts_repeat_and_have_no_spread() -> None:
    found = measured(lines([[LOOSE[1]] * 6]))
    assert (found["repeats"], found["overlap"]) == (1, 1)
    assert (found["length_sd"], found["margin_sd"]) == pytest.approx((0, 0), abs=1e-6)
    assert found["vocabulary"] == pytest.approx(1 / 6, rel=0.05)
    assert measured(lines([list(LOOSE)]))["vocabulary"] > 0.7


def test_a_clock_is_told_from_a_person() -> None:
    hours = [1 + hour * 3_600_000_000 for hour in range(6)]
    clock = measured(lines([list(LOOSE)], hours))
    assert clock["gap_sd"] == pytest.approx(0, abs=1e-6)
    assert clock["gap_alike"] == 1
    bursts = measured(
        lines([list(LOOSE)], [1, 2_000_000, 9_000_000_000, 9_004_000_000, 700_000_000_000, 700_100_000_000])
    )
    assert bursts["gap_sd"] > 1.5
    assert measured(lines([list(LOOSE)]))["gap_alike"] == 0


def test_few_posts_weigh_nothing_and_groups_do_not_depend_on_each_other() -> None:
    groups = [[*LOOSE, *LOOSE], [LOOSE[0]] * (FEWEST_POSTS - 1), [TEMPLATE.format(n) for n in range(20)]]
    model = AiText().style
    scores = evidence(model, lines(groups))
    assert np.isnan(scores).tolist() == [False, True, False]
    assert scores[0] == evidence(model, lines(groups[:1]))[0]
    assert scores[2] == evidence(model, lines(groups[2:]))[0]
    assert ((scores[[0, 2]] >= 0) & (scores[[0, 2]] <= 1)).all()
    assert evidence(model, lines([])).shape == (0,)
