"""Four heads and the language in one pass, beside four fastText classifiers and lid.176, on the same posts, one core.

python -m bench.classifiers --rows 20000 --real-data DIR

The peers are fastText's own `predict`, handed lists of the same cleaned texts: four classifiers of character 2- to
5-grams (see peer_models.py), trained once from the labelled sets, and lid.176. How well the peers do is of no matter
here, only what they cost; how well our heads do stands on their cards.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from bench import prepare, record
from bench.prepare import HEADS, BenchError, say
from bench.record import Target
from bench.stages import BATCH_ROWS, complete
from filters.classifier import Classifier, score_together
from filters.clean_text import CleanText
from filters.language import Language

TIMES = 4  # what the heads and the language are held to, times fastText
Work = Callable[[], Any]


def cleaned(posts: pa.Table) -> list[pa.RecordBatch]:
    """Return the posts that hold some text, cleaned, in the batches a run makes: the work before is not timed."""
    [whole] = complete(posts).combine_chunks().to_batches()
    clean = CleanText()(whole.select(list(CleanText.reads)))
    texts = pc.struct_field(clean, "text")
    some = pc.fill_null(pc.greater(pc.utf8_length(texts), 0), False)
    table = pa.table({"clean_text": clean.filter(some)})
    return table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)


def ours(batches: list[pa.RecordBatch]) -> dict[str, Work]:
    """Return what our side does: the language stage, then all heads in one pass, null where they know no language."""
    language, heads = Language(), [Classifier.load(name) for name in HEADS]
    told: list[pa.Array] = []

    def identify() -> None:
        told[:] = [pc.struct_field(language(batch), "lang") for batch in batches]

    def score() -> None:
        for batch, languages in zip(batches, told, strict=True):
            score_together(heads, pc.struct_field(batch.column("clean_text"), "text"), languages)

    def score_every_language() -> None:
        for batch in batches:
            score_together(heads, pc.struct_field(batch.column("clean_text"), "text"))

    return {"language": identify, "heads": score, "heads, asked in every language": score_every_language}


def peers(batches: list[pa.RecordBatch], models: dict[str, Path]) -> dict[str, Work]:
    """Return what fastText does: `predict` of each model on lists of the same texts, line breaks made blanks."""
    columns = [pc.struct_field(batch.column("clean_text"), "text").to_pylist() for batch in batches]
    lists = [[" ".join(text.split("\n")) for text in column] for column in columns]

    def predictor(file: Path) -> Work:
        model = fasttext.load_model(str(file))

        def predict() -> None:
            for texts in lists:
                model.predict(texts)

        return predict

    return {name: predictor(file) for name, file in models.items()}


def timed(work: dict[str, Work], repeats: int, posts: int) -> dict[str, float]:
    """Return the microseconds a post of each piece of work: the best of `repeats` rounds after one that warms up."""
    best = dict.fromkeys(work, float("inf"))
    for number in range(repeats + 1):
        for name, call in work.items():
            began = time.process_time()
            call()
            spent = time.process_time() - began
            best[name] = min(best[name], spent if number else float("inf"))
    return {name: seconds / posts * 1e6 for name, seconds in best.items()}


def ratios(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how many times faster our side is: as it runs, and with no post spared for its language.

    >>> here = {"language": 6, "heads": 4, "heads, asked in every language": 6}
    >>> ratios({"ours": here, "fastText": {"a": 60, "b": 60}})
    {'as it runs': 12.0, 'asked in every language': 10.0}
    """
    us, peer = found["ours"], sum(found["fastText"].values())
    return {
        "as it runs": peer / (us["language"] + us["heads"]),
        "asked in every language": peer / (us["language"] + us["heads, asked in every language"]),
    }


def targets(found: dict[str, float], at_least: float | None) -> list[Target]:
    """Return what the comparison is held to."""
    return [Target("times fastText", found["as it runs"], at_least or TIMES)]


def show(found: dict[str, dict[str, float]], times: dict[str, float], held: list[Target]) -> None:
    """Print one row per piece of work, then the ratios."""
    table = Table(title="microseconds a post, one core")
    for heading in ("side", "work", "microseconds"):
        table.add_column(heading)
    for side, pieces in found.items():
        for name, value in pieces.items():
            table.add_row(side, name, f"{value:.1f}")
    console = Console(width=None if Console().is_terminal else 110)
    console.print(table)
    for name, value in times.items():
        console.print(f"times fastText, {name}: {value:.1f}")
    for target in held:
        console.print(str(target))


def options() -> argparse.ArgumentParser:
    """Return the command's options."""
    made = argparse.ArgumentParser(prog="python -m bench.classifiers", description=__doc__.partition("\n")[0])
    made.add_argument("--rows", type=int, default=20_000, help="how many real posts, from the first (%(default)s)")
    made.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    made.add_argument("--work", type=Path, default=Path(__file__).parent / "data", help="where the peers' models lie")
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    made.add_argument("--repeats", type=int, default=3, help="timed rounds; the best one counts (%(default)s)")
    made.add_argument("--at-least", type=float, help=f"exit with 1 below this many times fastText (target: {TIMES})")
    return made


def main() -> None:
    """Measure, print, write a result file; exit 1 when the ratio asked for is missed."""
    asked = options().parse_args()
    machine = record.hardware(1)
    pa.set_cpu_count(1)
    try:
        batches = cleaned(prepare.first_rows(prepare.post_files(asked.real_data), asked.rows))
        python = prepare.peer_python(Path(__file__).parents[1] / ".venv-bench")
        files = prepare.classifiers(python, asked.real_data, asked.work / "models", HEADS)
        models = {**dict(zip(HEADS, files, strict=True)), "lid.176": prepare.language_model(asked.work / "models")}
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    posts = sum(batch.num_rows for batch in batches)
    found = {
        "ours": timed(ours(batches), asked.repeats, posts),
        "fastText": timed(peers(batches, models), asked.repeats, posts),
    }
    times = ratios(found)
    held = targets(times, asked.at_least)
    show(found, times, held)
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rows": asked.rows, "posts": posts, "batch_rows": BATCH_ROWS, "repeats": asked.repeats},
        "microseconds_a_post": found,
        "times_fasttext": times,
        "targets": [target.entry() for target in held],
    }
    say(f"written to {record.write(result, 'classifiers', asked.out).name}")
    if asked.at_least is not None and not all(target.reached for target in held):
        sys.exit(1)


if __name__ == "__main__":
    main()
