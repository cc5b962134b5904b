"""Turn what Spark, a worker or the file system throws into one line that says what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from schemas import errors
from schemas.errors import ConfigError, RunError, SetupError, SwarmfeedError

_OURS = re.compile(r"schemas\.errors\.(\w+): ([^\n]*)")
_FULL = re.compile(r"No space left on device|Errno 28|Disk quota exceeded|os error 28")
_DENIED = re.compile(r"PermissionError: (?:\[Errno \d+\] )?([^\n]*)")
_PYTHON = re.compile(r"^(\w+(?:Error|Exception)): ", re.MULTILINE)
_LOST = re.compile(r"Python worker exited unexpectedly|ExecutorLostFailure|OutOfMemoryError|Cannot allocate memory")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Let our own errors through and raise every other failure as one of them, its cause kept for debugging."""
    try:
        yield
    except SwarmfeedError:
        raise
    except (PySparkException, Py4JError, OSError, RuntimeError, ValueError) as error:
        raise explain(str(error)) from error


def explain(message: str) -> SwarmfeedError:
    """Name the failure in a Spark or system message; the message itself may hold texts and is not repeated.

    >>> explain("... schemas.errors.SetupError: no model").args[0]
    'no model'
    >>> type(explain("OSError: [Errno 28] No space left on device")).__name__
    'RunError'
    """
    ours = _OURS.search(message)
    if ours:
        kind = getattr(errors, ours[1], RunError)
        return kind(ours[2]) if issubclass(kind, SwarmfeedError) else RunError(ours[2])
    if _FULL.search(message):
        return RunError("the disk is full: nothing was published; make room and run again")
    if denied := _DENIED.search(message):
        return ConfigError(f"a file cannot be read or written: {denied[1]}")
    if _LOST.search(message):
        return RunError("a worker was lost, most likely out of memory: lower input.batch_rows or input.split_bytes")
    if "JAVA_GATEWAY_EXITED" in message:
        return SetupError("Spark could not start its JVM: run `swarmfeed doctor`")
    names = _PYTHON.findall(message)
    what = names[-1] if names else message.strip().splitlines()[0][:160] if message.strip() else "unknown failure"
    return RunError(f"the run failed ({what}); nothing was published; --debug shows the traceback")
