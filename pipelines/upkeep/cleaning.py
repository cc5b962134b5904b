"""Delete what nobody reads any more: files that left their table, versions that another stands for, old log entries.

Whoever opened a table or a token set before it was compacted can go on with it for upkeep.keep_hours. A table is
cleaned between two epochs and with no change half published: what lies in its folder and not in its log is left over.
"""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable

from pipelines.tables import LOG_HOURS, log_settings, open_table
from pipelines.tokens import sets
from pipelines.upkeep import Upkeep
from schemas.tokens import Manifest


@dataclass
class Cleaned:
    """What was deleted."""

    files: int = 0
    versions: int = 0


def clean(upkeep: Upkeep, now: datetime | None = None) -> Cleaned:
    """Delete what was replaced longer than upkeep.keep_hours ago; for tables rounded up to whole hours.

    `now` is the clock for token sets; tables go by the system's. Raises RunError while a change has to be finished.
    """
    done = Cleaned()
    with upkeep.workspace() as staging:
        for name in upkeep.schemas:
            with upkeep.exclusive:
                done.files += _clean_table(upkeep, name)
        before = (now or datetime.now(UTC)) - timedelta(hours=upkeep.config.upkeep.keep_hours)
        for member in sets.members(upkeep.root):
            for manifest in _expired(upkeep.root, member, before):
                leaving = staging / f"{member}-{manifest.version}"
                (upkeep.root / sets.folder_name(manifest)).rename(leaving)  # found whole or not at all
                shutil.rmtree(leaving)
                done.versions += 1
    return done


def _clean_table(upkeep: Upkeep, name: str) -> int:
    """Delete the files of a table that none of its versions of the last hours had; tell how many.

    Deltalake drops what its log says of older ones by itself, at every checkpoint.
    """
    upkeep.finish()
    delta = open_table(upkeep.root, name)
    if delta is None:
        return 0
    hours = math.ceil(upkeep.config.upkeep.keep_hours)
    settings = log_settings(max(LOG_HOURS, hours + 1))  # a file nobody remembers goes by the time it was written
    if settings.items() - delta.metadata().configuration.items():
        delta.alter.set_table_properties({key: value for key, value in settings.items() if value})
    gone = _vacuum(delta, hours, dry_run=True)  # for a vacuum that deletes nothing is two commits all the same
    if not any(os.path.lexists(upkeep.root / name / unquote(path)) for path in gone):
        return 0
    return len(_vacuum(delta, hours, dry_run=False))


def _vacuum(delta: DeltaTable, hours: int, dry_run: bool) -> list[str]:
    return delta.vacuum(retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False, full=True)


def _expired(root: Path, member: str, before: datetime) -> list[Manifest]:
    """Return the versions that were replaced before a time."""
    found = sets.versions(root, member)
    since: dict[str, float] = {}
    for manifest in found:
        written = (root / sets.folder_name(manifest) / sets.MANIFEST_FILE).stat().st_mtime
        for name in manifest.replaces:
            since[name] = min(written, since.get(name, written))
    return [one for one in found if one.version in since and since[one.version] <= before.timestamp()]
