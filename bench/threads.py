"""Conversations against the true reply links of real threads: parents found, order kept, no turn lost or doubled.

python -m bench.threads --real-data DIR

Every text is its post's id while the links are scored, so that what was made of a turn can be read off the documents
alone; the speed is that of the real texts, by the seconds that the process had the core. Of irc-ubuntu only rows with
`extra.annotated` are scored.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from bench import record
from bench.prepare import say
from pipelines.exchange import in_this_process
from pipelines.threads.conversations import ThreadsOrder, build_conversations, read_documents
from pipelines.threads.policy import Policy
from pipelines.threads.templates import MAX_POSTS, Template, render
from pipelines.threads.turns import turns_of
from schemas.columns import DUPLICATES, LANGUAGE, PII, QUALITY, VERDICT
from schemas.post import POST

SETS = ("twitter-semeval2017", "irc-ubuntu", "reddit-praw", "weibo")
START = datetime(2026, 1, 1, tzinfo=UTC)
HUB, DEEP = 100_000, 1000
STRETCH = 500  # the cap that the real threads are also cut at

Links = dict[str, str]  # what each turn answers, where that is here


def true_links(rows: list[dict[str, Any]]) -> tuple[set[str], Links]:
    """Return the ids of all turns and the true links among them, past reposts, post by post."""
    by_id = {row["id"]: row for row in rows}
    turns = {name for name, row in by_id.items() if row["repost_of"] is None or row["repost_of"] not in by_id}
    links = {}
    for name in turns:
        above = by_id[name]["reply_to_id"]
        while above in by_id and above not in turns:
            above = by_id[above]["reply_to_id"] or by_id[above]["repost_of"]
        if above in turns:
            links[name] = above
    return turns, links


def score_links(table: pa.Table, max_posts: int) -> dict[str, Any]:
    """Compare the paths and trees that are written of a set with its true links."""
    rows = table.select(["id", "reply_to_id", "conversation_id", "repost_of", "extra", "created_at"]).to_pylist()
    turns, links = true_links(rows)
    scored = {row["id"] for row in rows if row["id"] in links and _annotated(row)}
    named = turns_of(table.set_column(table.schema.get_field_index("text"), "text", table.column("id")))
    shuffled = named.take(pa.array(np.random.default_rng(1).permutation(len(named))))
    paths = render(shuffled, Template.PATH, Policy(), MAX_POSTS).column("post_ids").to_pylist()
    pairs = {pair for path in paths for pair in zip(path[1:], path, strict=False)}
    trees = render(shuffled, Template.TREE, Policy(), max_posts).column("post_ids").to_pylist()
    seen = Counter(name for tree in trees for name in tree)
    return {
        "posts": len(rows),
        "turns": len(turns),
        "links": len(scored),
        "found": sum((name, links[name]) in pairs for name in scored),
        "wrong": sum(links.get(child) != parent for child, parent in pairs),
        "lost": sum(name not in seen for name in turns),
        "doubled": sum(count - 1 for count in seen.values()),
        "out_of_order": out_of_order(trees, links, rows),
        "documents": len(trees),
        "deepest": max(map(len, paths)),
    }


def _annotated(row: dict[str, Any]) -> bool:
    return row["extra"] is None or (
        '"annotated":false' not in row["extra"] and ("irc:" not in row["id"] or '"annotated":true' in row["extra"])
    )


def out_of_order(trees: list[list[str]], links: Links, rows: list[dict[str, Any]]) -> int:
    """Count the turns that do not stand where a reader comes by: after what they answer, siblings by time and id."""
    when = {row["id"]: (row["created_at"], row["id"]) for row in rows}
    children: dict[str, list[str]] = defaultdict(list)
    for child, parent in links.items():
        children[parent].append(child)
    expected: dict[str, list[str]] = {}
    for root in when.keys() - links.keys():
        reading, waiting = [], [root]
        while waiting:
            reading.append(turn := waiting.pop())
            waiting.extend(sorted(children[turn], key=when.__getitem__, reverse=True))
        expected[root] = reading
    root_of = {name: root for root, reading in expected.items() for name in reading}
    place = {name: at for reading in expected.values() for at, name in enumerate(reading)}
    wrong = 0
    for tree in trees:
        same = all(root_of[name] == root_of[tree[0]] for name in tree)
        wrong += sum(place[name] != place[tree[0]] + at for at, name in enumerate(tree)) if same else len(tree)
    return wrong


def fastest(work: Callable[[], Any], times: int) -> float:
    """Return the core's seconds of the fastest of several runs, after one that compiles."""
    work()
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def posts_of(table: pa.Table) -> pa.Table:
    """Return posts as the posts table has them, all kept."""
    rows = table.num_rows
    columns = {
        field.name: table.column(field.name) if field.name in table.schema.names else pa.nulls(rows, field.type)
        for field in POST
    }
    said = {
        "pii": (PII, {"redacted": columns["text"].combine_chunks()}),
        "language": (LANGUAGE, {"lang": columns["lang_hint"].combine_chunks()}),
        "quality": (QUALITY, {}),
        "verdict": (VERDICT, {"keep": pa.repeat(True, rows)}),
        "duplicates": (DUPLICATES, {"deleted": pa.repeat(False, rows)}),
    }
    for name, (kind, known) in said.items():
        parts = [known.get(field.name, pa.nulls(rows, field.type)) for field in kind]
        columns[name] = pa.StructArray.from_arrays(parts, fields=list(kind))
    return pa.table(columns)


def spread(table: pa.Table, template: Template, max_posts: int) -> tuple[float, bool]:
    """Build conversations over boxes, in this process; return the core's seconds and whether `render` says the same."""
    order = ThreadsOrder(template, max_posts=max_posts)
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/posts-{part}.parquet" for part in range(4)]
        size = -(-table.num_rows // len(files))
        for part, file in enumerate(files):
            pq.write_table(table.slice(part * size, size), file)
        began = time.process_time()
        built = build_conversations(in_this_process, files, order, f"{folder}/built")
        seconds = time.process_time() - began
        whole = pa.Table.from_batches([render(turns_of(table), template, order.policy, max_posts)])
        return seconds, read_documents(built).equals(whole)


def hub() -> pa.Table:
    """A post that a hundred thousand answer."""
    names = [f"post-{number:06d}" for number in range(HUB + 1)]
    return _made(names, [None, *["post-000000"] * HUB])


def chain() -> pa.Table:
    """Posts that each answer the one before."""
    names = [f"post-{number:06d}" for number in range(DEEP)]
    return _made(names, [None, *names[:-1]])


def _made(names: list[str], above: list[str | None]) -> pa.Table:
    times = [START + timedelta(seconds=number // 10) for number in range(len(names))]
    authors = [f"author-{number * 7919 % 1000}" for number in range(len(names))]
    columns = {"id": names, "author_id": authors, "created_at": times, "text": names, "reply_to_id": above}
    return pa.table(
        {name: pa.array(columns.get(name, [None] * len(names)), POST.field(name).type) for name in POST.names}
    )


def measured(folder: Path, times: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of each set, then of the hub and the chain."""
    sets = {name: pq.read_table(folder / "threads" / f"{name}.parquet") for name in SETS}
    for name, table in {**sets, "hub": hub(), "chain": chain()}.items():
        turns, posts = turns_of(table), posts_of(table)
        speeds = {
            f"{template.value}_posts_per_second": table.num_rows
            / fastest(lambda turns=turns, template=template: render(turns, template, Policy()), times)
            for template in (Template.PATH, Template.TREE)
        }
        spread(posts, Template.TREE, MAX_POSTS)
        seconds, same = spread(posts, Template.TREE, MAX_POSTS)
        _, cut = spread(posts, Template.TREE, STRETCH)
        yield {
            "name": name,
            **score_links(table, MAX_POSTS),
            **speeds,
            "built_posts_per_second": table.num_rows / seconds,
            "built_is_rendered": same and cut,
            "cut_lost_or_doubled_or_moved": _cut_faults(table),
        }


def _cut_faults(table: pa.Table) -> int:
    found = score_links(table, STRETCH)
    return int(found["lost"] + found["doubled"] + found["out_of_order"])


def show(found: list[dict[str, Any]]) -> None:
    """Print a row for each set."""
    table = Table(title="threads: written documents against the true reply links")
    headings = ("links", "found", "wrong", "lost", "doubled", "out_of_order", "deepest")
    speeds = ("path_posts_per_second", "tree_posts_per_second", "built_posts_per_second")
    for heading in ("", "turns", *headings, "path/s", "tree/s", "built/s", "built = rendered"):
        table.add_column(heading, justify="right")
    for one in found:
        figures = [f"{one[name]:,}" for name in ("turns", *headings)]
        table.add_row(one["name"], *figures, *(f"{one[name]:,.0f}" for name in speeds), str(one["built_is_rendered"]))
    Console(width=None if Console().is_terminal else 150).print(table)


def targets(found: list[dict[str, Any]]) -> list[record.Target]:
    """Return what the figures are held to."""
    links, hit = sum(one["links"] for one in found), sum(one["found"] for one in found)
    faults = ("wrong", "lost", "doubled", "out_of_order", "cut_lost_or_doubled_or_moved")
    return [
        record.Target("parents found", hit / links, 1),
        *(record.Target(name, float(sum(one[name] for one in found)), 0, most=True) for name in faults),
        record.Target("sets built over boxes as rendered", sum(one["built_is_rendered"] for one in found), len(found)),
    ]


def main() -> None:
    """Measure, print, write a result file; exit 1 when a target is missed."""
    made = argparse.ArgumentParser(prog="python -m bench.threads", description=__doc__.partition("\n")[0])
    made.add_argument("--real-data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    made.add_argument("--times", type=int, default=7, help="runs of which the fastest counts (%(default)s)")
    asked = made.parse_args()
    if not (asked.real_data / "threads").is_dir():
        say(f"no threads at {asked.real_data}: give --real-data DIR")
        sys.exit(1)
    machine = record.hardware(1)
    pa.set_cpu_count(1)
    found = list(measured(asked.real_data, asked.times))
    show(found)
    held = targets(found)
    for target in held:
        say(str(target))
    config = {"times": asked.times, "max_posts": MAX_POSTS, "stretch": STRETCH, "hub": HUB, "chain": DEEP}
    entries = [target.entry() for target in held]
    result = {"hardware": machine, "versions": record.versions(), "config": config, "sets": found, "targets": entries}
    say(f"written to {record.write(result, 'threads', asked.out).name}")
    if not all(target.reached for target in held):
        sys.exit(1)


if __name__ == "__main__":
    main()
