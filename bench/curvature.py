"""Measure what a language model costs in the uncertain middle of `ai_text`, with decoders of random weights.

What such a model says means nothing; what it costs is what a trained one of its size costs.

python -m bench.curvature --rows 5000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from bench import prepare, record
from bench.prepare import say
from filters.ai_text import AiText
from filters.clean_text import clean_strings
from filters.curvature import FIT_FILE, MAX_TOKENS, MODEL_FILE, TOKENIZER_FILE, LanguageModel
from filters.evaluation import masked
from filters.language import Language
from filters.uncertain import MIDDLE, uncertain
from schemas.columns import CLEAN_TEXT

SIZES = {"4 layers of 256": (4, 256), "12 layers of 768": (12, 768)}  # the latter is GPT-2's smallest
PIECES = 32_768  # of the shipped tokenizer
BATCH = 16  # texts of nearly one length, for comparison: the stage asks one at a time

_MEMORY = """
import re, sys
from pathlib import Path
import pyarrow as pa
from filters.curvature import LanguageModel
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
LanguageModel.open(sys.argv[1]).measure(pa.array(["a word or two " * 100]))
print(peak() - before)
"""  # what a worker that reads the model needs for it, in MiB, with a text that is cut off at MAX_TOKENS


class Decoder:
    """Write down a decoder of random weights, one operation after the other."""

    def __init__(self, layers: int, width: int) -> None:
        """Draw the weights and connect them."""
        self.draws, self.kept, self.nodes = np.random.RandomState(0), list[Any](), list[Any]()
        self.width, self.heads = width, width // 64
        embedding, places = self.weights(PIECES, width), self.weights(MAX_TOKENS, width)
        state = self.do("Add", self.do("Gather", embedding, "input_ids"), self.do("Gather", places, "position_ids"))
        hidden = self.hidden()
        for _ in range(layers):
            state = self.do("Add", state, self.attention(self.normal(state), hidden))
            wide = self.do("Relu", self.do("MatMul", self.normal(state), self.weights(width, 4 * width)))
            state = self.do("Add", state, self.do("MatMul", wide, self.weights(4 * width, width)))
        turned = self.do("Transpose", embedding, perm=[1, 0])
        self.nodes.append(helper.make_node("MatMul", [self.normal(state), turned], ["logits"]))

    def do(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation; return the name of what it gives."""
        self.nodes.append(helper.make_node(kind, list(inputs), [f"step {len(self.nodes)}"], **attributes))
        return f"step {len(self.nodes) - 1}"

    def keep(self, value: Any) -> str:
        """Add a constant; return its name."""
        self.kept.append(numpy_helper.from_array(np.asarray(value), f"kept {len(self.kept)}"))
        return f"kept {len(self.kept) - 1}"

    def weights(self, rows: int, columns: int) -> str:
        """Add random weights."""
        return self.keep((self.draws.randn(rows, columns) / columns**0.5).astype(np.float32))

    def normal(self, state: str) -> str:
        """Add a layer normalisation."""
        ones = np.ones(self.width, np.float32)
        return self.do("LayerNormalization", state, self.keep(ones), self.keep(0 * ones), axis=-1)

    def hidden(self) -> str:
        """Add what hides the tokens to come, and those that fill a batch up."""
        length = self.do("Gather", self.do("Shape", "input_ids"), self.keep(np.int64(1)))
        line = self.do("Range", self.keep(np.int64(0)), length, self.keep(np.int64(1)))
        row, column = (self.do("Unsqueeze", line, self.keep(np.array([axis]))) for axis in (0, 1))
        far = self.keep(np.float32(-1e9))
        later = self.do("Mul", self.do("Cast", self.do("Greater", row, column), to=TensorProto.FLOAT), far)
        there = self.do("Cast", "attention_mask", to=TensorProto.FLOAT)
        filling = self.do("Mul", self.do("Sub", self.keep(np.float32(1)), there), far)
        return self.do("Add", later, self.do("Unsqueeze", filling, self.keep(np.array([1, 2]))))

    def attention(self, state: str, hidden: str) -> str:
        """Add causal attention with heads of 64."""
        parts = []
        for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
            found = self.do("MatMul", state, self.weights(self.width, self.width))
            cut = self.do("Reshape", found, self.keep(np.array([0, 0, self.heads, 64])))
            parts.append(self.do("Transpose", cut, perm=order))
        query, key, value = parts
        alike = self.do("Mul", self.do("MatMul", query, key), self.keep(np.float32(1 / 8)))
        looked = self.do("Softmax", self.do("Add", alike, hidden), axis=-1)
        turned = self.do("Transpose", self.do("MatMul", looked, value), perm=[0, 2, 1, 3])
        joined = self.do("Reshape", turned, self.keep(np.array([0, 0, self.width])))
        return self.do("MatMul", joined, self.weights(self.width, self.width))

    def save(self, path: Path) -> None:
        """Write the graph."""
        names, axes = ("input_ids", "attention_mask", "position_ids"), ["batch", "length"]
        given = [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in names]
        told = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*axes, PIECES])
        graph = helper.make_graph(self.nodes, "decoder", given, [told], self.kept)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def main() -> None:
    """Measure, print, write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.curvature", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--rows", type=int, default=5000)
    made.add_argument("--asked", type=int, default=200, help="posts of the middle that each model is asked about")
    made.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = made.parse_args()
    machine = record.hardware(1)
    pa.set_cpu_count(1)
    posts = prepare.first_rows(prepare.post_files(asked.real_data), asked.rows)["text"].combine_chunks()
    batch = _batch(clean_strings(posts.cast(pa.string()))[0])
    alone = AiText()
    scores = alone(batch).field("score")
    middle = np.flatnonzero(uncertain(scores, MIDDLE))
    found: dict[str, Any] = {
        "posts": batch.num_rows,
        "scored_share": 1 - scores.null_count / batch.num_rows,
        "middle_share": len(middle) / batch.num_rows,
    }
    few = batch.take(pa.array(middle[: asked.asked]))
    for name, (layers, width) in SIZES.items():
        found[name] = _measure(few, layers, width)
        found[name]["ms_per_1000_posts"] = found[name]["ms_per_asked"] * found["middle_share"] * 1000
        say(f"{name}: {found[name]}")
    config = {"rows": asked.rows, "asked": few.num_rows, "pieces": PIECES, "uncertain": MIDDLE, "batch": BATCH}
    result = {"hardware": machine, "versions": record.versions(), "config": config, "inputs": found}
    say(f"written to {record.write(result, 'curvature', asked.out).name}")


def _batch(texts: pa.Array) -> pa.RecordBatch:
    """Return what the stage reads: clean texts and their languages."""
    rows = pa.StructArray.from_arrays([texts, pa.array(np.zeros(len(texts), np.bool_))], fields=list(CLEAN_TEXT))
    batch = pa.record_batch({"clean_text": rows})
    return batch.append_column("language", Language()(batch))


def _measure(posts: pa.RecordBatch, layers: int, width: int) -> dict[str, Any]:
    """Return milliseconds of one core for each post that is asked about, by the stage and in batches, and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Decoder(layers, width).save(folder / MODEL_FILE)
        (folder / TOKENIZER_FILE).write_bytes(files("filters.models").joinpath("tokenizer/tokenizer.json").read_bytes())
        model = LanguageModel.open(name)
        fit = {"weights": {"style": 1, "curvature": 0, "bias": 0}}
        hashes = {"sha256": model.sha256, "style_sha256": AiText().sha256}
        (folder / FIT_FILE).write_text(json.dumps(fit | hashes), encoding="utf-8")
        stage = AiText(language_model=name)
        stage(posts.slice(0, 2))
        began = time.process_time()
        stage(posts)
        spent = time.process_time() - began
        memory = subprocess.run([sys.executable, "-c", _MEMORY, name], capture_output=True, text=True, check=True)
        return {
            "weights_mib": (folder / MODEL_FILE).stat().st_size / 2**20,
            "ms_per_asked": spent / posts.num_rows * 1000,
            "memory_mib": float(memory.stdout),
            **_in_batches(folder / MODEL_FILE, _tokens(folder, posts)),
        }


def _tokens(folder: Path, posts: pa.RecordBatch) -> list[list[int]]:
    """Return the tokens of the texts as the stage reads them, the short ones first."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    texts = masked(pc.struct_field(posts.column("clean_text"), "text")).to_pylist()
    return sorted((tokenizer.encode(text).ids[:MAX_TOKENS] for text in texts), key=len)


def _in_batches(path: Path, texts: list[list[int]]) -> dict[str, Any]:
    """Run texts of nearly one length together and alone: what it costs the model, and whether a bit differs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    seconds, answers = {}, {}
    for size in (1, BATCH):
        began = time.process_time()
        answers[size] = [row for at in range(0, len(texts), size) for row in _run(session, texts[at : at + size])]
        seconds[size] = time.process_time() - began
    unlike = sum(not np.array_equal(*pair) for pair in zip(answers[1], answers[BATCH], strict=True))
    return {
        "tokens": float(np.mean([len(text) for text in texts])),
        "ms_of_the_model_alone": seconds[1] / len(texts) * 1000,
        "ms_of_the_model_in_batches": seconds[BATCH] / len(texts) * 1000,
        "share_that_differs_in_batches": unlike / len(texts),
    }


def _run(session: Any, texts: list[list[int]]) -> list[np.ndarray]:
    """Return the last token's logits of each text."""
    longest = max(len(text) for text in texts)
    tokens = np.array([text + [0] * (longest - len(text)) for text in texts], np.int64)
    there = np.array([[1] * len(text) + [0] * (longest - len(text)) for text in texts], np.int64)
    places = np.broadcast_to(np.arange(longest), tokens.shape).copy()
    (logits,) = session.run(["logits"], {"input_ids": tokens, "attention_mask": there, "position_ids": places})
    return [row[len(text) - 1].copy() for row, text in zip(logits, texts, strict=True)]


if __name__ == "__main__":
    main()
