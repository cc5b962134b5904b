"""Tell texts that say something from a letter held down."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

_SPACE = 0x20


@njit(cache=True, nogil=True)
def varied(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.bool_]:
    """Return whether each text has `least` different bytes besides spaces. Shapes: (bytes,), (rows + 1,) -> (rows,)."""
    rows = len(offsets) - 1
    answer = np.zeros(rows, np.bool_)
    for row in range(rows):
        seen = np.zeros(256, np.bool_)
        kinds = 0
        for place in range(offsets[row], offsets[row + 1]):
            byte = data[place]
            if byte != _SPACE and not seen[byte]:
                seen[byte] = True
                kinds += 1
                if kinds == least:
                    answer[row] = True
                    break
    return answer
