"""Measure what `stages.language.lingua` buys and costs: real posts, and words, pairs and sentences held out of tatoeba.

python -m bench.lingua --rows 20000 --model DIR
"""

from __future__ import annotations

import argparse
import re
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lingua
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import prepare, record
from bench.prepare import say
from filters.clean_text import clean_strings
from filters.labelled import VALIDATION, part_of
from filters.language import Language
from filters.language_model import SHIPPED
from filters.language_names import bcp47
from schemas.columns import CLEAN_TEXT

PUBLISHED = {"words": 0.743, "pairs": 0.889, "sentences": 0.960}  # lingua's own, on test texts of its own
_WORDS = re.compile(r"[^\W\d_]{5,}")
_MOST = 2000  # texts of a kind


def main() -> None:
    """Measure, print, write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.lingua", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--rows", type=int, default=20_000)
    made.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    made.add_argument("--model", default=SHIPPED)
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = made.parse_args()
    machine = record.hardware(1)
    pa.set_cpu_count(1)
    posts = prepare.first_rows(prepare.post_files(asked.real_data), asked.rows)["text"].combine_chunks()
    tatoeba = pq.read_table(asked.real_data / "labelled" / "language" / "tatoeba_laser.train.parquet")
    stages = {"off": Language(model=asked.model), "on": Language(model=asked.model, lingua=True)}
    found: dict[str, Any] = {"posts": _measure(stages, clean_strings(posts.cast(pa.string()))[0], None)}
    for name, (texts, truth) in held_out(tatoeba).items():
        found[name] = _measure(stages, texts, truth)
    found["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, one in found.items():
        say(f"{name}: {one}")
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rows": asked.rows, "texts_of_a_kind": _MOST, "published": PUBLISHED},
        "inputs": found,
    }
    say(f"written to {record.write(result, 'lingua', asked.out).name}")


def held_out(table: pa.Table) -> dict[str, tuple[pa.Array, np.ndarray]]:
    """Return validation sentences of lingua's languages, and the words and pairs in the middle of them."""
    known = {one.iso_code_639_1.name.lower() for one in lingua.Language.all()}
    pairs = zip(table["text"].to_pylist(), map(bcp47, table["label"].to_pylist()), strict=True)
    rows = [(text, name) for text, name in pairs if name in known and part_of(text, True) == VALIDATION]
    rows = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))[:_MOST].tolist()]
    words = [(_WORDS.findall(text.lower()), name) for text, name in rows]
    cut = {
        kind: [(" ".join(own[(len(own) - count) // 2 :][:count]), name) for own, name in words if len(own) >= count]
        for kind, count in (("words", 1), ("pairs", 2))
    }
    kinds = {**cut, "sentences": rows}
    return {
        kind: (pa.array([text for text, _ in own]), np.array([name for _, name in own])) for kind, own in kinds.items()
    }


def _measure(stages: dict[str, Language], texts: pa.Array, truth: np.ndarray | None) -> dict[str, Any]:
    """Return cost in milliseconds per 1,000 texts, and right answers as a mean over languages, without and with."""
    out: dict[str, Any] = {"texts": len(texts)}
    rows = pa.StructArray.from_arrays([texts, pa.array(np.zeros(len(texts), np.bool_))], fields=list(CLEAN_TEXT))
    batch = pa.record_batch({"clean_text": rows})
    for name, stage in stages.items():
        stage(batch.slice(0, 50))
        began = time.process_time()
        told = np.array(stage(batch).field("lang").to_pylist())
        out[f"{name}_ms_per_1000"] = (time.process_time() - began) / len(texts) * 1e6
        if truth is not None:
            out[f"{name}_right"] = _mean(told, truth)
    return out


def _mean(told: np.ndarray, truth: np.ndarray) -> float:
    names: Sequence[str] = np.unique(truth).tolist()
    return float(np.mean([(told[truth == name] == name).mean() for name in names]))


if __name__ == "__main__":
    main()
