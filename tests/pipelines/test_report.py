"""The report says what the tables say, shows hostile posts harmlessly, and can be written again from the folder."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from invented_output import curate
from rich.console import Console

from pipelines import report
from pipelines.report.charts import mirrored, over_time, score_axis
from pipelines.report.figures import Figures, File, _spread, epoch_files, measure
from pipelines.report.page import render
from pipelines.tables import open_table
from schemas.config import Config
from schemas.errors import ConfigError

WORDS = ("bread", "rivers", "chess", "bicycles", "lanterns", "weather", "violins", "gardens", "trains", "maps")
HOSTILE = (
    "<script>alert(1)</script> I really enjoyed the long walk along the harbour this morning",
    '"><img src=x onerror=alert(2)> the library opens again on Monday with a new reading room',
    "</p></li></ol></main><h1>Owned by a stranger who wrote this long sentence in the park</h1>",
    "{{ totals }} {% raw %} {# note #} the template engine must not read what people write here",
    "javascript:alert(3) &lt;b&gt; &amp; she asked whether the train to the coast was late again",
)
NASTY = (
    "",
    "🙂",
    "word " * 4000,
    "a\u200db\u200dc\u200d the family emoji is held together by joiners, said the teacher",
    "the price was \u202e001 euro\u202c and then the whole sentence ran the other way round",
    "\ufffd\ufffd\ufffd something was lost on the way here but the sentence goes on",
    "🔥" * 300,
    "hello",
    "שלום לכולם mixed with English words about the weather مرحبا بكم",
    "tab\tand\x07bell and a line\nbreak in the middle of a sentence about gardens",
)
BAD = [
    {"raw": b'{"id": "q1"', "file": "/in/a<b>.jsonl", "line": 7, "stage": "read", "fault": "bad_json", "error": "<i>"},
    {"raw": b"{}", "file": "/in/b.jsonl", "line": 3, "stage": "read", "fault": "missing_id", "error": "no id"},
    {"raw": b"[", "file": "/in/a<b>.jsonl", "line": 2, "stage": "read", "fault": "bad_json", "error": "not one object"},
]
START = datetime(2026, 5, 1, tzinfo=UTC)


def posts(count: int = 60) -> list[dict[str, Any]]:
    """Kept, rejected, copied and hostile posts, an hour apart."""
    texts = [f"Yesterday we talked about {one} and {other} for hours." for one in WORDS for other in WORDS][:count]
    texts += [texts[3]] * 4 + [*HOSTILE, *NASTY, "https://example.com/a", "#a #b #c #d #e #f", "DELETED"]
    texts.append("Write to jane.doe@example.com if you want to join us for the walk on Sunday.")
    return [
        {"id": f"p{row:04d}", "author_id": f"a{row % 7}", "text": text, "created_at": START + timedelta(hours=row)}
        for row, text in enumerate(texts)
    ]


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A folder with a space in its name, the totals of its epoch and what the report said."""
    out = tmp_path_factory.mktemp("report") / "out put"
    totals = curate(out, posts(), BAD)
    return out, totals, report.write(out, totals)


def rows(out: Path) -> list[dict[str, Any]]:
    delta = open_table(out, "posts")
    assert delta is not None
    table: list[dict[str, Any]] = delta.to_pyarrow_table().to_pylist()
    return table


def test_the_figures_are_those_of_the_tables(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, totals, said = curated
    table = rows(out)
    figures = measure(out, 0)
    assert not figures.sampled
    assert dict(figures.posts) == {route: sum(row["route"] == route for row in table) for route in ("kept", "rejected")}
    assert figures.posts["kept"] > 50
    assert dict(figures.reasons) == totals["reasons"]
    assert dict(figures.languages["kept"]) == totals["languages"]
    assert {kind: count for kind, count in totals["duplicates"].items() if count} == dict(figures.kinds) == {"exact": 4}
    alone = [row["verdict"]["reasons"][0] for row in table if len(row["verdict"]["reasons"] or []) == 1]
    assert figures.alone == {reason: alone.count(reason) for reason in alone} == said["only_reasons"]
    for name, counts in figures.scores.items():
        stage, field = name.split(".")
        for side, route in enumerate(("kept", "rejected")):
            values = [(row[stage] or {}).get(field) for row in table if row["route"] == route]
            assert counts[side].sum() == sum(value is not None for value in values)
            assert figures.unscored[name, route] == values.count(None)
            assert counts[side][25:].sum() == sum(value is not None and value >= 0.5 for value in values)
    assert figures.chars.sum() == sum(row["quality"] is not None for row in table)
    assert sum(sum(hours.values()) for hours in figures.hours.values()) + figures.timeless == len(table)
    read = [row["language"]["lang"] for row in table if row["language"]]
    assert said["languages_read"] == {lang: read.count(lang) for lang in said["languages_read"]}
    assert sum(said["languages_read"].values()) == len(read)


def test_the_largest_cluster_is_shown_with_its_original(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, _, _ = curated
    ((cluster, original),) = measure(out, 0).clusters
    assert (cluster.size, cluster.authors, cluster.kind) == (5, 5, "exact")
    assert cluster.original == original["id"] == "p0003"


def test_report_json_has_the_keys_of_the_contract(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, totals, said = curated
    written = json.loads((out / "reports" / "epoch-000000" / "report.json").read_text(encoding="utf-8"))
    assert said == {**written, "report": str(out / "reports" / "epoch-000000" / "index.html")}
    assert totals.items() <= written.items()
    contract = "posts reasons languages duplicates tokens seconds posts_per_second config_hash models version"
    assert set(contract.split()) <= set(written)
    counts = written["posts"]
    assert counts["read"] == counts["kept"] + counts["rejected"] + counts["quarantined"] == len(posts()) + len(BAD)


def test_the_page_is_harmless_whatever_posts_say(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, _, said = curated
    html = Path(said["report"]).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "img", "iframe", "link", "object", "embed", "form", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value or "" for name, value in page.attributes if name in ("href", "src", "action", "xlink:href")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert page.tags.count("h1") == page.tags.count("main") == 1
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_a_hostile_post_is_shown_as_it_is_written(tmp_path: Path) -> None:
    said = report.write(
        tmp_path,
        curate(tmp_path, [{"id": f"<b>{row}</b>", "text": text} for row, text in enumerate(HOSTILE)], BAD),
    )
    page = Page(Path(said["report"]).read_text(encoding="utf-8"))
    for row in rows(tmp_path):
        assert row["pii"]["redacted"] in page.texts
        assert row["id"] in page.texts
    assert "a<b>.jsonl:2" in "".join(page.texts)


def test_quarantine_shows_places_and_never_the_record(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, _, said = curated
    html = Path(said["report"]).read_text(encoding="utf-8")
    assert html.index("in/a&lt;b&gt;.jsonl:2") < html.index("in/a&lt;b&gt;.jsonl:7") < html.index("in/b.jsonl:3")
    assert "q1" not in html


def test_personal_data_and_deleted_texts_do_not_reach_the_page(
    curated: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    out, _, said = curated
    html = Path(said["report"]).read_text(encoding="utf-8")
    assert "jane.doe" not in html
    assert "DELETED" not in html
    figures = measure(out, 0)
    shown = [*figures.kept, *(row for of_reason in figures.rejected.values() for row in of_reason)]
    assert all("text" not in row for row in shown)
    assert "deleted" in figures.reasons
    assert "deleted" not in figures.rejected


def test_samples_are_the_same_each_time_and_no_text_comes_twice(
    curated: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    out, _, _ = curated
    curate(tmp_path, posts(), BAD)
    once, again = measure(out, 0), measure(tmp_path, 0)
    assert [row["id"] for row in once.kept] == [row["id"] for row in again.kept]
    assert once.rejected == again.rejected
    for of_reason in (once.kept, *once.rejected.values()):
        texts = [row["pii"]["redacted"] for row in of_reason]
        assert 0 < len(texts) == len(set(texts)) <= 10
    assert len(once.kept) == 10
    for reason, of_reason in once.rejected.items():
        assert all(reason in row["verdict"]["reasons"] for row in of_reason)
        only = [len(row["verdict"]["reasons"]) == 1 for row in of_reason]
        assert only == sorted(only, reverse=True)


def test_thresholds_of_the_run_are_marked(tmp_path: Path) -> None:
    config = Config.parse({"stages": {"verdict": {"min_quality": 0.37, "max_spam": None, "max_ai_text": 0.93}}})
    said = report.write(tmp_path, curate(tmp_path, posts(10), config=config))
    html = Path(said["report"]).read_text(encoding="utf-8")
    assert "under 0.37" in html
    assert "left:37.0%" in html
    assert "over 0.93" in html
    assert "No threshold is set" in html


@pytest.mark.parametrize("bad", [[], BAD], ids=["nothing", "only-quarantined"])
def test_no_posts_is_a_report_too(tmp_path: Path, bad: list[dict[str, Any]]) -> None:
    said = report.write(tmp_path, curate(tmp_path, [], bad))
    assert said["posts"] == {"read": len(bad), "kept": 0, "rejected": 0, "quarantined": len(bad)}
    page = Page(Path(said["report"]).read_text(encoding="utf-8"))
    assert "No post was rejected." in page.texts
    assert report.rebuild(tmp_path) == said
    assert printed(said).startswith(f"{len(bad)} posts read = 0 kept + 0 rejected + {len(bad)} quarantined\n")


def test_written_again_it_is_the_same(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, _, said = curated
    folder = Path(said["report"]).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["index.html", "report.json"]
    assert report.rebuild(out) == said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("left", [None, "", '{"posts": '], ids=["missing", "empty", "cut-off"])
def test_a_lost_report_is_counted_again(
    curated: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path, left: str | None
) -> None:
    totals = curate(tmp_path, posts(), BAD)
    if left is not None:
        (tmp_path / "reports" / "epoch-000000").mkdir(parents=True)
        (tmp_path / "reports" / "epoch-000000" / "report.json").write_text(left)
    again = report.rebuild(tmp_path)
    for key in ("posts", "reasons", "languages", "duplicates", "faults", "tombstones", "tokens", "token_set"):
        assert again[key] == totals[key], key
    assert again["config_hash"] == totals["config_hash"]
    assert again["seconds"] is None
    assert "thresholds shown on this page are the defaults" in Path(again["report"]).read_text(encoding="utf-8")
    assert printed(again).count("posts/s") == 0


def test_only_the_newest_epoch_counts(tmp_path: Path) -> None:
    first = report.write(tmp_path, curate(tmp_path, posts(30)))
    more = [
        {"id": f"n{row}", "text": f"Tomorrow we will walk to the {word} together."} for row, word in enumerate(WORDS)
    ]
    second = report.write(tmp_path, curate(tmp_path, more))
    assert second["epoch"] == 1
    assert sum(second["languages_read"].values()) == second["posts"]["read"] == len(more)
    assert {row["epoch"] for row in rows(tmp_path)} == {0, 1}
    assert measure(tmp_path, 0).posts.total() >= first["posts"]["read"]
    assert report.rebuild(tmp_path) == second
    assert measure(tmp_path, 7).posts.total() == 0


@pytest.mark.parametrize("name", ["gone", ".", "file"])
def test_another_folder_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no epoch there to report on") as refused:
        report.rebuild(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_of_many_files_some_are_read_and_the_page_says_so(
    curated: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    files = [File(Path(f"{route}{n}"), route, 100) for route in ("kept", "rejected") for n in range(40)]
    some = _spread(files, 2000)
    assert [file.path.name for file in some] == [
        f"{route}{n}" for route in ("kept", "rejected") for n in range(0, 40, 4)
    ]
    assert _spread(files, 8000) == files
    assert {file.route for file in _spread(files, 1)} == {"kept", "rejected"}
    out, totals, _ = curated
    figures = measure(out, 0)
    figures.files_in_all = 1234
    page = render(totals, figures, {}, None)
    assert "2 of the 1,234 files" in page


def test_epoch_files_do_not_depend_on_their_random_names(
    curated: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    out, _, _ = curated
    files = epoch_files(out, "posts", 0)
    assert [file.route for file in files] == ["kept", "rejected"]
    assert all(file.path.is_file() for file in files)
    assert epoch_files(out, "quarantine", 0)[0].rows == len(BAD)
    assert [file.rows for file in epoch_files(out, "tombstones", 0)] == [1]
    assert epoch_files(out, "tombstones", 1) == []


def test_a_chart_keeps_every_post() -> None:
    counts = np.array([[0, 9, 100], [1, 0, 4]])
    chart = mirrored("x", counts, score_axis(3, (), ""))
    assert [(one.up, one.down) for one in chart.bins] == [(0, 10), (30, 0), (100, 20)]
    assert [row[1:] for row in chart.rows] == [(0, 1), (9, 0), (100, 4)]


def test_time_far_away_does_not_squeeze_the_rest() -> None:
    day = 24 * 20_000
    kept = {day + hour: 100 for hour in range(48)} | {0: 1, 24 * 3_000_000: 1}
    chart = over_time(kept, {day: 7})
    assert chart is not None
    assert sum(one.kept for one in chart.bins) == 4800
    assert sum(one.rejected for one in chart.bins) == 7
    assert "Outside the time shown: 2." in chart.note
    assert over_time({}, {}) is None
    single = over_time({24 * 5_000_000: 3}, {})
    assert single is not None
    assert single.ticks[0].label == "far off"


def printed(said: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=100)
    report.print_summary(said, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_summary_opens_with_the_equation(curated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    out, totals, said = curated
    text = printed(said)
    counts = totals["posts"]
    assert text.startswith(
        f"{counts['read']} posts read = {counts['kept']} kept + {counts['rejected']} rejected + 3 quarantined\n"
    )
    assert str(out / totals["token_set"]) in text
    assert said["report"] in text
    assert "2 bad_json · 1 missing_id" in text
    assert "4 exact" in text
    top = max(totals["reasons"], key=totals["reasons"].__getitem__)
    assert text.index(top) < text.index("languages")


def test_figures_of_nothing_render(tmp_path: Path) -> None:
    totals = curate(tmp_path, [])
    assert "No post says when it was made." in render(totals, Figures([], 0), {}, None)
