"""Publish token sets of a swarm from simulated posts: all days at once, then day by day, and compare every byte.

python -m bench.publish --posts 100000
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench import prepare, record, side
from bench.forget import run
from bench.prepare import BenchError, say
from bench.record import Target
from pipelines.swarm.days import day_of
from pipelines.swarm.planning import make_plan
from pipelines.swarm.publishing import PublishOrder, run_publish
from schemas.config import Config
from schemas.swarm import Swarm

SEED = 1
DAYS = 10
LAST_DAY = date(2026, 1, 10)  # simulated time begins with 2026-01-01
SWARM = """
members:
  all:
    window: {days: 7}
    context_tokens: 2048
    replay: {share: 0.1, days: 2}
  mixed:
    window: {days: 7}
    budget_tokens: 700000
    mix: {by: language, temperature: 2}
    caps: {author: 20, campaign: 3}
    context_tokens: 2048
"""


def prepare_output(asked: argparse.Namespace, work: Path, cores: Sequence[int]) -> Path:
    """Simulate posts, curate them into a folder and take out what must go."""
    raw, out = work / "publish.jsonl", work / "publish"
    shutil.rmtree(out, ignore_errors=True)
    rate = asked.posts / (DAYS * 86_400)
    run(["simulate", "--posts", str(asked.posts), "--seed", str(SEED), "--rate", f"{rate}", "--out", raw], work, cores)
    run(["run", raw, "--out", out, "--master", f"local[{len(cores)}]"], work, cores)
    run(["forget", out, "--master", f"local[{len(cores)}]"], work, cores)
    raw.unlink()
    return out


def publish(out: Path, until: date, config: Config) -> dict[str, Any]:
    """Publish up to a day in the session that runs; return how long it took and what was made."""
    order = PublishOrder(out, Swarm.parse(yaml.safe_load(SWARM)), config, until=day_of(until))
    told = run_publish(order)
    members: Mapping[str, Any] = told["members"]
    made = {name: sum(one[name] for one in members.values()) for name in ("days", "days_made", "tokens")}
    return {"seconds": told["seconds"], **made}


def plan(out: Path, until: date, config: Config) -> dict[str, Any]:
    """Plan up to a day; return how long it took and what was counted."""
    began = time.monotonic()
    order = PublishOrder(out, Swarm.parse(yaml.safe_load(SWARM)), config, until=day_of(until))
    planned = make_plan(order)
    return {"seconds": round(time.monotonic() - began, 3), "tokens": sum(one.tokens for one in planned.values())}


def shards(out: Path) -> dict[str, bytes]:
    """Return the bytes of every shard of every member's newest version."""
    found = {}
    for member in ("all", "mixed"):
        newest = max((out / "sets" / member).iterdir())
        found |= {f"{member}/{path.name}": path.read_bytes() for path in sorted(newest.glob("shard-*.parquet"))}
    return found


def measure(asked: argparse.Namespace) -> list[Target]:
    """Measure, print and write the result; return what the command's exit status depends on."""
    machine = side.machine(asked.cores)
    work, cores = asked.work.resolve(), prepare.chosen_cores(asked.cores)
    work.mkdir(parents=True, exist_ok=True)
    step = prepare_output(asked, work, cores)
    whole, warm = work / "publish-whole", work / "publish-warm"
    for copy in (whole, warm):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(step, copy)
    config = Config.parse({"spark": {"master": f"local[{len(cores)}]"}})
    publish(warm, LAST_DAY, config)  # workers start and load what they need: not part of what is measured
    figures = {
        "posts": asked.posts,
        "plan": plan(step, LAST_DAY, config),
        "yesterday": publish(step, LAST_DAY - timedelta(days=1), config),
        "today": publish(step, LAST_DAY, config),
        "again": publish(step, LAST_DAY, config),
        "rebuilt": publish(whole, LAST_DAY, config),
    }
    if shards(step) != shards(whole):
        raise BenchError("publishing day by day gave other shards than all at once")
    rebuilt, today = figures["rebuilt"], figures["today"]
    share = today["days_made"] / rebuilt["days_made"]
    say(f"all days {rebuilt['seconds']:.1f} s, today's {today['seconds']:.1f} s ({share:.0%} of the days)")
    target = Target("days made for today, of all", share, 0.35, most=True)
    say(str(target))
    asked_for = {"posts": asked.posts, "cores": asked.cores, "seed": SEED, "swarm": SWARM}
    result = {"hardware": machine, "versions": record.versions(), "config": asked_for, "figures": figures}
    say(f"written to {record.write(result, f'publish-{asked.posts}', asked.out).name}")
    return [target]


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__.partition("\n")[0])
    parser.add_argument("--posts", type=int, default=100_000, help="how many posts are simulated (%(default)s)")
    parser.add_argument("--out", type=Path, default=side.HERE / "results", help="where the result file goes")
    parser.add_argument("--work", type=Path, default=side.HERE / "data", help="where the output folder is made")
    parser.add_argument("--cores", type=int, default=2, help="how many cores it gets (%(default)s)")
    asked = parser.parse_args()
    side.finish(lambda: measure(asked))


if __name__ == "__main__":
    main()
