"""What the posts of one author say together: machine authors found at 1% of people accused, by number of posts.

python -m bench.authors --real-data DIR

Timelines of one maker each are drawn from labelled rows: from the validation rows for the shipped model, and from every
row of a set for a model that has seen none of it. Their times are invented (filters.style_training), or there are none.
Beside them stand authors of real tweets of 2017, who are people, and the authors of `swarmfeed simulate`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench import record
from bench.prepare import BenchError, say
from filters.authorship import Timelines, evidence
from filters.clean_text import CleanText, clean_strings
from filters.labelled import FIT, RECIPES, VALIDATION, Examples, read_examples
from filters.language import Language
from filters.stage import annotate, configure
from filters.style_model import StyleModel
from filters.style_training import draw_timelines, fit, makers_of
from pipelines.simulate import Simulation
from pipelines.simulate import write as write_simulation

STAGE = "ai_text"
SETS = ("electai", "f3_posts", "tweepfake")
FILES = (*SETS, "davidson", "umsab_tweets8")
RATE = 0.01  # of people's timelines that may be accused
AUTHORS = 2000  # ordinary ones of the simulated stream; so that many have enough posts
FOUND = 0.8  # of machines' timelines that are to be found from 20 posts
Floats = npt.NDArray[np.float32]


def labelled_files(folder: Path) -> list[Path]:
    """Return the files that the shipped model was trained on; raise BenchError when there are none."""
    files = [file for name in FILES for file in sorted((folder / "labelled").glob(f"*/{name}.*.parquet"))]
    wanted = [file for file in files if file.name.split(".")[0] in SETS or file.name.endswith(".train.parquet")]
    if not wanted:
        raise BenchError(f"no labelled sets below {folder}: give their folder with --real-data")
    return wanted


def drawn(model: StyleModel, rows: Examples, makers: npt.NDArray[np.str_], asked: argparse.Namespace) -> dict[str, Any]:
    """Return, by posts, the share of machine timelines found at RATE, with invented times and without any."""
    out: dict[str, Any] = {}
    for posts in asked.posts:
        draws = np.random.RandomState(asked.seed)
        lines, machine = draw_timelines(rows.texts, makers, (asked.timelines, (posts, posts)), draws)
        timeless = lines._replace(micros=np.zeros_like(lines.micros))
        kinds = {"with_times": lines, "without": timeless}
        out[str(posts)] = {name: _found(evidence(model, one), machine) for name, one in kinds.items()}
    return out


def _found(scores: Floats, machine: npt.NDArray[np.bool_]) -> dict[str, float]:
    people = np.sort(scores[~machine])[::-1]
    threshold = float(people[int(RATE * len(people))])
    found = float((scores[machine] > threshold).mean())
    return {"found": round(found, 4), "threshold": round(threshold, 4), "people": len(people)}


def real_people(model: StyleModel, folder: Path, posts: int) -> Floats:
    """Return the evidence of every author of English tweets of 2017, from the first posts that are no reposts."""
    table = pq.read_table(folder / "posts" / "ira-tweets.parquet")
    table = table.filter(pc.and_(pc.equal(table["lang_hint"], "English"), table["repost_of"].is_null()))
    texts, _ = clean_strings(table["text"].combine_chunks())
    return _by_author(model, texts, table["author_id"], table["created_at"].cast(pa.int64()), posts)[1]


def _by_author(
    model: StyleModel, texts: pa.Array, authors: pa.ChunkedArray, times: pa.ChunkedArray, posts: int
) -> tuple[npt.NDArray[np.str_], Floats]:
    """Return the authors who have so many scored posts, and the evidence of their first ones."""
    scored = np.asarray(model.score(texts).is_valid())
    rows = np.flatnonzero(scored)
    who = np.array(authors.to_pylist(), np.str_)[rows]
    micros = np.asarray(times.fill_null(0))[rows]
    order = np.lexsort((micros, who))
    rows, who, micros = rows[order], who[order], micros[order]
    place = np.arange(len(who)) - np.searchsorted(who, who)
    counts = np.searchsorted(who, who, side="right") - np.searchsorted(who, who)
    keep = (counts >= posts) & (place < posts)
    names, starts = np.unique(who[keep], return_index=True)
    lines = Timelines(np.append(starts, keep.sum()), texts.take(pa.array(rows[keep])), micros[keep])
    return names, evidence(model, lines)


def simulated(model: StyleModel, count: int, posts: int) -> dict[str, Any]:
    """Return what is found among the authors of a simulated stream by its own truth."""
    with TemporaryDirectory() as folder:
        write_simulation(Simulation(posts=count, seed=1, authors=AUTHORS), Path(folder) / "posts.parquet")
        table = pq.read_table(Path(folder) / "posts.parquet").combine_chunks()
    batch = table.select(["text", "lang_hint"]).to_batches()[0]
    batch, _ = annotate(batch, configure([CleanText, Language], {}))
    english = pa.array(np.asarray(pc.equal(pc.struct_field(batch.column("language"), "lang"), "en").fill_null(False)))
    table = table.filter(english)
    texts = pc.struct_field(batch.column("clean_text"), "text").filter(english)
    kinds = np.array([json.loads(extra)["truth"]["kind"] for extra in table["extra"].to_pylist()])
    machines = set(table["author_id"].filter(pa.array(kinds == "machine")).to_pylist())
    names, scores = _by_author(model, texts, table["author_id"], table["created_at"].cast(pa.int64()), posts)
    machine = np.isin(names, sorted(machines))
    return _found(scores, machine) | {"machines": int(machine.sum())}


def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """Return every figure."""
    examples = read_examples(STAGE, RECIPES[STAGE], labelled_files(asked.real_data))
    makers = makers_of(examples)
    model = StyleModel.load(STAGE, asked.model)
    out: dict[str, Any] = {"validation": {}, "left_out": {}}
    for name in SETS:
        here = examples.sets == name
        kept = here & (examples.parts == VALIDATION)
        out["validation"][name] = drawn(model, examples.where(kept), makers[kept], asked)
        if asked.left_out:
            say(f"a model that has not seen {name}")
            rest = examples.where(~here)
            rest = replace(rest, parts=np.full(len(rest.labels), FIT, np.int8))
            other = fit("left out", RECIPES[STAGE], rest, makers[~here])
            out["left_out"][name] = drawn(other, examples.where(here), makers[here], asked)
    kept = np.isin(examples.sets, SETS) & (examples.parts == VALIDATION)
    out["validation"]["all"] = drawn(model, examples.where(kept), makers[kept], asked)
    people = real_people(model, asked.real_data, 20)
    bounds = {f"over_{bound}": round(float((people > bound).mean()), 4) for bound in (0.5, 0.9, 0.95, 0.98)}
    out["tweets_of_2017"] = {
        "authors": len(people),
        **bounds,
        "percentile_99": round(float(np.quantile(people, 0.99)), 4),
    }
    out["simulate"] = simulated(model, asked.simulate, 20)
    return out


def main() -> int:
    """Measure, print, write the result file."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options.add_argument("--model", default="shipped", help="or the folder of a trained model")
    options.add_argument("--posts", type=int, nargs="+", default=[10, 20, 40])
    options.add_argument("--timelines", type=int, default=2000, help="of each class")
    options.add_argument("--simulate", type=int, default=200_000, help="posts of the simulated stream")
    options.add_argument("--left-out", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = options.parse_args()
    try:
        found = measured(asked)
    except BenchError as error:
        say(str(error))
        return 2
    target = record.Target(
        "found from 20 posts, validation", found["validation"]["all"]["20"]["without"]["found"], FOUND
    )
    print(json.dumps(found, indent=1))
    print(target)
    config = {"posts": asked.posts, "timelines": asked.timelines, "seed": asked.seed, "simulate": asked.simulate}
    result = {"hardware": record.hardware(1), "versions": record.versions(), "config": config, "found": found}
    say(f"written: {record.write({**result, 'targets': [target.entry()]}, 'authors', asked.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
