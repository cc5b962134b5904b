"""AI text: how likely a machine wrote the post, from the post alone. Read its model card before using it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import SHIPPED, Classifier
from schemas.columns import AI_TEXT


@dataclass(frozen=True)
class AiText:
    """Give each post the probability that a machine wrote it; null outside English and for under eight words."""

    name: ClassVar[str] = "ai_text"
    reads: ClassVar[tuple[str, ...]] = ("clean_text", "language")
    output: ClassVar[pa.StructType] = AI_TEXT

    model: str = SHIPPED  # or the folder that `swarmfeed train ai_text` wrote
    classifier: Classifier = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the model once, here, so that workers get arrays and no worker opens a file."""
        object.__setattr__(self, "classifier", Classifier.load(self.name, self.model))

    @property
    def sha256(self) -> str:
        """Return the hash of the trained model."""
        return self.classifier.sha256

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one ai_text struct per row. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        languages = pc.struct_field(batch.column("language"), "lang")
        scores = self.classifier.score(texts, languages)
        return pa.StructArray.from_arrays([scores], fields=list(self.output), mask=scores.is_null())
