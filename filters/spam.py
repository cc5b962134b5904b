"""Spam: unsolicited advertising, prize and phishing messages, follow-for-follow comments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from filters.classifier import SHIPPED, Classifier
from schemas.columns import SPAM


@dataclass(frozen=True)
class Spam:
    """Give each post the probability of spam; null outside the model's languages (see the model card)."""

    name: ClassVar[str] = "spam"
    reads: ClassVar[tuple[str, ...]] = ("clean_text", "language")
    output: ClassVar[pa.StructType] = SPAM

    model: str = SHIPPED  # or the folder that `swarmfeed train spam` wrote
    classifier: Classifier = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the model once, here, so that workers get arrays and no worker opens a file."""
        object.__setattr__(self, "classifier", Classifier.load(self.name, self.model))

    @property
    def sha256(self) -> str:
        """Return the hash of the trained model."""
        return self.classifier.sha256

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return one spam struct per row. Shape: (rows,) in, (rows,) out."""
        texts = pc.struct_field(batch.column("clean_text"), "text")
        languages = pc.struct_field(batch.column("language"), "lang")
        scores = self.classifier.score(texts, languages)
        return pa.StructArray.from_arrays([scores], fields=list(self.output), mask=scores.is_null())
