"""What the stages that carry one classifier have in common: the model as a setting, the score as the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import SHIPPED, Classifier, score_together


@dataclass(frozen=True)
class Scored:
    """Give each post the score of one classifier; null where the classifier cannot say (see its model card)."""

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ("clean_text", "language")
    output: ClassVar[pa.StructType]

    model: str = SHIPPED  # or the folder that `swarmfeed train` wrote
    classifier: Classifier = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the model once, here, so that workers get arrays and no worker opens a file."""
        object.__setattr__(self, "classifier", Classifier.load(self.name, self.model))

    @property
    def sha256(self) -> str:
        """Return the hash of the trained model."""
        return self.classifier.sha256

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one struct per row, null where there is no score. Shape: (rows,) in, (rows,) out."""
        return self.answer_together([self], batch)[0]

    @staticmethod
    def answer_together(stages: Sequence[Scored], batch: pa.RecordBatch) -> list[pa.Array]:
        """Return the column of each stage from one pass over the texts, to the bit what each returns alone."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        languages = pc.struct_field(batch.column("language"), "lang")
        scores = score_together([stage.classifier for stage in stages], texts, languages)
        return [stage.answer(batch, column) for stage, column in zip(stages, scores, strict=True)]

    def answer(self, batch: pa.RecordBatch, scores: pa.Array) -> pa.Array:
        """Return the stage's column, given the classifier's score of each row's clean text."""
        return pa.StructArray.from_arrays([scores], fields=list(self.output), mask=scores.is_null())
