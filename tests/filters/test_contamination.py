"""Contamination: golden posts, every kind of file, a plain reference, and what is said of files that are wrong."""

from __future__ import annotations

import csv
import doctest
import gzip
import hashlib
import json
import pickle
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import filters.contamination
import filters.evaluation_sets
import filters.kernels.overlap
from filters.clean_text import CleanText
from filters.contamination import NAMED_ITEMS, Contamination
from filters.kernels import cpu, overlap
from filters.kernels.characters import CLASS, EMOJI, KIND, MARK, UNSPACED
from filters.kernels.utf8 import string_array, utf8_buffers
from filters.stage import configure
from schemas.columns import CLEAN_TEXT
from schemas.errors import ConfigError

GOLDEN = Path(__file__).parents[1] / "golden" / "contamination.jsonl"
LINES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
ITEM = "the tide table on the harbour wall said that low water would come at seven that evening"
OTHER = "a baker who gets up at three does not need to be told what the dark looks like"


def written(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return tuple(str(folder / name) for name in files)


def asked(stage: Contamination, texts: list[str | None]) -> list[Any]:
    rows = [None if text is None else {"text": text, "changed": False} for text in texts]
    answer = stage(pa.RecordBatch.from_arrays([pa.array(rows, CLEAN_TEXT)], ["clean_text"]))
    answer.validate(full=True)
    return [one and (pytest.approx(one["score"]), one["item"]) for one in answer.to_pylist()]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["why"])
def test_golden(line: dict[str, Any], tmp_path: Path) -> None:
    stage = Contamination(files=written(tmp_path, line["files"]), **line["settings"])
    expected = None if line["score"] is None else (line["score"], line["item"])
    assert asked(stage, [line["text"]]) == [expected]


@pytest.mark.parametrize("module", [filters.contamination, filters.evaluation_sets, overlap])
def test_examples_in_the_docstrings(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


WORDS = st.sampled_from(["a", "b", "c", "d", "好", "天", "ก", "กี", "😀", "é", "x1"])
TEXTS = st.lists(st.lists(WORDS, max_size=14).map(" ".join) | st.lists(WORDS, max_size=14).map("".join), max_size=6)


def plain_words(text: str) -> list[str]:
    """Cut a text into words one character at a time, with sets and strings."""
    normal = string_array(*cpu.normalise(*utf8_buffers(pa.array([text], pa.string())))).to_pylist()[0]
    words, open_word, alone = [], "", False
    for character in normal + " ":
        flags = CLASS[ord(character)] if ord(character) < len(CLASS) else EMOJI
        kind = flags & KIND
        if character == " " or kind == EMOJI:
            words, open_word, alone = [*words, open_word], "", False
        elif kind == MARK:
            open_word += character
        elif flags & UNSPACED or alone:
            words, open_word, alone = [*words, open_word], character, bool(flags & UNSPACED)
        else:
            open_word += character
    return [word for word in words if word]


def plain_answer(post: str, items: list[str], sizes: tuple[int, int]) -> tuple[float, str | None]:
    size, least = sizes
    words = plain_words(post)
    covered: dict[int, set[int]] = {}
    for place, item in enumerate(items):
        known = plain_words(item)
        length = min(size, len(known))
        if length < least:
            continue
        grams = {tuple(known[k : k + length]) for k in range(len(known) - length + 1)}
        for k in range(len(words) - length + 1):
            if tuple(words[k : k + length]) in grams:
                covered.setdefault(place, set()).update(range(k, k + length))
    if not covered:
        return 0.0, None
    best = max(covered, key=lambda place: (len(covered[place]), -place))
    return len(set().union(*covered.values())) / len(words), f"items:{best + 1}"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=TEXTS, posts=TEXTS, sizes=st.sampled_from([(4, 2), (3, 3), (1, 1), (6, 2)]))
def test_the_answer_is_that_of_a_plain_search(
    items: list[str], posts: list[str], sizes: tuple[int, int], tmp_path: Path
) -> None:
    items = ["zz zz zz zz zz zz zz", *items]  # never an empty file
    files = written(tmp_path, {"items.jsonl": "\n".join(json.dumps(item) for item in items)})
    stage = Contamination(files=files, ngram_words=sizes[0], min_item_words=sizes[1])
    assert asked(stage, [*posts]) == [
        (pytest.approx(score), name) for score, name in (plain_answer(post, items, sizes) for post in posts)
    ]


def test_every_kind_of_file_says_the_same(tmp_path: Path) -> None:
    rows = [{"question": "Too short.", "answer": "no"}, {"question": ITEM, "answer": OTHER}]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    names = ["q.jsonl", "gz.jsonl.gz", "zst.jsonl.zst", "q.ndjson", "q.csv", "q.parquet", "bom.jsonl"]
    (tmp_path / names[0]).write_bytes(lines)
    (tmp_path / names[1]).write_bytes(gzip.compress(lines))
    half = len(lines) // 2
    (tmp_path / names[2]).write_bytes(zstandard.compress(lines[:half]) + zstandard.compress(lines[half:]))
    (tmp_path / names[3]).write_bytes(lines.replace(b"\n", b"\r\n"))
    with (tmp_path / names[4]).open("w", newline="") as file:
        writer = csv.DictWriter(file, ["question", "answer"])
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / names[5])
    (tmp_path / names[6]).write_bytes(b"\xef\xbb\xbf" + lines)
    for name in names:
        stage = Contamination(files=(str(tmp_path / name),), fields=("answer",))
        stem = name.partition(".")[0]
        assert asked(stage, [OTHER, ITEM]) == [(1.0, f"{stem}:2"), (0.0, None)], name


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder, text in (("one", ITEM), ("two", OTHER)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test.txt").write_text(text)
    files = tuple(str(tmp_path / folder / "test.txt") for folder in ("one", "two"))
    assert asked(Contamination(files=files), [OTHER]) == [(1.0, f"{files[1]}:1")]


def test_an_item_is_read_once_and_travels_with_the_stage(tmp_path: Path) -> None:
    files = written(tmp_path, {"quiz.txt": ITEM})
    stage = Contamination(files=files)
    assert stage.sha256 == hashlib.sha256(ITEM.encode()).hexdigest()
    Path(files[0]).unlink()
    again = pickle.loads(pickle.dumps(stage))
    assert again == stage
    assert asked(again, [ITEM]) == [(1.0, "quiz:1")]


def test_another_content_is_another_stage(tmp_path: Path) -> None:
    before = Contamination(files=written(tmp_path, {"quiz.txt": ITEM}))
    after = Contamination(files=written(tmp_path, {"quiz.txt": OTHER}))
    assert before.sha256 != after.sha256
    assert before != after
    assert Contamination().sha256 is None


def test_wording_that_very_many_items_share(tmp_path: Path) -> None:
    prompt = "answer the following question with the letter of the one choice that is right please"
    lines = [f"{prompt} case {number}" for number in range(5 * NAMED_ITEMS)]
    stage = Contamination(files=written(tmp_path, {"many.txt": "\n".join(lines)}))
    assert asked(stage, [prompt]) == [(1.0, "many:1")]
    assert asked(stage, [lines[-1]])[0][0] == 1.0


def test_a_batch_of_many_words_is_the_sum_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Contamination(files=written(tmp_path, {"both.txt": f"{ITEM}\n{OTHER}"}))
    posts = [f"{ITEM} {number}" if number % 3 else f"so {OTHER}" if number % 2 else "" for number in range(50)]
    whole = asked(stage, [*posts])
    monkeypatch.setattr(filters.contamination, "WORDS_AT_ONCE", 20)
    assert asked(stage, [*posts]) == whole
    assert {one[1] for one in whole} == {"both:1", "both:2", None}


def test_the_filter_lets_every_key_pass_and_few_others() -> None:
    keys = np.random.default_rng(7).integers(0, 1 << 64, 20_000, np.uint64)
    known, strange = keys[:10_000], keys[10_000:]
    words = overlap.bloom(known)
    assert all(overlap._passes(key, words) for key in known)
    assert sum(bool(overlap._passes(key, words)) for key in strange) < 500


def nearly(folder: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Settings that are wrong, and what is said of them."""
    good = written(folder, {"quiz.jsonl": json.dumps({"question": ITEM})})[0]
    bad = {
        "broken.jsonl": '{"question": "a"}\n{"question": ',
        "empty.jsonl": "\n \n",
        "short.txt": "Who?\nWhat is that?",
        "list.parquet": "no parquet",
        "notes.docx": ITEM,
        "cut.jsonl.gz": "no gzip",
    }
    paths = dict(zip(bad, written(folder, bad), strict=True))
    (folder / "latin.txt").write_bytes(ITEM.encode() + b"\xe9")
    yield {"files": "quiz.jsonl"}, "'files' must be a list, got 'quiz.jsonl'"
    yield {"files": [3]}, "'files' must list names, got 3"
    yield {"files": [str(folder / "gone.jsonl")]}, r"'files': .*gone\.jsonl cannot be read: No such file"
    yield {"files": [str(folder)]}, "'files': .* cannot be read: Is a directory"
    yield {"files": [paths["broken.jsonl"]]}, r"'files': .*broken\.jsonl: line 2 is not JSON"
    yield {"files": [good, paths["empty.jsonl"]]}, r"'files': .*empty\.jsonl holds no items"
    yield {"files": [good, paths["short.txt"]]}, r"short\.txt has no text of 8 words or more \('min_item_words'\)"
    yield {"files": [paths["list.parquet"]]}, r"'files': .*list\.parquet: "
    yield {"files": [paths["notes.docx"]]}, r"'files': .*notes\.docx: expected \.jsonl"
    yield {"files": [paths["cut.jsonl.gz"]]}, r"'files': .*cut\.jsonl\.gz: "
    yield {"files": [str(folder / "latin.txt")]}, r"'files': .*latin\.txt: 'utf-8' codec"
    yield {"files": [good], "fields": ["questoin"]}, "'fields': .*has no text in questoin: did you mean 'question'"
    yield {"files": [good], "fields": ["question", "answr"]}, "'fields': no file has a text in 'answr'"
    yield {"fields": "question"}, "'fields' must be a list"
    yield {"ngram_words": 0}, "'ngram_words' must be a whole number from 1 to 1000, got 0"
    yield {"min_item_words": True}, "'min_item_words' must be a whole number"
    yield {"ngram_words": 7}, "'min_item_words' must not be over 'ngram_words' = 7"
    yield {"file": [good]}, r"'stages\.contamination\.file': did you mean 'files'"


def test_a_mistake_is_named(tmp_path: Path) -> None:
    for section, message in nearly(tmp_path):
        with pytest.raises(ConfigError, match=message):
            configure([Contamination], {"contamination": section})


def test_a_file_cut_short_is_refused() -> None:
    whole = "".join(json.dumps({"question": f"{ITEM} {number}"}) + "\n" for number in range(5000)).encode()
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (
            ("a.jsonl.gz", gzip.compress(whole)[:-20]),
            ("a.jsonl.zst", zstandard.compress(whole)[:-20]),
        ):
            (Path(folder) / name).write_bytes(data)
            with pytest.raises(ValueError, match="Truncated"):
                Contamination(files=(str(Path(folder) / name),))


@pytest.fixture(scope="module")
def real_texts(real_data: Path) -> list[str]:
    """Some thousand real posts of each set, clean."""
    files = sorted((real_data / "posts").glob("*.parquet"))
    batches = [next(pq.ParquetFile(file).iter_batches(20_000, columns=["text"])) for file in files]
    return [text for batch in batches for text in CleanText()(batch).field("text").to_pylist()]


def test_real_posts_hold_what_was_taken_from_them_and_no_others(real_texts: list[str], tmp_path: Path) -> None:
    drawn = random.Random(7)
    order = drawn.sample(range(len(real_texts)), len(real_texts))
    long = [place for place in order if 16 <= len(plain_words(real_texts[place])) < 60][:200]
    taken = {f"real:{place}": real_texts[place] for place in long}
    items = [json.dumps({"id": place, "text": real_texts[place]}) for place in long]
    items += [" ".join(drawn.choices(ITEM.split(), k=30)) for _ in range(1000)]
    lines = "\n".join(item if item.startswith("{") else json.dumps({"text": item}) for item in items)
    stage = Contamination(files=written(tmp_path, {"real.jsonl": lines}))
    found = [asked(stage, [*real_texts[start : start + 8192]]) for start in range(0, len(real_texts), 8192)]
    answers = [answer for part in found for answer in part]
    assert all(answers[place][0] == 1.0 for place in long)
    inside = asked(stage, [f"my cat heard this: {real_texts[place].upper()} 😂 #nice" for place in long])
    assert all(answer[0] != 0.0 for answer in inside)
    edited = [" ".join(words[k : k + 6]) for words in map(plain_words, taken.values()) for k in (0, 6)]
    assert (
        asked(stage, [f"{a} zz {b} zz" for a, b in zip(edited[::2], edited[1::2], strict=True)]) == [(0.0, None)] * 200
    )
    others = [place for place, answer in enumerate(answers) if answer[0] != 0.0 and place not in long]
    assert len(others) < len(real_texts) / 100
    for place in others:  # copies, every one of them
        item = taken[answers[place][1]]
        assert plain_answer(real_texts[place], [item], (13, 8))[0] > 0
