"""Every kind of tokenizer gives texts back, takes no text for a special token, and says in one line what is wrong."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sentencepiece
import tiktoken
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models, pre_tokenizers, processors, trainers

import pipelines
from pipelines.tokens.engines import HuggingFaceEngine, parse_ranks
from pipelines.tokens.patterns import POST_PATTERN, RANKS_PATTERN
from pipelines.tokens.tokenizer import Tokenizer, load_tokenizer
from pipelines.tokens.training import bytes_per_token, prepare, train_tokenizer
from schemas.errors import ConfigError

KINDS = ("default", "trained", "foreign", "sentencepiece", "tiktoken")
SPECIAL = ("<|endoftext|>", "</s>", "<s>", "<unk>", "[EOS]", "[PAD]", "a<|endoftext|>b")
NASTY = (
    "",
    " ",
    "😂",
    "one",
    "a" * 20_000,
    " " * 20_000,
    "\n \t\r\n" * 500,
    "😂" * 3_000,
    "👨‍👩‍👧‍👦🏳️‍🌈🏴\U000e0067\U000e0062\U000e007f🇩🇪🇫🇷🇩 1️⃣ ☎️",
    "می‌خواهم هذا \u202eRTL override\u202c שלום",
    "हिन्दी ภาษาไทย 漢字かな交じり文 한국어",
    "\ufffd\ufffd broken \x00 nul \x7f \u200d \u200b \ufeff",
    "Z̴̛̺a̷͈͝l̶̰̓g̵̟͋o",
    "RT @some_one: #BlackLivesMatter2020 don't DON’T 1234567 https://t.co/Ab3dE?x=1&y=2 a.b@example.org",
    "BUY NOW!!! " * 400,
    *SPECIAL,
)
SENTENCES = [
    f"{who} said the weather in {place} was {what} today, don't you think? #{place}Weather {number}"
    for number, who in enumerate(("Ana", "Boris", "Chen", "Dalia"))
    for place in ("Lisbon", "Kyiv", "Osaka", "Accra")
    for what in ("lovely", "dreadful", "quite normal", "好い", "замечательной", "जैसी")
]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One small tokenizer of each kind, made from invented sentences."""
    folder = tmp_path_factory.mktemp("tokenizers")
    pq.write_table(pa.table({"text": SENTENCES, "lang": ["en"] * len(SENTENCES)}), folder / "posts.parquet")
    train_tokenizer([folder / "posts.parquet"], folder / "trained", vocabulary=600)
    write_foreign(folder / "foreign.json")
    write_sentencepiece(folder / "pieces.model")
    merges = [b"th", b"the", b" the", b"er", b"\xf0\x9f", b"<|endoftext|>"[:2]]
    ranks = [bytes([value]) for value in range(256)] + merges
    (folder / "small.tiktoken").write_bytes(
        b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(ranks))
    )
    return {
        "default": "default",
        "trained": str(folder / "trained"),
        "foreign": str(folder / "foreign.json"),
        "sentencepiece": str(folder / "pieces.model"),
        "tiktoken": str(folder / "small.tiktoken"),
    }


def write_foreign(path: Path) -> None:
    """Write a tokenizer.json made elsewhere that truncates, pads and adds special tokens when asked to encode."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "[PAD]"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(pad_id=2, pad_token="[PAD]", length=8)
    tokenizer.save(str(path))


def write_sentencepiece(path: Path) -> None:
    """Write a model that keeps every byte: no normaliser, byte fallback."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 3),
        model_writer=written,
        vocab_size=400,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    path.write_bytes(written.getvalue())


@pytest.fixture(scope="session")
def loaded(files: dict[str, str]) -> dict[str, Tokenizer]:
    """The same, loaded."""
    return {kind: load_tokenizer(name) for kind, name in files.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_nasty_texts_come_back(loaded: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = loaded[kind]
    ids = tokenizer.encode(pa.array(NASTY))
    assert ids.type == pa.list_(pa.int32())
    assert [tokenizer.decode(row) for row in ids.to_pylist()] == list(NASTY)
    assert max(ids.values.to_pylist()) < tokenizer.vocabulary


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=60), max_size=5)
)
def test_any_text_comes_back(loaded: dict[str, Tokenizer], kind: str, texts: list[str]) -> None:
    ids = loaded[kind].encode(pa.array(texts, pa.string()))
    assert [loaded[kind].decode(row) for row in ids.to_pylist()] == texts


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_a_text_are_text(loaded: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = loaded[kind]
    ids = tokenizer.encode(pa.array(SPECIAL)).to_pylist()
    assert all(len(row) > 1 for row in ids)
    assert tokenizer.end_of_document not in {one for row in ids for one in row}


@pytest.mark.parametrize(("kind", "end"), [("default", 0), ("trained", 0), ("foreign", 1), ("sentencepiece", 2)])
def test_end_of_document_is_known_and_spells_nothing(loaded: dict[str, Tokenizer], kind: str, end: int) -> None:
    tokenizer = loaded[kind]
    assert tokenizer.end_of_document == end
    assert tokenizer.decode([*tokenizer.encode(pa.array(["hello you"]))[0].as_py(), end]) == "hello you"


def test_a_tiktoken_file_names_no_end_of_document(loaded: dict[str, Tokenizer]) -> None:
    assert loaded["tiktoken"].end_of_document is None
    assert loaded["tiktoken"].card().end_of_document is None


@pytest.mark.parametrize("kind", KINDS)
def test_nulls_slices_chunks_and_nothing(loaded: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = loaded[kind]
    texts = pa.array(["x", "", None, "the weather", None])
    ids = tokenizer.encode(texts)
    assert ids.is_null().to_pylist() == [False, False, True, False, True]
    assert ids[1].as_py() == []
    assert tokenizer.encode(texts.slice(2)).to_pylist() == ids.to_pylist()[2:]
    assert tokenizer.encode(pa.chunked_array([texts.slice(0, 3), texts.slice(3)])).equals(ids)
    assert tokenizer.encode(texts.cast(pa.large_string())).equals(ids)
    assert tokenizer.encode(pa.array([], pa.string())).to_pylist() == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_text_does_not_change_another(loaded: dict[str, Tokenizer], kind: str) -> None:
    whole = loaded[kind].encode(pa.array(NASTY)).to_pylist()
    assert whole == [loaded[kind].encode(pa.array([text]))[0].as_py() for text in NASTY]


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_needs_no_file(files: dict[str, str], kind: str, tmp_path: Path) -> None:
    source = Path(files[kind])
    if kind != "default":
        file = source / "tokenizer.json" if source.is_dir() else source
        copy = tmp_path / file.name
        copy.write_bytes(file.read_bytes())
        tokenizer = load_tokenizer(str(copy))
        copy.unlink()
        assert tokenizer.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    else:
        tokenizer = load_tokenizer(kind)
    sent = pickle.dumps((tokenizer, tokenizer.encode(pa.array(NASTY)).to_pylist()))
    script = (
        "import pickle, sys, pyarrow as pa\n"
        "tokenizer, expected = pickle.load(sys.stdin.buffer)\n"
        f"assert tokenizer.encode(pa.array({NASTY!r})).to_pylist() == expected\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(pipelines.__file__).parents[1]), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script], input=sent, env=environment, cwd=tmp_path, check=True, timeout=120)


def test_equal_bytes_make_equal_tokenizers(loaded: dict[str, Tokenizer]) -> None:
    again = pickle.loads(pickle.dumps(loaded["trained"]))
    assert again == loaded["trained"]
    assert hash(again) == hash(loaded["trained"])
    assert again != loaded["foreign"]


def test_the_default_is_read_from_inside_a_zip(tmp_path: Path) -> None:
    root = Path(pipelines.__file__).parents[1]
    archive = tmp_path / "swarmfeed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("schemas/*.py", "pipelines/token*.py", "filters/models/__init__.py", "filters/models/tokenizer/*"):
            for path in root.glob(name):
                file.write(path, path.relative_to(root))
        for name in ("filters/__init__.py", "pipelines/__init__.py"):
            file.writestr(name, "")
    script = "from pipelines.tokens.tokenizer import load_tokenizer as load; print(load('default').sha256)"
    environment = {**os.environ, "PYTHONPATH": str(archive)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    assert done.stdout.decode().strip() == load_tokenizer("default").sha256


def test_the_card_of_the_default_is_that_of_its_file() -> None:
    folder = Path(pipelines.__file__).parents[1] / "filters" / "models" / "tokenizer"
    card = json.loads((folder / "card.json").read_text())
    tokenizer = load_tokenizer("default")
    assert card["sha256"] == tokenizer.sha256 == hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    assert card["vocabulary"] == tokenizer.vocabulary == 32_768
    assert tokenizer.sha256 in (folder / "card.md").read_text()


class TestFastPath:
    """A tokenizer.json that swarmfeed trained goes through a faster engine: the ids must be those of the library."""

    def test_default_has_it_and_foreign_has_not(self, loaded: dict[str, Tokenizer]) -> None:
        assert HuggingFaceEngine(loaded["default"].data).fast
        assert HuggingFaceEngine(loaded["trained"].data).fast
        assert not HuggingFaceEngine(loaded["foreign"].data).fast

    @pytest.mark.parametrize("kind", ["default", "trained"])
    def test_every_character_is_cut_alike(self, loaded: dict[str, Tokenizer], kind: str) -> None:
        planes = [*range(0xD800), *range(0xE000, 0x10000), *range(0x1E000, 0x20000), *range(0xE0000, 0xE0200)]
        texts = [
            "".join(f"a{chr(c)}b {chr(c)}1{chr(c)}!" for c in planes[at : at + 200])
            for at in range(0, len(planes), 200)
        ]
        assert_same_ids(loaded[kind], [*texts, *NASTY])

    @settings(max_examples=80, deadline=None)
    @given(
        texts=st.lists(
            st.lists(
                st.sampled_from(["the ", "weather", "Don't", "'", "LL", "\n", "  ", "#", "😂", "\u200d", "12", "é"])
            )
            .map("".join)
            .flatmap(lambda text: st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(text.__add__)),
            max_size=6,
        )
    )
    def test_any_text_has_the_same_ids(self, loaded: dict[str, Tokenizer], texts: list[str]) -> None:
        assert_same_ids(loaded["default"], texts)

    def test_real_posts_have_the_same_ids(self, real_data: Path) -> None:
        file = pq.ParquetFile(real_data / "posts" / "reddit-posts.parquet")
        texts = next(file.iter_batches(2000, columns=["text"])).column(0).drop_null().to_pylist()
        assert_same_ids(load_tokenizer("default"), texts)

    def test_merges_out_of_order_are_left_to_the_library(self, loaded: dict[str, Tokenizer]) -> None:
        data = json.loads(loaded["trained"].data)
        data["model"]["merges"].reverse()
        self._assert_refused(data)

    def test_a_token_that_merging_never_makes_is_left_to_the_library(self, loaded: dict[str, Tokenizer]) -> None:
        data = json.loads(loaded["trained"].data)
        bytes_only = {name: one for name, one in data["model"]["vocab"].items() if one <= 256}
        # "bc" comes first, so the library never merges "ab" + "c" inside "abc"; by rank alone "a" + "bc" would merge
        data["model"]["vocab"] = {**bytes_only, "bc": 257, "ab": 258, "abc": 259}
        data["model"]["merges"] = [["b", "c"], ["a", "b"], ["ab", "c"]]
        self._assert_refused(data)

    def test_another_pattern_is_left_to_the_library(self, loaded: dict[str, Tokenizer]) -> None:
        data = json.loads(loaded["trained"].data)
        data["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": POST_PATTERN + "|x"}
        self._assert_refused(data)

    @staticmethod
    def _assert_refused(data: dict[str, object]) -> None:
        tokenizer = Tokenizer.from_bytes("odd", "json", json.dumps(data).encode())
        assert not HuggingFaceEngine(tokenizer.data).fast
        assert_same_ids(tokenizer, [*SENTENCES, "abc"])


@lru_cache(maxsize=2)
def library_tokenizer(data: bytes) -> tokenizers.Tokenizer:
    """Read a tokenizer.json with the library itself."""
    library = tokenizers.Tokenizer.from_buffer(data)
    library.encode_special_tokens = True
    return library


def assert_same_ids(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Compare with the tokenizers library, called the plainest way."""
    library = library_tokenizer(tokenizer.data)
    expected = [library.encode(text, add_special_tokens=False).ids for text in texts]
    assert tokenizer.encode(pa.array(texts, pa.string())).to_pylist() == expected


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello, world!", ["Hello", ",", " world", "!"]),
        ("#BlackLivesMatter", ["#", "Black", "Lives", "Matter"]),  # the words are those of a sentence
        ("RT @NASA: ok", ["RT", " @", "NASA", ":", " ok"]),
        ("1234567 years", ["123", "456", "7", " years"]),
        ("don’t stop", ["don’t", " stop"]),
        ("हिन्दी में", ["हिन्दी", " में"]),  # vowel signs belong to the word
        ("می‌خواهم", ["می‌خواهم"]),  # so does the joiner inside it
        ("so 😂😂", ["so", " 😂", "😂"]),
        ("👨‍👩‍👧‍👦🇩🇪🇫🇷", ["👨‍👩‍👧‍👦", "🇩🇪", "🇫🇷"]),
        ("👍🏽❤️", ["👍🏽", "❤️"]),
        ("see https://t.co/Ab", ["see", " https://t.co/", "Ab"]),
        ("a\n\n b", ["a", "\n\n", " b"]),
    ],
)
def test_posts_are_cut_where_they_should_be(text: str, pieces: list[str]) -> None:
    cut = pre_tokenizers.Split(Regex(POST_PATTERN), behavior="isolated").pre_tokenize_str(text)
    assert [piece for piece, _ in cut] == pieces


@pytest.mark.parametrize("pattern", [POST_PATTERN, RANKS_PATTERN])
@pytest.mark.parametrize("sign", ["a", " ", "!", "\n", " \n", "A", "1", "'", "😂", "\u200d", "漢"])
def test_a_megabyte_of_one_sign_is_neither_slow_nor_lost(pattern: str, sign: str) -> None:
    ranks = {bytes([value]): value for value in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    text = sign * (500_000 // len(sign.encode()))
    assert bytes(encoding.encode_ordinary(text)) == text.encode()


def test_grok_works(real_data: Path) -> None:
    tokenizer = load_tokenizer(str(real_data / "tokenizers" / "grok-1.model"))
    assert (tokenizer.name, tokenizer.vocabulary, tokenizer.end_of_document) == ("grok-1.model", 131_072, 2)
    ids = tokenizer.encode(pa.array(NASTY)).to_pylist()
    assert [tokenizer.decode(row) for row in ids] == list(NASTY)


class TestErrors:
    """What cannot be used is a ConfigError of one line that names the key."""

    @pytest.mark.parametrize(
        "name", ["missing.json", "missing.model", "missing.tiktoken", "missing", "folder", "words.txt"]
    )
    def test_missing_or_of_no_known_kind(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "words.txt").write_text("x")
        with pytest.raises(ConfigError, match=r"^tokens\.tokenizer: .*") as raised:
            load_tokenizer(str(tmp_path / name))
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("suffix", [".json", ".model", ".tiktoken"])
    @pytest.mark.parametrize(
        "data", [b"", b"{}", b'{"model": {"type": "BPE"}}', b"\xff\x00" * 99, b"YQ== x", b"PK\x03\x04"]
    )
    def test_corrupt(self, tmp_path: Path, suffix: str, data: bytes) -> None:
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=r"^tokens\.tokenizer: .*broken.*: not a ") as raised:
            load_tokenizer(str(path))
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("kind", ["trained", "sentencepiece", "tiktoken"])
    def test_cut_in_half(self, loaded: dict[str, Tokenizer], tmp_path: Path, kind: str) -> None:
        tokenizer = loaded[kind]
        path = tmp_path / tokenizer.name
        path.write_bytes(tokenizer.data[: len(tokenizer.data) // 2 + 1])
        with pytest.raises(ConfigError, match=r"tokens\.tokenizer"):
            load_tokenizer(str(path))

    def test_ranks_say_which_line(self) -> None:
        with pytest.raises(ValueError, match="line 2: expected a token in base64"):
            parse_ranks(b"YQ== 0\n!!! 1\n")
        with pytest.raises(ValueError, match="line 2: expected one new token"):
            parse_ranks(b"YQ== 0\nYQ== 1\n")
        with pytest.raises(ValueError, match="255 of the 256 single bytes are missing"):
            parse_ranks(b"YQ== 0\n")


class TestTraining:
    """Training is reproducible and keeps handles, links and addresses out of the vocabulary."""

    def test_same_files_same_bytes(self, files: dict[str, str], tmp_path: Path) -> None:
        data = Path(files["trained"]).parent / "posts.parquet"
        card = train_tokenizer([data], tmp_path / "again", vocabulary=600)
        for name in ("tokenizer.json", "card.json", "card.md"):
            assert (tmp_path / "again" / name).read_bytes() == (Path(files["trained"]) / name).read_bytes()
        assert load_tokenizer(str(tmp_path / "again")).sha256 == card["sha256"]

    def test_private_strings_are_not_learned(self, tmp_path: Path) -> None:
        secret = "@zanzibarqux write zanzibarqux@example.org or https://example.org/zanzibarqux"
        texts = [f"{sentence} {secret} {number}" for number, sentence in enumerate(SENTENCES * 2)]
        pq.write_table(pa.table({"text": texts}), tmp_path / "posts.parquet")
        train_tokenizer([tmp_path / "posts.parquet"], tmp_path / "out", vocabulary=900)
        vocabulary = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["model"]["vocab"]
        assert any("weather" in token for token in vocabulary)
        assert not any(part in token for token in vocabulary for part in ("zanz", "qux", "example"))

    def test_copies_and_babble_teach_nothing(self, tmp_path: Path) -> None:
        texts = [*SENTENCES, *["qqzzy kkwwv"] * 500, "vvkkjj " * 500]
        pq.write_table(pa.table({"text": texts}), tmp_path / "posts.parquet")
        train_tokenizer([tmp_path / "posts.parquet"], tmp_path / "out", vocabulary=900)
        vocabulary = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["model"]["vocab"]
        assert not any(part in token for token in vocabulary for part in ("qq", "kk"))

    @pytest.mark.parametrize("table", [{"body": ["x"]}, {"text": pa.array([], pa.string())}, {"text": [None]}])
    def test_files_without_text_are_refused(self, tmp_path: Path, table: dict[str, object]) -> None:
        pq.write_table(pa.table(table), tmp_path / "posts.parquet")
        with pytest.raises(ConfigError, match="text"):
            train_tokenizer([tmp_path / "posts.parquet"], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_what_is_no_parquet_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "posts.parquet").write_text("no")
        for path in (tmp_path / "posts.parquet", tmp_path / "missing.parquet"):
            with pytest.raises(ConfigError, match=rf"{path.name}: expected Parquet"):
                train_tokenizer([path], tmp_path / "out")
        with pytest.raises(ConfigError, match="too small"):
            train_tokenizer([], tmp_path / "out", vocabulary=100)

    def test_figures_are_bytes_over_tokens(self, loaded: dict[str, Tokenizer]) -> None:
        figures = bytes_per_token({"en": ["the weather", "é"]}, loaded["default"], loaded["tiktoken"])
        tokens = sum(map(len, loaded["default"].encode(pa.array(["the weather", "é"])).to_pylist()))
        assert figures["en"]["texts"] == 2
        assert figures["en"]["default"] == round(13 / tokens, 3)
        assert figures["en"]["default"] > figures["en"]["small.tiktoken"] > 1

    def test_a_text_is_prepared_before_it_is_learned_from(self) -> None:
        assert prepare("@a &lt;3 https://x.org/y?z=1 b@c.de end") == "@ <3 https://t.co/  end"
