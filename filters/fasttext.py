"""fastText: what classifiers that the user brings say of a post."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.kernels.fasttext_model import Model, predict_best, read_model
from filters.kernels.utf8 import utf8_buffers
from schemas.columns import FASTTEXT, FASTTEXT_ANSWER
from schemas.errors import SetupError

MAX_LABELS = 1000


@dataclass(frozen=True)
class Fasttext:
    """Give each post the likeliest labels of each of `models`, by the model's name; null without models.

    `models` names the files, `.bin` or `.ftz`, of supervised fastText models. Each reads the clean text as it stands,
    line breaks as spaces, and gives `labels_per_model` labels, the likeliest first, with the probability that fastText
    gives them. A model to which nothing in a post is known gives none.

    >>> from filters.language_lid import model_file
    >>> posts = pa.array([{"text": "Guten Morgen,\\nwie geht es dir heute?"}])
    >>> stage = Fasttext(models={"lid": str(model_file())})
    >>> [(one["model"], one["label"]) for one in stage(pa.record_batch({"clean_text": posts}))[0].as_py()["answers"]]
    [('lid', 'de')]
    """

    name: ClassVar[str] = "fasttext"
    reads: ClassVar[tuple[str, ...]] = ("clean_text",)
    output: ClassVar[pa.StructType] = FASTTEXT

    models: Mapping[str, str] = field(default_factory=dict, hash=False)  # name to file, which every worker can read
    labels_per_model: int = 1
    sha256: str | None = field(init=False, repr=False, default=None)  # of names and files
    files: tuple[tuple[str, str, str], ...] = field(init=False, repr=False, default=())  # name, path, sha256; by name

    def __post_init__(self) -> None:
        """Read the models once, here; raise ValueError for a wrong setting, SetupError for a file that is no model."""
        count = self.labels_per_model
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_LABELS:
            raise ValueError(f"'labels_per_model' must be a whole number from 1 to {MAX_LABELS}, got {count!r}")
        object.__setattr__(self, "models", _checked(self.models))
        files = tuple((name, str(Path(path).resolve()), _sha256(path)) for name, path in sorted(self.models.items()))
        for _, path, sha256 in files:
            _model(path, sha256)
        object.__setattr__(self, "files", files)
        if files:
            told = "".join(f"{name} {sha256}\n" for name, _, sha256 in files)
            object.__setattr__(self, "sha256", hashlib.sha256(told.encode()).hexdigest())

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry names and hashes alone: each process reads the models when it first needs them."""
        return _restored, (dict(self.models), self.labels_per_model, self.sha256, self.files)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the answers of all models for each row, shape (rows,); raise SetupError where a file changed."""
        if not self.files:
            return pa.nulls(batch.num_rows, self.output)
        texts = pc.struct_field(batch.column("clean_text"), "text")
        known = texts.is_valid().to_numpy(zero_copy_only=False)
        data, offsets = utf8_buffers(texts)
        labels, scores = [], []
        names: list[tuple[str, str]] = []
        for name, path, sha256 in self.files:
            model = _model(path, sha256)
            count = min(self.labels_per_model, len(model.labels))
            found, likely = predict_best(data, offsets, known, model, count)
            labels.append(np.where(found < 0, -1, found + len(names)))
            scores.append(likely)
            names += [(name, label) for label in model.labels]
        place = np.concatenate(labels, axis=1)
        told = place >= 0
        ends = np.append(0, np.cumsum(told.sum(axis=1))).astype(np.int32)
        taken = pa.array(place[told], pa.int32())
        columns = [pa.array(column, pa.string()).take(taken) for column in zip(*names, strict=True)]
        columns.append(pa.array(np.concatenate(scores, axis=1)[told]))
        answers = pa.StructArray.from_arrays(columns, fields=list(FASTTEXT_ANSWER))
        lists = pa.ListArray.from_arrays(pa.array(ends), answers).cast(FASTTEXT.field("answers").type)
        return pa.StructArray.from_arrays([lists], fields=list(self.output), mask=pa.array(~known))


def _restored(*parts: Any) -> Fasttext:
    stage = object.__new__(Fasttext)
    for name, part in zip(("models", "labels_per_model", "sha256", "files"), parts, strict=True):
        object.__setattr__(stage, name, part)
    return stage


def _checked(models: Any) -> dict[str, str]:
    if not isinstance(models, Mapping):
        raise ValueError(f"'models' must map names to files, got {models!r}")
    for name, path in models.items():
        if not isinstance(name, str) or not name or not isinstance(path, str) or not path:
            raise ValueError(f"'models' must map names to files, got {name!r}: {path!r}")
    return dict(models)


def _sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise ValueError(f"'models': {path} cannot be read: {said}: it must lie where every worker can") from None


@functools.lru_cache(maxsize=64)
def _model(path: str, sha256: str) -> Model:
    """Read a model once per process; raise SetupError for another file than the one the run began with."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SetupError(f"fasttext: {path}: {error.strerror}: put it where every worker can read it") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SetupError(f"fasttext: {path}: expected the file of sha256 {sha256[:16]}, got {found[:16]}")
    try:
        return read_model(content)
    except SetupError as error:
        raise SetupError(f"fasttext: {path}: {error}") from None
