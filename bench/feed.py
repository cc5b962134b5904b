"""Pack the real threads, read them as fast as a bare scan does, and go on exactly where a kill -9 came.

python -m bench.feed --kills 100
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import record, side
from bench.feed_kills import MEMBER, RANKS, SEED, kill_all
from bench.prepare import BenchError, say
from bench.record import Target
from pipelines.feed import TokenFeed
from pipelines.feeding.groups import COLUMNS
from pipelines.feeding.order import Order
from pipelines.feeding.versions import Member
from pipelines.tokens import sets
from pipelines.tokens.packed import Published, fill, finish_packed, write_packed
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.tokens import DOCUMENT, Manifest

FILL, RATIO = 0.98, 0.7
CONTEXTS = (512, 2048, 8192, 32_768, 131_072)
CONTEXT = 8192
KILL_CONTEXT = 2048


def threads(real_data: Path) -> Iterator[pa.RecordBatch]:
    """Yield each conversation of the real threads as a document: its texts in the order of their times."""
    files = sorted((real_data / "threads").glob("*.parquet"))
    if not files:
        raise BenchError(f"no threads/*.parquet under {real_data}: give --real-data DIR")
    for path in files:
        rows = pq.read_table(path, columns=["id", "conversation_id", "text", "created_at"])
        rows = rows.filter(pc.greater(pc.fill_null(pc.binary_length(rows.column("text")), 0), 0))
        grouped = rows.group_by("conversation_id", use_threads=False).aggregate(
            [("text", "list"), ("id", "list"), ("created_at", "max")]
        )
        columns = {
            "document_id": grouped.column("conversation_id").combine_chunks(),
            "text": pc.binary_join(grouped.column("text_list").combine_chunks(), "\n"),
            "post_ids": grouped.column("id_list").combine_chunks(),
            "created_at": grouped.column("created_at_max").combine_chunks(),
        }
        missing = pa.nulls(grouped.num_rows)
        arrays = [columns.get(one.name, missing).cast(one.type) for one in DOCUMENT]
        yield pa.RecordBatch.from_arrays(arrays, schema=DOCUMENT)


def publish(documents: Sequence[pa.RecordBatch], out: Path, member: str, context: int) -> Manifest:
    """Pack documents into the next version of a member."""
    tokenizer = load_tokenizer("default")
    folder = out / sets.next_version(out, member)
    summaries = write_packed(documents, tokenizer, folder, "000000", context)
    return finish_packed(folder, summaries, sets.Origin("bench", {}, tokenizer), Published(context))


def shuffled(documents: Sequence[pa.RecordBatch], times: int) -> Iterator[pa.RecordBatch]:
    """Yield documents several times over, each time in another order."""
    rows = pa.Table.from_batches(documents)
    for number in range(times):
        yield from rows.take(pa.array(np.random.default_rng(number).permutation(rows.num_rows))).to_batches()


def scan(out: Path, manifest: Manifest, columns: Sequence[str] | None) -> float:
    """Read the shards as pyarrow does and return the seconds it took."""
    began = time.perf_counter()
    for shard in manifest.shards:
        path = out / sets.folder_name(manifest) / shard.file
        for rows in pq.ParquetFile(path).iter_batches(manifest.group_sequences, columns=columns):
            del rows
    return time.perf_counter() - began


def speed(out: Path, manifest: Manifest, rounds: int) -> dict[str, Any]:
    """Read the same shards in turn: bare, with hashes by a new feed, and by one that has compared them."""
    took: dict[str, list[float]] = {"scan": [], "scan of all columns": [], "feed": [], "feed with hashes": []}
    used: dict[str, list[float]] = {name: [] for name in took}
    held = TokenFeed(out, manifest.member)
    running = iter(held)
    _epoch(running, manifest)

    def timed(name: str, work: Any) -> None:
        began, cpu = time.perf_counter(), time.process_time()
        work()
        took[name].append(time.perf_counter() - began)
        used[name].append(time.process_time() - cpu)

    for _ in range(rounds):
        timed("scan", lambda: scan(out, manifest, COLUMNS))
        timed("feed", lambda: _epoch(running, manifest))
        timed("feed with hashes", lambda: _epoch(iter(TokenFeed(out, manifest.member)), manifest))
    timed("scan of all columns", lambda: scan(out, manifest, None))
    running.close()  # type: ignore[attr-defined]
    tokens = {name: manifest.tokens / min(seconds) for name, seconds in took.items()}  # what others disturbed least
    cpu = {name: 1e9 * min(seconds) / manifest.tokens for name, seconds in used.items()}
    ours = ("feed", "feed with hashes")
    ratios = {name: tokens[name] / tokens["scan"] for name in ours}
    middle = {name: statistics.median(took["scan"]) / statistics.median(took[name]) for name in ours}
    for name, rate in tokens.items():
        say(f"{name}: {rate / 1e6:,.1f} million tokens/s, {cpu[name]:.1f} ns of CPU a token")
    return {
        "tokens_per_second": tokens,
        "cpu_nanoseconds_per_token": cpu,
        "ratios": ratios,
        "ratios_of_medians": middle,
        "seconds": took,
    }


def _epoch(batches: Iterator[dict[str, Any]], manifest: Manifest) -> None:
    """Take as many sequences as an epoch has."""
    left = manifest.sequences
    while left > 0:
        left -= int((next(batches)["position"] >= 0).sum())


def lanes_read(out: Path, member: str) -> dict[str, float]:
    """Return the share of row groups that one rank of each number decodes."""
    rows = Member(str(out), member).newest().group_rows()
    order = Order(rows, SEED, 0)
    group, _, _ = order.locate(np.arange(order.total))
    return {str(world): len(np.unique(group[::world])) / len(rows) for world in range(1, RANKS + 1)}


def measure(asked: argparse.Namespace) -> list[Target]:
    """Measure, print and write the result; return what the command's exit status depends on."""
    machine = side.machine(asked.cores)
    out = asked.work / "feed"
    shutil.rmtree(out, ignore_errors=True)
    documents = list(threads(asked.real_data.resolve()))
    fills = {}
    for context in CONTEXTS:
        manifest = publish(documents, out, f"threads-{context}", context)
        fills[str(context)] = {
            "fill": fill(manifest),
            "sequences": manifest.sequences,
            "least_possible": -(-manifest.tokens // context),
        }
        say(f"context {context:,}: {100 * fill(manifest):.2f}% of {manifest.sequences:,} sequences filled")
    tokens = manifest.tokens
    large = publish(list(shuffled(documents, -(-asked.tokens // tokens))), out, "large", CONTEXT)
    publish(documents, out, MEMBER, KILL_CONTEXT)
    found = speed(out, large, asked.rounds)
    shares = lanes_read(out, "large")
    resumed = kill_all(out, asked)
    targets = [
        Target(f"fill at {CONTEXT:,}", fills[str(CONTEXT)]["fill"], FILL),
        Target("tokens/s, times a bare scan", found["ratios"]["feed"], RATIO),
        Target("the same, hashes compared on the way", found["ratios"]["feed with hashes"], RATIO),
        Target(f"kills of {asked.kills} resumed exactly", resumed["exact"], asked.kills),
    ]
    for target in targets:
        say(str(target))
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rounds": asked.rounds, "kills": asked.kills, "cores": asked.cores, "seed": SEED},
        "set": {
            "tokens": large.tokens,
            "sequences": large.sequences,
            "shards": len(large.shards),
            "context": CONTEXT,
            "bytes_per_token": sum(shard.bytes for shard in large.shards) / large.tokens,
        },
        "threads": {"documents": sum(len(batch) for batch in documents), "tokens": tokens, "fill": fills},
        "speed": found,
        "row_groups_read_by_a_rank": shares,
        "resume": resumed,
        "targets": [target.entry() for target in targets],
    }
    say(f"written to {record.write(result, 'feed', asked.out).name}")
    shutil.rmtree(out)
    return targets


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.feed", description=__doc__.partition("\n")[0])
    parser.add_argument("--real-data", type=Path, default=side.ROOT.parent / "shared" / "data", help="has threads/")
    parser.add_argument("--tokens", type=int, default=32_000_000, help="of the set that is scanned (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="of each way to read it (%(default)s)")
    parser.add_argument("--kills", type=int, default=100, help="how often all ranks are killed (%(default)s)")
    parser.add_argument("--out", type=Path, default=side.HERE / "results", help="where the result file goes")
    parser.add_argument("--work", type=Path, default=side.HERE / "data", help="where the sets are made")
    parser.add_argument("--cores", type=int, default=2, help="how many cores it gets (%(default)s)")
    asked = parser.parse_args()
    asked.work = asked.work.resolve()
    side.finish(lambda: measure(asked))


if __name__ == "__main__":
    main()
