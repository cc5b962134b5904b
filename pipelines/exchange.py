"""Tables sent between numbered addresses: Spark carries and sorts the mail, Arrow and NumPy do the work.

A shuffle of rows costs the JVM microseconds for each of the two dozen keys of a post. A piece of mail is a whole Arrow
table for one address, so the JVM moves a few large values instead, and each address works on arrays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

MAIL = "address int, content binary"

Mail = Iterable[tuple[int, pa.Table]]  # address and what is sent there


def post(spark: SparkSession, addresses: int, write: Callable[[int], Mail]) -> DataFrame:
    """Let each of `addresses` senders write its first mail, one task each."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for sender in batch.column(0).to_pylist():
                yield from _sealed(write(sender))

    return spark.range(0, addresses, 1, addresses).mapInArrow(work, MAIL)


def answer(mail: DataFrame, addresses: int, work: Callable[[int, pa.Table], Mail]) -> DataFrame:
    """Deliver mail and let each address that got some work on all of it at once; return what it sends on.

    The tables an address gets come in no fixed order: what `work` returns must not depend on it.
    """

    def deliver(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for address, table in delivered(batches):
            yield from _sealed(work(address, table))

    return routed(mail, addresses).mapInArrow(deliver, MAIL)


def routed(mail: DataFrame, addresses: int) -> DataFrame:
    """Bring the mail of each address into one partition, an address each."""
    return mail.repartitionById(addresses, "address")


def delivered(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    """Open the mail of a partition and put together what each address got."""
    boxes: dict[int, list[pa.Table]] = defaultdict(list)
    for batch in batches:
        for address, content in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            boxes[address].append(pa.ipc.open_stream(content.as_buffer()).read_all())
    for address in sorted(boxes):
        yield address, pa.concat_tables(boxes.pop(address)).combine_chunks()


def sort_out(table: pa.Table, address: npt.NDArray[np.int64]) -> Mail:
    """Cut a table into mail by the address of each row; rows keep their order."""
    by_address = np.argsort(address, kind="stable")
    sorted_rows = table.take(by_address)
    ends = address[by_address]
    cuts = np.flatnonzero(ends[1:] != ends[:-1]) + 1
    for start, end in pairwise((0, *cuts.tolist(), len(ends))):
        if end > start:
            yield int(ends[start]), sorted_rows.slice(start, end - start)


def _sealed(mail: Mail) -> Iterator[pa.RecordBatch]:
    for address, table in mail:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        content = sink.getvalue()
        ends = pa.py_buffer(np.array([0, content.size], np.int32))
        letter = pa.Array.from_buffers(pa.binary(), 1, [None, ends, content])
        yield pa.RecordBatch.from_arrays([pa.array([address], pa.int32()), letter], ["address", "content"])
