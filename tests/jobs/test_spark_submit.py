"""Real spark-submit, from an empty directory, with nothing but the zip: the same answer as `swarmfeed run`."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyspark
import pytest

from jobs import package
from pipelines.simulate import Simulation, write
from pipelines.tables import open_table

ROOT = Path(__file__).parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
LINES = 3000
SECONDS = 560  # both executors compile every kernel first, beside other tests
pytestmark = pytest.mark.timeout(600)

CUT = ["--set", "input.split_bytes=300000"]  # so that both executors have work

WHERE_CODE_LIES = """
import json, sys

import filters
import pipelines.session
from schemas.config import SparkConfig

def work(batches):
    import filters.kernels.minhash, pyarrow
    for batch in batches:
        place = json.dumps([filters.__file__, filters.kernels.minhash.__file__, sys.executable])
        yield pyarrow.RecordBatch.from_pydict({"place": [place] * batch.num_rows})

session = pipelines.session.start(SparkConfig(master="local[7]", driver_memory="7g"))
conf = session.sparkContext.getConf()
places = {row.place for row in session.range(0, 4, 1, 4).mapInArrow(work, "place string").collect()}
print(json.dumps({"driver": filters.__file__, "executors": [json.loads(place) for place in places],
                  "master": conf.get("spark.master"), "memory": conf.get("spark.driver.memory", "as submitted")}))
"""


@dataclass(frozen=True)
class Shipment:
    """What goes to a cluster: the zip and the scripts, a Python that knows no swarmfeed, an empty directory."""

    zip: Path
    job: Path
    probe: Path
    python: Path
    empty: Path

    def submit(self, master: str, script: Path, *words: object) -> subprocess.CompletedProcess[str]:
        """Run spark-submit with this shipment."""
        command = [SPARK_HOME / "bin" / "spark-submit", "--master", master, "--conf", "spark.ui.enabled=false"]
        command += ["--executor-memory", "1g", "--py-files", self.zip, script, *words]
        return subprocess.run(
            list(map(str, command)), cwd=self.empty, env=self.env, capture_output=True, text=True, timeout=SECONDS
        )

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process of the cluster."""
        bare = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYSPARK", "SPARK"))
        }
        return bare | {
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": str(self.python),
            "HOME": str(self.zip.parent),  # compiled kernels are kept there
        }


@pytest.fixture(scope="module")
def shipment(tmp_path_factory: pytest.TempPathFactory) -> Shipment:
    """Build the zip as `make zip` does, and a Python that has every dependency but not swarmfeed itself."""
    folder = tmp_path_factory.mktemp("shipment")
    shipped = Shipment(
        zip=folder / "swarmfeed.zip",
        job=folder / "curate_batch.py",
        probe=folder / "probe.py",
        python=folder / "bare" / "bin" / "python",
        empty=folder / "empty",
    )
    shipped.empty.mkdir()
    package.build(shipped.zip)
    shipped.job.write_bytes((ROOT / "jobs" / "curate_batch.py").read_bytes())
    shipped.probe.write_text(WHERE_CODE_LIES)
    venv.create(folder / "bare", symlinks=True)
    # A path in a .pth file is searched for modules, but the .pth files in it (an editable install's) are not read.
    site = next((folder / "bare").glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    lacks = subprocess.run(
        [shipped.python, "-c", "import pyspark, numba; import jobs"], cwd=folder, capture_output=True
    )
    assert b"No module named 'jobs'" in lacks.stderr, "this Python must not have swarmfeed installed"
    return shipped


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated stream in one file."""
    path = tmp_path_factory.mktemp("raw") / "posts.jsonl"
    write(Simulation(posts=LINES, seed=8), path)
    return path


@pytest.fixture(scope="module")
def local(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command itself makes of the stream."""
    folder = tmp_path_factory.mktemp("local")
    words = [sys.executable, "-m", "jobs.cli", "run", raw, "--out", folder / "out", "--master", "local[2]", "--json"]
    done = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr  # not a word from Java or Spark
    assert done.stdout.count("\n") == 1
    return answer(folder / "out", json.loads(done.stdout))


def answer(out: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same wherever it runs: counts, and per post verdict, duplicates, scores and tokens."""
    delta = open_table(out, "posts")
    assert delta is not None
    rows = delta.to_pyarrow_table().drop_columns(["epoch"]).to_pylist()
    shards = sorted((out / report["token_set"]).glob("shard-*.parquet"))
    return {
        "posts": report["posts"],
        "reasons": report["reasons"],
        "duplicates": report["duplicates"],
        "models": report["models"],
        "config": report["config_hash"],
        "rows": sorted(json.dumps(row, sort_keys=True, default=repr) for row in rows),
        "tokens": {row["document_id"]: row["tokens"] for file in shards for row in pq.read_table(file).to_pylist()},
    }


def check(shipment: Shipment, master: str, raw: Path, local: dict[str, Any], out: Path) -> None:
    """Curate on a cluster, from an empty directory into a relative folder, and compare with the local run."""
    relative = os.path.relpath(out, shipment.empty)
    done = shipment.submit(master, shipment.job, raw, "--out", relative, *CUT, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    found = answer(out, json.loads(done.stdout))
    assert found["posts"]["kept"] > LINES / 10
    assert set(found["tokens"]) == set(local["tokens"])
    for part in local:
        assert found[part] == local[part], part
    assert list(shipment.empty.iterdir()) == []
    kept = list(shipment.zip.parent.glob(".cache/swarmfeed-kernels-*/filters.kernels/*.nbc"))
    assert kept, "compiled kernels are kept for the next executor and the next run"


def check_probe(shipment: Shipment, master: str) -> None:
    """See that driver and executors run the zip's code, on the master that spark-submit was given."""
    done = shipment.submit(master, shipment.probe)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["driver"].startswith(f"{shipment.zip}/filters/")
    assert told["executors"]
    for package_file, kernel_file, python in told["executors"]:
        assert package_file.endswith("swarmfeed.zip/filters/__init__.py")
        assert kernel_file.endswith("swarmfeed.zip/filters/kernels/minhash.py")
        assert Path(python) == shipment.python
    assert told["master"] == master
    assert told["memory"] == "as submitted"
    after_start = done.stderr.split("SparkContext: Running Spark", 1)[-1]
    assert "DAGScheduler" not in after_start  # quiet once the session is ours


def test_local_cluster(shipment: Shipment, raw: Path, local: dict[str, Any], tmp_path: Path) -> None:
    check(shipment, "local-cluster[2,1,2048]", raw, local, tmp_path / "out")


def test_a_stream_on_a_local_cluster(shipment: Shipment, raw: Path, local: dict[str, Any], tmp_path: Path) -> None:
    job = shipment.job.with_name("curate_stream.py")
    job.write_bytes((ROOT / "jobs" / "curate_stream.py").read_bytes())
    out = os.path.relpath(tmp_path / "out", shipment.empty)
    words = (f"files://{raw.parent}", "--out", out, "--once", "--max-posts-per-epoch", LINES // 3, "--json")
    done = shipment.submit("local-cluster[2,1,2048]", job, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    ours = re.findall(r'File ".*/(?:jobs|pipelines|filters|schemas)/.*', done.stderr)
    assert ours == [], "no traceback of ours; a worker that is started as executors end prints one of pyspark's"
    found = json.loads(done.stdout.splitlines()[-1])  # in front of it the log: spark-submit puts a driver's stderr here
    assert found["epochs"] == 3
    assert found["posts"]["read"] == local["posts"]["read"]
    assert found["posts"]["quarantined"] == local["posts"]["quarantined"]
    assert list(shipment.empty.iterdir()) == []


def test_a_failure_is_one_line_and_its_status(shipment: Shipment, tmp_path: Path) -> None:
    done = shipment.submit("local[1]", shipment.job, tmp_path / "gone.jsonl", "--out", tmp_path / "out")
    assert done.returncode == 2
    # spark-submit itself sends a Python driver's stderr to its own stdout
    gone = tmp_path / "gone.jsonl"
    assert done.stdout == f"swarmfeed: {gone}: no such file or folder, or no permission to see it\n"
    assert "Traceback" not in done.stderr


# --- a standalone master and two workers on loopback ------------------------------------------------------------------


@pytest.fixture
def standalone(shipment: Shipment, tmp_path: Path) -> Iterator[str]:
    """Start a master and two workers on loopback, each with one core, and stop them in the end."""
    port = _free_port()
    master = f"spark://127.0.0.1:{port}"
    with ExitStack() as running:

        def begin(name: str, ready: str, *words: object) -> None:
            log = tmp_path / f"{name}.log"
            command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{words[0]}"]
            command += map(str, words[1:])
            process = running.enter_context(_daemon(command, shipment.env | {"SPARK_DAEMON_MEMORY": "256m"}, log))
            _wait_for(lambda: re.search(ready, log.read_text()) or process.poll() is not None)
            assert process.poll() is None, log.read_text()[-2000:]

        begin(
            "master",
            "I have been elected leader",
            "master.Master",
            "--host",
            "127.0.0.1",
            "--port",
            port,
            "--webui-port",
            0,
        )
        for name in ("one", "two"):
            where = ["--host", "127.0.0.1", "--webui-port", 0, "--work-dir", tmp_path / name]
            begin(name, "Successfully registered", "worker.Worker", *where, "--cores", 1, "--memory", "1200m", master)
        yield master


@contextmanager
def _daemon(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that ends with the block."""
    with log.open("w") as said:
        process = subprocess.Popen(command, env=env, cwd=log.parent, stdout=said, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(ready: Callable[[], Any], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"not ready within {seconds} s"
        time.sleep(0.1)


def test_standalone_cluster(
    shipment: Shipment, standalone: str, raw: Path, local: dict[str, Any], tmp_path: Path
) -> None:
    check(shipment, standalone, raw, local, tmp_path / "out")
    check_probe(shipment, standalone)
