"""AI text: how likely a machine wrote the post, from the post alone. Read its model card before using it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from filters.scored import Scored
from schemas.columns import AI_TEXT


@dataclass(frozen=True)
class AiText(Scored):
    """Give each post the probability that a machine wrote it; null outside English and for under eight words."""

    name: ClassVar[str] = "ai_text"
    output: ClassVar[pa.StructType] = AI_TEXT
