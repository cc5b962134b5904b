"""Campaigns are those of the tables: recounted in plain Python over two epochs, ranked, sampled, printed harmlessly."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import invented_output
import pytest
from output import curate, posts
from pyspark.sql import SparkSession
from rich.cells import cell_len
from rich.console import Console

from jobs import cli
from pipelines import report
from pipelines.campaigns import Answer, Campaign, Question, parse_time, print_campaigns
from pipelines.campaigns import list_campaigns as answer
from pipelines.report.clusters import COPIES
from pipelines.simulate import Simulation, known_clusters, truth, write
from schemas.config import SparkConfig
from schemas.errors import ConfigError

ROOT = Path(__file__).parents[2]
LINES = 5000
START = datetime(2026, 5, 1, tzinfo=UTC)
RTL = "הגשר הישן מעל הנהר נסגר לשלושה שבועות בגלל השיטפון 🔥👨‍👩‍👧 والجسر الجديد مفتوح, write to jane.doe@example.com"
GONE = "The baker on the corner sells warm rye bread until seven in the evening on weekdays."
TURNED = "Seven red lanterns hung \x1b[31mabove\x1b[0m the \u202eharbour while the violins played on."
LINKED = "Divers found an anchor as long as a bus on the sea floor in front of the old lighthouse "
INVENTED = [
    *({"id": f"rtl{row}", "text": RTL, "created_at": START} for row in range(4)),
    *({"id": f"gone{row}", "text": GONE, "author_id": "ann"} for row in range(3)),
    *({"id": f"turn{row}", "text": TURNED, "author_id": f"a{row}", "created_at": START} for row in range(2)),
    {"kind": "post_deleted", "post_id": "gone0"},
    *(
        {"id": f"link{row}", "text": f"{LINKED}{tail}", "author_id": f"l{row}", "created_at": START}
        for row, tail in enumerate(
            (
                "https://harbour.example/a",
                "https://harbour.example/b https://lake.example",
                "https://t.co/x https://pier.example",
                "too https://youtu.be/x",
            )
        )
    ),
]


def late(row: int) -> dict[str, Any]:
    """A copy that comes in the second epoch, a day and some hours later."""
    return {"id": f"late{row}", "text": RTL, "author_id": "bob", "created_at": START + timedelta(hours=25 + row)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A simulated stream cut in two, with invented posts in both halves."""
    folder = tmp_path_factory.mktemp("raw")
    write(Simulation(posts=LINES, seed=5), folder / "whole.jsonl")
    lines = (folder / "whole.jsonl").read_bytes().splitlines(keepends=True)
    half = LINES * 3 // 5
    edited = {**late(0), "text": RTL + " !", "extra": json.dumps({"edited_at": 1_800_000_000_000_000})}
    for name, part, more in (
        ("a.jsonl", lines[:half], [*INVENTED, late(0)]),
        ("b.jsonl", lines[half:], [edited, late(1), late(2), late(2)]),
    ):
        told = "".join(json.dumps(row, default=str) + "\n" for row in more)
        (folder / name).write_bytes(b"".join(part) + told.encode())
    return [folder / "a.jsonl", folder / "b.jsonl"]


@pytest.fixture(scope="module")
def curated(spark: SparkSession, raw: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two epochs whose name Spark could take for a pattern."""
    out = tmp_path_factory.mktemp("curated") / "out [put] {a,b} 50%"
    for path in raw:
        curate([path], out)
    return out


def recount(out: Path, question: Question) -> dict[str, dict[str, Any]]:
    """Count the campaigns again, post by post."""
    rows = sorted(posts(out), key=lambda row: row["epoch"])
    clusters: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    heads: dict[str, dict[str, Any]] = {}
    for row in rows:
        at, kind = row["created_at"], row["duplicates"]["kind"]
        outside = (question.since and (at is None or at < question.since)) or (
            question.until and (at is None or at >= question.until)
        )
        if kind in ("repeated_id", "superseded") or outside:
            continue
        heads[row["id"]] = row
        if kind:
            clusters[row["duplicate_of"]][row["id"]] = row
    for name in clusters:
        if name in heads:
            clusters[name][name] = heads[name]
    told = {name: figures(name, list(members.values())) for name, members in clusters.items()}
    return {name: said for name, said in told.items() if said["posts"] >= question.min_posts}


def figures(name: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    authors = Counter(row["author_id"] for row in members if row["author_id"] is not None)
    times = sorted(row["created_at"] for row in members if row["created_at"])
    span = (times[-1] - times[0]).total_seconds() if times else None
    languages = Counter((row["language"] or {}).get("lang") or "und" for row in members)
    most = sorted(languages.items(), key=lambda item: (-item[1], item[0]))[:3]
    kinds = Counter(row["duplicates"]["kind"] for row in members if row["id"] != name)
    top = max(authors, key=lambda author: (authors[author], author), default=None)
    return {
        "original": name,
        "posts": len(members),
        "kept": sum(row["route"] == "kept" for row in members),
        "authors": len(authors),
        "posts_without_author": len(members) - authors.total(),
        "top_author": top,
        "top_author_share": None if top is None else round(authors[top] / len(members), 4),
        "first": times[0] if times else None,
        "last": times[-1] if times else None,
        "span_seconds": span,
        "posts_per_hour": None if span is None else round(len(times) / max(span / 3600, 1), 4),
        "languages": {tag: round(count / len(members), 4) for tag, count in most},
        "kinds": {kind: kinds[kind] for kind in COPIES if kinds[kind]},
        "wordings": len({row["sketch"]["fingerprint"] for row in members if row["sketch"]} - {None}),
        "hosts": len({site(row) for row in members} - {None}),
    }


def site(row: dict[str, Any]) -> str | None:
    """The first site a post links to that is neither a platform nor a shortener."""
    links = (row["credibility"] or {}).get("links") or []
    return next((link["host"] for link in links if link["kind"] not in ("platform", "shortener")), None)


def test_witnesses_are_told_from_copies(curated: Path) -> None:
    told = {one.original: one for one in answer(curated, Question(top=1000), SparkConfig()).campaigns}
    assert (told["link0"].authors, told["link0"].wordings, told["link0"].hosts) == (4, 2, 2)
    assert (told["rtl0"].wordings, told["rtl0"].hosts) == (1, 0)


def plain(campaign: Campaign) -> dict[str, Any]:
    return {name: value for name, value in vars(campaign).items() if name != "sample"}


QUESTIONS = [
    Question(top=1000),
    Question(top=7, by="authors"),
    Question(top=9, by="rate", min_posts=4),
    Question(top=1000, min_posts=1, since=START, until=START + timedelta(hours=26)),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=["all", "authors", "rate", "window"])
def test_the_figures_are_those_of_a_recount(curated: Path, question: Question) -> None:
    told = answer(curated, question, SparkConfig())
    counted = recount(curated, question)
    names = {"posts": "posts", "authors": "authors", "rate": "posts_per_hour"}
    by = names[question.by]
    order = sorted(counted.values(), key=lambda one: (-(one[by] or 0), -one["posts"], one["original"]))
    assert told.in_all == len(counted) > 1
    assert [plain(one) for one in told.campaigns] == order[: question.top]


def test_a_window_through_the_middle_of_the_campaigns(curated: Path) -> None:
    times = sorted(row["created_at"] for row in posts(curated) if row["created_at"])
    question = Question(top=1000, since=times[len(times) // 4], until=times[len(times) // 2])
    told = answer(curated, question, SparkConfig())
    counted = recount(curated, question)
    assert {one.original: plain(one) for one in told.campaigns} == counted
    assert 5 < told.in_all < answer(curated, Question(), SparkConfig()).in_all
    assert any(one.posts == sum(one.kinds.values()) for one in told.campaigns)  # an original that lies outside


def test_an_original_counts_across_epochs_and_one_post_once(curated: Path) -> None:
    found = {one.original: one for one in answer(curated, Question(top=1000), SparkConfig()).campaigns}
    rtl = found["rtl0"]
    assert (rtl.posts, rtl.authors, rtl.posts_without_author) == (7, 1, 4)
    assert (rtl.top_author, rtl.top_author_share) == ("bob", round(3 / 7, 4))
    assert (rtl.first, rtl.last) == (START, START + timedelta(hours=27))
    assert rtl.posts_per_hour == round(7 / 27, 4)
    assert sum(rtl.kinds.values()) == 6
    turned = found["turn0"]
    assert (turned.span_seconds, turned.posts_per_hour) == (0, 2)
    (timeless,) = [one for one in found.values() if one.original.startswith("gone:") and one.first is None]
    assert (timeless.posts, timeless.span_seconds, timeless.posts_per_hour) == (2, None, None)  # without the original


def test_known_campaigns_are_found(curated: Path, raw: list[Path]) -> None:
    lines = [line for path in raw for line in path.read_bytes().splitlines() if truth(line)]
    known = {name: ids for name, ids in known_clusters(lines).items() if len(ids) >= 10}
    found = {one.original: one for one in answer(curated, Question(top=1000), SparkConfig()).campaigns}
    assert len(known) > 3
    for ids in known.values():
        assert max(found[name].posts for name in ids if name in found) >= 0.8 * len(ids)


def test_samples_are_redacted_and_of_the_original(curated: Path) -> None:
    found = {one.original: one for one in answer(curated, Question(top=1000), SparkConfig()).campaigns}
    deliveries = sorted(posts(curated), key=lambda row: row["epoch"])
    rows = {row["id"]: row for row in deliveries if row["duplicates"]["kind"] not in ("repeated_id", "superseded")}
    forgotten = {name: one for name, one in found.items() if name.startswith("gone:")}  # by the second run
    assert len({name: row for name, row in rows.items() if name in found}) == len(found) - len(forgotten)
    for name, row in rows.items():
        if name in found and row["pii"]:
            sample = found[name].sample
            assert sample is not None
            assert len(sample) <= 201
            assert " ".join(row["pii"]["redacted"].split()).startswith(sample.removesuffix("…").rstrip())
    rtl = found["rtl0"].sample
    assert rtl is not None
    assert rtl.startswith("הגשר הישן")
    assert "jane.doe" not in rtl
    assert forgotten
    assert all(one.sample is None for one in forgotten.values())


def test_a_sample_is_shown_though_the_original_lies_outside_the_time(curated: Path) -> None:
    question = Question(since=START + timedelta(hours=24), until=START + timedelta(hours=40), top=1000)
    rtl = next(one for one in answer(curated, question, SparkConfig()).campaigns if one.original == "rtl0")
    assert rtl.posts == 3
    assert rtl.sample is not None


def printed(told: Answer, question: Question, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_campaigns(told, question, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_is_printed_fits_and_is_harmless(curated: Path) -> None:
    question = Question(top=1000)
    text = printed(answer(curated, question, SparkConfig()), question)
    assert "campaigns of 2 posts or more; all of them" in text.splitlines()[0]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Seven red lanterns hung [31mabove" in text
    assert "הגשר הישן" in text
    assert "4 posts without an author" in text
    assert "(no text is held)" in text
    assert "jane.doe" not in text
    assert [line for line in text.splitlines() if cell_len(line) > 100 or line != line.rstrip()] == []


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process: exit status, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(["campaigns", *map(str, words)])
        assert isinstance(left.value.code, int)
        return left.value.code, *capsys.readouterr()

    return run


def test_json_is_one_line_with_a_list(call: Call, curated: Path) -> None:
    status, out, err = call(curated, "--top", 3, "--min-posts", 5, "--json")
    assert (status, err, out.count("\n")) == (0, "", 1)
    told = json.loads(out)
    wanted = answer(curated, Question(top=3, min_posts=5), SparkConfig())
    assert told == [one.to_dict() for one in wanted.campaigns]
    assert len(told) == 3
    assert datetime.fromisoformat(told[0]["first"]) == wanted.campaigns[0].first


def test_the_command_prints_a_table(call: Call, curated: Path) -> None:
    status, out, err = call(
        curated, "--by", "rate", "--top", 2, "--since", "2000-01-01", "--until", "2100-01-01T00:00Z"
    )
    assert (status, err) == (0, "")
    assert "since 2000-01-01 00:00 before 2100-01-01 00:00; the 2 with the most posts an hour" in out
    assert "posts/hour" in out


def test_no_campaigns_is_said_and_is_no_mistake(call: Call, curated: Path, tmp_path: Path) -> None:
    assert call(curated, "--min-posts", 100_000) == (0, "No campaign of 100,000 posts or more.\n", "")
    assert call(curated, "--until", "1999-01-01")[:2] == (
        0,
        "No campaign of 2 posts or more before 1999-01-01 00:00.\n",
    )
    invented_output.curate(tmp_path, [])
    assert call(tmp_path) == (0, "No campaign of 2 posts or more.\n", "")
    assert call(tmp_path, "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--top 0", "--top: expected 1 to 1000, got 0"),
        ("--min-posts 0", "--min-posts: expected 1 or more, got 0"),
        ("--by author", "--by: expected posts, authors, rate, got 'author': did you mean 'authors'?"),
        ("--since yesterday", "--since: expected a date such as 2026-05-04 or 2026-05-04T12:30, got 'yesterday'"),
        ("--until 2026-13-01", "--until: expected a date"),
        ("--since 2026-05-04 --until 2026-05-04", "--until: expected a time after --since, got 2026-05-04 00:00:00"),
        ("", "no posts table there; expected a folder that `swarmfeed run --out` wrote"),
    ],
)
def test_a_wrong_call_is_one_line(call: Call, tmp_path: Path, words: str, said: str) -> None:
    status, out, err = call(tmp_path, *words.split())
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_times_are_utc_unless_they_say_otherwise() -> None:
    assert parse_time("--since", "2026-05-04T12:30+02:00") == datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    assert parse_time("--since", None) is None
    with pytest.raises(ConfigError, match="--since: expected a date"):
        parse_time("--since", "0001-01-01T00:00+14:00")


def test_the_job_for_spark_submit_takes_the_same_words(tmp_path: Path) -> None:
    words = [sys.executable, "jobs/list_campaigns.py", str(tmp_path), "--top", "3"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=here, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"swarmfeed: {tmp_path}: no posts table there")


def test_the_report_follows_its_campaigns(tmp_path: Path) -> None:
    text = "The old bridge over the river was closed for three weeks because of the flood."
    copies = [
        {"id": f"p{row}", "author_id": f"a{row % 2}", "text": text, "created_at": START + timedelta(hours=row)}
        for row in range(5)
    ]
    said = report.write(tmp_path, invented_output.curate(tmp_path, [*copies, {"id": "x", "text": "Bread at seven?"}]))
    (told,) = said["campaigns"]
    assert told == {
        "original": "p0",
        "posts": 5,
        "authors": 2,
        "kind": "exact",
        "first": START.isoformat(),
        "last": (START + timedelta(hours=4)).isoformat(),
        "span_seconds": 4 * 3600,
        "posts_per_hour": 1.25,
        "languages": {"en": 1.0},
    }
    html = Path(said["report"]).read_text(encoding="utf-8")
    assert "Largest campaigns" in html
    assert ">4 h<" in html
    assert text not in json.dumps(said)
