"""Spam: unsolicited advertising, prize and phishing messages, follow-for-follow comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from filters.scored import Scored
from schemas.columns import SPAM


@dataclass(frozen=True)
class Spam(Scored):
    """Give each post the probability of spam; null outside the model's languages (see the model card)."""

    name: ClassVar[str] = "spam"
    output: ClassVar[pa.StructType] = SPAM
