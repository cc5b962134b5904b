"""Curvature: how much likelier a causal language model finds a text than what it would have written there itself.

Source: Bao, Zhao, Teng, Yang, Zhang, "Fast-DetectGPT", ICLR 2024, the analytic form for one model that both scores and
samples. The model lies in a local folder, as `optimum-cli export onnx --task text-generation` writes it.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import SetupError

MODEL_FILE, TOKENIZER_FILE, FIT_FILE = "model.onnx", "tokenizer.json", "curvature.json"
MAX_TOKENS = 256  # of a text that are read: 50 MB of logits at a vocabulary of 50,000
_ROWS = 32  # tokens whose logits are worked on at once
_FLOOR = -1e4  # logits below the largest by more are as good as impossible
LIMIT = 30.0  # of a curvature, either way: a text that lies further out says no more
_GIVEN = ("input_ids", "attention_mask", "position_ids")
_OUTPUT = "logits"

Floats = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LanguageModel:
    """A folder with `model.onnx` and `tokenizer.json`; every process reads it when it first needs it."""

    path: str
    sha256: str  # of all files in the folder but FIT_FILE and pages, with their names

    @classmethod
    def open(cls, folder: str) -> LanguageModel:
        """Read the model and try it; raise SetupError for a folder without one, or with one that does not fit."""
        for name in (MODEL_FILE, TOKENIZER_FILE):
            if not (Path(folder) / name).is_file():
                raise SetupError(f"ai_text: no language model in {folder}: expected {MODEL_FILE} and {TOKENIZER_FILE}")
        model = cls(str(Path(folder).resolve()), _sha256(folder))
        _reader(model.path, model.sha256)
        return model

    def measure(self, texts: pa.Array) -> Floats:
        """Return the curvature of each text, NaN where there is none; equal texts are asked once. Shape: (rows,).

        Raises SetupError where the folder is another than the one that was opened, ValueError for logits that are no
        numbers.
        """
        distinct = texts.dictionary_encode()
        reader = _reader(self.path, self.sha256)
        found = [reader.measure(text) for text in distinct.dictionary.to_pylist()]
        places = distinct.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
        return np.array([*found, np.nan])[places]


@dataclass(frozen=True)
class _Reader:
    """A tokenizer and a running model. One text at a time: a text's bits must not depend on what stands beside it."""

    tokenizer: Any
    session: Any
    inputs: tuple[str, ...]

    def measure(self, text: str) -> float:
        return conditional_curvature(*self.read(np.array(self.tokenizer.encode(text).ids[:MAX_TOKENS], np.int64)))

    def read(self, tokens: Tokens) -> tuple[npt.NDArray[np.float32], Tokens]:
        """Return what the model foresees for each token but the first, and these. Shapes: (n - 1, v), (n - 1,)."""
        if len(tokens) < 2:
            return np.zeros((0, 1), np.float32), tokens[:0]
        ones = np.ones_like(tokens)
        given = dict(zip(_GIVEN, (tokens, ones, np.cumsum(ones) - 1), strict=True))
        (logits,) = self.session.run([_OUTPUT], {name: given[name][None] for name in self.inputs})
        return logits[0, :-1], tokens[1:]


def conditional_curvature(logits: npt.NDArray[Any], tokens: Tokens) -> float:
    """Return (log p(tokens) - its expectation) / its deviation, both under the model itself; NaN where that is 0 / 0.

    Shapes: (n, vocabulary), (n,). Raises ValueError for logits that are NaN or infinitely likely.

    >>> even = np.zeros((3, 2))  # a coin has no curvature: each side is as likely as expected
    >>> conditional_curvature(even, np.array([0, 1, 0]))
    nan
    >>> uneven = np.log([[0.8, 0.2]])  # (ln .8 - mean) / deviation, where the mean is .8 ln .8 + .2 ln .2
    >>> round(conditional_curvature(uneven, np.array([0])), 3), round(conditional_curvature(uneven, np.array([1])), 3)
    (0.5, -2.0)
    """
    gap, spread = 0.0, 0.0
    for start in range(0, len(tokens), _ROWS):
        part = logits[start : start + _ROWS].astype(np.float32)
        most = part.max(axis=1, keepdims=True, initial=-np.inf)
        if not np.isfinite(most).all():
            raise ValueError("the language model's logits are no numbers")
        part -= most
        np.maximum(part, _FLOOR, out=part)  # 0 times -infinity is no number
        said = part[np.arange(len(part)), tokens[start : start + _ROWS]]
        likely = np.exp(part)
        total = likely.sum(axis=1, dtype=np.float64)
        likely *= part
        mean = likely.sum(axis=1, dtype=np.float64) / total
        likely *= part
        variance = likely.sum(axis=1, dtype=np.float64) / total - mean * mean
        gap += float((said - mean).sum())
        spread += float(np.maximum(variance, 0).sum())
    if spread < 1e-9:
        return np.nan
    return float(np.clip(gap / np.sqrt(spread), -LIMIT, LIMIT))


def _sha256(folder: str) -> str:
    """Return the hash of names and contents: a model may keep its weights in any file beside it."""
    told = hashlib.sha256()
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.is_file() and path.suffix != ".md")
        for path in files:
            if path.name != FIT_FILE and not path.name.startswith("."):
                with path.open("rb") as file:
                    told.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        said = f"{error.filename} cannot be read: {error.strerror}"
        raise SetupError(f"ai_text: language model: {said}: put it where every worker can read it") from None
    return told.hexdigest()


@functools.lru_cache(maxsize=2)
def _reader(path: str, sha256: str) -> _Reader:
    """Read a model once per process and try it on a long text; raise SetupError for another one than was opened."""
    where = f"ai_text: language model in {path}"
    found = _sha256(path)
    if found != sha256:
        raise SetupError(f"{where}: expected files of sha256 {sha256[:16]}, got {found[:16]}")
    tokenizer, session = _tokenizer(where, path), _session(where, path)
    inputs = tuple(one.name for one in session.get_inputs())
    if strange := set(inputs) - set(_GIVEN):
        raise SetupError(
            f"{where}: {MODEL_FILE} asks for {', '.join(sorted(strange))}: expected {', '.join(_GIVEN)} alone: export "
            "it with --task text-generation, which keeps no past"
        )
    if "input_ids" not in inputs or _OUTPUT not in {one.name for one in session.get_outputs()}:
        raise SetupError(f"{where}: {MODEL_FILE} is no causal language model: expected input_ids in, {_OUTPUT} out")
    reader = _Reader(tokenizer, session, inputs)
    _try(where, reader)
    return reader


def _try(where: str, reader: _Reader) -> None:
    """Run the model on texts of two and of MAX_TOKENS tokens; raise SetupError unless it foresees each token."""
    pieces = 1 + max(reader.tokenizer.get_vocab().values(), default=0)
    for count in (2, MAX_TOKENS):
        try:
            logits, tokens = reader.read(np.arange(count, dtype=np.int64) % pieces)
            shape = logits.shape
            if logits.ndim != 2 or len(logits) != count - 1:
                raise ValueError(f"expected {_OUTPUT} of shape (1, {count}, vocabulary), got (.., {shape})")
            if shape[1] < pieces:
                raise ValueError(f"{TOKENIZER_FILE} has {pieces} pieces, the model knows {shape[1]}: not of one model")
            conditional_curvature(logits, tokens)
        except Exception as error:
            raise SetupError(f"{where}: it fails on {count} tokens: {_first_line(error)}") from None


def _tokenizer(where: str, path: str) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(Path(path) / TOKENIZER_FILE))
    except Exception as error:  # the package raises nothing narrower
        raise SetupError(f"{where}: {TOKENIZER_FILE} cannot be read: {_first_line(error)}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _session(where: str, path: str) -> Any:
    """Open the model on one core: Spark has a process for each, and more would share sums out another way."""
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError:
        raise SetupError("ai_text: 'language_model' needs a package: pip install 'swarmfeed[lm]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # it would keep the largest text's buffers for each length it has met
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(Path(path) / MODEL_FILE), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common ancestor but this
        raise SetupError(f"{where}: {MODEL_FILE} cannot be read: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
