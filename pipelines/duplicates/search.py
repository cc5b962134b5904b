"""What every task of a search works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.duplicates.history import History
from pipelines.duplicates.records import NO_DAY, Longs, StagedRecords
from schemas.config import DuplicatesConfig

AHEAD_SHARE = 0.01  # posts whose clocks may be ahead without making history expire


@dataclass(frozen=True)
class Expiry:
    """The first day the index holds on to, counted from 1970."""

    first_day: int

    @classmethod
    def of(cls, days: Mapping[int, int], horizon_days: int) -> Expiry:
        """Keep the horizon that ends with the newest day that at least a hundredth of all posts held reach.

        `days` counts the posts of each day, those of this epoch among them. A clock in the future is a small share of
        them and expires nothing; a backfill of thousands of days keeps the horizon and the days its last hundredth
        fills. Holding more than the horizon is harmless: what is out of reach is not looked at.

        >>> Expiry.of({100: 500, 107: 500, 40_000: 1}, horizon_days=7).first_day
        101
        """
        dated = sorted((day for day in days if day != NO_DAY), reverse=True)
        reached = np.cumsum([days[day] for day in dated])
        newest = dated[int(np.argmax(reached >= AHEAD_SHARE * reached[-1]))] if dated else NO_DAY
        return cls(newest - horizon_days + 1)

    def holds(self, day: Longs) -> npt.NDArray[np.bool_]:
        """Tell which days the index holds on to."""
        return (day >= self.first_day) | (day == NO_DAY)


@dataclass(frozen=True)
class Search:
    """The parts of an epoch, what came before it, and how the work is spread. Pickled to executors."""

    staged: StagedRecords
    keys: tuple[str, ...]  # the key file of each part
    history: History
    config: DuplicatesConfig
    expiry: Expiry
    addresses: int  # a power of two, at most keys.BOXES
    folder: str  # where tasks leave files for each other
    index_folder: str  # where they leave what the index learns

    @property
    def reach(self) -> int:
        """Return how many days may lie between a post and what it duplicates."""
        return self.config.horizon_days - 1

    def records(self, refs: Longs) -> pa.Table:
        """Return the record of each ref, sorted and distinct, of this epoch or an earlier one."""
        new = int(np.searchsorted(refs, self.staged.numbering.first_ref))
        parts = [self.history.records(refs[:new])] if new else []
        return pa.concat_tables([*parts, self.staged.records(refs[new:])]).combine_chunks()
