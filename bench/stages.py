"""Time each stage alone, on one core: real posts and named nasty inputs, in microseconds a post.

python -m bench.stages --rows 50000 --real-data DIR
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench import prepare, record
from bench.prepare import BenchError, say
from schemas import columns
from schemas.post import POST

BATCH_ROWS = 8192  # what a run hands to the stages at once
NASTY_ROWS = 2048
LONG_CHARS = 20_000
EVALUATION_ITEMS = 100_000  # loaded by `contamination`, which does nothing without
SEED = 7
NASTY: dict[str, str] = {
    "emoji_storm": "\U0001f525\U0001f602\U0001f44d\U0001f3fd\u2764\ufe0f" * 40,
    "one_word": "yes",
    "copy_pasta": "Share this before they take it down, nobody will tell you! " * 12,
    "rtl_mix": "hello \u05e9\u05dc\u05d5\u05dd \u202eabc\u202c \u0645\u0631\u062d\u0628\u0627 42 " * 5,
    "zero_width": "f\u200br\u200de\u200ce \ufeffm\u2060oney " * 12,
    "20k_chars": ("a long line with no end in sight, " * 600)[:LONG_CHARS],
}


def nasty_posts(text: str, rows: int) -> pa.Table:
    """Return posts that all hold the text, told apart by a number at its end, as campaigns do."""
    texts = [f"{text} {number}" for number in range(rows)]
    return pa.table({"id": [str(number) for number in range(rows)], "text": texts})


def write_evaluation_items(path: Path, items: int) -> None:
    """Write JSONL of invented questions of 8 to 60 words; none of them stands in a real post."""
    drawn = random.Random(SEED)
    parts = ["ka", "lo", "mi", "ren", "tus", "vo", "sha", "pi", "der", "un"]
    words = ["".join(drawn.choices(parts, k=drawn.randint(1, 4))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(items):
            question = " ".join(drawn.choices(words, k=drawn.randint(8, 60)))
            file.write(json.dumps({"id": number, "question": question}) + "\n")


def complete(posts: pa.Table) -> pa.Table:
    """Add the canonical columns that are missing and what the verdict reads of duplicates, all null."""
    wanted = [*POST, pa.field("duplicates", columns.DUPLICATES)]
    return pa.table({field.name: _column(posts, field) for field in wanted})


def _column(posts: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name in posts.column_names:
        return posts[field.name].cast(field.type)
    return pa.nulls(len(posts), field.type)


def joined(group: Sequence[Any]) -> str:
    """Return the name that stages answered in one pass go by."""
    return " + ".join(stage.name for stage in group)


def stage_seconds(posts: pa.Table, stages: Sequence[Any], repeats: int) -> dict[str, float]:
    """Return the seconds each stage takes over all the posts, batch by batch: the best of `repeats` rounds.

    Neighbours that a run answers in one pass are timed both ways, each alone and all in one, under their joined name.
    """
    from filters.stage import neighbours

    groups = neighbours(stages)
    best = {name: float("inf") for group in groups for name in dict.fromkeys([joined(group), *_names(group)])}
    for _ in range(repeats):
        spent = dict.fromkeys(best, 0.0)
        for batch in _batches(posts):
            for group in groups:
                read = batch.select(list(group[0].reads))
                if len(group) > 1:
                    began = time.process_time()
                    group[0].answer_together(group, read)
                    spent[joined(group)] += time.process_time() - began
                for stage in group:
                    began = time.process_time()
                    column = stage(read)
                    spent[stage.name] += time.process_time() - began
                    batch = batch.append_column(pa.field(stage.name, stage.output), column)
        best = {name: min(best[name], spent[name]) for name in best}
    return best


def _names(group: Sequence[Any]) -> list[str]:
    return [stage.name for stage in group]


def _batches(posts: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from posts.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)


def measured(posts: pa.Table, stages: Sequence[Any], repeats: int) -> dict[str, Any]:
    """Return what each stage costs on the posts, in microseconds a post."""
    from filters.stage import neighbours

    seconds = stage_seconds(posts, stages, repeats)
    spent = {name: value / len(posts) * 1e6 for name, value in seconds.items()}
    run = sum(spent[joined(group)] for group in neighbours(stages))  # as a run does it: neighbours in one pass
    return {"posts": len(posts), "microseconds": spent, "posts_per_second": 1e6 / run}


def show(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Print one row per stage, one column per kind of post."""
    table = Table(title="microseconds a post, one core")
    table.add_column("stage")
    for name in found:
        table.add_column(name, justify="right")
    for stage in next(iter(found.values()))["microseconds"]:
        table.add_row(stage, *(f"{one['microseconds'][stage]:.1f}" for one in found.values()))
    table.add_row("all", *(f"{1e6 / one['posts_per_second']:.1f}" for one in found.values()))
    table.add_row("posts/s", *(f"{one['posts_per_second']:,.0f}" for one in found.values()))
    Console(width=None if Console().is_terminal else 120).print(table)


def main() -> None:
    """Measure, print, write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__.partition("\n")[0])
    made.add_argument("--rows", type=int, default=50_000, help="how many real posts, from the first (%(default)s)")
    made.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    made.add_argument("--repeats", type=int, default=3, help="rounds; the best one counts (%(default)s)")
    asked = made.parse_args()
    try:
        files = prepare.post_files(asked.real_data)
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    machine = record.hardware(1)
    found = measure_all(complete(prepare.first_rows(files, asked.rows)), asked.repeats)
    show(found)
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {
            "rows": asked.rows,
            "batch_rows": BATCH_ROWS,
            "nasty_rows": NASTY_ROWS,
            "repeats": asked.repeats,
            "evaluation_items": EVALUATION_ITEMS,
            "seed": SEED,
        },
        "inputs": found,
    }
    say(f"written to {record.write(result, 'stages', asked.out).name}")


def measure_all(posts: pa.Table, repeats: int) -> dict[str, dict[str, Any]]:
    """Measure every stage on the real posts and on each nasty input, once compiled and warm."""
    import filters
    from filters.stage import configure

    pa.set_cpu_count(1)  # one core: what Arrow would spread over threads stays here
    with TemporaryDirectory() as folder:
        file = Path(folder) / "invented.jsonl"
        write_evaluation_items(file, EVALUATION_ITEMS)
        stages = configure(filters.STAGES, {"contamination": {"files": [str(file)]}})
    inputs = {"real": posts, **{name: complete(nasty_posts(text, NASTY_ROWS)) for name, text in NASTY.items()}}
    stage_seconds(posts.slice(0, 1000), stages, 1)
    return {name: measured(table, stages, repeats) for name, table in inputs.items()}


if __name__ == "__main__":
    main()
