"""Simulate a stream of social posts, with the truth about each in its `extra`: for demos, load tests, known answers.

The same settings give the same bytes on every machine. Each post's `extra` is JSON with a key `truth`:

    kind      organic, or a field of Shares
    language  BCP 47; `und` where no reader could tell
    cluster   the campaign a post belongs to, or null
    pii       [kind, value] of each piece of made-up personal data in the text
    of        (repost) the id of the original, also where `repost_of` does not say it
    edit      (campaign) first, copy, word, link, mention, emoji, case, punctuation, cut
    edit_of, edits           (edit) the id, and how often it was edited; `extra.edited_at` is in microseconds
    late_seconds, shape, fault   (late; noise, machine; malformed)

Organic posts are seldom alike: of 100,000 lines about one in 800 has a near copy (Jaccard 0.7 over character 4-grams),
and the share grows with the length of the stream. Answers of a word or two, spam and machine text repeat themselves by
nature and have no cluster: judge duplicates by `cluster`, `of` and the organic kinds.

Deletes are tombstone events of the canonical format: `{"kind": "post_deleted", "post_id": ...}`.
"""

from __future__ import annotations

from pipelines.simulate.files import Summary, generate, known_clusters, truth, write
from pipelines.simulate.settings import Shares, Simulation

__all__ = ["Shares", "Simulation", "Summary", "generate", "known_clusters", "truth", "write"]
