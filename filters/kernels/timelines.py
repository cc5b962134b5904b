"""What the posts of one author show together: how alike they are in style, length, wording and time."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

TIMELINE_FEATURES = (
    "margin_mean",  # logit of the posts' scores
    "margin_sd",
    "length_sd",  # of the logarithm of the characters
    "style_spread",  # mean deviation of the style within the timeline; the style is scaled beforehand
    "vocabulary",  # distinct words to words, over the first posts
    "overlap",  # mean Jaccard similarity of the words of neighbours
    "repeats",  # share of posts that say the same as the one before
    "gap_sd",  # of the logarithm of the seconds between posts
    "gap_alike",  # share of gaps that equal the one before to a twentieth
)
VOCABULARY_POSTS = 16  # whose words 256 bits can tell apart
_BITS = 256.0
_UNKNOWN_GAP = 1.5  # deviation of log gaps of a timeline without times: between regular and human


@njit(cache=True, nogil=True)
def _ones(word):  # type: ignore[no-untyped-def]
    count = 0
    while word:
        word &= word - np.uint64(1)
        count += 1
    return count


@njit(cache=True, nogil=True)
def _distinct(bits):  # type: ignore[no-untyped-def]
    """Estimate how many words set these bits, by linear counting (Whang et al. 1990)."""
    ones = 0
    for word in bits:
        ones += _ones(word)
    return -_BITS * math.log(1 - min(ones, 255) / _BITS)


@njit(cache=True, nogil=True)
def _wording(bits, out):  # type: ignore[no-untyped-def]
    """Fill in vocabulary, overlap and repeats of one timeline from the bits of its posts' words."""
    together, total = np.zeros(4, np.uint64), 0.0
    overlap, repeats = 0.0, 0
    for post in range(len(bits)):
        if post < VOCABULARY_POSTS:
            total += _distinct(bits[post])
            together |= bits[post]
        if post:
            both, either = 0, 0
            for k in range(4):
                both += _ones(bits[post, k] & bits[post - 1, k])
                either += _ones(bits[post, k] | bits[post - 1, k])
            overlap += both / max(either, 1)
            repeats += both == either
    out[4] = _distinct(together) / max(total, 1.0)
    out[5] = overlap / max(len(bits) - 1, 1)
    out[6] = repeats / max(len(bits) - 1, 1)


@njit(cache=True, nogil=True)
def _cadence(micros, out):  # type: ignore[no-untyped-def]
    """Fill in the regularity of the gaps between posts, which are in order of time; 0 stands for no time."""
    total, squares, alike, count, last = 0.0, 0.0, 0, 0, -1.0
    for post in range(1, len(micros)):
        if micros[post - 1] == 0 or micros[post] == 0:
            continue
        gap = math.log(1 + (micros[post] - micros[post - 1]) / 1e6)
        alike += last >= 0 and abs(gap - last) < 0.05
        total += gap
        squares += gap * gap
        count += 1
        last = gap
    out[7], out[8] = _UNKNOWN_GAP, 0.0
    if count > 2:
        mean = total / count
        out[7] = min(math.sqrt(max(0.0, squares / count - mean * mean)), 4.0)
        out[8] = alike / (count - 1)


@njit(cache=True, nogil=True)
def timeline_rows(starts, margins, lengths, styles, bits, micros):  # type: ignore[no-untyped-def]
    """Return the features of each timeline; its posts stand together, in order of time.

    Shapes: starts (groups + 1,), margins, lengths (characters) and micros (posts,), styles (posts, k), bits (posts, 4);
    out (groups, len(TIMELINE_FEATURES)).
    """
    out = np.zeros((len(starts) - 1, 9))
    for group in range(len(out)):
        first, end = starts[group], starts[group + 1]
        row = out[group]
        row[0], row[1] = margins[first:end].mean(), margins[first:end].std()
        row[2] = np.log(1 + lengths[first:end]).std()
        for k in range(styles.shape[1]):
            row[3] += styles[first:end, k].std() / styles.shape[1]
        _wording(bits[first:end], row)
        _cadence(micros[first:end], row)
    return out
