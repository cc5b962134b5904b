"""Measure what the default policy costs on the real posts and write the tables of docs/policy.md.

python -m bench.policy --real-data DIR
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import prepare, record
from bench.prepare import BenchError, say

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "policy.md"
BEGIN, END = "<!-- policy: python -m bench.policy -->", "<!-- end of policy -->"
LANGUAGES = 4  # with columns of their own, beside `und`
OTHER_VALUES: Mapping[str, Sequence[float | None]] = {
    "keep_copies": (1, 2, 3, 10),
    "min_readable_chars": (0, 8, 12, 14, 16, 20, 30, 50),
    "min_words": (0, 2, 3, 4, 5, 8),
    "max_hashtag_share": (0.1, 0.3, 0.5, 0.7, None),
    "min_words_per_hashtag": (None, 0.5, 0.75, 1.0),
    "max_mention_share": (0.1, 0.3, 0.5, 0.7, None),
    "max_link_share": (0.2, 0.4, 0.6, 0.8, None),
    "min_words_per_link": (None, 1.0, 2.0),
    "max_emoji_share": (0.05, 0.2, 0.4, None),
    "max_upper_share": (0.3, 0.5, 0.7, 0.9, None),
    "max_repetition": (0.2, 0.4, 0.6, 0.8, None),
    "min_entropy": (None, 2.0, 3.0, 3.5),
    "max_entropy": (4.0, 4.5, 5.5, None),
    "max_bait_share": (0.1, 0.2, 0.4, None),
    "min_quality": (None, 0.02, 0.1, 0.3, 0.5, 0.9),
    "max_spam": (0.3, 0.5, 0.8, 0.95, 0.98, None),
    "max_toxicity": (0.3, 0.5, 0.8, 0.9, 0.97, 0.99, None),
    "max_ai_text": (0.5, 0.8, 0.95, None),
    "max_campaign_posts": (2, 10, 100, None),
    "max_campaign_authors": (2, 10, None),
}
Result = dict[str, Any]


def curate(files: Sequence[Path], out: Path) -> None:
    """Run the whole pipeline over the files by the default policy."""
    command = [sys.executable, "-m", "jobs.cli", "run", *map(str, files), "--out", str(out)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise BenchError("swarmfeed run failed: see above")


def measured(curated: Path) -> Result:
    """Return the figures of the default policy on an output folder, and what other values of its thresholds keep."""
    from filters.verdict import Verdict
    from pipelines.calibration.curves import measure
    from pipelines.calibration.figures import figures_of
    from pipelines.calibration.scored import open_scored

    curves = measure(open_scored(curated), Verdict())
    figures = figures_of(curves)
    for one in figures["thresholds"]:
        del one["values"], one["curve"]
        for group in (*one["languages"].values(), *one["lengths"].values()):
            del group["curve"]
        kept, values = curves.kept_at(one["key"]), curves.scales[one["key"]].values
        places = [(value, -1 if value is None else values.index(value)) for value in OTHER_VALUES.get(one["key"], ())]
        one["elsewhere"] = [[value, int(kept[place]) / figures["posts"]] for value, place in places]
    return figures


def tables(figures: Result, file: str) -> str:
    """Return the tables of docs/policy.md between their marks; `file` is the name of the result file."""
    tags = [tag for tag in figures["languages"] if tag != "und"][:LANGUAGES]
    bands = list(figures["lengths"])
    source = f"From [{file}](../bench/results/{file})."
    made = (_kept(figures), _costs(figures, tags, bands), _elsewhere(figures), _reasons(figures))
    return "\n\n".join((BEGIN, source, *made, END))


def _kept(figures: Result) -> str:
    groups = {
        "all": figures,
        **figures["languages"],
        **{f"{name} chars": one for name, one in figures["lengths"].items()},
    }
    return _table(
        ("", *groups),
        [
            ("posts", *(f"{one['posts']:,}" for one in groups.values())),
            ("kept", *(_percent(one["kept"] / max(one["posts"], 1)) for one in groups.values())),
        ],
    )


def _costs(figures: Result, tags: Sequence[str], bands: Sequence[str]) -> str:
    rows = [
        (
            f"`{one['key']}`",
            _value(one["threshold"]),
            _percent(one["alone"]),
            *(_percent(one["languages"][tag]["alone"]) for tag in tags),
            *(_percent(one["lengths"][band]["alone"]) for band in bands),
        )
        for one in figures["thresholds"]
    ]
    return _table(("threshold", "stands at", "alone costs", *tags, *(f"{band} chars" for band in bands)), rows)


def _elsewhere(figures: Result) -> str:
    rows = []
    for one in figures["thresholds"]:
        told = [
            f"**{_value(value)}: {_percent(kept)}**"
            if value == one["threshold"]
            else f"{_value(value)}: {_percent(kept)}"
            for value, kept in one["elsewhere"]
        ]
        if told:
            rows.append((f"`{one['key']}`", " · ".join(told)))
    return _table(("threshold", "kept of all posts, were it elsewhere"), rows)


def _reasons(figures: Result) -> str:
    given = sorted(figures["reasons"].items(), key=lambda item: -item[1]["posts"])
    rows = [
        (f"`{name}`", _percent(one["posts"] / figures["posts"]), _percent(one["alone"] / figures["posts"]))
        for name, one in given
        if one["posts"]
    ]
    return _table(("reason", "of all posts", "its only reason"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _value(value: float | None) -> str:
    return "off" if value is None else f"{value:.10g}"


def _percent(share: float) -> str:
    """Return a share in percent, with as many digits as say something.

    >>> _percent(0.123), _percent(0.0042), _percent(0.00001), _percent(0)
    ('12.3%', '0.42%', '<0.01%', '0')
    """
    if not share:
        return "0"
    percent = 100 * share
    return "<0.01%" if percent < 0.01 else f"{percent:.2f}%" if percent < 1 else f"{percent:.1f}%"


def replaced(page: str, made: str) -> str:
    """Return a page with other tables between its marks."""
    return page[: page.index(BEGIN)] + made + page[page.index(END) + len(END) :]


def main() -> None:
    """Run, measure, write the result file and the tables."""
    made = argparse.ArgumentParser(prog="python -m bench.policy", description=__doc__.partition("\n")[0])
    made.add_argument("--real-data", type=Path, default=ROOT.parent / "shared" / "data")
    made.add_argument("--curated", type=Path, help="a folder of a run over all of those posts, in place of a new one")
    made.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = made.parse_args()
    try:
        with TemporaryDirectory() as work:
            curated = asked.curated or Path(work) / "curated"
            if not asked.curated:
                curate(prepare.post_files(asked.real_data), curated)
            figures = measured(curated)
    except BenchError as error:
        say(str(error))
        sys.exit(1)
    written = record.write({"versions": record.versions(), "figures": figures}, "policy", asked.out)
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), tables(figures, written.name)), encoding="utf-8")
    say(f"written to {written.name} and docs/policy.md")


if __name__ == "__main__":
    main()
