"""What labels say of thresholds: how many of the posts that one rejects deserve it, and how many of those it finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from filters.verdict import Verdict
from pipelines.calibration.scales import Scale, measured_by, scales_of
from pipelines.calibration.scored import Scored
from pipelines.labelling.sample import count_strata
from schemas.errors import ConfigError

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """A question of the rubric, and from which answer on a post deserves to be rejected for it."""

    name: str
    bound: float
    above: bool


# Of the rubric's five steps: "rude or demeaning" is the third; what nobody can say is no machine; "ordinary" is kept.
TOXIC = Mark("toxicity", 0.6, above=True)
MACHINE = Mark("machine_written", 0.8, above=True)
POOR = Mark("quality", 0.4, above=False)
_MARKS: Mapping[str, Mark | None] = {
    "toxicity.score": TOXIC,
    "ai_text.score": MACHINE,
    "contamination.score": None,
    "duplicates.cluster_size": None,
    "duplicates.cluster_authors": None,
    "duplicates.copy": None,
}


@dataclass(frozen=True)
class Judgement:
    """Precision and recall of one rule at each place of its scale; NaN where nothing is rejected, or deserves it."""

    mark: str
    posts: int  # labelled ones, unweighted
    deserving: float  # share of the posts, weighted
    rejected: npt.NDArray[np.int64]  # labelled posts rejected at each place, unweighted
    precision: Shares
    recall: Shares


@dataclass(frozen=True)
class Labels:
    """Posts that were labelled: ids, marks, and for how many posts of the folder each stands."""

    ids: pa.Array
    marks: Mapping[str, Shares]
    weights: Shares


def read_labels(path: Path, folder: Path | None) -> Labels:
    """Read a file of `swarmfeed label`; raise ConfigError where it is none.

    A label stands for as many posts as its stratum has for each label. Without a folder each stands for itself.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no Parquet"
        raise ConfigError(f"--labels {path}: expected a file that `swarmfeed label` wrote: {reason}") from None
    wanted = [mark.name for mark in (TOXIC, MACHINE, POOR)]
    missing = [name for name in ("id", *wanted) if name not in table.column_names]
    if missing:
        raise ConfigError(f"--labels {path}: no column {missing[0]!r}; expected a file that `swarmfeed label` wrote")
    try:
        columns = {name: np.asarray(table.column(name).cast(pa.float64()), np.float64) for name in wanted}
        ids = table.column("id").cast(pa.string()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ConfigError(f"--labels {path}: expected text as `id` and numbers as {', '.join(wanted)}") from None
    weights = np.ones(len(ids))
    if folder is not None and "stratum" in table.column_names:
        weights = _weights(table.column("stratum").to_pylist(), count_strata(folder))
    return Labels(ids, columns, weights)


def _weights(strata: list[str | None], sizes: Counter[str]) -> Shares:
    """Return how many posts each label stands for.

    >>> _weights(["en", "en", "fr", None], Counter({"en": 10, "fr": 3})).tolist()
    [5.0, 5.0, 3.0, 1.0]
    """
    labelled = Counter(strata)
    return np.array([sizes[name] / labelled[name] if name in sizes else 1.0 for name in strata])


def judge(scored: Scored, verdict: Verdict, labels: Labels) -> dict[str, Judgement]:
    """Return what the labels say of each threshold, copies left out as they are of a sample.

    Raises ConfigError when none of the labelled posts is among the scored ones.
    """
    scales = [scale for scale in scales_of(verdict) if _mark(scale) is not None]
    rows: list[npt.NDArray[np.int64]] = []
    places: dict[str, list[npt.NDArray[np.int64]]] = {scale.key: [] for scale in scales}
    for batch in scored.batches(("id",)):
        if "id" not in batch.schema.names:
            raise ConfigError(f"{scored.files[0]}: no column 'id' there, by which labels are told apart")
        original = pc.is_null(pc.struct_field(batch.column("duplicates"), "kind"))
        chosen = batch.filter(pc.and_(pc.is_in(batch.column("id"), value_set=labels.ids), original))
        measured = measured_by(verdict.look(chosen), chosen.num_rows)
        rows.append(pc.index_in(chosen.column("id"), value_set=labels.ids).to_numpy().astype(np.int64))
        for scale in scales:
            places[scale.key].append(scale.places(measured[scale.key]))
    found = np.concatenate(rows)
    if not len(found):
        raise ConfigError("--labels: none of the labelled posts is among the scored ones")
    return {scale.key: _judgement(scale, np.concatenate(places[scale.key]), found, labels) for scale in scales}


def _judgement(scale: Scale, places: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], labels: Labels) -> Judgement:
    mark = _mark(scale)
    assert mark is not None
    marks = labels.marks[mark.name][rows]
    told = ~np.isnan(marks)
    marks, places, weights = marks[told], places[told], labels.weights[rows][told]
    bad = marks >= mark.bound - 1e-6 if mark.above else marks <= mark.bound + 1e-6  # shares of five, rounded
    size = len(scale.values) + 1

    def rejected(weight: Shares) -> Shares:
        counts = np.bincount(places, weight, minlength=size)
        return counts.sum() - np.cumsum(counts)[:-1]

    with np.errstate(invalid="ignore", divide="ignore"):
        of_all, of_bad = rejected(weights), rejected(weights * bad)
        whole, deserving = float(weights.sum()), float((weights * bad).sum())
        return Judgement(
            mark=mark.name,
            posts=len(marks),
            deserving=deserving / whole if whole else float("nan"),
            rejected=np.rint(rejected(np.ones(len(marks)))).astype(np.int64),
            precision=np.where(of_all > 1e-9, of_bad / of_all, np.nan),
            recall=np.where(deserving > 0, of_bad / deserving, np.nan),
        )


def _mark(scale: Scale) -> Mark | None:
    """Return the question that a rule answers to; whatever looks at the text alone, to its quality."""
    return _MARKS.get(scale.rule.measure, POOR)
