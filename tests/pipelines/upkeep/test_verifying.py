"""What was forgotten is found wherever a byte of it is left, and nothing is found where nothing is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from epochs import WORDS, Output, post

from pipelines.exchange import write_rows
from pipelines.upkeep import requests
from pipelines.upkeep.forgetting import forget
from pipelines.upkeep.requests import Request
from pipelines.upkeep.verifying import verify_forgotten
from schemas.errors import ConfigError

GONE = "another-0003"


@pytest.fixture(scope="module")
def forgotten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A folder in which a post was forgotten, and its tokens."""
    output = Output(tmp_path_factory.mktemp("verify") / "out")
    output.epoch([post(GONE, 1), post("stays-0000001", 2)])
    tokens = output.tokens()[GONE]
    requests.leave(output.root, Request(ids=(GONE, "p7")))
    forget(output.upkeep())
    return output.root, tokens


def test_nothing_is_found_once_it_is_forgotten(output: Output) -> None:
    ids = ["original-0001", "another-0003", "never-seen-01"]
    before = verify_forgotten(output.root, ids)
    assert {file.split("/")[0] for file, _ in before.leaks} >= {"posts", "documents", "sets", "quarantine", "reports"}
    assert any(".swarmfeed/index" in file for file, _ in before.leaks)
    requests.leave(output.root, Request(ids=tuple(ids)))
    forget(output.upkeep())
    after = verify_forgotten(output.root, ids)
    assert (after.leaks, after.receipts) == ((), 2)
    assert after.same_words > 0  # two copies say what the original said
    assert verify_forgotten(output.root, ids, workers=2).leaks == ()
    assert not [leak for leak in before.leaks if WORDS[0] in str(leak)]


def parquet(path: Path, **columns: Any) -> None:
    """Write a file of rows."""
    pq.write_table(pa.table(columns), path)


PLANTED: dict[str, tuple[str, Callable[[Path, list[int]], object]]] = {
    "id": ("posts/route=kept/left.parquet", lambda path, _: parquet(path, id=[GONE])),
    "id inside a list": ("documents/left.parquet", lambda path, _: parquet(path, post_ids=[["x", GONE]])),
    "id inside a struct": ("posts/left.parquet", lambda path, _: parquet(path, a=[{"b": [{"c": f"re {GONE}!"}]}])),
    "short id": ("posts/short.parquet", lambda path, _: parquet(path, text=["see p7, please"])),
    "bytes": ("quarantine/left.parquet", lambda path, _: parquet(path, raw=[f'{{"id": "{GONE}'.encode()])),
    "map": ("posts/map.parquet", lambda path, _: pq.write_table(
        pa.table({"m": pa.array([[("k", GONE)]], pa.map_(pa.string(), pa.string()))}), path)),
    "dictionary": ("posts/dictionary.parquet", lambda path, _: pq.write_table(
        pa.table({"d": pa.array(["a", GONE]).dictionary_encode()}), path)),
    "text": ("documents/words.parquet", lambda path, _: parquet(path, text=[WORDS[1]])),
    "redacted text of the post": (
        "posts/words.parquet", lambda path, _: parquet(path, id=[GONE], pii=[{"redacted": WORDS[1]}])),
    "tokens": ("sets/default/v000009/shard-0.parquet", lambda path, run: pq.write_table(
        pa.table({"tokens": pa.array([run], pa.list_(pa.int32()))}), path)),
    "arrow": (".swarmfeed/index/left.arrow", lambda path, _: write_rows(path, pa.table({"id": [GONE]}))),
    "text in arrow": (".swarmfeed/staging/left.arrow", lambda path, _: write_rows(path, pa.table({"t": [WORDS[1]]}))),
    "delta log": ("posts/_delta_log/99.json", lambda path, _: path.write_text(
        json.dumps({"add": {"stats": json.dumps({"minValues": {"id": GONE}})}}))),
    "checkpoint": ("posts/_delta_log/9.checkpoint.parquet", lambda path, _: parquet(
        path, add=[{"stats": json.dumps({"minValues": {"id": GONE}})}])),
    "page": ("reports/epoch-000000/left.html", lambda path, _: path.write_text(f"<p>{WORDS[1]}</p>")),
    "short id in a page": ("reports/short.html", lambda path, _: path.write_text("<bdi>p7</bdi>")),
    "json": ("reports/left.json", lambda path, _: path.write_text(json.dumps({"campaigns": [{"text": WORDS[1]}]}))),
    "log": ("stream.log", lambda path, _: path.write_text(f"INFO took {GONE}\n")),
    "anything": (".swarmfeed/spool/left.bin", lambda path, _: path.write_bytes(b"\0\1" + GONE.encode() + b"\2")),
    "far into a file": ("spool.bin", lambda path, _: path.write_bytes(b"." * ((16 << 20) - 5) + GONE.encode())),
    "request": (".swarmfeed/requests/1.json", lambda path, _: path.write_text(json.dumps({"ids": [GONE]}))),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_left_is_found(forgotten: tuple[Path, list[int]], what: str) -> None:
    root, tokens = forgotten
    name, plant = PLANTED[what]
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert verify_forgotten(root, [GONE, "p7"]).clean
    plant(path, tokens)
    try:
        found = verify_forgotten(root, [GONE, "p7"])
    finally:
        path.unlink()
    assert {file for file, _ in found.leaks} == {name}
    assert WORDS[1] not in str(found.to_dict())
    assert GONE not in str(found.leaks)


def test_the_same_words_of_others_are_told_apart(forgotten: tuple[Path, list[int]]) -> None:
    root, tokens = forgotten
    path = root / "posts" / "others.parquet"
    pq.write_table(pa.table({"id": ["x-other", "y-other"], "text": [WORDS[1], "else"], "tokens": [tokens, [1]]}), path)
    found = verify_forgotten(root, [GONE])
    path.unlink()
    assert found.clean
    assert found.same_words == 2  # once in a text, once in tokens


def test_a_folder_that_is_no_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no posts table"):
        verify_forgotten(tmp_path, ["a"])
