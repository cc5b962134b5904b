"""Duplicates by one definition: a post duplicates the earliest post that owns one of its bands.

A post is a duplicate of the earliest post, in (epoch, created_at, id) order and inside the horizon, that owns one of
its bands and whose estimated Jaccard with it reaches the threshold. The owner of a band on a day is the earliest post
that had it that day, kept or not. There is no transitive closure: the answer is a function of the set and the order,
so one epoch over N posts and k epochs over the same posts in order say the same of every post.

Ids and originals are keys like any band; they need no estimate. Texts are never moved. Each step is a round of tasks:

    part     writes every key of its posts, boxed by value                               (keys, while it is staged)
    address  of keys: who had a key before whom, in this epoch or in the index           (owners)
    part     which of the earlier owners a post duplicates, by their signatures          (choice)
    address  of originals: which copy a post is, how large its cluster, by how many      (clusters)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from pipelines.duplicates.choice import choose_owners
from pipelines.duplicates.clusters import DECISION, count_clusters
from pipelines.duplicates.history import RunFile
from pipelines.duplicates.keys import BOXES, PER_POST
from pipelines.duplicates.owners import find_owners
from pipelines.duplicates.search import Expiry, Search
from pipelines.exchange import Run

__all__ = ["DECISION", "Expiry", "Findings", "Search", "addresses_for", "find_duplicates"]

KEYS_PER_ADDRESS = 2_000_000  # what one address holds at once: about 200 MB at work


@dataclass(frozen=True)
class Findings:
    """What a search leaves, as files: decisions boxed by part, and what the index must learn, in pieces."""

    decisions: tuple[str, ...]
    entries: tuple[RunFile, ...]
    copies: tuple[RunFile, ...]
    edits: tuple[tuple[int, ...], ...] = ()  # rows of each part that replace a version of an earlier epoch


def find_duplicates(run: Run, search: Search) -> Findings:
    """Say of every post of the parts what it duplicates. Nothing is said of a post that stands alone."""
    owners = run(search.addresses, partial(find_owners, search), even=True)
    links = [found.links for found in owners]
    chosen = run(len(search.staged.files), partial(choose_owners, search, links), even=True)
    members = [one.members for one in chosen]
    counted = run(search.addresses, partial(count_clusters, search, members), even=True)
    return Findings(
        decisions=tuple(one.decisions for one in counted),
        entries=tuple(found.entries for found in owners),
        copies=tuple(one.copies for one in counted),
        edits=tuple(one.edits for one in chosen),
    )


def addresses_for(posts: int, cores: int) -> int:
    """Return how many addresses share the keys of so many posts: a power of two, no fewer than there are cores."""
    wanted = max(cores, -(-posts * PER_POST // KEYS_PER_ADDRESS))
    return min(BOXES, 1 << (wanted - 1).bit_length())
