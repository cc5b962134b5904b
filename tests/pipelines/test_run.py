"""The main job end to end on simulated posts with known answers: nothing lost, doubled or half-visible."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from output import answers, curate, posts, tokens
from pyspark.sql import SparkSession

from pipelines import step as stepping
from pipelines.simulate import Simulation, known_clusters, truth, write
from pipelines.tables import epochs, table_files
from pipelines.tokens.sets import verify
from schemas.errors import ConfigError, RunError
from schemas.post import POST
from schemas.reasons import Fault, Reason

LINES = 6000
COPIED = (Reason.EXACT_DUPLICATE, Reason.NEAR_DUPLICATE, Reason.REPOST)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated stream in one file."""
    path = tmp_path_factory.mktemp("raw") / "posts.jsonl"
    write(Simulation(posts=LINES, seed=5), path)
    return path


@pytest.fixture(scope="module")
def curated(spark: SparkSession, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The stream curated once, and the report of that run."""
    out = tmp_path_factory.mktemp("curated")
    return out, curate([raw], out)


def test_every_line_is_accounted_for(curated: tuple[Path, dict[str, Any]], raw: Path) -> None:
    out, report = curated
    counts = report["posts"]
    assert counts["kept"] + counts["rejected"] + counts["quarantined"] == counts["read"]
    lines = [line for line in raw.read_bytes().split(b"\n") if line.strip()]
    assert counts["read"] + report["tombstones"] + report["notices"] == len(lines) == LINES
    assert counts["kept"] == sum(pq.read_metadata(file).num_rows for file in table_files(out, "documents"))
    rows = posts(out)
    assert counts["kept"] == sum(row["route"] == "kept" for row in rows) == sum(row["verdict"]["keep"] for row in rows)
    assert counts["rejected"] == sum(row["route"] == "rejected" for row in rows)
    quarantined = [row for file in table_files(out, "quarantine") for row in pq.read_table(file).to_pylist()]
    assert counts["quarantined"] == len(quarantined) == sum(report["faults"].values()) > 0
    for row in quarantined:
        assert row["raw"] == lines[row["line"] - 1][: len(row["raw"])]
        assert row["fault"] in set(Fault)
    assert set(report["reasons"]) <= set(Reason)


def test_the_report_says_what_the_tables_say(curated: tuple[Path, dict[str, Any]]) -> None:
    out, report = curated
    written = json.loads((out / "reports" / "epoch-000000" / "report.json").read_text())
    assert written["posts"] == report["posts"]
    rejected = [row for row in posts(out) if row["route"] == "rejected"]
    for reason in report["reasons"]:
        assert report["reasons"][reason] == sum(reason in row["verdict"]["reasons"] for row in rejected)
    assert sum(report["languages"].values()) == report["posts"]["kept"]
    assert report["seconds"] > 0
    assert report["posts_per_second"] > 0
    assert set(report["models"]) >= {"quality", "spam", "toxicity", "ai_text", "language", "tokenizer"}


def test_campaigns_collapse_to_their_first_post(curated: tuple[Path, dict[str, Any]], raw: Path) -> None:
    out, _ = curated
    clusters = known_clusters(raw.read_bytes().splitlines())
    members = {post: name for name, ids in clusters.items() for post in ids}
    copies = sum(len(ids) - 1 for ids in clusters.values())
    rows = [row for row in posts(out) if row["id"] in members and row["duplicate_of"]]
    right = [row for row in rows if members.get(row["duplicate_of"]) == members[row["id"]]]
    assert copies > 100
    assert len({row["id"] for row in right}) >= 0.95 * copies
    assert len(right) >= 0.98 * len(rows)


@pytest.mark.parametrize("keep", [1, 2])
def test_a_policy_keeps_one_copy_some_or_none(spark: SparkSession, raw: Path, tmp_path: Path, keep: int) -> None:
    verdict = {"keep_copies": keep, "max_campaign_posts": 6}
    report = curate([raw], tmp_path, stages={"verdict": verdict})
    rows = posts(tmp_path)
    members: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["duplicates"]["kind"] in ("exact", "near", "repost"):
            members.setdefault(row["duplicate_of"], []).append(row)
    for copies in members.values():
        assert sorted(row["duplicates"]["copy"] for row in copies) == list(range(2, len(copies) + 2))
        assert {row["duplicates"]["cluster_size"] for row in copies} == {len(copies) + 1}
        for row in copies:
            reasons = row["verdict"]["reasons"]
            assert any(reason in reasons for reason in COPIED) == (row["duplicates"]["copy"] > keep)
            assert (Reason.CAMPAIGN in reasons) == (len(copies) + 1 > 6)
    large = {original for original, copies in members.items() if len(copies) + 1 > 6}
    versions = Counter(row["id"] for row in rows)  # of an edited post any version may be the original
    originals = [row for row in rows if row["id"] in large and versions[row["id"]] == 1 and not row["duplicate_of"]]
    assert originals
    assert all(Reason.CAMPAIGN in row["verdict"]["reasons"] for row in originals)
    kept = [row for copies in members.values() for row in copies if row["route"] == "kept"]
    assert bool(kept) == (keep > 1)
    assert sum(report["duplicates"].values()) == sum(row["duplicates"]["kind"] is not None for row in rows)


def test_deleted_posts_are_not_kept_and_hold_no_text(curated: tuple[Path, dict[str, Any]], raw: Path) -> None:
    out, report = curated
    gone = {
        event["post_id"]
        for line in raw.read_bytes().splitlines()
        if b'"post_deleted"' in line and (event := orjson.loads(line)).get("kind") == "post_deleted"
    }
    rows = [row for row in posts(out) if row["id"] in gone]
    assert len(rows) > 10
    for row in rows:
        assert row["route"] == "rejected"
        assert Reason.DELETED in row["verdict"]["reasons"]
        assert row["text"] == ""
        assert row["pii"] is None
        assert row["clean_text"] is None
    assert not gone & set(tokens(out, report))


def test_the_newest_version_of_an_edited_post_counts(curated: tuple[Path, dict[str, Any]], raw: Path) -> None:
    out, _ = curated
    edits: dict[str, str] = {}
    for line in raw.read_bytes().splitlines():
        said = truth(line)
        if said and said["kind"] == "edit":
            edits[said["edit_of"]] = orjson.loads(line)["text"]
    rows = [row for row in posts(out) if row["id"] in edits and not row["duplicates"]["deleted"]]
    kept = [row for row in rows if "superseded" not in (row["duplicates"]["kind"] or "")]
    older = [row for row in rows if row["duplicates"]["kind"] == "superseded"]
    assert len(older) > 5
    assert all(row["text"] != edits[row["id"]] and row["route"] == "rejected" for row in older)
    assert all(row["text"] == edits[row["id"]] for row in kept)


def test_redacted_text_is_what_is_tokenised(curated: tuple[Path, dict[str, Any]]) -> None:
    from pipelines.tokens.tokenizer import load_tokenizer

    out, report = curated
    tokenizer = load_tokenizer("default")
    ids = tokens(out, report)
    kept = {row["id"]: row for row in posts(out) if row["route"] == "kept"}
    assert set(ids) == set(kept)
    assert any(row["pii"]["spans"] for row in kept.values())
    end = [] if tokenizer.end_of_document is None else [tokenizer.end_of_document]
    for post, row in kept.items():
        assert tokenizer.decode(ids[post]) == row["pii"]["redacted"]
        assert ids[post][-len(end) :] == end
    assert verify(out / report["token_set"]) == []
    manifest = json.loads((out / report["token_set"] / "manifest.json").read_text())
    assert manifest["tokens"] == report["tokens"]["kept"] == sum(map(len, ids.values()))
    assert manifest["config_hash"] == report["config_hash"]


def test_how_the_input_is_cut_does_not_matter(curated: tuple[Path, dict[str, Any]], raw: Path, tmp_path: Path) -> None:
    out, report = curated
    lines = raw.read_bytes().splitlines(keepends=True)
    pieces = [tmp_path / "in" / f"{name}.jsonl" for name in ("c", "a", "b")]
    pieces[0].parent.mkdir()
    for number, piece in enumerate(pieces):
        piece.write_bytes(b"".join(lines[number * 1777 : (number + 1) * 1777 if number < 2 else None]))
    again = curate(
        [tmp_path / "in"],
        tmp_path / "out",
        input={"split_bytes": 200_000, "batch_rows": 700},
        tokens={"shard_tokens": 9000},
    )
    assert answers(tmp_path / "out") == answers(out)
    assert tokens(tmp_path / "out", again) == tokens(out, report)
    assert again["tokens"]["shards"] > report["tokens"]["shards"]


def test_the_same_input_is_refused_and_more_input_is_appended(
    curated: tuple[Path, dict[str, Any]], raw: Path, tmp_path: Path
) -> None:
    out, report = curated
    before = answers(out)
    with pytest.raises(ConfigError, match="curated there already, as epoch 0"):
        curate([raw], out)
    kept = {row["id"]: row["text"] for row in posts(out) if row["route"] == "kept"}
    lines = [
        line for line in raw.read_bytes().splitlines(keepends=True) if (truth(line) or {}).get("kind") == "organic"
    ]
    known = next(line for line in lines if kept.get(orjson.loads(line)["id"]) == orjson.loads(line)["text"])
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(known + b'{"id": "new", "text": "A new post about the smell of fresh bread in the morning."}\n')
    more = curate([copy], out)
    assert more["posts"]["read"] == 2
    assert more["reasons"]["repeated_id"] == 1
    assert len(answers(out)) == len(before) + 2 - more["forgotten"]["posts"]  # deletions of the first run's posts
    assert [entry["swarmfeed.epoch"] for entry in epochs(out)] == ["0", "1"]
    assert more["token_set"] != report["token_set"]


def test_input_inside_the_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "1", "text": "A post beside the tables it would go to."}\n')
    with pytest.raises(ConfigError, match="lies inside it"):
        curate([tmp_path / "in.jsonl"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def crash(*_: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("where", ["stage_posts", "find_duplicates", "_decide"])
def test_a_failed_run_leaves_what_was_there(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write(Simulation(posts=50, seed=1), first)
    write(Simulation(posts=50, seed=2), second)
    out = tmp_path / "out"
    curate([first], out)
    seen = sorted(path for path in out.rglob("*") if path.is_file())
    with monkeypatch.context() as patched:
        patched.setattr(stepping, where, crash)
        with pytest.raises(RunError, match="disk is full"):
            curate([second], out)
    assert sorted(path for path in out.rglob("*") if path.is_file()) == seen
    assert curate([second], out)["epoch"] == 1


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("empty.jsonl", lambda path: path.write_bytes(b"")),
        ("blank.jsonl", lambda path: path.write_bytes(b"\n\n")),
        ("header.csv", lambda path: path.write_text("id,text\n")),
        ("none.parquet", lambda path: pq.write_table(POST.empty_table(), path)),
    ],
)  # fmt: skip
def test_input_without_posts_is_no_failure(
    spark: SparkSession, tmp_path: Path, name: str, make: Callable[[Path], Any]
) -> None:
    make(tmp_path / name)
    report = curate([tmp_path / name], tmp_path / "out", input={"format": "canonical"})
    assert report["posts"] == {"read": 0, "kept": 0, "rejected": 0, "quarantined": 0}
    assert report["token_set"] is None


def test_only_quarantined_records_is_no_failure_either(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(b'{"id": "1", "text": "x"\n{"text": "no id"}\n[1]\n')
    report = curate([tmp_path / "bad.jsonl"], tmp_path / "out", input={"format": "canonical"})
    assert report["posts"] == {"read": 3, "kept": 0, "rejected": 0, "quarantined": 3}
    assert report["faults"] == {"bad_json": 2, "missing_id": 1}
