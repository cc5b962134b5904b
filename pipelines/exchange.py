"""Work spread over numbered tasks that leave each other Arrow files: Spark schedules, the files carry.

A shuffle of rows costs the JVM microseconds for each of the two dozen keys of a post. Here a task writes one file of
numbered boxes into the staging folder, a record batch each, and a later task maps its own box of every such file into
memory: no row passes through the JVM, and nothing is copied. A task that runs twice leaves two files; only the one that
its answer names is ever read.
"""

from __future__ import annotations

import ctypes
import gc
import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

Boxes = npt.NDArray[np.int64]
T = TypeVar("T")

ANSWER = "task long, said binary"


class Run(Protocol):
    """Does tasks 0 to `count` - 1, somewhere and in any order, and returns what each says of its work, in order."""

    def __call__(self, count: int, work: Callable[[int], T], even: bool = False) -> list[T]:
        """Do the work; `even` tasks are of about one size, so that they can be shared out beforehand."""
        ...


def on_executors(spark: SparkSession) -> Run:
    """Let Spark's executors do the tasks: one Spark task each, or one a core where they are even.

    A Spark task costs some 40 ms to hand out, which is more than many of ours take.
    """
    cores = spark.sparkContext.defaultParallelism

    def run(count: int, work: Callable[[int], T], even: bool = False) -> list[T]:
        def answers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for task in batch.column(0).to_pylist():
                    yield answer(task, work(task))
            settle()
            give_back()

        slices = min(count, cores) if even else count
        return collect(spark.range(0, count, 1, slices).mapInArrow(answers, ANSWER)) if count else []

    return run


def in_this_process(count: int, work: Callable[[int], T], even: bool = False) -> list[T]:
    """Do the tasks here, one after the other: what a test or a small machine needs no Spark for."""
    return [work(task) for task in range(count)]


def in_groups(run: Run, sizes: Sequence[int], full: int, work: Callable[[int], T]) -> list[T]:
    """Do the task of each size, several small ones together in one of `run`'s; `full` is the size that stands alone.

    What there is to do is seldom even: thousands of small files would cost more to hand out than to read.
    """
    groups: list[list[int]] = []
    room = 0
    for task, size in enumerate(sizes):
        if not groups or size > room:
            groups.append([])
            room = full
        groups[-1].append(task)
        room -= size
    done = run(len(groups), lambda number: [work(task) for task in groups[number]])
    return [one for some in done for one in some]


def give_back() -> None:
    """Return to the system what allocators keep of a task's memory.

    A worker of a stream lives for months: it would come to hold what the largest of its tasks took, for each allocator.
    """
    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """Return what makes the C library's allocator give back free pages; None where it has no such call."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


@cache
def settle() -> None:
    """Take what a worker has loaded out of the garbage collector's sight, and leave it one thread, once per process.

    PySpark's workers collect garbage after every task: a tenth of a second for what Numba and the models keep alive.
    Spark counts on one core a task, and each of Arrow's threads has a heap that keeps what it once took.
    """
    pa.set_cpu_count(1)
    gc.collect()
    gc.freeze()


def answer(task: int, said: object) -> pa.RecordBatch:
    """Wrap what a task says, so that Spark can carry it."""
    return pa.RecordBatch.from_pydict({"task": [task], "said": [pickle.dumps(said)]})


def collect(answers: DataFrame) -> list[Any]:
    """Run the tasks of a frame of ANSWER and return what each says, in order."""
    return [pickle.loads(row.said) for row in sorted(answers.collect(), key=lambda row: row.task)]


def new_file(folder: str | Path, name: str) -> Path:
    """Return a path in `folder` that no other task or attempt uses; make the folder."""
    path = Path(folder) / f"{name}-{uuid.uuid4().hex}.arrow"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_boxes(path: Path, rows: pa.RecordBatch, box: Boxes, count: int) -> None:
    """Write rows into a file of `count` boxes by the box of each; rows keep their order within a box."""
    small = box.astype(np.uint8 if count <= 1 << 8 else np.uint16 if count <= 1 << 16 else np.int64)
    by_box = np.argsort(small, kind="stable")  # numpy sorts the small types by radix
    ends = np.cumsum(np.bincount(small, minlength=count))
    ordered = rows.take(pa.array(by_box))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as file:
        for start, end in zip((0, *ends[:-1].tolist()), ends.tolist(), strict=True):
            file.write_batch(ordered.slice(start, end - start))


def read_boxes(path: str | Path, boxes: Iterable[int]) -> pa.Table:
    """Map some boxes of a file into memory and return their rows, box after box."""
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    return pa.Table.from_batches([file.get_batch(box) for box in boxes], file.schema)


def read_box(paths: Iterable[str | Path], box: int) -> pa.Table:
    """Put together what several files hold for one box; there is at least one file."""
    return pa.concat_tables([read_boxes(path, (box,)) for path in paths])


def write_rows(path: Path, rows: pa.Table | pa.RecordBatch) -> None:
    """Write rows as one Arrow file that `map_rows` reads without a copy."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as file:
        file.write(rows)


def map_rows(path: str | Path) -> pa.Table:
    """Map an Arrow file into memory and return its rows."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
