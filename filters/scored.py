"""What the stages that carry one classifier have in common: the model as a setting, the score as the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import SHIPPED, Classifier


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
        scores = self.score(batch)
        return pa.StructArray.from_arrays([scores], fields=list(self.output), mask=scores.is_null())

    def score(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the classifier's score of each row's clean text, null outside the languages it knows."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        return self.classifier.score(texts, pc.struct_field(batch.column("language"), "lang"))
