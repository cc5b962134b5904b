"""The kernels a stage may call, as they run on a CPU: NumPy arrays of bytes and offsets in, NumPy arrays out."""

from __future__ import annotations

from filters.kernels.fingerprint import fingerprint
from filters.kernels.hash_sets import hash_sets
from filters.kernels.minhash import band_keys, minhash, minima, permutations
from filters.kernels.normalise import normalise
from filters.kernels.shingles import shingle_hashes

__all__ = [
    "band_keys",
    "fingerprint",
    "hash_sets",
    "minhash",
    "minima",
    "normalise",
    "permutations",
    "shingle_hashes",
]
