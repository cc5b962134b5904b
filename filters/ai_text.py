"""AI text: how likely a machine wrote the post, from its style alone. Read its model card before using it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import SHIPPED
from filters.curvature import LanguageModel
from filters.style_model import StyleModel
from filters.uncertain import MIDDLE, Bounds, Joined, read_fit
from schemas.columns import AI_TEXT


@dataclass(frozen=True)
class AiText:
    """Give each post the probability that a machine wrote it; null outside English and for under four words.

    With a `language_model`, a folder that every worker can read, posts whose score by style lies within `uncertain` are
    judged by its curvature (filters.curvature) too; others cost nothing more. `evidence` is null here: it is what an
    author's posts of one epoch say together (filters.authorship), and a stage sees one post at a time. The step fills
    it in.
    """

    name: ClassVar[str] = "ai_text"
    reads: ClassVar[tuple[str, ...]] = ("clean_text", "language")
    output: ClassVar[pa.StructType] = AI_TEXT

    model: str = SHIPPED  # or the folder that `swarmfeed train` wrote
    language_model: str | None = None  # folder of an exported causal model, fitted by `swarmfeed train`; needs [lm]
    uncertain: Bounds = MIDDLE
    style: StyleModel = field(init=False, repr=False, compare=False)
    joined: Joined | None = field(init=False, repr=False, compare=False, default=None)
    sha256: str = field(init=False, repr=False, default="")  # of the style model, and of what a language model adds

    def __post_init__(self) -> None:
        """Read the models once, here; workers get the style by pickle and read a language model themselves."""
        object.__setattr__(self, "style", StyleModel.load(self.name, self.model))
        object.__setattr__(self, "uncertain", _bounds(self.uncertain))
        object.__setattr__(self, "sha256", self.style.sha256)
        if self.language_model is None:
            return
        if not isinstance(self.language_model, str) or not self.language_model:
            raise ValueError(f"'language_model' must be a folder, got {self.language_model!r}")
        model = LanguageModel.open(self.language_model)
        weights, fitted = read_fit(self.style, model)
        object.__setattr__(self, "joined", Joined(self.style, model.measure, weights, self.uncertain))
        told = f"{self.style.sha256} {model.sha256} {fitted}"
        object.__setattr__(self, "sha256", hashlib.sha256(told.encode()).hexdigest())

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one struct per row, null where there is no score. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        scores = (self.joined or self.style).score(texts, pc.struct_field(batch.column("language"), "lang"))
        nothing = pa.array(np.zeros(len(scores), np.float32), mask=np.ones(len(scores), np.bool_))
        return pa.StructArray.from_arrays([scores, nothing], fields=list(self.output), mask=scores.is_null())


def _bounds(value: Any) -> Bounds:
    """Return two scores in order; raise ValueError for anything else."""
    pair = value if isinstance(value, list | tuple) and len(value) == 2 else (None, None)
    numbers = [float(end) for end in pair if isinstance(end, int | float) and not isinstance(end, bool)]
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= 1:
        raise ValueError(f"'uncertain' must be two scores from 0 to 1, the lower one first, got {value!r}")
    return numbers[0], numbers[1]
