"""The `swarmfeed` command. Exit status: 0 done, 1 the run failed, 2 the call or the config is wrong."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from jobs import curating, folders, swarm
from jobs.command import app, say
from schemas.errors import SwarmfeedError

__all__ = ["app", "curating", "folders", "main", "swarm"]  # importing them is what makes the commands known

UsageError: type[Any] = typer.BadParameter.__mro__[1]  # click's, or typer's own copy of it; not exported by name
STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; whatever goes wrong is one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" not in words:
        logging.basicConfig(handlers=[logging.NullHandler()])  # py4j logs a traceback for what ends up as one line
    try:
        status = app(args=words, prog_name="swarmfeed", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in words:
            traceback.print_exc()
        line, status = _explained(error)
        if line:
            say(f"swarmfeed: {line}", style="bold red")
    else:
        if status == STOPPED:  # typer makes an exit status of Ctrl-C
            say("swarmfeed: stopped; nothing was published")
    sys.exit(status or 0)


def _explained(error: BaseException) -> tuple[str, int]:
    """Return the one line for a failure, empty when all is said, and the exit status."""
    if isinstance(error, SwarmfeedError):
        return " ".join(str(error).split()), error.exit_status
    if isinstance(error, UsageError):
        message = " ".join(error.format_message().split()).rstrip(".")
        context = getattr(error, "ctx", None)
        asked = f"{context.command_path} --help" if context else "swarmfeed --help"
        return message and f"{message[0].lower()}{message[1:]}; see `{asked}`", 2
    if isinstance(error, KeyboardInterrupt):
        return "stopped; nothing was published", STOPPED
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return what, SwarmfeedError.exit_status
    # Not one of ours, so a defect: its message may quote a post, which is for --debug alone.
    return f"unexpected {type(error).__name__}; --debug shows the traceback", 1


if __name__ == "__main__":
    main()
