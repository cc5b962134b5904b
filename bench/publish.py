"""Publish token sets of a swarm from simulated posts: all days at once, then day by day, and compare every byte.

python -m bench.publish --posts 100000
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bench import prepare, record, side
from bench.forget import run
from bench.prepare import BenchError, say
from bench.record import Target

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


def publish(out: Path, until: date, work: Path, cores: Sequence[int]) -> dict[str, Any]:
    """Publish up to a day; return seconds with and without start-up, and what was made."""
    words = ["publish", out, "--swarm", work / "publish.yaml", "--until", until.isoformat()]
    cost, told = run([*words, "--master", f"local[{len(cores)}]"], work, cores)
    members: Mapping[str, Any] = told["members"]
    return {
        "wall_seconds": round(cost.wall_seconds, 2),
        "cpu_seconds": round(cost.cpu_seconds, 2),
        "seconds": told["seconds"],
        "peak_bytes": cost.peak_bytes,
        "days_made": sum(one["days_made"] for one in members.values()),
        "tokens": sum(one["tokens"] for one in members.values()),
    }


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
    (work / "publish.yaml").write_text(SWARM)
    step = prepare_output(asked, work, cores)
    whole = work / "publish-whole"
    shutil.rmtree(whole, ignore_errors=True)
    shutil.copytree(step, whole)
    plan, _ = run(["plan", step, "--swarm", work / "publish.yaml", "--master", f"local[{len(cores)}]"], work, cores)
    before = publish(step, LAST_DAY - timedelta(days=1), work, cores)
    today = publish(step, LAST_DAY, work, cores)
    rebuilt = publish(whole, LAST_DAY, work, cores)
    if shards(step) != shards(whole):
        raise BenchError("publishing day by day gave other shards than all at once")
    figures = {
        "posts": asked.posts,
        "plan_seconds": round(plan.wall_seconds, 2),
        "yesterday": before,
        "today": today,
        "rebuilt": rebuilt,
        "same_bytes": True,
    }
    share = today["days_made"] / rebuilt["days_made"]
    say(f"all days {rebuilt['seconds']:.1f} s, today's {today['seconds']:.1f} s ({share:.0%} of the days), start-up in")
    target = Target("days made for today, of all", share, 0.35, most=True)
    say(str(target))
    config = {"posts": asked.posts, "cores": asked.cores, "seed": SEED, "swarm": SWARM}
    result = {"hardware": machine, "versions": record.versions(), "config": config, "figures": figures}
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
