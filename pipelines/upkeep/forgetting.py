"""Take what must go out of an output folder: of every table, token set, report, of the index and off the disk.

    asked      requests become tombstones like any other, so that what arrives from now on is turned away
    doomed     the open tombstones that still hold, and the posts they speak of
    excised    every file that says one of their names is written anew, beside the epochs
    published  in between two epochs: new files in, old ones deleted, the index and the receipt with them

Whatever moment it dies at, nothing has happened or the ledger's record finishes it; what is left open is done by the
next pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.deletions import learn_events, named
from pipelines.duplicates import Expiry
from pipelines.exchange import new_file, write_rows
from pipelines.index import STAGED, Learnt
from pipelines.tables import LOG, DataFile, DataFileWriter, data_files, open_files
from pipelines.tokens import sets
from pipelines.tokens.rewriting import Draft, complete
from pipelines.upkeep import Upkeep, requests
from pipelines.upkeep.demoting import find_demoted, verdict_of
from pipelines.upkeep.doomed import Doomed, find_posts, read_open
from pipelines.upkeep.excising import Excised, Excision, Taken, excise
from pipelines.upkeep.names import write_names
from pipelines.upkeep.receipts import Hasher, Receipt, next_number, open_key, write_receipt
from pipelines.upkeep.reports import Reports, find_reports
from pipelines.upkeep.requests import Request
from pipelines.upkeep.token_sets import take_tokens
from schemas.errors import ConfigError
from schemas.post import TOMBSTONE, TOMBSTONES


@dataclass
class Forgotten:
    """What a pass took out, in rows of each kind, and the number of its receipt (None: there was nothing)."""

    posts: int = 0
    documents: int = 0
    token_documents: int = 0
    quarantined: int = 0
    tombstones: int = 0  # that are done now
    superseded: int = 0  # rows that made room for an edit
    receipt: int | None = None
    requests: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def forget(upkeep: Upkeep) -> Forgotten:
    """Do what was asked for and what the open tombstones ask for; tell what was taken out.

    Raises ConfigError where there is no posts table, RunError while an epoch has to be finished.
    """
    if upkeep.index.epoch is None:
        raise ConfigError(f"{upkeep.root}: no epoch there; expected a folder that `swarmfeed run --out` wrote")
    with upkeep.workspace():
        asked = requests.waiting(upkeep.root)
        if asked:
            ask(upkeep, asked)
        work = _prepare(upkeep)
        done = _publish(upkeep, work, list(asked)) if work is not None else Forgotten()
    if work is not None:
        work.reports.render(upkeep.root)
    return done


def ask(upkeep: Upkeep, asked: Mapping[str, Request]) -> None:
    """Make tombstones of requests, by name, and teach the index: what arrives from now on is turned away.

    A request stays without its names, until it is answered.
    """
    at = datetime.now(UTC)
    rows = [
        {"kind": kind, column: name, "source": "request", "event_at": at}
        for request in asked.values()
        for kind, column, names in (
            ("post_deleted", "post_id", request.ids),
            ("author_gone", "author_id", request.authors),
        )
        for name in names
    ]
    with DataFileWriter(upkeep.staging, "tombstones", TOMBSTONES) as writer:
        writer.write(named(pa.Table.from_pylist(rows, schema=TOMBSTONE), None))
    file = writer.finish()
    if file is None:
        return
    path = str(upkeep.staging / file.table / file.path)
    index = upkeep.index
    with upkeep.exclusive:
        events = learn_events(upkeep.run, [path], str(upkeep.staging / STAGED))
        expiry = Expiry.of(index.days, upkeep.config.duplicates.horizon_days)
        learnt = Learnt(index.epoch or 0, index.days, expiry, events)
        waiting = tuple(requests.write_request(upkeep.staging, name, Request()) for name in asked)
        upkeep.publish(files=(file,), folders=waiting, index=index.plan(upkeep.run, learnt, upkeep.staging))


@dataclass
class Work:
    """What was prepared beside the epochs and waits to be published."""

    doomed: Doomed
    excised: list[Excised]
    drafts: list[Draft]
    taken: list[Taken]
    reports: Reports
    order: Excision
    ids: Path  # of what the index must forget
    hasher: Hasher


def _prepare(upkeep: Upkeep) -> Work | None:
    """Write anew whatever says a name that must go; None when no tombstone is open."""
    if not open_files(upkeep.root):
        return None
    with upkeep.exclusive:  # an epoch takes files of the index away, and adds tombstones that are not read here
        doomed, tombstones = read_open(upkeep), data_files(upkeep.root, "tombstones")
    find_posts(upkeep, doomed)
    hasher = open_key(upkeep.root)
    pseudonyms = {name: hasher.pseudonym(name) for name in doomed.posts}
    names = write_names(upkeep.staging, pseudonyms, list(doomed.authors))
    demotion = find_demoted(upkeep, doomed.edited)
    order = Excision(
        root=str(upkeep.root),
        staging=str(upkeep.staging),
        names=names,
        hasher=hasher,
        done_at=datetime.now(UTC).replace(microsecond=0),
        demotion=demotion,
        verdict=verdict_of(upkeep),
    )
    excised = _excise(upkeep, order, doomed, tombstones)
    ids = new_file(upkeep.staging, "ids")
    write_rows(ids, pa.table({"id": pa.array([*doomed.posts, *doomed.blanked], pa.string())}))
    stale = [post for one in excised for post in one.stale]
    taken = [one for file in excised for one in file.taken]
    tokens = take_tokens(upkeep, order, doomed.posts, stale)
    taken += tokens.taken
    epochs = {one.epoch for one in taken if one.epoch is not None}
    reports = find_reports(upkeep.root, upkeep.staging, names, epochs)
    return Work(doomed, excised, tokens.drafts, taken, reports, order, ids, hasher)


def _excise(upkeep: Upkeep, order: Excision, doomed: Doomed, tombstones: Sequence[DataFile]) -> list[Excised]:
    """Look at every file of every table, all in one round, and return those that were written anew.

    Of the tombstones only those files that were read: what came since is still to be done.
    """
    others = upkeep.schemas.keys() - {"tombstones"} if doomed or doomed.blanked or doomed.edited else ()
    files = [*tombstones, *(file for table in sorted(others) for file in data_files(upkeep.root, table))]
    files.sort(key=lambda file: -file.bytes)  # the longest tasks first
    schemas = dict(upkeep.schemas)
    sizes = [file.bytes for file in files]
    done = upkeep.each(sizes, lambda task: excise(files[task], schemas[files[task].table], order))
    return [one for one in done if one.changed]


def _publish(upkeep: Upkeep, work: Work, asked: list[str]) -> Forgotten:
    """Make the change, in between two epochs."""
    with upkeep.exclusive:
        number = next_number(upkeep.root) if work.taken else None
        told = _add_up(work, number, asked)
        folders = [*work.reports.staged]
        if number is not None:
            folders.append(write_receipt(upkeep.staging, number, _receipts(work)))
        folders += [requests.write_answer(upkeep.staging, name, told.to_dict()) for name in asked]
        names = [f"{number:06d}"] if number is not None else []
        folders += [sets.folder_name(complete(draft, names)) for draft in work.drafts]
        removed = tuple(one.old for one in work.excised)
        files = tuple(new for one in work.excised for new in one.new)
        change = upkeep.index.forget(upkeep.run, work.ids, upkeep.staging)
        gone = (*_unreferenced(upkeep, removed), *_replaced(upkeep, work), *work.reports.gone)
        gone = (*gone, *map(requests.file_of, asked))
        upkeep.publish(files=files, removed=removed, folders=tuple(folders), gone=gone, index=change)
    return told


def _add_up(work: Work, number: int | None, asked: list[str]) -> Forgotten:
    rows = {table: 0 for table in ("posts", "documents", "quarantine")}
    for one in work.excised:
        if one.old.table in rows:
            rows[one.old.table] += one.rows
    return Forgotten(
        posts=rows["posts"],
        documents=rows["documents"],
        token_documents=sum(draft.dropped for draft in work.drafts),
        quarantined=rows["quarantine"],
        tombstones=len(work.doomed.posts) + len(work.doomed.authors),
        superseded=sum(len(rows) for rows in work.order.demotion.posts.values()),
        receipt=number,
        requests=asked,
    )


def _receipts(work: Work) -> list[Receipt]:
    """Return a line for each post that was taken out of anything, in the order of hashes."""
    by_post: dict[str, list[Taken]] = {}
    for one in work.taken:
        by_post.setdefault(one.id, []).append(one)
    lines = []
    for post, found in by_post.items():
        asked_at = work.doomed.posts.get(post)
        places = sorted({one.place for one in found})
        lines.append(
            Receipt(
                id=work.hasher.text(post),
                texts=tuple(sorted({text for one in found for text in one.texts})),
                tokens=tuple(sorted({run for one in found for run in one.tokens})),
                source=next((one.source for one in found if one.source), None),
                asked_at=asked_at.isoformat() if asked_at else None,
                done_at=work.order.done_at.isoformat(),
                tables=tuple(place for place in places if "/" not in place),
                versions=tuple(place for place in places if "/" in place),
            )
        )
    return sorted(lines, key=lambda line: line.id)


def _unreferenced(upkeep: Upkeep, removed: tuple[DataFile, ...]) -> list[str]:
    """Return every data file that no table will name: those taken away now, and those that others left for readers."""
    found = []
    leaving = {(file.table, file.path) for file in removed}
    for table in upkeep.schemas:
        kept = {file.path for file in data_files(upkeep.root, table) if (table, file.path) not in leaving}
        folder = upkeep.root / table
        there = (path.relative_to(folder) for path in sorted(folder.rglob("*.parquet")))
        data = (str(path) for path in there if path.parts[0] != LOG)  # a table is lost without its checkpoints
        found += [f"{table}/{path}" for path in data if path not in kept]
    return found


def _replaced(upkeep: Upkeep, work: Work) -> list[str]:
    """Return the folders of token set versions that others stand for, now or once this is published."""
    old = [manifest for member in sets.members(upkeep.root) for manifest in sets.replaced(upkeep.root, member)]
    old += [manifest for draft in work.drafts for manifest in draft.sources]
    return sorted({sets.folder_name(manifest) for manifest in old})


def pending(root: Path) -> Mapping[str, int]:
    """Say, cheaply, how much waits for a pass: requests and open tombstones."""
    return {"requests": len(requests.waiting(root)), "tombstones": sum(file.open for file in open_files(root))}
