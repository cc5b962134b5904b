"""What becomes of turns that are not to be read: rejected ones, and ones whose author or platform took them back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from filters.kernels.conversations import DELETED, OUT, REMOVED, Flags


class OnRejected(StrEnum):
    """What a rejected post does to its conversation."""

    CUT_BRANCH = "cut_branch"  # it goes, with all that answers it
    MASK_TURN = "mask_turn"  # `[removed]` stands in its place
    DROP_THREAD = "drop_thread"  # the whole conversation goes


class OnDeleted(StrEnum):
    """What a deleted post does to its conversation."""

    MARK = "mark"  # `[deleted]` stands in its place
    CUT = "cut"  # it goes, with all that answers it


@dataclass(frozen=True)
class Policy:
    """What to do with a turn that is not to be read. A mark that nothing readable answers is left out."""

    rejected: OnRejected = OnRejected.CUT_BRANCH
    deleted: OnDeleted = OnDeleted.MARK

    def cuts(self) -> Flags:
        """Return for each kind of turn (see kernels.conversations) whether its answers go with it."""
        cuts = np.zeros(OUT + 1, np.bool_)
        cuts[REMOVED] = self.rejected is not OnRejected.MASK_TURN
        cuts[DELETED] = self.deleted is OnDeleted.CUT
        return cuts
