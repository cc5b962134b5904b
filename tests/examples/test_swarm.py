"""The example trains: documents stay apart, a kill changes no bit, and members predict together with one missing."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from packed_sets import add_version
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import decoders, models, pre_tokenizers

from pipelines.tokens import sets
from pipelines.tokens.tokenizer import Tokenizer
from schemas.errors import ConfigError

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'swarmfeed[trainer]'")

from examples.swarm import ensemble, model, train  # noqa: E402

ROOT = Path(__file__).parents[2]
CONTEXT = 512
SETTINGS = train.Settings(steps=10, batch=2, warm_up=4, save_every=5)
MEMBERS = ("north", "south", "west")


def byte_tokenizer() -> Tokenizer:
    """A token for each byte: 256, so that a model of it is small."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = HuggingFaceTokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(alphabet)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return Tokenizer.from_bytes("bytes.json", "json", made.to_str().encode())


SHAPE = model.Shape(byte_tokenizer().vocabulary, width=32, layers=1, heads=2, embedding=16)
HIDDEN = jax.jit(model.hidden, static_argnums=1)
LOSSES = jax.jit(model.losses, static_argnums=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with a small set of bytes for each member, and one that none is trained on."""
    root = tmp_path_factory.mktemp("swarm")
    for number, member in enumerate((*MEMBERS, "held-out")):
        add_version(root, member, (12,), tokenizer=byte_tokenizer(), first=1000 * number)
    return root


def trained(data: Path, member: str, path: Path, settings: train.Settings = SETTINGS) -> list[float]:
    """The losses of a turn."""
    heard: list[float] = []
    train.take_turn(data, member, path, settings, shape=SHAPE, note=lambda step, loss: heard.append(loss))
    return heard


def batch_of(rows: list[list[list[int]]]) -> dict[str, np.ndarray]:
    """A batch as the feed's adapter gives it: rows of documents of tokens, then padding."""
    made = {name: np.zeros((len(rows), CONTEXT), np.int32) for name in model.INPUTS}
    for at, documents in enumerate(rows):
        start = 0
        for number, tokens in enumerate(documents, 1):
            place = slice(start, start + len(tokens))
            made["tokens"][at, place] = tokens
            made["position_ids"][at, place] = range(len(tokens))
            made["segment_ids"][at, place] = number
            start += len(tokens)
        made["position_ids"][at, start:] = range(CONTEXT - start)
    return made


@pytest.fixture(scope="module")
def parameters() -> model.Parameters:
    """A model none of whose numbers is zero."""
    chance = np.random.default_rng(3)
    zeros = model.initial(SHAPE, 0)
    return {name: one + 0.1 * chance.standard_normal(one.shape, np.float32) for name, one in zeros.items()}


def test_a_token_sees_the_earlier_ones_of_its_document_alone(parameters: model.Parameters) -> None:
    chance = np.random.default_rng(1)
    one, other, third = (chance.integers(0, SHAPE.vocabulary, size).tolist() for size in (90, 200, 60))
    changed = [*other[:150], *chance.integers(0, SHAPE.vocabulary, 50).tolist()]
    batch = batch_of([[one, other], [third, other, one], [one, changed]])
    found = np.asarray(HIDDEN(parameters, SHAPE, batch))
    first = found[0, 90:290]
    np.testing.assert_allclose(found[1, 60:260], first, atol=1e-4)  # other neighbours, another place
    np.testing.assert_allclose(found[2, 90:240], first[:150], atol=1e-4)  # what follows differs
    assert np.abs(found[2, 240:290] - first[150:]).max() > 0.1
    assert np.abs(found[0, :90] - found[1, :90]).max() > 0.1


def test_the_loss_is_of_tokens_that_follow_in_their_document(parameters: model.Parameters) -> None:
    chance = np.random.default_rng(2)
    rows = [
        [chance.integers(0, SHAPE.vocabulary, size).tolist() for size in sizes] for sizes in ((7, 1, 30), (), (512,))
    ]
    batch = batch_of(rows)
    logits = np.asarray(HIDDEN(parameters, SHAPE, batch) @ parameters["embed"].T, np.float64)
    said = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected, number = 0.0, 0
    for row, documents in enumerate(rows):
        start = 0
        for tokens in documents:
            expected -= sum(said[row, start + at, token] for at, token in enumerate(tokens[1:]))
            number += len(tokens) - 1
            start += len(tokens)
    total, predicted = LOSSES(parameters, SHAPE, batch)
    assert int(predicted) == number == 6 + 29 + 511
    assert float(total) == pytest.approx(expected, rel=1e-5)


def test_a_new_model_finds_all_tokens_as_likely_and_learns(data: Path, tmp_path: Path) -> None:
    heard = trained(data, "north", tmp_path / "north.npz")
    assert heard[0] == pytest.approx(math.log(SHAPE.vocabulary), rel=1e-5)
    assert heard[-1] < heard[0] - 0.2


KILLED = """
import os, signal, sys
from pathlib import Path
from examples.swarm import model, train
def note(step, loss):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
data, path = map(Path, sys.argv[1:])
train.take_turn(data, "north", path, train.{settings}, shape=model.{shape}, note=note)
"""


def test_a_kill_changes_no_bit(data: Path, tmp_path: Path) -> None:
    straight = trained(data, "north", tmp_path / "straight.npz")
    path = tmp_path / "killed.npz"
    code = KILLED.format(settings=SETTINGS, shape=SHAPE)
    done = subprocess.run([sys.executable, "-c", code, str(data), str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert int(train.load(path)[0].step) == 5
    path.with_suffix(".pending").write_bytes(b"half of a checkpoint")
    assert trained(data, "north", path) == straight[5:]
    one, other = (train.load(tmp_path / name) for name in ("straight.npz", "killed.npz"))
    assert one[1] == other[1]
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(one[0]), jax.tree.leaves(other[0]), strict=True))


def test_members_take_turns_and_a_second_call_does_what_is_left(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for member in MEMBERS[:2]:
        trained(data, member, tmp_path / f"{member}.npz")
    train.train_in_turn(data, MEMBERS[:2], tmp_path, SETTINGS, turns=2)
    told = [line for line in capsys.readouterr().out.splitlines() if "turn" in line]
    assert [line.partition(":")[0] for line in told] == ["north", "south"]
    assert all("turn 2 of 2 done" in line for line in told)
    train.train_in_turn(data, MEMBERS[:2], tmp_path, SETTINGS, turns=2)
    assert capsys.readouterr().out == ""
    with pytest.raises(ConfigError, match="go on with these"):
        train.take_turn(data, "north", tmp_path / "north.npz", replace(SETTINGS, rate=1.0))


def test_members_predict_together_and_one_may_be_missing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(SETTINGS, steps=40, rate=1e-2)
    for number, member in enumerate(MEMBERS):
        trained(data, member, tmp_path / f"{member}.npz", replace(settings, seed=number))
    paths = [tmp_path / f"{member}.npz" for member in MEMBERS]
    ensemble.main([str(data), "--read", "held-out", *(word for path in paths for word in ("--model", str(path)))])
    told = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    loss = {name: float(value) for name, value in told.items()}
    alone = [loss[f"{member} alone"] for member in MEMBERS]
    assert loss["together"] < min(alone)
    for member in MEMBERS:
        others = [loss[f"{other} alone"] for other in MEMBERS if other != member]
        missing = loss[f"without {member}"]
        assert missing < sum(others) / 2  # better than its members alone
        assert missing < max(alone)


def test_together_is_the_mean_of_log_probabilities(parameters: model.Parameters) -> None:
    chance = np.random.default_rng(5)
    batch = batch_of([[chance.integers(0, SHAPE.vocabulary, 40).tolist()]])
    other = model.initial(SHAPE, 9) | {"narrow": parameters["narrow"]}
    logits = [np.asarray(HIDDEN(one, SHAPE, batch) @ one["embed"].T, np.float64)[0] for one in (parameters, other)]
    mean = sum(one - np.log(np.exp(one).sum(-1, keepdims=True)) for one in logits) / 2
    mean -= np.log(np.exp(mean).sum(-1, keepdims=True))
    expected = -sum(mean[at, token] for at, token in enumerate(batch["tokens"][0, 1:40])) / 39
    assert ensemble.score([(parameters, SHAPE), (other, SHAPE)], [batch]) == pytest.approx(expected, rel=1e-5)
    total, predicted = LOSSES(parameters, SHAPE, batch)
    assert ensemble.score([(parameters, SHAPE)], [batch]) == pytest.approx(float(total) / int(predicted), rel=1e-5)


def test_a_set_in_other_tokens_is_refused(data: Path, tmp_path: Path) -> None:
    """Ids of another vocabulary would be read as if they were its own: JAX takes the last row for one beyond it."""
    add_version(tmp_path, "north", (2,), tokenizer=byte_tokenizer())
    learner, settings = train.beginner(SHAPE, 0), replace(SETTINGS, steps=1)
    newest = sets.versions(tmp_path, "north")[-1]
    about = {"shape": vars(SHAPE), "settings": vars(settings), "tokenizer": newest.tokenizer.sha256}
    train.save(tmp_path / "north.npz", learner, about)
    add_version(tmp_path, "north", (2,))
    with pytest.raises(ConfigError, match="another tokenizer"):
        train.take_turn(tmp_path, "north", tmp_path / "north.npz", settings)
    with pytest.raises(ConfigError, match="north"):
        train.take_turn(tmp_path, "nort", tmp_path / "nort.npz", settings)


def test_other_tokenizers_and_empty_sets_are_refused(data: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "one.npz", tmp_path / "other.npz"]
    for path, tokenizer in zip(paths, ("aa", "bb"), strict=True):
        train.save(path, train.beginner(SHAPE, 0), {"shape": vars(SHAPE), "tokenizer": tokenizer})
    with pytest.raises(ConfigError, match="different tokenizers"):
        ensemble.read_models(paths)
    with pytest.raises(ConfigError, match="nothing to predict"):
        ensemble.score([(model.initial(SHAPE, 0), SHAPE)], [batch_of([[]])])
