"""A post is explained from the folder alone: scores, thresholds of its run, what it duplicates, where else it went."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from invented_output import curate
from rich.console import Console

from pipelines import report
from pipelines.explain import Explanation, explain, find_posts, print_explanation
from schemas.config import Config
from schemas.errors import ConfigError

SENTENCE = "The old bridge over the river was closed for three weeks because of the flood."
POSTS = [
    {"id": "first", "author_id": "ann", "text": SENTENCE},
    {"id": "copy", "author_id": "bob", "text": SENTENCE},
    {"id": "third", "author_id": "bob", "text": SENTENCE},
    {"id": "short", "text": "the cat"},
    {"id": "markup", "text": "[bold]Brackets[/bold] [/] are only brackets :smile: to whoever reads the sentence."},
    {"id": "mail", "text": "Please write to jane.doe@example.com when you come home from the mountains."},
    {"id": "sourced", "text": "The river rose 2 metres overnight, said Mayor Olsen: https://www.bbc.co.uk/news/1"},
    {"id": "gone", "text": "DELETED"},
]
BAD = [{"raw": b'{"id": "broken", "text"', "file": "/in/a.jsonl", "line": 12, "stage": "read", "fault": "bad_json"}]
STRICT = Config.parse({"stages": {"verdict": {"min_readable_chars": 500}}})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a space in its name and one epoch."""
    folder = tmp_path_factory.mktemp("explain") / "out put"
    report.write(folder, curate(folder, POSTS, BAD))
    return folder


def only(found: list[Explanation]) -> Explanation:
    (one,) = found
    return one


def printed(one: Explanation) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_explanation(one, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_a_post_shows_of_its_sources(out: Path) -> None:
    assert re.search(r"shows +claim, figure, bbc\.co\.uk \(news\)", printed(only(explain(out, "sourced"))))
    assert "shows" not in printed(only(explain(out, "short")))


def test_a_kept_post(out: Path) -> None:
    one = only(explain(out, "first"))
    assert one.kept
    assert one.against == []
    assert one.row["route"] == "kept"
    assert one.config == "the run of epoch 0"
    text = printed(one)
    assert text.startswith("first  kept\n")
    assert SENTENCE in text
    assert "2 duplicates of this post; 2 authors in all" in text
    assert "rejects" not in text


def test_a_copy_is_shown_with_its_original(out: Path) -> None:
    one = only(explain(out, "copy"))
    assert not one.kept
    assert one.against == one.row["verdict"]["reasons"] == ["exact_duplicate"]
    assert one.original is not None
    assert (one.original["id"], one.original["text"]) == ("first", SENTENCE)
    assert one.jaccard == 1
    text = printed(one)
    assert text.startswith("copy  rejected: exact_duplicate\n")
    assert "exact of first, estimated Jaccard 1.00\n  kept, by ann" in text
    assert "3 posts by 2 authors share that original" in text
    assert text.count("rejects") == 1


def test_a_rule_says_what_it_measured_and_what_it_wants(out: Path) -> None:
    one = only(explain(out, "short"))
    assert set(one.row["verdict"]["reasons"]) == set(one.against)
    line = next(line for line in printed(one).splitlines() if "quality.readable_chars" in line and "too_short" in line)
    assert line.split() == ["too_short", "quality.readable_chars", "6", "at", "least", "14", "rejects"]


def test_text_is_printed_as_it_is(out: Path) -> None:
    assert POSTS[4]["text"] in printed(only(explain(out, "markup")))


def test_personal_data_is_shown_beside_its_redaction(out: Path) -> None:
    one = only(explain(out, "mail"))
    assert f"redacted: {one.row['pii']['redacted']}" in printed(one)
    assert "jane.doe" not in one.row["pii"]["redacted"]


def test_a_deleted_post_has_nothing_left_to_show(out: Path) -> None:
    one = only(explain(out, "gone"))
    assert "deleted" in one.row["verdict"]["reasons"]
    assert "(no text is held)" in printed(one)


def test_a_contaminated_post_names_the_item(tmp_path: Path) -> None:
    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text(json.dumps({"id": "bridge", "question": SENTENCE}))
    config = Config.parse({"stages": {"contamination": {"files": [str(quiz)]}}})
    report.write(tmp_path / "out", curate(tmp_path / "out", [POSTS[0], POSTS[4]], config=config))
    quiz.unlink()  # what was found stands in the table: explaining reads no evaluation file
    one = only(explain(tmp_path / "out", "first"))
    assert one.against == one.row["verdict"]["reasons"] == ["contaminated"]
    text = printed(one)
    assert "quiz:bridge (share of words: 1)" in text
    line = next(line for line in text.splitlines() if "contamination.score" in line)
    assert line.split() == ["contaminated", "contamination.score", "1", "at", "most", "0", "rejects"]
    assert "holds" not in printed(only(explain(tmp_path / "out", "markup")))


def test_a_burst_says_how_large_it_is(tmp_path: Path) -> None:
    config = Config.parse({"stages": {"verdict": {"max_campaign_posts": 2}}})
    report.write(tmp_path, curate(tmp_path, POSTS[:3], config=config))
    assert only(explain(tmp_path, "first")).against == ["campaign"]
    assert only(explain(tmp_path, "copy")).against == ["exact_duplicate", "campaign"]
    text = printed(only(explain(tmp_path, "first")))
    line = next(line for line in text.splitlines() if "duplicates.cluster_size" in line)
    assert line.split() == ["campaign", "duplicates.cluster_size", "3", "at", "most", "2", "rejects"]


def test_the_config_hash_follows_the_content_of_an_evaluation_file(tmp_path: Path) -> None:
    quiz = tmp_path / "quiz.txt"
    config = Config.parse({"stages": {"contamination": {"files": [str(quiz)]}}})
    hashes, models = [], []
    for text in (SENTENCE, POSTS[5]["text"]):
        quiz.write_text(text)
        totals = curate(tmp_path / "out", POSTS[:1], config=config)
        hashes.append(totals["config_hash"])
        models.append(totals["models"]["contamination"])
    assert len(set(hashes)) == len(set(models)) == 2
    plain = curate(tmp_path / "plain", POSTS[:1])
    assert "contamination" not in plain["models"]
    assert plain["config_hash"] == Config().hash()


def test_other_thresholds_give_another_answer(out: Path) -> None:
    one = only(explain(out, "first", STRICT))
    assert one.against == ["too_short"]
    assert printed(one).rstrip().endswith("Under the settings given it would be rejected: too_short.")


def test_thresholds_are_those_of_the_run_of_the_post(tmp_path: Path) -> None:
    report.write(tmp_path, curate(tmp_path, POSTS[:1], config=STRICT))
    report.write(tmp_path, curate(tmp_path, POSTS[:1]))
    earlier, later = explain(tmp_path, "first")
    assert [earlier.row["epoch"], later.row["epoch"]] == [0, 1]
    assert (earlier.kept, earlier.against) == (False, ["too_short"])
    assert (later.kept, later.against) == (True, [])
    assert "Under" not in printed(earlier) + printed(later)
    (tmp_path / "reports" / "epoch-000000" / "report.json").unlink()
    assert explain(tmp_path, "first")[0].config.startswith("the defaults")


def test_plain_data_is_json(out: Path) -> None:
    for post in POSTS:
        data = json.loads(json.dumps(only(explain(out, post["id"])).to_dict(), default=str))
        assert data["post"]["id"] == post["id"]
        assert {"reason", "measure", "measured", "bound", "threshold", "passed"} == set(data["findings"][0])
    assert json.dumps(only(explain(out, "copy")).to_dict(), default=str).count("b'") == 0


def test_who_is_not_there_is_said_in_one_line(out: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no post with id 'broken'; a quarantined record .* /in/a.jsonl:12, bad_json"
    ):
        explain(out, "broken")
    for unknown in ("nobody", "", "fir", "zzzz"):
        with pytest.raises(ConfigError, match=f"no post with id '{unknown}': it was never read"):
            explain(out, unknown)
    with pytest.raises(ConfigError, match="no posts table there"):
        explain(tmp_path, "first")


def test_several_posts_are_found_at_once(out: Path) -> None:
    assert {row["id"] for row in find_posts(out, ["first", "short", "nobody"])} == {"first", "short"}
