"""What each threshold costs: how many posts are kept wherever it stands while every other rule stays as it is.

Posts are counted into histograms by language and by length, so that memory does not grow with them. A post that another
rule rejects is no matter of a threshold and is left out of its curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from filters.verdict import UNDETERMINED, Found, Verdict
from pipelines.calibration.scales import Numbers, Scale, measured_by, moved, scales_of
from pipelines.calibration.scored import Scored
from schemas.errors import ConfigError
from schemas.reasons import Reason

LENGTHS = (40, 100, 200)  # readable characters at which another band begins
BANDS = ("under 40", "40 to 99", "100 to 199", "200 and more")
LENGTH = "min_readable_chars"

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """A batch as counted: language and length band of each post, what each rule found, and places on the scales."""

    languages: Counts
    bands: Counts
    found: tuple[Found, ...]
    measured: dict[str, Numbers]
    against: Counts  # how many rules speak against a post


@dataclass
class Curves:
    """Counts of posts. Shapes: (languages, bands); for each threshold (languages or bands, places on its scale + 1).

    A post stands in a threshold's histogram, at the first place that lets it through, when no other rule rejects it.
    Those by length leave languages out that have a threshold of their own.
    """

    verdict: Verdict
    tags: dict[str, int] = field(default_factory=dict)
    posts: Counts = field(default_factory=lambda: np.zeros((0, len(BANDS)), np.int64))
    kept: Counts = field(default_factory=lambda: np.zeros((0, len(BANDS)), np.int64))
    reasons: dict[str, Counts] = field(default_factory=dict)  # (languages, bands) by reason
    alone: dict[str, Counts] = field(default_factory=dict)  # posts of which it is the only reason
    by_language: dict[str, Counts] = field(default_factory=dict)
    by_length: dict[str, Counts] = field(default_factory=dict)
    without: dict[str, Counts] = field(default_factory=dict)  # posts that no other rule rejects, shape (bands,)

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """The scale of each threshold."""
        return {scale.key: scale for scale in scales_of(self.verdict)}

    @cached_property
    def _any_length(self) -> Verdict:
        return moved(self.verdict, {LENGTH: None}, {tag: {LENGTH: None} for tag in self.verdict.per_language})

    def look(self, batch: pa.RecordBatch) -> Batch:
        """Ask every rule about a batch."""
        tags = pc.fill_null(pc.struct_field(batch.column("language"), "lang"), UNDETERMINED).dictionary_encode()
        self._admit(tags.dictionary.to_pylist())
        rows = np.array([self.tags[tag] for tag in tags.dictionary.to_pylist()], np.int64)
        languages = rows[tags.indices.to_numpy()] if len(rows) else np.zeros(0, np.int64)
        found = tuple(self.verdict.look(batch))
        measured = measured_by(found, batch.num_rows)
        bands = np.searchsorted(LENGTHS, np.nan_to_num(measured[LENGTH]), side="right")
        against = np.zeros(batch.num_rows, np.int64)
        for one in found:
            against += one.speaks
        return Batch(languages, bands, found, measured, against)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch."""
        seen = self.look(batch)
        _count(self.posts, seen.languages, seen.bands)
        _count(self.kept, *_rows(seen, seen.against == 0))
        reasons = _by_reason(seen.found)
        given = np.sum(list(reasons.values()), axis=0)
        for name, speaks in reasons.items():
            for counts, rows in ((self.reasons, speaks), (self.alone, speaks & (given == 1))):
                _count(self._of(counts, name, len(BANDS)), *_rows(seen, rows))
        for key, scale in self.scales.items():
            others = seen.against - sum(one.speaks.astype(np.int64) for one in seen.found if one.key == key)
            if key == LENGTH:  # entropy is not asked of what is too short: under another length it may be
                others = np.sum([one.speaks for one in self._any_length.look(batch)], axis=0)
            self._place(seen, scale, others == 0)

    def _place(self, seen: Batch, scale: Scale, rows: Flags) -> None:
        places = scale.places(seen.measured[scale.key])
        size = len(scale.values) + 1
        _count(self._of(self.by_language, scale.key, size), seen.languages[rows], places[rows])
        without = self.without.setdefault(scale.key, np.zeros(len(BANDS), np.int64))
        without += np.bincount(seen.bands[rows], minlength=len(BANDS))
        rows &= self.common(scale.key)[seen.languages]
        lengths = self.by_length.setdefault(scale.key, np.zeros((len(BANDS), size), np.int64))
        _count(lengths, seen.bands[rows], places[rows])

    def common(self, key: str) -> Flags:
        """Tell of each language whether the common threshold is the one that holds for it."""
        return np.array([self.verdict.holder(key, tag) is None for tag in self.tags], np.bool_)

    def kept_at(self, key: str) -> Counts:
        """Return how many posts are kept at each place of a common threshold and, last, with the rule off."""
        free = self.common(key)
        return np.cumsum(self.by_language[key][free].sum(axis=0)) + self.kept[~free].sum()

    def kept_at_of(self, key: str, tag: str) -> Counts:
        """Return the same for one language, as if it had a threshold of its own."""
        return np.cumsum(self.by_language[key][self.tags[tag]])

    def kept_at_lengths(self, key: str) -> Counts:
        """Return the same of each length band under a common threshold, shape (bands, places + 1)."""
        held = self.kept[~self.common(key)].sum(axis=0)
        return np.cumsum(self.by_length[key], axis=1) + held[:, None]

    def languages(self, least: int = 1) -> Iterator[str]:
        """Yield the languages with so many posts, the most frequent first."""
        order = sorted(self.tags, key=lambda tag: (-int(self.posts[self.tags[tag]].sum()), tag))
        return (tag for tag in order if self.posts[self.tags[tag]].sum() >= least)

    def _admit(self, tags: list[str]) -> None:
        """Make room for languages that were not met before."""
        new = [tag for tag in tags if tag not in self.tags]
        self.tags |= {tag: len(self.tags) + number for number, tag in enumerate(new)}
        self.posts, self.kept = _longer(self.posts, len(new)), _longer(self.kept, len(new))
        for counts in (self.reasons, self.alone, self.by_language):
            counts.update({name: _longer(rows, len(new)) for name, rows in counts.items()})

    def _of(self, counts: dict[str, Counts], name: str, size: int) -> Counts:
        return counts.setdefault(name, np.zeros((len(self.tags), size), np.int64))


def measure(scored: Scored, verdict: Verdict) -> Curves:
    """Count all posts under a verdict; raise ConfigError when there are none."""
    curves = Curves(verdict)
    for batch in scored.batches():
        curves.add(batch)
    if not curves.posts.sum():
        raise ConfigError(f"{scored.folder or scored.files[0]}: no posts there to judge")
    return curves


def _by_reason(found: tuple[Found, ...]) -> dict[str, Flags]:
    reasons: dict[str, Flags] = {}
    for one in found:
        reasons[one.reason.value] = reasons.get(one.reason.value, False) | one.speaks
    return {reason.value: reasons[reason.value] for reason in Reason}


def _rows(seen: Batch, rows: Flags) -> tuple[Counts, Counts]:
    return seen.languages[rows], seen.bands[rows]


def _count(counts: Counts, rows: Counts, columns: Counts) -> None:
    """Add one at each (row, column)."""
    flat = np.bincount(rows * counts.shape[1] + columns, minlength=counts.size)
    counts += flat.reshape(counts.shape)


def _longer(counts: Counts, more: int) -> Counts:
    return np.pad(counts, ((0, more), (0, 0))) if more else counts
