"""Turn what Spark, a worker or the file system throws into one line that says what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from schemas import errors
from schemas.errors import ConfigError, RunError, SetupError, SwarmfeedError

_OURS = re.compile(r"schemas\.errors\.(\w+): ([^\n]*)")
_FULL = re.compile(r"No space left on device|Errno 28|Disk quota exceeded|os error 28")
_DENIED = re.compile(r"PermissionError: (?:\[Errno \d+\] )?([^\n]*)")
_GONE = re.compile(r"FileNotFoundError: (?:\[Errno \d+\] )?([^\n]*)")
_MODULE = re.compile(r"ModuleNotFoundError: No module named ([^\n]*)")
_NAME = re.compile(r"^(?:: )?(?:\w+\.)*(\w*(?:Error|Exception|Invalid))(?:: |$)", re.MULTILINE)
_LOST = re.compile(r"Python worker exited unexpectedly|ExecutorLostFailure|OutOfMemoryError|Cannot allocate memory")

_JVM = re.compile(r"^ConnectionRefusedError|^ConnectionResetError|Py4JNetworkError|Answer from Java side is empty")


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Let our own errors through and raise every other failure as one of them, its cause kept for debugging."""
    try:
        yield
    except SwarmfeedError:
        raise
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        raise explain(f"{type(error).__name__}: {error}") from error


def _interrupted(error: BaseException | None) -> bool:
    """Tell whether this came of Ctrl-C: cleaning up behind it fails too, once the JVM has gone."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def may_pass(message: str) -> bool:
    """Tell whether what failed may go well the next time: not what we raise ourselves, not a full disk, not a file
    that may not be read.
    """
    return not any(pattern.search(message) for pattern in (_OURS, _FULL, _DENIED, _MODULE, _JVM))


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
    if gone := _GONE.search(message):
        return RunError(f"a file is gone that was there before: {gone[1]}")
    if module := _MODULE.search(message):
        return SetupError(f"an executor lacks the Python module {module[1]}: install there what pyproject.toml lists")
    if _LOST.search(message):
        return RunError("a worker was lost, most likely out of memory: lower input.batch_rows or input.split_bytes")
    if _JVM.search(message):
        return RunError("Spark's JVM was lost, most likely out of memory; nothing was published; run again")
    names = _NAME.findall(message)
    what = names[-1] if names else "unknown failure"
    return RunError(f"the run failed ({what}); nothing was published; --debug shows the traceback")
