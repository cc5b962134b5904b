"""A tiny causal language model, a tokenizer trained and word pairs counted on the spot, as ONNX; and texts to tell."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from filters.ai_text import AiText
from filters.curvature import FIT_FILE, MODEL_FILE, TOKENIZER_FILE, LanguageModel

SLOTS = (
    ("the old", "a young", "my", "our", "that", "every"),
    ("baker", "teacher", "neighbour", "driver", "doctor", "sister", "captain", "farmer"),
    ("quietly", "often", "never", "gladly", "almost", "still"),
    ("sold", "found", "painted", "carried", "wanted", "mended", "borrowed"),
    ("a red", "the last", "some", "his", "her", "one broken"),
    ("kettle", "bicycle", "garden", "window", "letter", "ladder", "piano", "basket"),
    ("near", "behind", "after", "before", "without"),
    ("the harbour", "lunch", "midnight", "school", "the museum", "winter"),
)
INPUTS = ("input_ids", "attention_mask", "position_ids")


def sentences(count: int, seed: int) -> list[str]:
    """Return sentences of a grammar, from which pairs are counted."""
    draws = random.Random(seed)
    return [" ".join(draws.choice(slot) for slot in SLOTS) for _ in range(count)]


def people(count: int, seed: int) -> list[str]:
    """Return texts of the same words, some of them where no pair foretells them."""
    draws, texts = random.Random(seed), []
    for text in sentences(count, seed):
        words = text.split()
        for _ in range(3):
            words.insert(draws.randrange(len(words)), words.pop(draws.randrange(len(words))))
        texts.append(" ".join(words))
    return texts


class Causal:
    """The model as plain Python and NumPy: what the file that is written of it must answer too."""

    def __init__(self) -> None:
        """Train the tokenizer, count the pairs."""
        corpus = sentences(400, 0)
        self.tokenizer = Tokenizer(models.WordLevel(unk_token="?"))
        self.tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.tokenizer.train_from_iterator(corpus, trainers.WordLevelTrainer(special_tokens=["?"], show_progress=False))
        counts = np.full((self.pieces, self.pieces), 0.2)
        for text in corpus:
            tokens = self.tokenizer.encode(text).ids
            np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
        self.table: npt.NDArray[np.float32] = np.log(counts).astype(np.float32)

    @property
    def pieces(self) -> int:
        """Return how many words the model knows."""
        return int(self.tokenizer.get_vocab_size())

    def write(self, count: int, seed: int, words: int = 12) -> list[str]:
        """Return texts sampled from the model."""
        draws = np.random.default_rng(seed)
        chances = np.exp(self.table) / np.exp(self.table).sum(axis=1, keepdims=True)
        texts = []
        for _ in range(count):
            tokens = [int(draws.integers(1, self.pieces))]
            while len(tokens) < words:
                tokens.append(int(draws.choice(self.pieces, p=chances[tokens[-1]])))
            texts.append(" ".join(self.tokenizer.id_to_token(token) for token in tokens))
        return texts

    def save(self, folder: Path, inputs: Sequence[str] = INPUTS[:1], **graph: Any) -> Path:
        """Write model and tokenizer to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / TOKENIZER_FILE))
        onnx.save(pairs(self.table, inputs, **graph), folder / MODEL_FILE)
        return folder


def pairs(table: npt.NDArray[Any], inputs: Sequence[str], output: str = "logits", rank: int = 3) -> onnx.ModelProto:
    """Return a graph that looks up what follows each token; further inputs are added with no weight."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["found"])]
    if rank == 2:
        nodes.append(helper.make_node("ReduceMean", ["found"], ["looked"], axes=[1], keepdims=0))
    else:
        nodes.append(helper.make_node("Identity", ["found"], ["looked"]))
    last = "looked"
    for name in inputs[1:]:
        nodes += [
            helper.make_node("Cast", [name], [f"{name} cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name} cast", "zero"], [f"{name} none"]),
            helper.make_node("Unsqueeze", [f"{name} none", "end"], [f"{name} wide"]),
            helper.make_node("Add", [last, f"{name} wide"], [f"{name} added"]),
        ]
        last = f"{name} added"
    nodes.append(helper.make_node("Identity", [last], [output]))
    axes = ["batch", *(["length"] if rank == 3 else []), table.shape[1]]
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in inputs]
    kept = {"table": table, "zero": np.float32(0), "end": np.array([2], np.int64)}
    graph = helper.make_graph(
        nodes,
        "pairs",
        given,
        [helper.make_tensor_value_info(output, helper.np_dtype_to_tensor_dtype(table.dtype), axes)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in kept.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def fitted(folder: Path, weights: Sequence[float] = (1.0, 1.0, 0.0), **others: str) -> Path:
    """Write a fit of chosen weights into a language model's folder."""
    hashes = {"sha256": LanguageModel.open(str(folder)).sha256, "style_sha256": AiText().style.sha256}
    named = dict(zip(("style", "curvature", "bias"), weights, strict=True))
    (folder / FIT_FILE).write_text(json.dumps({"weights": named, **hashes, **others}), encoding="utf-8")
    return folder
