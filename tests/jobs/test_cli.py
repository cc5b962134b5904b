"""The `swarmfeed` command: exit statuses, one clear line for every bad call, one line of JSON when asked."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from pipelines import score as scoring
from schemas.version import VERSION

ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    """What a call gave back."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr; fails when it is not one, or looks like a traceback."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert lines[0].startswith("swarmfeed: ")
        return lines[0].removeprefix("swarmfeed: ")


Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command in this process, from an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Answer:
        with pytest.raises(SystemExit) as left:
            cli.main([str(word) for word in words])
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """Two posts in a file."""
    path = tmp_path / "posts.jsonl"
    path.write_text('{"id": "1", "text": "Rain again in the hills."}\n{"id": "2", "text": "Bread at seven?"}\n')
    return path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_version_and_help(call: Call) -> None:
    assert call("--version") == (0, f"swarmfeed {VERSION}\n", "")
    told = call("--help")
    assert (told.status, told.err) == (0, "")
    for command in ("run", "score", "simulate", "train", "report", "explain", "campaigns", "doctor"):
        assert f" {command} " in told.out
    assert call("run", "--help").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ruun x", "no such command 'ruun'. Did you mean 'run'?; see `swarmfeed --help`"),
        ("run", "missing argument 'INPUT'; see `swarmfeed run --help`"),
        ("run x", "missing option '--out'; see `swarmfeed run --help`"),
        ("run x --out y --colour z", "no such option: --colour"),
        ("run x --out", "option '--out' requires an argument"),
        ("simulate --posts many --out x.jsonl", "invalid value for '--posts'"),
        ("--colour", "no such option: --colour"),
        ("explain somewhere", "missing argument 'POST_ID'"),
    ],
)
def test_a_misspelt_call_is_one_line_and_status_2(call: Call, words: str, said: str) -> None:
    answer = call(*words.split())
    assert answer.status == 2
    assert answer.out == ""
    assert answer.line.startswith(said)


def test_no_arguments_show_the_help(call: Call) -> None:
    answer = call()
    assert answer.status == 2
    assert "simulate" in answer.out
    assert answer.err == ""


def _folder(path: Path) -> None:
    path.mkdir()


def _table(**columns: Any) -> Callable[[Path], Any]:
    return lambda path: pq.write_table(pa.table(columns), path)


INPUTS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "missing": ("gone.jsonl", lambda path: None, "gone.jsonl: no such file or folder"),
    "glob": ("gone-*.jsonl", lambda path: None, "gone-*.jsonl: nothing to read there"),
    "extension": ("posts.txt", lambda path: path.write_text("hi"), "posts.txt: cannot read this kind of file"),
    "folder": ("empty", _folder, "empty: nothing to read there"),
    "fifo": ("pipe.jsonl", lambda path: os.mkfifo(path), "pipe.jsonl: expected a regular file"),
    "keys": ("a.jsonl", lambda path: path.write_text('{"idd": "1", "text": "x"}'), "no key 'id': did you mean 'idd'?"),
    "format": ("b.jsonl", lambda path: path.write_text("[1]\n"), "b.jsonl: cannot tell its format: name it"),
    "csv": ("a.csv", lambda path: path.write_text("id,txt\n1,x\n"), "a.csv: no column 'text': did you mean 'txt'?"),
    "case": ("b.csv", lambda path: path.write_text("ID,text\n1,x\n"), "b.csv: no column 'id': did you mean 'ID'?"),
    "twice": ("c.csv", lambda path: path.write_text("id,text,text\n1,x,y\n"), "column 'text' stands there more"),
    "parquet": ("a.parquet", _table(ids=["1"], text=["x"]), "a.parquet: no column 'id': did you mean 'ids'?"),
    "no-text": ("b.parquet", _table(id=["1"], body=["x"]), "b.parquet: no column 'text': expected one of: body, id"),
    "id-type": ("c.parquet", _table(id=[1.5], text=["x"]), "c.parquet: column 'id': expected string, got double"),
    "text-type": ("d.parquet", _table(id=["1"], text=[["x"]]), "column 'text': expected string, got list"),
    "time-type": (
        "e.parquet",
        _table(id=["1"], text=["x"], created_at=[True]),
        "column 'created_at': expected timestamp, date, string or epoch, got bool",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", ["run", "score"])
@pytest.mark.parametrize(("name", "make", "said"), INPUTS.values(), ids=INPUTS)
def test_input_that_cannot_be_read(
    call: Call, tmp_path: Path, name: str, make: Callable[[Path], Any], said: str, command: str
) -> None:
    make(tmp_path / name)
    more = ["--out", "out"] if command == "run" else ["--stages", "sketch", "--out", "out.parquet"]
    answer = call(command, name, *more)
    assert answer.status == 2
    assert answer.out == ""
    assert said in answer.line
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*out.parquet*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file; test_permissions_as_another_user covers it")
def test_permissions(call: Call, posts: Path) -> None:
    posts.chmod(0)
    assert "cannot read this file: Permission denied" in call("run", posts, "--out", "out").line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user; test_permissions covers it")
def test_permissions_as_another_user(open_folder: Path) -> None:
    hidden, folder = open_folder / "hidden.jsonl", open_folder / "closed"
    hidden.write_text('{"id": "1", "text": "x"}')
    hidden.chmod(0o600)
    folder.mkdir(mode=0o700)
    (open_folder / "theirs").mkdir(mode=0o755)
    (open_folder / "open.jsonl").write_text('{"id": "1", "text": "x"}')
    code = (
        "import sys, os; from jobs import cli; from pipelines import run, score; import pipelines.tokens.tokenizer\n"
        "os.setgid(65534); os.setuid(65534); cli.main(sys.argv[1:])"
    )
    for words, said in (
        (["run", hidden, "--out", open_folder / "out"], "hidden.jsonl: cannot read this file: Permission denied"),
        (["run", folder, "--out", open_folder / "out"], "closed: cannot read this folder: check its permissions"),
        (["run", open_folder / "open.jsonl", "--out", open_folder / "theirs"], "cannot be written: Permission denied"),
    ):
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert said in answer.line
        assert answer.status == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--set nonsense", "--set 'nonsense': expected key=value"),
        ("--set =3", "--set '=3': expected key=value"),
        ("--set duplicates.thresold=0.5", "--set: unknown key 'duplicates.thresold': did you mean 'threshold'?"),
        ("--set duplicates.threshold=high", "--set: 'duplicates.threshold': Input should be a valid number"),
        ("--set duplicates.threshold=7", "--set: 'duplicates.threshold': Input should be less than or equal to 1"),
        ("--set duplicates=3", "--set: 'duplicates':"),
        ("--set error_budget=[1", "--set error_budget=[1: not YAML"),
        ("--set stages.spamm.model=x", "unknown stage 'stages.spamm': did you mean 'spam'?"),
        ("--set stages.spam.modell=x", "unknown key 'stages.spam.modell': did you mean 'model'?"),
        ("--set stages.verdict.max_spam=often", "'stages.verdict'"),
        ("--set tokens.tokenizer=gone.json", "tokens.tokenizer: cannot read 'gone.json'"),
        ("--set tokens.tokenizer=posts.jsonl", "tokens.tokenizer: 'posts.jsonl': expected 'default' or a file"),
        ("--set spark.driver_memory=lots", "spark.driver_memory: expected"),
        ("--format twitter", "'input.format': no such choice: 'twitter', expected one of: auto, canonical"),
        ("--model spam", "--model 'spam': expected STAGE=FOLDER"),
        ("--model spamm=x", "unknown stage 'stages.spamm': did you mean 'spam'?"),
        ("--model clean_text=x", "unknown key 'stages.clean_text.model'"),
        ("--master spork://x", "spark.master: expected"),
        ("--config gone.yaml", "config gone.yaml: cannot be read"),
        ("--config broken.yaml", "config broken.yaml: not YAML"),
        ("--config list.yaml", "config list.yaml: expected keys and values, got list"),
        ("--config key.yaml", "config key.yaml: unknown key 'duplicate': did you mean 'duplicates'?"),
        ("--config latin.yaml", "config latin.yaml: cannot be read"),
        ("--config .", "config .: cannot be read"),
    ],
)  # fmt: skip
def test_a_wrong_setting_names_the_key_and_the_nearest(
    call: Call, posts: Path, tmp_path: Path, words: str, said: str
) -> None:
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "key.yaml").write_text("duplicate: {threshold: 0.5}\n")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    answer = call("run", posts, "--out", "out", *words.split())
    assert answer.status == 2
    assert answer.out == ""
    assert answer.line.startswith(said) or said in answer.line
    assert not (tmp_path / "out" / "posts").exists()


def test_an_unknown_stage_to_score(call: Call, posts: Path) -> None:
    answer = call("score", posts, "--stages", "sketch,langage", "--out", "s.parquet")
    assert answer.status == 2
    assert answer.line == "--stages: unknown stage 'langage': did you mean 'language'?"
    assert call("score", posts, "--stages", " , ", "--out", "s.parquet").line.startswith("--stages: no stage named")


def _corrupt(folder: Path) -> None:
    folder.mkdir()
    (folder / "card.json").write_text('{"sha256": "00"}')
    (folder / "weights.npz").write_bytes(b"no weights")


@pytest.mark.parametrize("make", [lambda folder: None, _folder, _corrupt], ids=["missing", "empty", "corrupt"])
@pytest.mark.parametrize("command", ["run", "score"])
def test_a_model_that_is_missing_or_damaged(
    call: Call, posts: Path, tmp_path: Path, make: Callable[[Path], None], command: str
) -> None:
    make(tmp_path / "mine")
    more = [] if command == "run" else ["--stages", "spam"]
    answer = call(command, posts, "--out", "out", "--model", "spam=mine", *more)
    assert answer.status == 1
    assert "spam" in answer.line
    assert "mine" in answer.line


@pytest.mark.parametrize("out", ["posts.jsonl", "posts.jsonl/below"])
def test_a_file_where_the_folder_should_go(call: Call, posts: Path, out: str) -> None:
    before = posts.read_bytes()
    answer = call("run", posts, "--out", out)
    assert (answer.status, answer.line) == (2, f"--out {posts.parent / out}: cannot be written: Not a directory")
    assert posts.read_bytes() == before


def test_a_folder_where_the_file_should_go(call: Call, posts: Path, tmp_path: Path) -> None:
    answer = call("score", posts, "--stages", "sketch", "--out", tmp_path)
    assert (answer.status, answer.line) == (2, f"--out {tmp_path}: expected a file to write, got a folder")
    assert call("score", posts, "--stages", "sketch", "--out", posts / "x.parquet").status == 2
    assert call("simulate", "--posts", 3, "--out", posts / "x.jsonl").status == 2


def test_a_folder_that_another_run_holds(call: Call, posts: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / ".swarmfeed").mkdir(parents=True)
    with (tmp_path / "out" / ".swarmfeed" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = call("run", posts, "--out", "out")
    assert answer.status == 2
    assert answer.line == f"--out {tmp_path / 'out'}: another run is writing there; wait for it or choose another"


@pytest.mark.parametrize("folder", ["gone", ".", "posts.jsonl"])
def test_explain_where_nothing_was_curated(call: Call, posts: Path, folder: str) -> None:
    answer = call("explain", folder, "1")
    assert (answer.status, answer.out) == (2, "")
    assert answer.line.startswith(f"{folder}: no posts table there")


@pytest.mark.parametrize("folder", ["gone", ".", "posts.jsonl"])
def test_report_where_nothing_was_curated(call: Call, posts: Path, folder: str) -> None:
    answer = call("report", folder)
    assert (answer.status, answer.out) == (2, "")
    assert answer.line.startswith(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--posts -1 --out x.jsonl", "posts: expected"),
        ("--posts 3 --out x.xml", "x.xml: expected a name that ends in"),
        ("--posts 3 --out x.jsonl --rate 0", "rate: expected"),
    ],
)
def test_a_simulation_that_cannot_be(call: Call, words: str, said: str) -> None:
    answer = call("simulate", *words.split())
    assert answer.status == 2
    assert answer.line.startswith(said)


def test_simulate_says_what_it_wrote(call: Call, tmp_path: Path) -> None:
    told = call("simulate", "--posts", 300, "--seed", 2, "--out", tmp_path / "new" / "a.jsonl.gz", "--json")
    assert (told.status, told.err) == (0, "")
    assert told.out.count("\n") == 1
    assert orjson.loads(told.out)["lines"] == 300
    assert gzip.decompress((tmp_path / "new" / "a.jsonl.gz").read_bytes()).count(b"\n") == 300
    plain = call("simulate", "--posts", 300, "--seed", 2, "--out", "b.jsonl")
    assert (plain.status, plain.out, plain.err) == (0, "", "300 lines in b.jsonl\n")


def test_score_says_what_it_wrote(call: Call, posts: Path, tmp_path: Path) -> None:
    posts.write_text(posts.read_text() + "no post\n")
    told = call("score", posts, "--stages", "sketch", "--out", tmp_path / "new" / "s.parquet", "--json")
    assert (told.status, told.err) == (0, "")
    assert told.out == '{"posts": 2, "quarantined": 1, "failed": 0}\n'
    assert pq.read_table(tmp_path / "new" / "s.parquet").column_names == ["id", "sketch"]
    plain = call("score", posts, "--stages", "sketch", "--out", "s.parquet")
    assert (plain.status, plain.out) == (0, "")
    assert plain.err == "2 posts scored into s.parquet; 1 records were no posts\n"


def test_doctor_says_what_it_found(call: Call) -> None:
    told = call("doctor", "--json")
    checks = json.loads(told.out)
    assert told.out.count("\n") == 1
    assert told.err == ""
    assert {"python", "java", "memory"} <= {one["name"].casefold() for one in checks["checks"]}
    assert told.status == (0 if checks["ok"] else 1)


def test_doctor_without_java(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    told = call("doctor", "--json")
    java = next(one for one in json.loads(told.out)["checks"] if one["name"].casefold() == "java")
    assert told.status == 1
    assert java["state"] == "fail"
    assert "install a JDK 17" in java["advice"]


def test_a_defect_is_one_line_without_its_message(call: Call, posts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise KeyError("the words of a post")

    monkeypatch.setattr(scoring, "score", defect)
    words = ["score", posts, "--stages", "sketch", "--out", "s.parquet"]
    answer = call(*words)
    assert (answer.status, answer.line) == (1, "unexpected KeyError; --debug shows the traceback")
    assert "the words of a post" in call(*words, "--debug").err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(28, "No space left on device", "s.parquet"), 1, "s.parquet: No space left on device"),
        (KeyboardInterrupt(), 130, "stopped; nothing was published"),
    ],
)
def test_what_the_system_says_is_one_line(
    call: Call, posts: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(scoring, "score", fail)
    answer = call("score", posts, "--stages", "sketch", "--out", "s.parquet")
    assert (answer.status, answer.line) == (status, said)


def test_the_installed_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.cli"]
    done = subprocess.run([*command, "--version"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"swarmfeed {VERSION}\n", "")
    done = subprocess.run(
        [*command, "run", "gone.csv", "--out", "x"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"swarmfeed: {ROOT / 'gone.csv'}: no such file or folder, or no permission to see it\n"
