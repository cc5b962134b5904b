"""What the posts of one author say together about who wrote them: one post says little, twenty say a lot.

A pure function of groups of posts, as every stage is of single ones; what a group is, the caller decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.kernels.style import style_rows
from filters.kernels.style_features import MARKS, STYLE_FEATURES
from filters.kernels.timelines import timeline_rows
from filters.kernels.utf8 import utf8_buffers
from filters.style_model import StyleModel

FEWEST_POSTS = 10
"""Posts that a group must have. Five accuse 1% of people even above .996, and two machines of five are missed there."""
_SHOWN = len(STYLE_FEATURES) - len(MARKS)


class Timelines(NamedTuple):
    """Groups of posts, each group's together and in order of time.

    Shapes: starts (groups + 1,), texts and micros (posts,). Texts are clean; micros count from 1970, 0 is no time.
    """

    starts: npt.NDArray[np.int64]
    texts: pa.Array
    micros: npt.NDArray[np.int64]


def measure_timelines(model: StyleModel, lines: Timelines) -> npt.NDArray[np.float64]:
    """Return what each timeline shows, see kernels/timelines.py. Shape: (groups, len(TIMELINE_FEATURES))."""
    styles, _, bits = style_rows(*utf8_buffers(lines.texts))
    margins = model.margins(styles)
    lengths = np.expm1(styles[:, STYLE_FEATURES.index("log_chars")]).astype(np.float64)
    shown = np.minimum(styles[:, :_SHOWN], 1.0)  # rates are below 1, the few lengths among them are not
    return np.asarray(timeline_rows(lines.starts, margins, lengths, shown, bits, lines.micros))


def evidence(model: StyleModel, lines: Timelines) -> npt.NDArray[np.float32]:
    """Return the probability that a machine wrote each timeline; NaN for one of too few posts. Shape: (groups,)."""
    out = np.full(len(lines.starts) - 1, np.nan, np.float32)
    if len(out):
        enough = np.diff(lines.starts) >= FEWEST_POSTS
        out[enough] = model.evidence(measure_timelines(model, lines))[enough]
    return out
