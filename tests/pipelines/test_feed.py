"""A feed gives every sequence once an epoch, in one order for any number of ranks, from wherever it is resumed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from packed_sets import CONTEXT, add_version

from pipelines.feed import SharedFolder, TokenFeed, jax_batches, torch_dataset
from pipelines.feeding.order import LANES, Order
from pipelines.tokens import sets
from pipelines.tokens.tokenizer import load_tokenizer
from schemas.errors import ConfigError, RunError
from schemas.tokens import Manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with one version of `news`, of two shards."""
    root = tmp_path_factory.mktemp("feed")
    add_version(root)
    return root


def rows_of(root: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """Every row of a version, in the order of its shards."""
    folder = root / sets.folder_name(manifest)
    return [row for shard in manifest.shards for row in pq.read_table(folder / shard.file).to_pylist()]


def taken(feed: TokenFeed, batches: int | None = None) -> list[int]:
    """The sequences that a feed gives, so many batches of it."""
    found: list[int] = []
    for batch in itertools.islice(feed, batches):
        found += batch["sequence"][batch["sequence"] >= 0].tolist()
    return found


def steps(ranks: list[TokenFeed], count: int) -> Iterator[list[int]]:
    """The sequences that all ranks take in each step, in the order of their positions."""
    readers = [iter(feed) for feed in ranks]
    for _ in range(count):
        step = [next(reader, None) for reader in readers]
        if step[0] is None:
            assert step == [None] * len(ranks), "all ranks end together"
            break
        placed = [pair for batch in step if batch for pair in zip(batch["position"], batch["sequence"], strict=True)]
        yield [int(sequence) for position, sequence in sorted(placed) if position >= 0]
    for reader in readers:
        reader.close()  # type: ignore[attr-defined]


def test_a_batch_is_what_the_shards_hold(out: Path) -> None:
    rows = rows_of(out, sets.versions(out, "news")[0])
    seen = []
    for batch in TokenFeed(out, "news", epochs=1, batch=5):
        assert batch["tokens"].shape == batch["position_ids"].shape == (5, CONTEXT)
        assert batch["tokens"].dtype == batch["position_ids"].dtype == batch["filled"].dtype == np.int32
        for at, number in enumerate(batch["sequence"].tolist()):
            if number < 0:
                assert (batch["position"][at], batch["filled"][at], batch["cu_seqlens"][at].tolist()) == (-1, 0, [0])
                continue
            row = rows[number]
            assert batch["tokens"][at].tolist() == row["tokens"]
            assert (batch["filled"][at], batch["cu_seqlens"][at].tolist()) == (row["filled"], row["cu_seqlens"])
            edges = [*row["cu_seqlens"], CONTEXT]
            expected = [place - start for start, end in itertools.pairwise(edges) for place in range(start, end)]
            assert batch["position_ids"][at].tolist() == expected
            seen.append(number)
    assert sorted(seen) == list(range(len(rows)))


def test_seeds_and_epochs_have_orders_of_their_own(out: Path) -> None:
    first = taken(TokenFeed(out, "news", seed=1, epochs=2))
    total = len(first) // 2
    assert first == taken(TokenFeed(out, "news", seed=1, epochs=2, batch=3))
    other = taken(TokenFeed(out, "news", seed=2, epochs=1))
    assert len({tuple(first[:total]), tuple(first[total:]), tuple(other)}) == 3
    assert sorted(first[:total]) == sorted(first[total:]) == sorted(other) == list(range(total))


sizes = some.lists(some.integers(1, 40), min_size=1, max_size=150)


@given(rows=sizes, seed=some.integers(-5, 2**70), epoch=some.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_an_order_has_every_row_once(rows: list[int], seed: int, epoch: int) -> None:
    order = Order(rows, seed, epoch)
    group, row, lane = order.locate(np.arange(order.total))
    assert order.total == sum(rows)
    assert len(set(zip(group.tolist(), row.tolist(), strict=True))) == order.total
    assert (row < np.array(rows)[group]).all()
    assert (row >= 0).all()
    lanes = dict(zip(group.tolist(), lane.tolist(), strict=True))
    assert all(lanes[one] == other for one, other in zip(group.tolist(), lane.tolist(), strict=True))
    some_of_it = np.flatnonzero(np.arange(order.total) % 7 == 3)
    for whole, part in zip((group, row, lane), order.locate(some_of_it), strict=True):
        assert (whole[some_of_it] == part).all()


def test_a_rank_reads_its_share_of_the_lanes_and_neighbours_come_from_many_groups() -> None:
    order = Order([32] * 1000, 3, 0)
    group, _, lane = order.locate(np.arange(order.total))
    assert all(len(set(group[start : start + LANES].tolist())) == LANES for start in range(0, 30_000, 999))
    for rank in range(8):
        mine = lane[5 + rank :: 8][: 30_000 // 8]
        assert len(set(mine.tolist())) == LANES // 8
    assert abs(np.corrcoef(np.arange(order.total), group)[0, 1]) < 0.1


def test_the_order_is_the_same_on_every_machine() -> None:
    """Written down: another NumPy must not change what a checkpoint means."""
    group, row, _ = Order([4, 4, 4, 2, 4], 7, 3).locate(np.arange(18))
    assert list(zip(group.tolist(), row.tolist(), strict=True)) == GOLDEN


GOLDEN = [
    (4, 1), (0, 2), (2, 3), (1, 2), (3, 0), (4, 3), (0, 1), (2, 2), (1, 3),
    (3, 1), (4, 2), (0, 3), (2, 0), (1, 0), (4, 0), (0, 0), (2, 1), (1, 1),
]  # fmt: skip


@given(data=some.data())
@settings(max_examples=20, deadline=None)
def test_any_kill_and_any_number_of_ranks_give_every_sequence_once(out: Path, data: some.DataObject) -> None:
    """The state of any rank goes on at the exact next sequence, whatever was prefetched and lost."""
    expected = taken(TokenFeed(out, "news", seed=5, epochs=2))
    state: dict[str, Any] | None = None
    found: list[int] = []
    while len(found) < len(expected):
        world, batch = data.draw(some.integers(1, 8)), data.draw(some.integers(1, 6))
        ranks = [TokenFeed(out, "news", rank, world, seed=5, batch=batch, epochs=2) for rank in range(world)]
        for feed in ranks:
            if state is not None:
                feed.load_state_dict(state)
        count = data.draw(some.integers(1, 12))
        for step in steps(ranks, count):
            found += step
        states = [feed.state_dict() for feed in ranks]
        assert all(one == states[0] for one in states)
        state = json.loads(json.dumps(states[data.draw(some.integers(0, world - 1))]))
        assert found == expected[: len(found)]
    assert found == expected


CONSUMER = """
import json, sys
from pipelines.feed import TokenFeed
feed = TokenFeed(sys.argv[1], "news", int(sys.argv[3]), int(sys.argv[4]), seed=5, batch=2)
if sys.argv[2] != "-":
    feed.load_state_dict(json.loads(sys.argv[2]))
for batch in feed:
    print(json.dumps([batch["sequence"].tolist(), feed.state_dict()]), flush=True)
"""


def consume(out: Path, state: dict[str, Any] | None, rank: int, world: int) -> subprocess.Popen[str]:
    """Start a process that says what it takes, and its state behind it."""
    told = json.dumps(state) if state else "-"
    words = [sys.executable, "-c", CONSUMER, str(out), told, str(rank), str(world)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_killed_processes_go_on_with_the_next_sequence(out: Path) -> None:
    expected = taken(TokenFeed(out, "news", seed=5, epochs=2))
    found: list[int] = []
    state: dict[str, Any] | None = None
    for world, lines in ((1, 7), (3, 5), (2, 9)):
        children = [consume(out, state, rank, world) for rank in range(world)]
        told = [[json.loads(child.stdout.readline()) for _ in range(lines)] for child in children if child.stdout]
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
        for step in zip(*told, strict=True):
            found += [number for pair in zip(*(one[0] for one in step), strict=True) for number in pair if number >= 0]
        state = told[0][-1][1]
    assert found == expected[: len(found)]
    assert len(found) > 60


def test_new_versions_are_followed_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    first = add_version(tmp_path, shards=(3,))
    feed = TokenFeed(tmp_path, "news", epochs=2, batch=2)
    reader = iter(feed)
    next(reader)
    second = add_version(tmp_path, shards=(5,), first=500)
    rest = sum(1 for _ in reader)
    assert feed.state_dict()["version"] == second.version
    assert 1 + rest == -(-first.sequences // 2) + -(-second.sequences // 2)


def test_ranks_agree_on_the_version_of_an_epoch(tmp_path: Path) -> None:
    first = add_version(tmp_path, shards=(3,))
    ranks = [
        TokenFeed(tmp_path, "news", rank, 2, batch=1, epochs=2, agree=SharedFolder(tmp_path / "run"))
        for rank in range(2)
    ]
    readers = [iter(feed) for feed in ranks]
    half = -(-first.sequences // 2)
    for _ in range(half + 1):
        next(readers[0])
    for _ in range(half):
        next(readers[1])
    newer = add_version(tmp_path, shards=(5,), first=500)  # between the first and the second rank's look
    next(readers[1])
    assert [feed.state_dict()["version"] for feed in ranks] == [first.version] * 2
    for reader in readers:
        assert sum(1 for _ in reader) == half - 1
    assert TokenFeed(tmp_path, "news")._member.newest().version == newer.version


def test_several_ranks_without_an_agreement_stay_with_their_version(tmp_path: Path) -> None:
    first = add_version(tmp_path, shards=(3,))
    feed = TokenFeed(tmp_path, "news", 0, 2, epochs=3)
    reader = iter(feed)
    next(reader)
    add_version(tmp_path, shards=(5,), first=500)
    list(reader)
    assert (feed.state_dict()["epoch"], feed.state_dict()["version"]) == (2, first.version)


def test_one_folder_decides_once_however_many_ask_at_once(tmp_path: Path) -> None:
    agree = SharedFolder(tmp_path / "run")
    answers: list[str] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(agree(4, f"v{n:06d}"))) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16
    assert len(set(answers)) == 1
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["epoch-000004"]


def test_numbers_decide_and_no_clock(tmp_path: Path) -> None:
    versions = [add_version(tmp_path, shards=(2,), first=100 * number) for number in range(3)]
    for age, manifest in enumerate(versions):  # the clock was set back between one and the next
        folder = tmp_path / sets.folder_name(manifest)
        for path in (*folder.iterdir(), folder):
            os.utime(path, (2_000_000_000 - age * 100_000, 2_000_000_000 - age * 100_000))
    feed = TokenFeed(tmp_path, "news", epochs=1)
    list(feed)
    assert feed.state_dict()["version"] == "v000003"


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest by hand."""
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def flip(path: Path) -> None:
    """Change a byte of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def shard(folder: Path) -> Path:
    """The last shard of a version."""
    return sorted(folder.glob("shard-*"))[-1]


DAMAGE: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "a byte": (lambda folder: flip(shard(folder)), RunError, "its sha256 is not the manifest's"),
    "missing": (lambda folder: shard(folder).unlink(), RunError, "missing, and the manifest names it"),
    "truncated": (lambda folder: os.truncate(shard(folder), 1000), RunError, "has 1,000 bytes, the manifest says"),
    "hash edited": (
        lambda folder: edit_manifest(folder, lambda data: data["shards"][0].update(sha256="0" * 64)),
        RunError, "its sha256 is not the manifest's"),
    "shard left out": (lambda folder: edit_manifest(folder, lambda data: data["shards"].pop()), RunError, "edited"),
    "count edited": (
        lambda folder: edit_manifest(folder, lambda data: data.update(sequences=3)), RunError, "edited"),
    "both counts edited": (
        lambda folder: edit_manifest(
            folder, lambda data: (data.update(sequences=data["sequences"] - 1),
                                  data["shards"][0].update(sequences=data["shards"][0]["sequences"] - 1))),
        RunError, "sequences, the manifest says"),
    "context edited": (
        lambda folder: edit_manifest(folder, lambda data: data.update(context_tokens=1024)), RunError, "its columns"),
    "row groups edited": (
        lambda folder: edit_manifest(folder, lambda data: data.update(group_sequences=5)), RunError, "row group"),
    "key lost": (lambda folder: edit_manifest(folder, lambda data: data.pop("shards")), RunError, "damaged: KeyError"),
    "half a manifest": (lambda folder: os.truncate(folder / "manifest.json", 100), RunError, "damaged"),
    "another schema": (
        lambda folder: edit_manifest(folder, lambda data: data.update(schema_version=2)),
        ConfigError, "schema_version 2: this loader reads 1"),
    "of another member": (
        lambda folder: edit_manifest(folder, lambda data: data.update(member="sport")), RunError, "edited"),
    "not packed": (
        lambda folder: edit_manifest(folder, lambda data: data.update(context_tokens=None)),
        ConfigError, "its rows are documents"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_refused(tmp_path: Path, what: str) -> None:
    damage, kind, told = DAMAGE[what]
    folder = tmp_path / sets.folder_name(add_version(tmp_path, shards=(9, 6)))
    damage(folder)
    with pytest.raises(kind, match=told):
        list(TokenFeed(tmp_path, "news", epochs=1))


def test_a_member_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no token sets"):
        TokenFeed(tmp_path, "news")
    add_version(tmp_path, shards=(2,))
    with pytest.raises(ConfigError, match=r"member 'nws' has no token set .* did you mean 'news'"):
        TokenFeed(tmp_path, "nws")
    with pytest.raises(ConfigError, match=r"no version v000009.*did you mean"):
        TokenFeed(tmp_path, "news", version="v000009")
    (tmp_path / "sets" / "empty" / "v000001").mkdir(parents=True)
    with pytest.raises(ConfigError, match="no finished version"):
        TokenFeed(tmp_path, "empty")


@pytest.mark.parametrize(("rank", "world", "batch"), [(1, 1, 1), (-1, 2, 1), (0, 0, 1), (0, 1, 0)])
def test_a_share_that_is_none_is_refused(out: Path, rank: int, world: int, batch: int) -> None:
    with pytest.raises(ConfigError, match="expected"):
        TokenFeed(out, "news", rank, world, batch=batch)


def test_another_tokenizer_or_length_is_refused_in_mid_training(tmp_path: Path) -> None:
    add_version(tmp_path, shards=(2,))
    feed = TokenFeed(tmp_path, "news", epochs=1)
    list(feed)
    state = feed.state_dict()
    other = tmp_path / "tokenizer.json"
    shipped = load_tokenizer("default")
    other.write_bytes(shipped.data + b"\n")
    for changed, told in (
        ({"tokenizer": load_tokenizer(str(other))}, "tokenizer was"),
        ({"context_tokens": 600}, "512"),
    ):
        add_version(tmp_path, shards=(2,), **changed)
        feed = TokenFeed(tmp_path, "news", epochs=2)
        feed.load_state_dict(state)
        with pytest.raises(ConfigError, match=told):
            list(feed)
    assert len(taken(TokenFeed(tmp_path, "news", epochs=1))) > 0, "whoever begins anew may"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"member": "sport"}, "member 'sport'"),
        ({"seed": 9}, "seed 9"),
        ({"state_version": 2}, "state_version 2"),
        ({"position_of_moon": 2}, "unexpected keyword"),
    ],
)
def test_the_state_of_another_feed_is_refused(out: Path, change: dict[str, Any], told: str) -> None:
    feed = TokenFeed(out, "news")
    with pytest.raises(ConfigError, match=told):
        feed.load_state_dict(feed.state_dict() | change)


def test_a_version_that_went_and_left_no_heir_is_said(tmp_path: Path) -> None:
    gone = add_version(tmp_path, shards=(9,))
    feed = TokenFeed(tmp_path, "news", batch=2)
    next(iter(feed))
    add_version(tmp_path, shards=(2,), first=900)
    for path in (tmp_path / sets.folder_name(gone)).iterdir():
        path.unlink()
    again = TokenFeed(tmp_path, "news")
    again.load_state_dict(feed.state_dict())
    with pytest.raises(ConfigError, match="begin without the state"):
        next(iter(again))


def test_a_version_that_ranks_agreed_on_and_is_not_there_is_said(tmp_path: Path) -> None:
    add_version(tmp_path, shards=(2,))
    feed = TokenFeed(tmp_path, "news", epochs=2, agree=lambda epoch, newest: newest if epoch == 0 else "v000007")
    with pytest.raises(ConfigError, match="no version v000007"):
        list(feed)
    assert feed.state_dict()["epoch"] == 0


def test_fsspec_and_pyarrow_file_systems_give_the_same(out: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    from pyarrow import fs

    expected = taken(TokenFeed(out, "news", epochs=1))
    memory = fsspec.filesystem("memory")
    memory.put(str(out / "sets"), "/bucket/out/sets", recursive=True)
    assert taken(TokenFeed("memory://bucket/out", "news", epochs=1)) == expected
    assert taken(TokenFeed("/bucket/out", "news", epochs=1, filesystem=memory)) == expected
    inside = fs.SubTreeFileSystem(str(out.parent), fs.LocalFileSystem())
    assert taken(TokenFeed(out.name, "news", epochs=1, filesystem=inside)) == expected
    assert taken(TokenFeed(out.as_uri(), "news", epochs=1)) == expected
    with pytest.raises(ConfigError, match="no-such-scheme"):
        TokenFeed("no-such-scheme://x/y", "news")
    memory.rm("/bucket/out/sets/news/v000001/shard-000001-00000.parquet")
    with pytest.raises(RunError, match="missing"):
        taken(TokenFeed("memory://bucket/out", "news", epochs=1))


BARE = """
import importlib.abc, sys
allowed = {"numpy", "pyarrow"} | set(sys.stdlib_module_names)
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed | {"pipelines", "schemas"} and not name.startswith("_sysconfigdata"):
            raise ImportError(f"{name}: not here")
sys.meta_path.insert(0, Only())
from pipelines.feed import TokenFeed
print(sum(int(batch["filled"].sum()) for batch in TokenFeed(sys.argv[1], "news", epochs=1)))
"""


def test_numpy_and_pyarrow_are_all_it_needs(out: Path) -> None:
    bare = {key: value for key, value in os.environ.items() if key not in ("JAVA_HOME", "SPARK_HOME", "PATH")}
    words = [sys.executable, "-c", BARE, str(out)]
    done = subprocess.run(words, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sets.versions(out, "news")[0].tokens


def test_threads_end_with_the_loop(out: Path) -> None:
    before = threading.active_count()
    for _ in range(5):
        for _ in TokenFeed(out, "news"):
            break
    assert threading.active_count() == before


def test_jax_gets_arrays_of_fixed_shapes(out: Path) -> None:
    pytest.importorskip("jax", reason="JAX is not installed: pip install 'swarmfeed[trainer]'")
    plain = list(TokenFeed(out, "news", epochs=1))
    for batch, expected in zip(jax_batches(TokenFeed(out, "news", epochs=1)), plain, strict=True):
        assert (np.asarray(batch["tokens"]) == expected["tokens"]).all()
        segments = np.asarray(batch["segment_ids"])
        assert (segments.max(axis=1) == [len(row) - 1 for row in expected["cu_seqlens"]]).all()
        assert ((segments > 0).sum(axis=1) == expected["filled"]).all()


def test_torch_gets_tensors(out: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from torch.utils.data import DataLoader

    plain = list(TokenFeed(out, "news", epochs=1))
    loader = DataLoader(torch_dataset(TokenFeed(out, "news", epochs=1)), batch_size=None)
    for batch, expected in zip(loader, plain, strict=True):
        assert torch.equal(batch["tokens"], torch.from_numpy(expected["tokens"]))
        assert [row.tolist() for row in batch["cu_seqlens"]] == [row.tolist() for row in expected["cu_seqlens"]]
    with pytest.raises(ConfigError, match="num_workers=0"):
        list(DataLoader(torch_dataset(TokenFeed(out, "news", epochs=1)), batch_size=None, num_workers=1))
