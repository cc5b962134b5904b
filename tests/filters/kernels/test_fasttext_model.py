"""fastText models of every kind, trained here: our answers are those of fastText's own `predict` on the same file."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import floret
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.kernels.characters import SCRIPTS
from filters.kernels.fasttext_file import LABEL_PREFIX
from filters.kernels.fasttext_model import Model, predict, predict_best, read_model
from filters.kernels.readable import readable
from filters.kernels.utf8 import utf8_buffers
from filters.language_lid import model_file
from schemas.errors import SetupError

TOLERANCE = 1e-4
ALPHABETS = ("abcdefghij", "абвгдежзик", "天地玄黄宇宙洪荒日月", "ابتثجحخدذر", "กขคงจฉชซญด")
FLORETS_OWN = slice(52, 60)  # floret writes fastText's file with two settings of its own after maxn


class Kind(NamedTuple):
    """How a model is trained, and how it is made small."""

    training: dict[str, Any]
    quantising: dict[str, Any] | None = None
    labels: int = 5


KINDS = {
    "softmax, words alone": Kind({"loss": "softmax", "maxn": 0}),
    "softmax, runs of 3 words": Kind({"loss": "softmax", "wordNgrams": 3, "maxn": 0}),
    "softmax, two labels": Kind({"loss": "softmax", "wordNgrams": 2, "minn": 2, "maxn": 4}, labels=2),
    "softmax, one label": Kind({"loss": "softmax", "maxn": 0}, labels=1),
    "softmax, pruned": Kind({"loss": "softmax", "minn": 2, "maxn": 4}, {"cutoff": 600, "qnorm": True}),
    "softmax, pruned, runs": Kind({"loss": "softmax", "wordNgrams": 2, "maxn": 0}, {"cutoff": 400}),
    "softmax, outputs too": Kind({"loss": "softmax", "wordNgrams": 2}, {"qout": True, "qnorm": True}, labels=300),
    "tree, n-grams": Kind({"loss": "hs", "minn": 3, "maxn": 6}),
    "tree, runs": Kind({"loss": "hs", "wordNgrams": 2, "minn": 1, "maxn": 2}),
    "tree, pruned": Kind({"loss": "hs", "minn": 2, "maxn": 3}, {"cutoff": 500, "qnorm": True}),
    "tree, outputs too": Kind({"loss": "hs", "maxn": 0}, {"qout": True, "qnorm": True}, labels=300),
    "negative sampling": Kind({"loss": "ns", "wordNgrams": 2, "minn": 2, "maxn": 3}),
    "negative sampling, quantised": Kind({"loss": "ns", "minn": 2, "maxn": 3}, {"dsub": 3}),
    "one-vs-all": Kind({"loss": "ova", "minn": 1, "maxn": 3}),
    "one-vs-all, quantised": Kind({"loss": "ova", "wordNgrams": 2, "maxn": 0}, {"cutoff": 700, "qnorm": True}),
    "one-vs-all, outputs too": Kind({"loss": "ova", "minn": 2, "maxn": 3}, {"qout": True, "qnorm": True}, labels=300),
}


def invented_words() -> list[str]:
    drawn = random.Random(5)
    return ["".join(drawn.choices(alphabet, k=drawn.randint(1, 6))) for alphabet in ALPHABETS for _ in range(120)]


def training_lines(labels: int) -> Iterator[str]:
    drawn = random.Random(labels)
    words = invented_words()
    for _ in range(900):
        label = drawn.randrange(labels)
        near = [words[(label * 37 + step) % len(words)] for step in range(90)]
        yield f"{LABEL_PREFIX}l{label} " + " ".join(drawn.choices(near, k=drawn.randint(1, 12)))


def posts() -> list[str]:
    drawn = random.Random(11)
    words = [*invented_words(), "never", "seen", "👍🏽", "e\u0301", "\ufffd", "#tag"]
    return [" ".join(drawn.choices(words, k=drawn.randint(0, 15))) for _ in range(150)]


ODD = (
    "",
    " ",
    "  two  spaces ",
    "tab\tand\vmore\fwhite\rspace \x00 too",
    "\u00a0no\u00a0break\u2028space\u3000is\u0085none",
    "</s>",
    "abc </s> what follows is not read",
    "abc</s> is",
    "__label__l1 abc __label__unheard def __label__",
    "__label_ _label__l1 _",
    "\x01\x7f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f",
    "\u202eesrever\u202c \u2066abc\u2069",
    "\ufffd\ufffd \u200b \ufeff",
    "x" * 20_000,
    "a " * 10_000,
    "\U0010ffff\ue000\ufdd0",
    "<abc> a> <a",
)


def trained(folder: Path, kind: Kind, lines: Sequence[str]) -> Path:
    """Train a model and write it as fastText writes it."""
    source, made = folder / "lines.txt", folder / "model"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    chosen = {"dim": 9, "epoch": 6, "lr": 0.4, "bucket": 3000, "thread": 1, "seed": 3, "verbose": 0} | kind.training
    model = floret.train_supervised(input=str(source), **chosen)
    if kind.quantising is not None:
        model.quantize(input=str(source), **kind.quantising)
    return saved(model, made)


def saved(model: Any, path: Path) -> Path:
    model.save_model(str(path))
    content = bytearray(path.read_bytes())
    del content[FLORETS_OWN]
    path.write_bytes(content)
    return path


def check(path: Path, texts: Sequence[str], count: int) -> None:
    """Compare labels and probabilities with those of fastText itself, post by post."""
    model = read_model(path.read_bytes())
    labels, scores = ours(model, texts, count)
    reference = fasttext.load_model(str(path)).f
    for place, text in enumerate(texts):
        theirs = reference.predict(text.replace("\n", " ") + "\n", count, 0.0, "strict")
        likely = [one for one, _ in theirs] + [0.0] * (count - len(theirs))  # what is not told is at most 1e-5
        assert scores[place] == pytest.approx(likely, abs=TOLERANCE), ascii(text[:60])
        told = [LABEL_PREFIX + model.labels[label] for label in labels[place] if label >= 0]
        for at, (score, name) in enumerate(theirs):
            rivals = [0.0, *likely[:at], *likely[at + 1 :]]  # of equals the order is that of a heap
            if count == 1 or (at < count - 1 and min(abs(score - one) for one in rivals) > TOLERANCE):
                assert told[at] == name, ascii(text[:60])


def ours(model: Model, texts: Sequence[str], count: int) -> tuple[Any, Any]:
    return predict_best(*utf8_buffers(pa.array(texts, pa.string())), np.ones(len(texts), np.bool_), model, count)


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a trained model, by its kind; each is trained once."""
    made: dict[str, Path] = {}

    def path(name: str) -> Path:
        if name not in made:
            kind = KINDS[name]
            made[name] = trained(tmp_path_factory.mktemp("fasttext"), kind, list(training_lines(kind.labels)))
        return made[name]

    return path


@pytest.mark.parametrize("count", [1, 3, 400])
@pytest.mark.parametrize("name", KINDS)
def test_the_answers_are_those_of_fasttext(model_of: Callable[[str], Path], name: str, count: int) -> None:
    check(model_of(name), [*posts(), *ODD], count)


@pytest.mark.parametrize("name", ["softmax, pruned", "one-vs-all", "tree, runs"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_on_any_text(model_of: Callable[[str], Path], name: str, text: str) -> None:
    check(model_of(name), [text], 1)


def test_what_is_trained_is_learnt(model_of: Callable[[str], Path]) -> None:
    lines = list(training_lines(5))
    model = read_model(model_of("softmax, words alone").read_bytes())
    labels, scores = ours(model, [line.partition(" ")[2] for line in lines], 1)
    right = [line.startswith(f"{LABEL_PREFIX}{model.labels[label]} ") for line, label in zip(lines, labels[:, 0])]  # noqa: B905
    assert np.mean(right) > 0.9, "or equal answers would say little"
    assert 0.3 < scores.min() < scores.max() <= 1


def test_posts_that_are_not_wanted_and_line_breaks(model_of: Callable[[str], Path]) -> None:
    model = read_model(model_of("tree, n-grams").read_bytes())
    data, offsets = utf8_buffers(pa.array(["a b", "a\nb", "a b"]))
    labels, scores = predict(data, offsets, np.array([True, True, False]), model)
    assert labels[0] == labels[1] >= 0
    assert scores[0] == scores[1] > 0
    assert (labels[2], scores[2]) == (-1, 0)


def test_an_old_file_has_no_character_ngrams(model_of: Callable[[str], Path], tmp_path: Path) -> None:
    content = bytearray(model_of("softmax, runs of 3 words").read_bytes())
    content[4:8] = (11).to_bytes(4, "little")
    content[8 + 10 * 4 : 8 + 11 * 4] = (6).to_bytes(4, "little")  # maxn, which version 11 does not heed
    (tmp_path / "old.bin").write_bytes(content)
    check(tmp_path / "old.bin", posts(), 1)


def test_a_file_of_another_kind_says_what_was_expected(model_of: Callable[[str], Path], tmp_path: Path) -> None:
    content = model_of("one-vs-all").read_bytes()
    (tmp_path / "lines.txt").write_text("\n".join(training_lines(3)), encoding="utf-8")
    unsupervised = floret.train_unsupervised(str(tmp_path / "lines.txt"), dim=4, minCount=1, bucket=10, verbose=0)
    wrong = {
        "expected a fastText model": b"PK\x03\x04" + content,
        "version 11 or 12, got version 13": content[:4] + (13).to_bytes(4, "little") + content[8:],
        "expected a supervised fastText model, got skip-gram": saved(unsupervised, tmp_path / "sg").read_bytes(),
        "expected a loss from 1 to 4": content[:32] + (7).to_bytes(4, "little") + content[36:],
        "fastText did not write it": content + b"\0",
        "buckets for its n-grams": content[:40] + (0).to_bytes(4, "little") + content[44:],
    }
    for message, file in wrong.items():
        with pytest.raises(SetupError, match=message):
            read_model(file)


@pytest.mark.parametrize("name", ["softmax, outputs too", "tree, pruned", "one-vs-all"])
def test_a_file_that_is_cut_off_is_a_setup_error(model_of: Callable[[str], Path], name: str) -> None:
    content = model_of(name).read_bytes()
    ends = sorted({*range(0, 120), *range(120, len(content), len(content) // 200), len(content) - 1})
    for end in ends:
        with pytest.raises(SetupError, match="expected"):
            read_model(content[:end])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(model_of: Callable[[str], Path], data: st.DataObject) -> None:
    content = bytearray(model_of("softmax, pruned").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 400) | st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        model = read_model(bytes(content))
    except SetupError:
        return
    labels, _ = ours(model, ["abc ab", "天地"], 1)
    assert (labels < len(model.labels)).all()


@pytest.fixture(scope="module")
def real_texts(real_data: Path) -> list[tuple[str, str]]:
    """Ten thousand real texts and their languages, a thousand in each of ten scripts, whatever script they mix in."""
    sentences = pq.read_table(real_data / "labelled" / "language" / "tatoeba_laser.train.parquet")
    tweets = pq.read_table(real_data / "posts" / "ira-tweets.parquet", columns=["text", "lang_hint"]).slice(0, 60_000)
    texts = [*tweets["text"].to_pylist(), *sentences["text"].to_pylist()]
    langs = [*tweets["lang_hint"].to_pylist(), *sentences["label"].to_pylist()]
    _, _, letters = readable(*utf8_buffers(pa.array(texts, pa.string())))
    main = np.where(letters.any(axis=1), letters.argmax(axis=1), -1)
    drawn = random.Random(1)
    chosen: list[int] = []
    most = np.argsort(-np.bincount(main[main >= 0]))[:10]
    for script in most:
        rows = np.flatnonzero(main == script).tolist()
        chosen += drawn.sample(rows, 1000) if len(rows) > 1000 else drawn.choices(rows, k=1000)
    assert len({SCRIPTS[script] for script in most}) == 10
    return [(texts[row], langs[row].replace(" ", "_")) for row in chosen]


def test_lid_176_on_ten_thousand_real_texts(real_texts: list[tuple[str, str]]) -> None:
    texts = [text for text, _ in real_texts]
    assert len(texts) == 10_000
    check(model_file(), texts, 1)
    check(model_file(), texts, 3)


@pytest.mark.parametrize(
    "name",
    ["softmax, runs of 3 words", "softmax, pruned", "tree, n-grams", "one-vs-all", "negative sampling, quantised"],
)
def test_ten_thousand_real_texts(real_texts: list[tuple[str, str]], name: str, tmp_path: Path) -> None:
    lines = [f"{LABEL_PREFIX}{lang} " + " ".join(text.split()) for text, lang in real_texts]
    random.Random(2).shuffle(lines)
    kind = KINDS[name]
    kind = kind._replace(training=kind.training | {"epoch": 2, "bucket": 50_000})
    path = trained(tmp_path, kind, lines)
    check(path, [text for text, _ in real_texts], 1)
    check(path, [text for text, _ in real_texts], 3)
