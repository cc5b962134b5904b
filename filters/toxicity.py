"""Toxicity: abuse, slurs and contempt for a group, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from filters.scored import Scored
from schemas.columns import TOXICITY


@dataclass(frozen=True)
class Toxicity(Scored):
    """Give each post the probability of abuse; null outside the model's languages (see the model card)."""

    name: ClassVar[str] = "toxicity"
    output: ClassVar[pa.StructType] = TOXICITY
