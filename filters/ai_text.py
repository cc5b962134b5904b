"""AI text: how likely a machine wrote the post, from its style alone. Read its model card before using it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import SHIPPED
from filters.style_model import StyleModel
from schemas.columns import AI_TEXT


@dataclass(frozen=True)
class AiText:
    """Give each post the probability that a machine wrote it; null outside English and for under four words.

    `evidence` is null here: it is what an author's posts of one epoch say together (filters.authorship), and a stage
    sees one post at a time. The step fills it in.
    """

    name: ClassVar[str] = "ai_text"
    reads: ClassVar[tuple[str, ...]] = ("clean_text", "language")
    output: ClassVar[pa.StructType] = AI_TEXT

    model: str = SHIPPED  # or the folder that `swarmfeed train` wrote
    style: StyleModel = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the model once, here, so that workers get arrays and no worker opens a file."""
        object.__setattr__(self, "style", StyleModel.load(self.name, self.model))

    @property
    def sha256(self) -> str:
        """Return the hash of the trained model."""
        return self.style.sha256

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one struct per row, null where there is no score. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        scores = self.style.score(texts, pc.struct_field(batch.column("language"), "lang"))
        nothing = pa.array(np.zeros(len(scores), np.float32), mask=np.ones(len(scores), np.bool_))
        return pa.StructArray.from_arrays([scores, nothing], fields=list(self.output), mask=scores.is_null())
