"""The duplicate index: two keepers, one body of tests. Epochs, replays, crashes, expiry, loss."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from output import answers, curate
from pyspark.sql import SparkSession
from searches import Curation
from test_duplicates import Reference, in_order, random_posts

from pipelines.deletions import find_gone, learn_events, named
from pipelines.duplicates import Expiry
from pipelines.exchange import write_rows
from pipelines.index import STAGED, Index, Learnt, open_index
from pipelines.simulate import Simulation, write
from schemas.config import Config, DuplicatesConfig
from schemas.errors import ConfigError, RunError, SetupError
from schemas.post import POST, TOMBSTONE

KEEPERS = ("embedded", "redis")


class Crash(BaseException):
    """Stands for kill -9: nothing may catch it."""


@pytest.fixture(params=KEEPERS)
def keeper(request: pytest.FixtureRequest) -> Callable[..., DuplicatesConfig]:
    """Settings that name one of the keepers."""
    where = request.getfixturevalue("redis_url") if request.param == "redis" else "embedded"

    def settings(**more: Any) -> DuplicatesConfig:
        return DuplicatesConfig(index=where, **more)

    return settings


def links(curation: Curation, posts: list[Any], size: int) -> list[Any]:
    """What epochs of `size` posts say."""
    pieces = [posts[at : at + size] for at in range(0, len(posts), size)]
    return [said.link for piece in pieces for said in curation.epoch([piece])[0]]


@pytest.mark.parametrize("size", [1, 7, 60])
def test_epochs_say_what_the_definition_says(
    keeper: Callable[..., DuplicatesConfig], tmp_path: Path, size: int
) -> None:
    posts = in_order(random_posts(5, 150))
    config = keeper(horizon_days=5)
    assert links(Curation(tmp_path, config), posts, size) == Reference(posts, config).answers()


def test_what_was_learnt_outlives_the_process(keeper: Callable[..., DuplicatesConfig], tmp_path: Path) -> None:
    posts = in_order(random_posts(6, 80))
    expected = Reference(posts, keeper()).answers()
    first = Curation(tmp_path, keeper())
    assert links(first, posts[:50], 25) == expected[:50]
    second = Curation(tmp_path, keeper())
    assert second.index.epoch == 1
    assert second.index.days == first.index.days
    second.next_epoch = 2
    assert links(second, posts[50:], 30) == expected[50:]


def test_an_epoch_that_was_never_published_taught_nothing(
    keeper: Callable[..., DuplicatesConfig], tmp_path: Path
) -> None:
    """A replay of it, or another epoch in its place, finds nothing of the first attempt."""
    posts = in_order(random_posts(8, 90))
    curation = Curation(tmp_path, keeper())
    links(curation, posts[:40], 40)
    search, (_, learnt) = curation.search([posts[40:]])
    curation.index.plan(in_turn, learnt, Path(search.folder).parent)
    shutil.rmtree(Path(search.folder).parent)
    assert links(curation, posts[40:], 50) == Reference(posts, keeper()).answers()[40:]


@pytest.mark.parametrize("crash_at", range(12))
def test_a_crash_while_it_learns_is_mended_by_learning_again(
    keeper: Callable[..., DuplicatesConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    """The crash is a value: the how-manieth step of the change does not return."""
    from pipelines.index import redis_server

    posts = in_order(random_posts(9, 90))
    curation = Curation(tmp_path, keeper())
    links(curation, posts[:40], 5)  # eight epochs: the next merges
    search, (_, learnt) = curation.search([posts[40:70]])
    staging = Path(search.folder).parent
    change = json.loads(json.dumps(curation.index.plan(in_turn, learnt, staging)))
    calls = iter(range(10_000))

    def dies(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if next(calls) == crash_at:
                raise Crash
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(redis_server, "COMMANDS", 50)
        patched.setattr(redis_server, "_send", dies(redis_server._send))
        for name in ("rename", "replace", "unlink"):
            patched.setattr(Path, name, dies(getattr(Path, name)))
        with pytest.raises(Crash):
            again_and_again(curation.index, change, staging)
    survivor = Curation(tmp_path, keeper())
    survivor.index.apply(change, staging)
    survivor.next_epoch = 9
    assert links(survivor, posts[70:], 20) == Reference(posts, keeper()).answers()[70:]


def again_and_again(index: Index, change: dict[str, Any], staging: Path) -> None:
    """Make a change many times over: a crash may come in any of them."""
    for _ in range(20):
        index.apply(change, staging)


def in_turn(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Do tasks here."""
    return [work(task) for task in range(count)]


def test_history_expires_by_day(keeper: Callable[..., DuplicatesConfig], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    curation = Curation(tmp_path, keeper(horizon_days=2))
    for day in range(30):
        posts = [
            {
                "id": f"{day}-{number}",
                "text": " ".join("".join(map(chr, rng.integers(97, 123, 6))) for _ in range(8)),
                "created_at": start + timedelta(days=day, minutes=number),
                "version": 0,
            }
            for number in range(20)
        ]
        curation.epoch([posts])
    assert len(curation.index.days) <= 3
    assert held_rows(curation.index, tmp_path) <= 27 * 20 * 12  # of the last days and what waits to be merged


def held_rows(index: Index, root: Path) -> int:
    """How many keys an index holds."""
    manifest = root / ".swarmfeed" / "index" / "manifest.json"
    if manifest.exists():
        runs = json.loads(manifest.read_text())["runs"]
        return sum(file["rows"] for run in runs for file in run if file["kind"] == "entries")
    server = index._server  # type: ignore[attr-defined]
    (names,) = server.do(("KEYS", f"{server.name}:entries:*"))
    return sum(server.do(*(("HLEN", name) for name in names)))


def test_a_rebuilt_index_answers_like_the_one_that_was_lost(
    spark: SparkSession, keeper: Callable[..., DuplicatesConfig], tmp_path: Path
) -> None:
    raw = tmp_path / "raw.jsonl"
    write(Simulation(posts=900, seed=4, rate=0.01), raw)
    lines = [
        line for line in raw.read_bytes().splitlines(keepends=True) if b"deleted" not in line and b"gone" not in line
    ]
    pieces = []
    for number in range(3):
        pieces.append(tmp_path / f"{number}.jsonl")
        pieces[-1].write_bytes(b"".join(lines[number * len(lines) // 3 : (number + 1) * len(lines) // 3]))
    where = keeper().index
    for out, lose in ((tmp_path / "kept", False), (tmp_path / "lost", True)):
        for number, piece in enumerate(pieces):
            if lose and number == 2:
                open_index(out, keeper()).clear()
            curate([piece], out, duplicates={"index": where})
    assert answers(tmp_path / "lost") == answers(tmp_path / "kept")
    assert any(duplicate and '"near"' in said for _, _, duplicate, said, _ in answers(tmp_path / "kept"))


def test_a_crash_between_the_tables_and_the_index_is_finished_by_the_next_run(
    spark: SparkSession, keeper: Callable[..., DuplicatesConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.index import embedded, redis_server

    pieces = []
    for number in range(3):
        pieces.append(tmp_path / f"{number}.jsonl")
        write(Simulation(posts=300, seed=4, rate=0.01), pieces[-1])  # the same posts, delivered again and again
        pieces[-1].write_bytes(pieces[-1].read_bytes() + b"\n" * number)

    def dies(*_: Any) -> None:
        raise Crash

    where = keeper().index
    for out, crash in ((tmp_path / "calm", False), (tmp_path / "crashed", True)):
        curate([pieces[0]], out, duplicates={"index": where})
        if crash:
            with monkeypatch.context() as patched:
                patched.setattr(embedded.EmbeddedIndex, "apply", dies)
                patched.setattr(redis_server.RedisIndex, "apply", dies)
                with pytest.raises(Crash):
                    curate([pieces[1]], out, duplicates={"index": where})
        else:
            curate([pieces[1]], out, duplicates={"index": where})
        curate([pieces[2]], out, duplicates={"index": where})
    assert answers(tmp_path / "crashed") == answers(tmp_path / "calm")
    assert open_index(tmp_path / "crashed", keeper()).epoch == 2


KILLED = """
import json, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from searches import Curation
from test_duplicates import in_order, random_posts
from schemas.config import DuplicatesConfig
curation = Curation(Path({root!r}), DuplicatesConfig())
posts = in_order(random_posts(12, 4000))
for at in range(0, 4000, 4):
    curation.epoch([posts[at : at + 4]])
    print(curation.index.epoch, flush=True)
"""


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_leaves_the_embedded_index_whole(tmp_path: Path, seed: int) -> None:
    paths = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1])]
    script = KILLED.format(paths=paths, root=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(3 + 9 * seed):
        child.stdout.readline()
    time.sleep(np.random.default_rng(seed).random() * 0.05)
    os.kill(child.pid, signal.SIGKILL)
    told = child.stdout.read().split()
    child.wait()
    index = open_index(tmp_path, DuplicatesConfig())
    assert index.epoch is not None
    assert index.epoch >= max([*map(int, told), 2 + 9 * seed - 1])
    posts = in_order(random_posts(12, 4000))
    done = 4 * (index.epoch + 1)
    survivor = Curation(tmp_path, DuplicatesConfig())
    survivor.next_epoch = index.epoch + 1
    seen = posts[: done + 40]
    assert links(survivor, posts[done : done + 40], 40) == Reference(seen, DuplicatesConfig()).answers()[done:]


def test_a_redis_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no Redis answers at redis://127\.0\.0\.1:1/0"):
        open_index(tmp_path, DuplicatesConfig(index="redis://127.0.0.1:1/0"))


def test_a_password_has_no_place_in_the_settings(redis_url: str, tmp_path: Path) -> None:
    """Settings are written into reports; a password comes from a file."""
    with pytest.raises(ConfigError, match=r"duplicates\.index"):
        Config.parse({"duplicates": {"index": "redis://:secret@127.0.0.1/0"}})
    with pytest.raises(ConfigError, match="index_password_file"):
        open_index(tmp_path, DuplicatesConfig(index=redis_url, index_password_file=str(tmp_path / "none")))


def test_records_that_are_missing_are_an_error_not_a_wrong_answer(
    keeper: Callable[..., DuplicatesConfig], tmp_path: Path
) -> None:
    curation = Curation(tmp_path, keeper())
    links(curation, in_order(random_posts(5, 30)), 30)
    with pytest.raises(RunError, match="lacks 2 posts"):
        curation.index.history().records(np.array([998, 999]))


def test_tombstones_find_posts_by_id_and_author_in_later_epochs_too(
    keeper: Callable[..., DuplicatesConfig], tmp_path: Path
) -> None:
    names = [("a", "x"), ("b", "y"), ("c", "z"), ("d", None), ("e", "w"), ("x", "a")]
    posts = pa.Table.from_pylist([{"id": name, "author_id": author} for name, author in names], schema=POST)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    events = [
        {"kind": "post_deleted", "post_id": "a", "event_at": at},
        {"kind": "author_gone", "author_id": "y", "event_at": None},
        {"kind": "post_deleted", "post_id": "c", "event_at": at},
        {"kind": "post_restored", "post_id": "c", "event_at": at + timedelta(days=1)},
        {"kind": "author_gone", "author_id": "w", "event_at": at},
        {"kind": "author_restored", "author_id": "w", "event_at": at + timedelta(days=1)},
        {"kind": "geo_scrubbed", "author_id": "z", "event_at": at},
        {"kind": "post_edited", "post_id": "d", "event_at": at},
    ]
    for later in range(len(events) + 1):  # so many of the events come in the epoch that asks
        root = tmp_path / str(later)
        index, staging = open_index(root, keeper()), root / "staging"
        for epoch, part in enumerate((*([one] for one in events[later:]), events[:later])):
            file = tmp_path / f"{later}-{epoch}.parquet"
            pq.write_table(named(pa.Table.from_pylist(part, TOMBSTONE), epoch), file)
            own = learn_events(in_turn, [str(file)], str(staging / STAGED))
            if epoch < len(events) - later:
                index.apply(index.plan(in_turn, Learnt(epoch, {}, Expiry(0), own), staging), staging)
        gone = find_gone(posts, open_index(root, keeper()).history(), own)
        assert [name for (name, _), is_gone in zip(names, gone.rows, strict=True) if is_gone] == ["a", "b"]
        assert len(gone.named) == 0
        assert gone.long_ago.tolist() == [later < 1, later < 2, False, False, False, False]


def test_a_forgotten_post_leaves_no_byte(keeper: Callable[..., DuplicatesConfig], tmp_path: Path) -> None:
    """Others answer as before: a copy of it finds nothing, a copy of another finds that."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    words = [" ".join(2 * [name * 3, name[::-1] * 5]) for name in ("first", "other", "third")]
    posts = [
        {"id": f"post-number-{number}", "text": text, "created_at": start, "author_id": None, "version": 0}
        for number, text in enumerate([*words, words[0]])
    ]
    curation = Curation(tmp_path, keeper())
    for post in posts:
        curation.epoch([[post]])
    before = dump(curation.index, tmp_path)
    assert b"post-number-0" in before
    ids, staging = tmp_path / "ids.arrow", tmp_path / "upkeep"
    write_rows(ids, pa.table({"id": ["post-number-0", "never-seen"]}))
    change = json.loads(json.dumps(curation.index.forget(in_turn, ids, staging)))
    for _ in range(2):
        curation.index.apply(change, staging)
    after = dump(curation.index, tmp_path)
    assert b"post-number-0" not in after
    assert b"post-number-1" in after
    assert all(held_refs(curation.index))
    again = [{**post, "id": f"again-{number}"} for number, post in enumerate(posts[:3])]
    said = [one.link for one in curation.epoch([again])[0]]
    assert said == [(None, None, 1), ("post-number-1", "exact", 2), ("post-number-2", "exact", 2)]
    assert open_index(tmp_path, keeper()).epoch == len(posts)


def dump(index: Index, root: Path) -> bytes:
    """All bytes an index keeps."""
    folder = root / ".swarmfeed" / "index"
    if folder.exists():
        return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    server = index._server  # type: ignore[attr-defined]
    (names,) = server.do(("KEYS", f"{server.name}:records:*"))
    return b"".join(b"".join(held.values()) for held in server.do(*(("HGETALL", name) for name in names)))


def held_refs(index: Index) -> list[int]:
    """The refs that some entry names; the first post's is 0."""
    if hasattr(index, "_manifest"):
        history: Any = index.history()
        files = history.manifest.files("entries")
        return [ref for file in files for ref in history._rows(file).column("ref").to_pylist()]
    server = index._server  # type: ignore[attr-defined]
    (names,) = server.do(("KEYS", f"{server.name}:entries:*"))
    values = [value for held in server.do(*(("HGETALL", name) for name in names)) for value in held.values()]
    return [int.from_bytes(value[at : at + 8], "big") for value in values for at in range(0, len(value), 12)]
