"""The kernels a stage may call, as they run on a CPU: NumPy arrays of bytes and offsets in, NumPy arrays out."""

from __future__ import annotations

from filters.kernels.fingerprint import fingerprint
from filters.kernels.minhash import band_keys, minhash, permutations
from filters.kernels.normalise import normalise

__all__ = ["band_keys", "fingerprint", "minhash", "normalise", "permutations"]
