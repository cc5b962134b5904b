"""What must go is gone from every file, and nothing else is."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from epochs import AT, WORDS, Output, everywhere, post

from pipelines import ledger
from pipelines.exchange import in_this_process
from pipelines.explain import explain
from pipelines.index import open_index
from pipelines.index.rebuild import catch_up
from pipelines.ledger import claim
from pipelines.tables import open_table, table_files
from pipelines.tokens import sets
from pipelines.upkeep import Upkeep, forgetting, receipts, requests
from pipelines.upkeep.doomed import count_open
from pipelines.upkeep.forgetting import forget
from pipelines.upkeep.requests import Request
from schemas.config import Config


def test_a_post_its_reposts_and_every_word_of_it_go(output: Output) -> None:
    before = {row["id"]: row for row in output.rows("posts")}
    tokens = output.tokens()
    requests.leave(output.root, Request(ids=("original-0001", "never-seen-01"), authors=("gone-author-1",)))
    done = forget(output.upkeep())
    gone = {"original-0001", "repost-000005", "by-author-004", "by-author-009", "repost-000010"}
    after = {row["id"]: row for row in output.rows("posts")}
    assert set(after) == set(before) - gone
    assert done.posts == len(gone)
    for name in (*gone, "never-seen-01", "gone-author-1"):
        assert everywhere(output.root, name) == []
    pseudonyms = {after["quote-0000006"][name] for name in ("quote_of", "conversation_id")}
    pseudonyms |= {after["reply-0000007"]["reply_to_id"], after["copy-00000002"]["duplicate_of"]}
    assert len(pseudonyms) == 1
    assert pseudonyms.pop().startswith("gone:")
    assert json.loads(after["reply-0000007"]["extra"])["to"].startswith("gone:")
    mention = before["mention-00008"]["text"].split("original-0001")
    assert after["mention-00008"]["text"].startswith(mention[0] + "gone:")
    assert after["mention-00008"]["text"].endswith(mention[1])
    untouched = set(after) - {"quote-0000006", "reply-0000007", "mention-00008", "copy-00000002", "copy-00000012"}
    assert untouched == {"another-0003", "late-00000011"}
    assert all(after[name] == before[name] for name in untouched)
    assert output.tokens() == {name: run for name, run in tokens.items() if name not in {*gone, "mention-00008"}}
    kept = {row["id"] for row in after.values() if row["route"] == "kept"}
    assert {row["document_id"] for row in output.rows("documents")} == kept
    assert [row["line"] for row in output.rows("quarantine")] == [2]
    assert count_open(output.root).count == 0


def test_a_log_keeps_its_checkpoints(output: Output) -> None:
    for table in output.upkeep().schemas:
        delta = open_table(output.root, table)
        if delta is not None:
            delta.create_checkpoint()
    requests.leave(output.root, Request(ids=("original-0001",)))
    forget(output.upkeep())
    assert "original-0001" not in {row["id"] for row in output.rows("posts")}
    assert everywhere(output.root, "original-0001") == []


def test_events_of_the_stream_are_worked_off_and_a_restored_post_stays(output: Output) -> None:
    output.epoch(
        [post("new-000000013", "Whoever arrives last closes the window and waters the two geraniums.", 12)],
        events=[
            {"kind": "post_deleted", "post_id": "another-0003", "event_at": AT},
            {"kind": "post_deleted", "post_id": "quote-0000006", "event_at": AT},
            {"kind": "post_restored", "post_id": "quote-0000006", "event_at": AT + timedelta(hours=1)},
            {"kind": "author_gone", "author_id": "gone-author-1", "event_at": AT},
            {"kind": "geo_scrubbed", "author_id": "author-of-late-00000011", "event_at": AT},
        ],
    )
    assert count_open(output.root).count == 5
    assert count_open(output.root).oldest == AT
    done = forget(output.upkeep())
    assert done.posts == 4  # one by id, two by the author, a repost of one of those
    ids = {row["id"] for row in output.rows("posts")}
    assert "quote-0000006" in ids
    assert not ids & {"another-0003", "by-author-004", "by-author-009", "repost-000010"}
    assert all(row["done_at"] and row["post_id"] is row["author_id"] is None for row in output.rows("tombstones"))
    assert all(row["name"] is not None for row in output.rows("tombstones"))
    assert forget(output.upkeep()).receipt is None


def test_what_is_asked_for_while_a_pass_works_is_done_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(tmp_path / "out")
    output.epoch([post("p-first", 0), post("p-second", 1), post("p-third", 2)])
    requests.leave(output.root, Request(ids=("p-first",)))
    real = forgetting.find_posts

    def meanwhile(upkeep: Upkeep, doomed: Any) -> None:
        real(upkeep, doomed)
        forgetting.ask(upkeep, {"later": Request(ids=("p-second",))})

    with monkeypatch.context() as patched:
        patched.setattr(forgetting, "find_posts", meanwhile)
        forget(output.upkeep())
    assert {row["id"] for row in output.rows("posts")} == {"p-second", "p-third"}
    assert count_open(output.root).count == 1
    forget(output.upkeep())
    assert {row["id"] for row in output.rows("posts")} == {"p-third"}
    assert count_open(output.root).count == 0


def test_a_tombstone_before_its_post_turns_it_away_for_good(output: Output) -> None:
    requests.leave(output.root, Request(ids=("comes-later-14",)))
    forget(output.upkeep())
    words = "The orchard behind the mill belongs to everyone who comes with a ladder in autumn."
    output.epoch([post("comes-later-14", words, 20), post("comes-later-15", WORDS[1] + " Really.", 21)])
    (row,) = [row for row in output.rows("posts") if row["id"] == "comes-later-14"]
    assert (row["text"], row["verdict"]["reasons"]) == ("", ["deleted"])
    assert count_open(output.root).count == 1
    forget(output.upkeep())
    assert everywhere(output.root, "comes-later-14") == []
    assert everywhere(output.root, words) == []
    open_index(output.root, output.config.duplicates).clear()  # what must go is still known when the index is lost
    catch_up(in_this_process, open_index(output.root, output.config.duplicates), output.root, output.config.duplicates)
    output.epoch([post("comes-later-14", words, 22)])
    assert [row["text"] for row in output.rows("posts") if row["id"] == "comes-later-14"] == [""]


def test_whoever_names_a_forgotten_post_later_does_so_by_another_name(output: Output) -> None:
    """A reply keeps its thread; a repost brings the text back, so it is turned away."""
    requests.leave(output.root, Request(ids=("original-0001",)))
    forget(output.upkeep())
    reply, repost = post("late-reply-021", 3, 40), post("late-repost-22", WORDS[0] + " Look!", 41)
    output.epoch([{**reply, "reply_to_id": "original-0001"}, {**repost, "repost_of": "original-0001"}])
    rows = {row["id"]: row for row in output.rows("posts")}
    assert (rows["late-repost-22"]["text"], rows["late-repost-22"]["route"]) == ("", "rejected")
    assert count_open(output.root).count == 2
    forget(output.upkeep())
    assert everywhere(output.root, "original-0001") == everywhere(output.root, "late-repost-22") == []
    rows = {row["id"]: row for row in output.rows("posts")}
    assert rows["late-reply-021"]["reply_to_id"] == rows["quote-0000006"]["quote_of"]


def test_a_forgotten_original_leaves_its_copies(output: Output) -> None:
    """Their words are their own. The index knows the text no more: the next post that has it stands alone."""
    requests.leave(output.root, Request(ids=("original-0001",)))
    forget(output.upkeep())
    output.epoch([post("copy-00000016", 0, 30), post("copy-00000017", 0, 31)])
    rows = {row["id"]: row for row in output.rows("posts")}
    assert rows["copy-00000002"]["duplicate_of"] == rows["copy-00000012"]["duplicate_of"]
    assert rows["copy-00000002"]["duplicate_of"].startswith("gone:")
    assert rows["copy-00000016"]["duplicate_of"] is None
    assert rows["copy-00000017"]["duplicate_of"] == "copy-00000016"


def test_the_receipt_and_the_manifests_say_what_went_from_where(output: Output) -> None:
    manifests = [one.version for one in sets.current(output.root, "default")]
    requests.leave(output.root, Request(ids=("another-0003",)))
    done = forget(output.upkeep())
    key = (output.root / receipts.FOLDER / "key").read_bytes()
    hasher = receipts.Hasher(key)
    (line,) = receipts.read_receipts(output.root)
    assert (line.id, line.source) == (hasher.text("another-0003"), "test")
    assert line.tables == ("documents", "posts")
    assert hasher.text(WORDS[1]) in line.texts
    assert line.versions == (f"default/{manifests[0]}",)
    assert len(line.tokens) == 1
    assert line.asked_at is not None
    new = [one for one in sets.current(output.root, "default") if one.version not in manifests]
    assert [(one.replaces, one.forgotten, one.receipts) for one in new] == [((manifests[0],), 1, ("000001",))]
    assert not (output.root / "sets" / "default" / manifests[0]).exists()
    assert sets.verify(output.root / sets.folder_name(new[0])) == []
    assert done.token_documents == 1
    assert (output.root / receipts.FOLDER / "key").stat().st_mode & 0o777 == 0o600


class Crash(BaseException):
    """Stands for kill -9: nothing may catch it."""


def contents(output: Output) -> dict[str, Any]:
    """All that a folder holds, but for the random names of files."""
    found: dict[str, Any] = {table: sorted(map(_plain, output.rows(table))) for table in output.schemas}
    found["tokens"] = output.tokens()
    found["receipts"] = [(one.id, one.texts, one.tables, one.versions) for one in receipts.read_receipts(output.root)]
    parquet = [path for table in output.schemas for path in (output.root / table).rglob("*.parquet")]
    found["files"] = len(parquet), sorted(path.name for path in (output.root / "sets" / "default").iterdir())
    manifest = json.loads((output.root / ".swarmfeed" / "index" / "manifest.json").read_text())
    found["index"] = [[(file["kind"], file["rows"]) for file in run] for run in manifest["runs"]]
    return found


def _plain(row: dict[str, Any]) -> str:
    return str({name: value for name, value in row.items() if name not in ("done_at", "event_at")})


def test_a_crash_at_any_step_is_finished_by_the_next_pass(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crash is a value: the how-manieth rename, removal or commit does not return."""
    receipts.open_key(output.root)
    calm = Output(output.root.with_name("calm"))
    shutil.copytree(output.root, calm.root)
    asked = Request(ids=("original-0001",), authors=("gone-author-1",))
    for one in (output, calm):
        requests.leave(one.root, asked)
    start = output.root.with_name("start")
    shutil.copytree(output.root, start)
    forget(calm.upkeep())
    steps = 0
    for crash_at in range(0, 400, STRIDE):
        shutil.rmtree(output.root)
        shutil.copytree(start, output.root)
        if not crashed(output, crash_at, monkeypatch):
            break
        steps += 1
        with claim(output.root, output.schemas, output.upkeep().index):
            forget(output.upkeep())
        assert contents(output) == contents(calm)
        for name in ("original-0001", "gone-author-1"):
            assert everywhere(output.root, name) == []
    assert steps > 10


STRIDE = 7  # every how-manieth of some eighty moments is tried


def crashed(output: Output, crash_at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a pass that dies at a step; tell whether it came so far."""
    calls = iter(range(10_000))

    def dies(real: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            if next(calls) == crash_at:
                raise Crash
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patched:
        for name in ("rename", "replace", "unlink"):
            patched.setattr(Path, name, dies(getattr(Path, name)))
        patched.setattr(ledger, "commit_files", dies(ledger.commit_files))
        patched.setattr(shutil, "rmtree", dies(shutil.rmtree))
        try:
            with claim(output.root, output.schemas, output.upkeep().index):
                forget(output.upkeep())
        except Crash:
            return True
    return False


def test_a_reader_sees_each_table_as_it_was_or_as_it_will_be(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at every step of the change; no file it is told of is missing."""
    seen: dict[str, list[int]] = {table: [] for table in output.schemas}

    def look() -> None:
        for table, counts in seen.items():
            files = table_files(output.root, table)
            counts.append(sum(pq.read_table(file, partitioning=None).num_rows for file in files))
        assert output.tokens()

    def watched(real: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            look()
            return real(*arguments, **more)

        return call

    before = {table: len(output.rows(table)) for table in seen}
    requests.leave(output.root, Request(ids=("original-0001",)))
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "commit_files", watched(ledger.commit_files))
        patched.setattr(ledger, "_delete", watched(ledger._delete))
        forget(output.upkeep())
    look()
    after = {table: len(output.rows(table)) for table in seen}
    assert after["posts"] == before["posts"] - 2
    assert after["quarantine"] == before["quarantine"] - 1
    for table, counts in seen.items():
        assert len(counts) > 10
        assert set(counts) == {before[table], after[table]}
        assert counts == sorted(counts, reverse=before[table] > after[table])


def test_a_campaign_goes_on_without_its_original(tmp_path: Path) -> None:
    output = Output(tmp_path / "out", Config.parse({"stages": {"verdict": {"max_campaign_posts": 2}}}))
    output.epoch([post(f"campaign-{number:04d}", 0, number) for number in range(4)])
    assert output.tokens() == {}
    requests.leave(output.root, Request(ids=("campaign-0000",)))
    assert forget(output.upkeep()).posts == 1
    rows = output.rows("posts")
    assert {row["duplicate_of"][:5] for row in rows} == {"gone:"}
    assert {row["duplicates"]["cluster_size"] for row in rows} == {4}
    report = json.loads((output.root / "reports" / "epoch-000000" / "report.json").read_text())
    assert [one["original"][:5] for one in report["campaigns"]] == ["gone:"]
    assert everywhere(output.root, "campaign-0000") == []
    output.epoch([post("campaign-0005", 1, 9)])
    assert explain(output.root, "campaign-0001")[0].original is None


def test_a_pass_forgets_in_a_redis_too(redis_url: str, tmp_path: Path) -> None:
    output = Output(tmp_path / "out", Config.parse({"duplicates": {"index": redis_url}}))
    output.epoch([post("original-0001", 0), post("other-000002", 1, 1)])
    requests.leave(output.root, Request(ids=("original-0001",)))
    forget(output.upkeep())
    server = output.upkeep().index._server  # type: ignore[attr-defined]
    (names,) = server.do(("KEYS", f"{server.name}:records:*"))
    held = b"".join(b"".join(one.values()) for one in server.do(*(("HGETALL", name) for name in names)))
    assert b"other-000002" in held
    assert b"original-0001" not in held
    output.epoch([post("original-0001", 0, 2), post("copy-00000003", 1, 3)])
    rows = {row["id"]: row for row in output.rows("posts")}
    assert rows["original-0001"]["text"] == ""
    assert rows["copy-00000003"]["duplicate_of"] == "other-000002"
