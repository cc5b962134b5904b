"""The simulated stream: the same for the same settings, bounded, and as its ground truth says."""

from __future__ import annotations

import gc
import hashlib
import ipaddress
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import phonenumbers
import pyarrow as pa
import pytest
from stdnum import iban, luhn
from stdnum.br import cpf
from stdnum.es import dni
from stdnum.us import ssn

from filters.kernels import cpu
from filters.kernels.utf8 import utf8_buffers
from filters.sketch import Sketch
from pipelines.simulate import Shares, Simulation, generate, known_clusters, truth
from pipelines.simulate.grammar import LANGUAGES, handle
from pipelines.simulate.stream import Writer
from pipelines.simulate.tables import TABLES
from pipelines.sources.records import parse_values
from schemas.columns import PII_SPAN
from schemas.reasons import Fault

LINES = 24_000
Known = tuple[str, dict[str, Any], dict[str, Any]]  # kind of line, post, truth


@pytest.fixture(scope="module")
def stream() -> list[tuple[str, bytes]]:
    """Every line of one stream with its kind."""
    return [
        pair
        for lines, kinds in Writer(Simulation(posts=LINES, seed=11)).blocks()
        for pair in zip(kinds, lines, strict=True)
    ]


@pytest.fixture(scope="module")
def posts(stream: list[tuple[str, bytes]]) -> list[Known]:
    """Every well-formed post, repeats left out."""
    lines = [(kind, line) for kind, line in stream if kind not in ("delete", "malformed", "repeat")]
    return [(kind, orjson.loads(line), truth(line) or {}) for kind, line in lines]


def of_kind(posts: list[Known], *kinds: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    return ((post, known) for kind, post, known in posts if kind in kinds)


def grams(texts: list[str]) -> list[frozenset[str]]:
    """The character 4-grams of texts as the duplicates step sees them, not as the generator does."""
    data, offsets = cpu.normalise(*utf8_buffers(pa.array(texts)))
    plain = [data[start:end].tobytes().decode() for start, end in pairwise(offsets)]
    return [frozenset(text[at : at + 4] for at in range(max(1, len(text) - 3))) for text in plain]


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)


def digest(simulation: Simulation) -> str:
    return hashlib.sha256(b"\n".join(generate(simulation))).hexdigest()


def test_the_same_settings_give_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from pipelines.simulate import Simulation, generate\n"
        "print(hashlib.sha256(b'\\n'.join(generate(Simulation(posts=9000, seed=4)))).hexdigest())"
    )
    root = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert other.stdout.strip() == digest(Simulation(posts=9000, seed=4))


def test_another_seed_gives_another_stream() -> None:
    assert digest(Simulation(posts=500, seed=1)) != digest(Simulation(posts=500, seed=2))


@pytest.mark.parametrize("count", [0, 1, 7, 4095, 4097])
def test_a_short_stream_begins_a_long_one(stream: list[tuple[str, bytes]], count: int) -> None:
    assert list(generate(Simulation(posts=count, seed=11))) == [line for _, line in stream[:count]]


def test_pyspark_is_not_needed() -> None:
    code = "import sys, pipelines.simulate; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_memory_does_not_grow_with_the_stream() -> None:
    lines = generate(Simulation(posts=1_000_000_000))

    def blocks_after(count: int) -> int:
        for _ in islice(lines, count):
            pass
        gc.collect()
        return sys.getallocatedblocks()

    blocks_after(60_000)  # the windows are full by then
    full = blocks_after(4096)
    assert blocks_after(40_960) < full + 8000  # one object kept for every fifth line would show


def test_kinds_come_in_their_shares(stream: list[tuple[str, bytes]]) -> None:
    counts = Counter(kind for kind, _ in stream)
    shares = Shares().as_dict()
    expected = {"organic": 1 - sum(shares.values()), **shares}
    for kind, share in expected.items():
        spread = 5 * (share * (1 - share) / LINES) ** 0.5
        assert abs(counts[kind] / LINES - share) < spread, kind
    noise = sum(
        shares[kind] for kind in ("repost", "campaign", "spam", "machine", "noise", "abuse", "repeat", "malformed")
    )
    assert 0.6 < noise < 0.8


def test_shares_can_be_chosen() -> None:
    only = Shares(**dict.fromkeys(Shares().as_dict(), 0.0) | {"spam": 1.0})
    kinds = [kind for _, kinds in Writer(Simulation(posts=3000, shares=only)).blocks() for kind in kinds]
    assert Counter(kinds) == {"spam": 2992, "organic": 8}


def test_every_kind_is_named_in_the_truth(posts: list[Known]) -> None:
    assert all(known["kind"] == kind for kind, _, known in posts)


def test_the_canonical_reader_takes_every_post_and_tombstone(stream: list[tuple[str, bytes]]) -> None:
    good = [line for kind, line in stream if kind != "malformed"]
    deletes = [orjson.loads(line) for kind, line in stream if kind == "delete"]
    records = parse_values(good, "canonical")
    assert records.quarantine.num_rows == 0
    assert records.posts.num_rows == len(good) - len(deletes)
    assert records.tombstones["post_id"].to_pylist() == [event["post_id"] for event in deletes]
    assert set(records.tombstones["kind"].to_pylist()) == {"post_deleted"}


def test_malformed_lines_have_the_fault_they_say() -> None:
    shares = Shares(**dict.fromkeys(Shares().as_dict(), 0.0) | {"malformed": 1.0})
    lines = list(generate(Simulation(posts=2000, shares=shares)))[8:]
    seen: Counter[str] = Counter()
    for line in lines:
        records = parse_values([line], "canonical")
        assert records.posts.num_rows == 0, line
        (found,) = records.quarantine["fault"].to_pylist()
        said = truth(line)
        assert said is None or said["fault"] == found
        seen[found] += 1
    wanted = {"bad_json", "bad_encoding", "bad_type", "bad_time", "missing_id", "missing_text", "nul", "too_deep"}
    assert set(seen) == wanted <= set(Fault)
    assert min(seen.values()) > 150


def test_ids_are_unique_and_rise(posts: list[Known]) -> None:
    ids = [int(post["id"]) for kind, post, _ in posts if kind != "edit"]
    assert ids == sorted(set(ids))
    assert max(ids) < 1 << 63


def test_time_passes_at_the_rate_asked_for() -> None:
    start = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)
    quiet = Shares(late=0, clock=0, edit=0, repeat=0, malformed=0, delete=0)
    last = orjson.loads(list(generate(Simulation(posts=1001, rate=2.5, start=start, shares=quiet)))[-1])
    assert datetime.fromisoformat(last["created_at"]) == start + timedelta(seconds=400)


def test_late_posts_are_as_late_as_they_say(stream: list[tuple[str, bytes]]) -> None:
    arrivals = {number: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number / 5787) for number in range(LINES)}
    late = [(number, orjson.loads(line), truth(line)) for number, (kind, line) in enumerate(stream) if kind == "late"]
    for number, post, known in late:
        delay = arrivals[number] - datetime.fromisoformat(post["created_at"])
        assert known is not None
        assert abs(delay.total_seconds() - known["late_seconds"]) < 0.001
        assert 60 <= known["late_seconds"] < 6 * 3600
    assert len(late) > 150


def test_answers_point_at_earlier_posts_of_the_same_conversation(posts: list[Known]) -> None:
    seen: dict[str, dict[str, Any]] = {}
    depth: dict[str, int] = {}
    for kind, post, _ in posts:
        if kind == "thread":
            parent = seen[post["reply_to_id"]]
            assert post["conversation_id"] == parent["conversation_id"]
            assert post["created_at"] >= parent["created_at"]
            depth[post["id"]] = depth.get(post["reply_to_id"], 0) + 1
        seen[post["id"]] = post
    assert max(depth.values()) >= 5


def test_reposts_carry_the_text_of_their_original(posts: list[Known]) -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    ways: Counter[bool] = Counter()
    for kind, post, known in posts:
        if kind == "repost":
            text = post["text"].split(": ", 1)[1] if post["text"].startswith("RT @") else post["text"]
            assert text in versions[known["of"]]
            assert post["repost_of"] in (known["of"], None)
            ways[post["repost_of"] is None] += 1
        versions[post["id"]].add(post["text"])
    assert 0.08 < ways[True] / ways.total() < 0.17


def test_edits_change_the_text_and_keep_the_rest(posts: list[Known]) -> None:
    seen: dict[str, dict[str, Any]] = {}
    edited_at: dict[str, int] = {}
    edits = 0
    for kind, post, known in posts:
        if kind == "edit":
            before, moment = seen[post["id"]], orjson.loads(post["extra"])["edited_at"]
            assert before["text"] != post["text"]
            same = ("author_id", "created_at", "reply_to_id", "conversation_id")
            assert [post[name] for name in same] == [before[name] for name in same]
            assert known["edit_of"] == post["id"]
            assert moment > edited_at.get(post["id"], 0)
            edited_at[post["id"]] = moment
            edits += 1
        seen[post["id"]] = post
    assert edits > 150


def test_deletes_name_a_post_and_its_author_once(stream: list[tuple[str, bytes]]) -> None:
    authors: dict[str, str] = {}
    gone = set()
    for kind, line in stream:
        post = orjson.loads(line) if kind not in ("malformed", "repeat") else {}
        if kind == "delete":
            assert authors[post["post_id"]] == post["author_id"]
            assert post["post_id"] not in gone
            gone.add(post["post_id"])
        elif post:
            authors[post["id"]] = post["author_id"]
    assert len(gone) > 90


def test_repeats_are_lines_that_came_before(stream: list[tuple[str, bytes]]) -> None:
    seen = set()
    for kind, line in stream:
        assert (line in seen) == (kind == "repeat") or kind == "malformed"
        seen.add(line)


def test_campaign_members_stay_close_to_their_first(posts: list[Known]) -> None:
    clusters: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for post, known in of_kind(posts, "campaign"):
        clusters[known["cluster"]].append((known["edit"], post["text"], post["author_id"]))
    edits: Counter[str] = Counter()
    for members in clusters.values():
        first, *others = grams([text for _, text, _ in members])
        assert members[0][0] == "first"
        assert all(edit != "first" for edit, _, _ in members[1:])
        assert min((jaccard(first, other) for other in others), default=1.0) >= 0.8
        edits.update(edit for edit, _, _ in members)
    assert len(clusters) > 10
    assert set(edits) == {"first", "copy", "word", "link", "mention", "emoji", "case", "punctuation", "cut"}
    assert min(edits[edit] for edit in ("word", "link", "cut", "emoji", "case")) > 50
    largest = max(clusters.values(), key=len)
    assert len({author for _, _, author in largest}) > 0.9 * len(largest)


def test_campaigns_are_apart_from_each_other(posts: list[Known]) -> None:
    firsts = grams([post["text"] for post, known in of_kind(posts, "campaign") if known["edit"] == "first"])
    pairs = [(left, right) for at, left in enumerate(firsts) for right in firsts[:at]]
    assert max(jaccard(left, right) for left, right in pairs) < 0.6


def test_known_clusters_are_those_of_the_truth(stream: list[tuple[str, bytes]], posts: list[Known]) -> None:
    clusters = known_clusters(line for _, line in stream)
    members = Counter(known["cluster"] for _, known in of_kind(posts, "campaign"))
    assert {cluster: len(ids) for cluster, ids in clusters.items()} == members


def test_organic_posts_are_hardly_ever_near_duplicates(posts: list[Known]) -> None:
    texts = [post["text"] for post, _ in of_kind(posts, "organic", "late", "quote")]
    cleaned = pa.array([{"text": text, "changed": False} for text in texts])
    sketches = Sketch()(pa.RecordBatch.from_arrays([cleaned], ["clean_text"]))
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for at, bands in enumerate(sketches.field("bands").to_pylist()):
        for pair in enumerate(bands):
            buckets[pair].append(at)
    pairs = {(at, other) for bucket in buckets.values() for at in bucket for other in bucket if at < other}
    shingled = grams(texts)
    near = {other for at, other in sorted(pairs) if jaccard(shingled[at], shingled[other]) >= 0.7}
    assert len(texts) > 4000
    assert len(near) / len(texts) < 0.005


def check_digits(kind: str, value: str) -> bool:
    checks = {
        "email": lambda: value.count("@") == 1 and value.split("@")[1].split(".")[-2] == "example",
        "phone": lambda: phonenumbers.is_valid_number(phonenumbers.parse(value)),
        "card": lambda: luhn.is_valid(value.replace(" ", "")) and len(value.replace(" ", "")) == 16,
        "iban": lambda: iban.is_valid(value),
        "ip": lambda: ipaddress.ip_address(value).is_global,
        "national_id": lambda: any(number.is_valid(value) for number in (ssn, dni, cpf)),
    }
    return checks[kind]()


def test_personal_data_is_in_the_text_and_formally_right() -> None:
    shares = Shares(**dict.fromkeys(Shares().as_dict(), 0.0) | {"pii": 1.0})
    kinds: Counter[str] = Counter()
    for line in islice(generate(Simulation(posts=4000, shares=shares)), 8, None):
        text, known = orjson.loads(line)["text"], truth(line)
        assert known is not None
        assert known["pii"]
        for kind, value in known["pii"]:
            assert value in text
            assert check_digits(kind, value), (kind, value)
            kinds[kind] += 1
    assert min(kinds[kind] for kind in ("email", "phone", "card", "iban", "ip", "national_id")) > 300
    assert "email, phone, card, iban, ip, national_id" in PII_SPAN[0].metadata[b"doc"].decode()


def test_languages_are_told_apart_by_their_script(posts: list[Known]) -> None:
    scripts = {"ru": "А", "uk": "А", "ar": "\u0600", "hi": "\u0900", "zh": "\u4e00", "ja": "\u3040", "ko": "\uac00"}
    ends = {"ru": "ӿ", "uk": "ӿ", "ar": "\u06ff", "hi": "\u097f", "zh": "\u9fff", "ja": "\u9fff", "ko": "\ud7a3"}
    seen = Counter(known["language"] for _, known in of_kind(posts, "organic"))
    assert set(seen) == {table["code"] for table in TABLES}
    for post, known in of_kind(posts, "organic", "thread"):
        code = known["language"]
        if code in scripts:
            assert any(scripts[code] <= character <= ends[code] for character in post["text"])


def test_hints_are_mostly_right_sometimes_wrong_or_missing(posts: list[Known]) -> None:
    hints = [(post["lang_hint"], known["language"]) for post, known in of_kind(posts, "organic", "thread")]
    right = np.mean([hint == language for hint, language in hints])
    assert 0.6 < right < 0.8
    assert any(hint is None for hint, _ in hints)


def test_tables_can_stand_inside_json() -> None:
    assert sum(table["weight"] for table in TABLES) == 100
    for table in TABLES:
        said = str([value for value in table.values() if not isinstance(value, int)])
        assert '\\"' not in said.replace("\\'", "")
        assert "\\n" not in said
        assert len({table["code"] for table in TABLES}) == len(TABLES) == len(LANGUAGES)


def test_noise_holds_the_nasty_shapes(posts: list[Known]) -> None:
    shapes = defaultdict(list)
    for post, known in of_kind(posts, "noise"):
        shapes[known["shape"]].append(post["text"])
    assert any(len(text) > 5000 for text in shapes["copy_pasta"])
    assert max(map(len, shapes["copy_pasta"])) <= 20_000
    assert any("\u202e" in text for text in shapes["odd"])
    assert any("\u200d" in text for text in shapes["odd"])
    assert any("\ufffd" in text for text in shapes["odd"])
    assert any(not text.strip() for text in shapes["empty"])


def test_names_are_unique() -> None:
    assert len({handle(author) for author in range(20_000)}) == 20_000
