"""Run datatrove's own pipeline over a folder of posts; print one JSON line. Runs in the peer's environment.

The layout is that of the project's published recipes: annotate and write, MinHash signatures, buckets, clusters, then
filter, redact and tokenise; with --only-minhash, the four MinHash steps alone. Each step's clock runs from its first
read to its last write: starting its processes, importing its modules and loading its models are all left out of it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.filters import (
    FastTextClassifierFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader, ParquetReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.typeshelper import Languages
from datatrove.utils.word_tokenizers import load_word_tokenizer

PACKAGES = ("datatrove", "fasttext-numpy2-wheel", "spacy", "tokenizers", "pyarrow", "numpy", "orjson", "xxhash")
MINHASH = MinhashConfig()  # 14 buckets of 8 hashes over 5-word shingles, 64-bit xxhash: the library's defaults


class FirstRead(PipelineStep):
    """Load what the worker's steps load lazily, then note the time: the step's clock starts here."""

    name = "first read"
    type = "clock"

    def __init__(self, folder: Path, load: tuple[tuple[object, str], ...] = (), words: bool = False):
        super().__init__()
        self.folder = str(folder)
        self.load = load  # (owner, name of the lazy property)
        self.words = words

    def run(self, data: object = None, rank: int = 0, world_size: int = 1) -> object:
        """Hand the data on untouched."""
        for owner, name in self.load:
            getattr(owner, name)
        if self.words:
            load_word_tokenizer(Languages.english).word_tokenize("a first word")
        _stamp(self.folder, "first", rank)
        return data


class LastWrite(PipelineStep):
    """Draw the data through every step before, then note the time: the step's clock stops here."""

    name = "last write"
    type = "clock"

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = str(folder)

    def run(self, data: object = None, rank: int = 0, world_size: int = 1) -> None:
        """Consume the data: a writer closes its files when its input ends."""
        if data is not None:
            deque(data, maxlen=0)  # type: ignore[call-overload]
        _stamp(self.folder, "last", rank)


def _stamp(folder: str, name: str, rank: int) -> None:
    Path(folder, f"{name}-{rank:05d}").write_text(repr(time.monotonic()))  # one clock for all processes of a machine


class LabelRepetition(GopherRepetitionFilter):
    """Evaluate the Gopher repetition rules and note the outcome; keep the post."""

    def filter(self, doc):  # type: ignore[no-untyped-def]
        """Return True."""
        doc.metadata["gopher_repetition"] = _outcome(super().filter(doc))
        return True


class LabelQuality(GopherQualityFilter):
    """Evaluate the Gopher quality rules and note the outcome; keep the post."""

    def filter(self, doc):  # type: ignore[no-untyped-def]
        """Return True."""
        doc.metadata["gopher_quality"] = _outcome(super().filter(doc))
        return True


def _outcome(answer: bool | tuple[bool, str]) -> str:
    return answer[1] if isinstance(answer, tuple) else "passed"


def annotate_steps(arguments: argparse.Namespace, clock: Path) -> list[PipelineStep]:
    """Language, repetition and quality rules, three fastText models; every post is written with what was found."""
    language = LanguageFilter(label_only=not arguments.drop, language_threshold=0.0)
    language.model.MODEL_URL = str(arguments.language_model)  # the address of the download otherwise
    # an empty list rather than none at all: 0.10.1 adds the two lists of labels up while it loads the model
    classifiers = [FastTextClassifierFilter(str(path), remove_labels=[]) for path in arguments.classifier]
    rules = [GopherRepetitionFilter(), GopherQualityFilter()] if arguments.drop else [LabelRepetition(), LabelQuality()]
    lazy = ((language.model, "model"), *((classifier, "model") for classifier in classifiers))
    return [
        FirstRead(clock, lazy, words=True),
        ParquetReader(str(arguments.input), glob_pattern="*.parquet"),
        language,
        *rules,
        *classifiers,
        JsonlWriter(str(arguments.work / "annotated"), compression=None),
    ]


def _reader(arguments: argparse.Namespace) -> PipelineStep:
    """Read what the first step wrote; without it the input, `id` and `text` alone."""
    if arguments.only_minhash:
        return ParquetReader(str(arguments.input), glob_pattern="*.parquet", read_metadata=False)
    return JsonlReader(str(arguments.work / "annotated"))


def signature_steps(arguments: argparse.Namespace, clock: Path) -> list[PipelineStep]:
    """MinHash signatures of every post."""
    signatures = MinhashDedupSignature(str(arguments.work / "signatures"), config=MINHASH)
    return [
        FirstRead(clock, ((signatures.word_tokenizer, "tokenizer"),)),
        _reader(arguments),
        signatures,
    ]


def bucket_steps(arguments: argparse.Namespace, clock: Path) -> list[PipelineStep]:
    """Pairs of posts that share a bucket."""
    work = arguments.work
    return [FirstRead(clock), MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=MINHASH)]


def cluster_steps(arguments: argparse.Namespace, clock: Path) -> list[PipelineStep]:
    """Clusters of those pairs, and which posts to remove."""
    work = arguments.work
    return [FirstRead(clock), MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=MINHASH)]


def finish_steps(arguments: argparse.Namespace, clock: Path) -> list[PipelineStep]:
    """The tokens of the posts that stay, redacted. The posts themselves are written once, by the first step."""
    tokens = DocumentTokenizer(str(arguments.work / "tokens"), str(arguments.tokenizer), shuffle_documents=False)
    return [
        FirstRead(clock, ((tokens, "tokenizer"),)),
        _reader(arguments),
        MinhashDedupFilter(str(arguments.work / "remove")),
        PIIFormatter(),
        tokens,
    ]


def filter_steps(arguments: argparse.Namespace, clock: Path) -> list[PipelineStep]:
    """The ids of the posts that stay, a line each: no text is written again."""
    return [
        FirstRead(clock),
        _reader(arguments),
        MinhashDedupFilter(str(arguments.work / "remove")),
        JsonlWriter(str(arguments.work / "kept"), compression=None, adapter=_only_id),
    ]


def _only_id(_: DiskWriter, document: Document) -> dict[str, str]:
    return {"id": document.id}


Steps = Callable[[argparse.Namespace, Path], list[PipelineStep]]
Stages = tuple[tuple[str, Steps, int | None], ...]  # name, its steps, how many tasks (None: one per worker)
SEARCH: Stages = (
    ("signatures", signature_steps, None),
    ("buckets", bucket_steps, MINHASH.num_buckets),
    ("clusters", cluster_steps, 1),
)
STAGES: Stages = (("annotate", annotate_steps, None), *SEARCH, ("finish", finish_steps, None))
ONLY_MINHASH: Stages = (*SEARCH, ("filter", filter_steps, None))


class Stage(TypedDict):
    """What one executor's run says: its seconds by our clock, and datatrove's own statistics of each step."""

    seconds: float
    steps: list[dict[str, Any]]


def run_stage(arguments: argparse.Namespace, name: str, steps: Steps, tasks: int) -> Stage:
    """Run one executor to its end; its seconds count from its first worker's start to the last one's last write."""
    clock = arguments.work / "clock" / name
    clock.mkdir(parents=True)
    logs = arguments.work / "logs" / name
    pipeline = [*steps(arguments, clock), LastWrite(clock)]
    LocalPipelineExecutor(
        pipeline, tasks=tasks, workers=min(arguments.workers, tasks), logging_dir=str(logs), skip_completed=False
    ).run()
    first = min(float(path.read_text()) for path in clock.glob("first-*"))
    last = max(float(path.read_text()) for path in clock.glob("last-*"))
    statistics = json.loads((logs / "stats.json").read_text())
    return {"seconds": last - first, "steps": statistics}


def parse() -> argparse.Namespace:
    """Read the call; the models are for the whole pipeline alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="folder of Parquet files, one per worker")
    parser.add_argument("--work", type=Path, required=True, help="folder to write to; emptied first")
    parser.add_argument("--language-model", type=Path)
    parser.add_argument("--classifier", type=Path, action="append")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--drop", action="store_true", help="let the rules drop posts, as they do by default")
    parser.add_argument("--only-minhash", action="store_true", help="signatures, buckets, clusters and filter alone")
    arguments = parser.parse_args()
    if not arguments.only_minhash and not (arguments.language_model and arguments.classifier and arguments.tokenizer):
        parser.error("--language-model, --classifier and --tokenizer are needed, or --only-minhash")
    return arguments


def main() -> None:
    """Run the stages and print the summary."""
    began = time.monotonic()
    arguments = parse()
    shutil.rmtree(arguments.work, ignore_errors=True)
    stages = {}
    for name, steps, tasks in ONLY_MINHASH if arguments.only_minhash else STAGES:
        if name != "annotate" and not arguments.only_minhash and not list((arguments.work / "annotated").glob("*")):
            break  # the rules dropped every post: the readers of the later steps refuse an empty folder
        stages[name] = run_stage(arguments, name, steps, tasks or arguments.workers)
    print(json.dumps(summary(stages, time.monotonic() - began)))


def summary(stages: dict[str, Stage], whole_seconds: float) -> dict[str, object]:
    """Add up the stages. Start-up is whatever the stages' clocks did not cover."""
    seconds = sum(stage["seconds"] for stage in stages.values())
    posts = _total(next(iter(stages.values())), "READER", "documents")
    last = stages.get("finish", stages.get("filter"))
    return {
        "posts": posts,
        "kept": _total(last, "DEDUP", "forwarded"),
        "tokens": None if "filter" in stages else _total(last, "TOKENIZER", "tokens"),
        "seconds": seconds,
        "startup_seconds": whole_seconds - seconds,
        "posts_per_second": posts / seconds,
        "stage_seconds": {name: round(stage["seconds"], 3) for name, stage in stages.items()},
        "step_seconds": {name: _step_seconds(stage) for name, stage in stages.items()},  # summed over the workers
        "minhash": str(MINHASH),
        "versions": {
            "python": sys.version.split()[0],
            **{package: importlib.metadata.version(package) for package in PACKAGES},
        },
    }


def _total(stage: Stage | None, kind: str, label: str) -> int:
    """Add up one of datatrove's own counters over the steps of a kind; 0 when the stage was not reached."""
    if stage is None:
        return 0
    counts = [step["stats"][label] for step in stage["steps"] if kind in step["name"] and label in step["stats"]]
    return int(sum(count["total"] if isinstance(count, dict) else count for count in counts))


def _step_seconds(stage: Stage) -> dict[str, float]:
    """Return datatrove's own time of each step, by its name without the ornament; steps of one name are numbered."""
    found: dict[str, float] = {}
    for position, step in enumerate(stage["steps"]):
        seconds = step["time_stats"]["total"] if isinstance(step["time_stats"], dict) else 0.0
        name = " ".join(word for word in step["name"].split() if word.isascii())
        if "clock" not in name:
            found[f"{position} {name}"] = round(seconds, 3)
    return found


if __name__ == "__main__":
    main()
