"""Run swarmfeed on standalone clusters of one worker and of two: the same result as on one machine, and how it scales.

python -m bench.cluster --rows 100000 --real-data DIR

Master and workers are processes of their own on loopback, each worker with one core; spark-submit ships the code as a
zip, as on any cluster. Exits with 1 when two runs say different things of the same posts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
from rich.console import Console

from bench import prepare, record, side
from bench.measure import Process, measure, process_table, proportional_bytes, tree
from bench.prepare import BenchError, say
from bench.side import Line
from jobs import package
from pipelines.session import JAVA_OPTIONS
from pipelines.tables import open_table

WORKERS = (1, 2)
PARTS = 8  # files of the input, so that there is work to share out
WARM_ROWS = 1000
SPARK_HOME = Path(pyspark.__file__).parent
LOOPBACK = "127.0.0.1"
WORKER_MEMORY = "1536m"
EXECUTOR_MEMORY = "1g"
READY_SECONDS = 90.0
SAMPLE_SECONDS = 0.2
KIBIBYTE = 1 << 10
SAME = ("posts", "reasons", "duplicates", "models", "config_hash")  # what two reports must agree on
COLUMNS = {"routes": "route", "originals": "duplicate_of", "copies": "duplicates", "verdicts": "verdict"}


@dataclass(frozen=True)
class Place:
    """Where runs work: the scratch folder, the zip of the code and the cores that everything is held to."""

    work: Path
    zip: Path
    cores: Sequence[int]

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the cluster, which knows our code from the zip alone."""
        bare = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYSPARK", "SPARK"))
        }
        return bare | {
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": sys.executable,
            "HOME": str(self.work / "home"),  # compiled kernels are kept there
        }


# --- what must be equal -----------------------------------------------------------------------------------------------


def digests(posts: pa.Table, tokens: pa.Table) -> dict[str, str]:
    """Return a hash for each part of a result, whatever the order of the rows.

    `posts` has id and the columns of COLUMNS, `tokens` has document_id and tokens.
    """
    found = {name: digest(posts.column("id"), posts.column(column)) for name, column in COLUMNS.items()}
    return found | {"tokens": digest(tokens.column("document_id"), tokens.column("tokens"))}


def digest(ids: pa.ChunkedArray, values: pa.ChunkedArray) -> str:
    """Return the sha256 of the sorted pairs of id and value."""
    pairs = zip(ids.to_pylist(), values.to_pylist(), strict=True)
    lines = sorted(json.dumps(pair, sort_keys=True, default=str) for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def result_of(out: Path, said: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of an output folder and of what its report says that must be the same wherever it ran."""
    table = open_table(out, "posts")
    if table is None:
        raise BenchError("a run left no posts table")
    shards = sorted((out / said["token_set"]).glob("shard-*.parquet"))
    columns = ["document_id", "tokens"]
    tokens = pa.concat_tables([pq.read_table(shard, columns=columns) for shard in shards])
    report = json.dumps({name: said[name] for name in SAME}, sort_keys=True)
    posts = table.to_pyarrow_table(columns=["id", *COLUMNS.values()])
    return digests(posts, tokens) | {"report": hashlib.sha256(report.encode()).hexdigest()}


def differences(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each part in which a run says something else than the first one."""
    first, *others = lines
    return [
        f"{other['name']} and {first['name']} differ in {part}"
        for other in others
        for part in sorted({*first["result"], *other["result"]})
        if other["result"].get(part) != first["result"].get(part)
    ]


def require_none(differing: Sequence[str]) -> None:
    """Raise BenchError when results differ, which ends the command with 1."""
    if differing:
        raise BenchError("the results are not the same: " + "; ".join(differing))


def scaling(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return how many times as fast the most workers are as the fewest, and the share of the ideal that this is."""
    clusters = sorted((line for line in lines if line.get("workers")), key=lambda line: line["workers"])
    fewest, most = clusters[0], clusters[-1]
    times = most["posts_per_second"] / fewest["posts_per_second"]
    name = f"{most['workers']} workers over {fewest['workers']}"
    return {name: times, f"{name}, share of the ideal": times * fewest["workers"] / most["workers"]}


# --- a cluster on loopback --------------------------------------------------------------------------------------------


@contextmanager
def standalone(workers: int, place: Place) -> Iterator[tuple[str, list[int]]]:
    """Start a master and workers of one core each; hand out its URL and the workers' process ids, stop them in the end.

    Raises BenchError when one does not start.
    """
    port = _free_port()
    master = f"spark://{LOOPBACK}:{port}"
    shutil.rmtree(place.work / "executors", ignore_errors=True)
    with ExitStack() as running:

        def begin(name: str, ready: str, *words: object) -> int:
            log = place.work / f"{name}.log"
            command = [SPARK_HOME / "bin" / "spark-class", f"org.apache.spark.deploy.{words[0]}", *words[1:]]
            daemon = running.enter_context(_daemon([*map(str, command), "--host", LOOPBACK], place, log))
            _wait_for(lambda: re.search(ready, log.read_text()) or daemon.poll() is not None, name)
            if daemon.poll() is not None:
                raise BenchError(f"the {name} did not start:\n{log.read_text()[-2000:]}")
            return daemon.pid

        begin("master", "I have been elected leader", "master.Master", "--port", port, "--webui-port", 0)
        size = ("--cores", 1, "--memory", WORKER_MEMORY, "--webui-port", 0, "--work-dir", place.work / "executors")
        yield (
            master,
            [
                begin(f"worker-{number}", "Successfully registered", "worker.Worker", master, *size)
                for number in range(workers)
            ],
        )


@contextmanager
def _daemon(command: Sequence[str], place: Place, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that ends with the block."""
    with log.open("w") as said:
        daemon = subprocess.Popen(command, env=place.environment, cwd=log.parent, stdout=said, stderr=said)
        try:
            yield daemon
        finally:
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _wait_for(ready: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise BenchError(f"the {what} was not ready within {READY_SECONDS:g} s")
        time.sleep(0.1)


@dataclass
class Executors:
    """What the processes below the workers cost, by samples: processor time, and the most they held, all and each."""

    ticks: dict[tuple[int, int], int] = field(default_factory=dict)
    peak_bytes: int = 0
    most_bytes: dict[str, int] = field(default_factory=lambda: {"python": 0, "java": 0})

    @property
    def cpu_seconds(self) -> float:
        """Return the processor time of them all."""
        return sum(self.ticks.values()) / os.sysconf("SC_CLK_TCK")

    def add(self, processes: Sequence[Process]) -> None:
        """Take one sample."""
        self.peak_bytes = max(self.peak_bytes, sum(proportional_bytes(process.pid) for process in processes))
        for process in processes:
            self.ticks[process.pid, process.started] = process.ticks
            name, held = held_bytes(process.pid)
            kind = "java" if name == "java" else "python"
            self.most_bytes[kind] = max(self.most_bytes[kind], held)


def held_bytes(pid: int) -> tuple[str, int]:
    """Return the name of a process and the most memory it ever had resident, mapped files included; 0 when gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "", 0
    facts = dict(line.split(":", 1) for line in status.splitlines())
    return facts["Name"].strip(), int(facts.get("VmHWM", "0 kB").split()[0]) * KIBIBYTE


@contextmanager
def watched(workers: Sequence[int]) -> Iterator[Executors]:
    """Sample what runs below the workers until the block ends."""
    seen = Executors()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            table = process_table()
            seen.add([one for pid in workers for one in tree(pid, table) if one.pid != pid])

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


# --- the runs ---------------------------------------------------------------------------------------------------------


def run_locally(posts: Path, place: Place) -> Line:
    """Run the command itself on one core."""
    out, log = _fresh(place.work / "local"), place.work / "local.log"
    command = side.swarmfeed_command(sorted(posts.iterdir()), out, 1)
    found = side.line("local[1]", measure(command, log, place.cores, side.our_environment()), log)
    return {**found, "result": result_of(out, found["said"])}


def run_on_cluster(posts: Path, workers: int, place: Place) -> Line:
    """Submit the job to a new cluster of so many workers."""
    name = f"{workers} worker{'s' if workers > 1 else ''}"
    out, log = _fresh(place.work / f"cluster-{workers}"), place.work / f"cluster-{workers}.log"
    with standalone(workers, place) as (master, pids), watched(pids) as executors:
        command = _submit(master, place.zip, [*sorted(posts.iterdir()), "--out", out, "--json"])
        found = side.line(name, measure(command, log, place.cores, place.environment), log)
    return {
        **found,
        "workers": workers,
        "driver_cpu_seconds": found["cpu_seconds"],
        "cpu_seconds": found["cpu_seconds"] + executors.cpu_seconds,
        "peak_bytes": found["peak_bytes"] + executors.peak_bytes,  # two peaks, perhaps not of one moment
        "python_worker_bytes": executors.most_bytes["python"],
        "executor_jvm_bytes": executors.most_bytes["java"],
        "result": result_of(out, found["said"]),
    }


def _submit(master: str, code: Path, words: Sequence[object]) -> list[str]:
    settings = {
        "spark.ui.enabled": "false",
        "spark.executor.memory": EXECUTOR_MEMORY,
        "spark.scheduler.minRegisteredResourcesRatio": "1",  # or the first executor is warmed up, the second is not
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    }
    command = [SPARK_HOME / "bin" / "spark-submit", "--master", master, "--py-files", code]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    return [*map(str, command), str(side.ROOT / "jobs" / "curate_batch.py"), *map(str, words)]


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def compare(asked: argparse.Namespace) -> list[record.Target]:
    """Run everywhere, print and write what came out; raise BenchError when results differ."""
    machine = side.machine(asked.cores)
    place = _prepare(asked)
    files = prepare.post_files(asked.real_data.resolve())
    warm, _ = prepare.input_folder(files, WARM_ROWS, PARTS, place.work / "warm")
    posts, rows = prepare.input_folder(files, asked.rows, PARTS, place.work / "posts")
    say(f"warming up on {WARM_ROWS:,} posts: kernels are compiled on the first run")
    run_locally(warm, place)
    run_on_cluster(warm, WORKERS[-1], place)
    runs: list[list[Line]] = []
    for attempt in range(asked.repeats):
        say(f"round {attempt + 1} of {asked.repeats}, {rows:,} posts")
        lines = [run_locally(posts, place), *(run_on_cluster(posts, count, place) for count in WORKERS)]
        runs.append([side.checked(line, rows) for line in lines])
    differing = differences([line for lines in runs for line in lines])
    middle = [side.middle(lines) for lines in zip(*runs, strict=True)]
    _tell(middle, differing, machine, asked)
    require_none(differing)
    return []


def _prepare(asked: argparse.Namespace) -> Place:
    work = asked.work.resolve() / "cluster"
    (work / "home").mkdir(parents=True, exist_ok=True)
    cores = prepare.chosen_cores(asked.cores)
    os.sched_setaffinity(0, cores)  # the daemons inherit it
    package.build(work / "swarmfeed.zip")
    return Place(work, work / "swarmfeed.zip", cores)


def _tell(
    lines: Sequence[Line], differing: Sequence[str], machine: Mapping[str, Any], asked: argparse.Namespace
) -> None:
    """Print the runs and how they scale, and write the result file."""
    scaled = scaling(lines)
    record.show(lines, scaled, title=f"swarmfeed on one core, on clusters of {' and '.join(map(str, WORKERS))} workers")
    console = Console()
    console.print(f"results: {'the same' if not differing else '; '.join(differing)}")
    result = {
        "hardware": machine,
        "versions": record.versions(),
        "config": {"rows": lines[0]["posts"], "cores": asked.cores, "repeats": asked.repeats, "parts": PARTS},
        "same": not differing,
        "differences": list(differing),
        "scaling": scaled,
        "runs": list(lines),
    }
    say(f"written to {record.write(result, 'cluster', asked.out).name}")


def main() -> None:
    """Run on one core and on clusters of one worker and of two; print a table and write a result file."""
    made = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__.partition("\n")[0])
    side.add_options(made, rows=100_000)
    asked = made.parse_args()
    if min(asked.rows, asked.cores, asked.repeats) < 1:
        made.error("--rows, --cores and --repeats are at least 1")
    side.finish(lambda: compare(asked))


if __name__ == "__main__":
    main()
