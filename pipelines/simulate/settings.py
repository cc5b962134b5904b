"""What a simulation is asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from schemas.errors import ConfigError

MAX_LINES = 30_000_000_000  # ids stay within a signed 64-bit integer
MAX_TIME = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Shares:
    """Share of the stream's lines of each kind, in [0, 1]; what is left over is organic posts.

    The defaults leave 19% organic posts and 12% answers, so 60 to 70% of the lines are noise of some kind:
    reposts, campaigns, spam, machine text, filler, abuse, repeated and broken lines.
    """

    thread: float = 0.12  # an answer in a conversation
    quote: float = 0.02  # a comment on another post
    repost: float = 0.21  # another's post passed on, one in eight without saying of which id
    campaign: float = 0.08  # near copies of one text by many authors
    spam: float = 0.10  # giveaways, follow trains, link farms, hashtag stuffing
    machine: float = 0.06  # boilerplate of language models, and automatic posts
    noise: float = 0.15  # emoji, one word, laughter, links or tags alone, mash, copy-pasta, odd characters
    abuse: float = 0.015  # mild insults
    pii: float = 0.015  # carries made-up personal data
    decoy: float = 0.005  # looks like personal data and is none
    late: float = 0.01  # arrives a minute to six hours after it was made
    clock: float = 0.001  # an author's clock far off: the seventies, the next century, or no time at all
    edit: float = 0.01  # an earlier id again, with another text and `extra.edited_at`
    delete: float = 0.006  # a tombstone for an earlier post
    repeat: float = 0.01  # an earlier line delivered again, byte for byte
    malformed: float = 0.003  # belongs in quarantine

    def __post_init__(self) -> None:
        """Raise ConfigError for a share outside [0, 1] or a sum above 1."""
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise ConfigError(f"share '{field.name}': expected 0 to 1, got {getattr(self, field.name)}")
        if sum(self.as_dict().values()) > 1 + 1e-9:
            raise ConfigError(f"shares: expected a sum of at most 1, got {sum(self.as_dict().values()):.4f}")

    def as_dict(self) -> dict[str, float]:
        """Return the share of each kind but the organic, in order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Simulation:
    """A stream of social posts that depends on nothing but these settings.

    The first k lines of a long stream are the lines of a stream of k: `posts` only says where to stop.
    """

    posts: int  # lines in all, whatever they hold
    seed: int = 0
    rate: float = 5787.0  # lines per simulated second; the default is 500 million a day
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)  # when the first line arrives
    shares: Shares = Shares()
    authors: int = 200_000  # ordinary accounts; few of them write most posts

    def __post_init__(self) -> None:
        """Raise ConfigError for a setting out of range."""
        if not 0 <= self.posts <= MAX_LINES:
            raise ConfigError(f"posts: expected 0 to {MAX_LINES}, got {self.posts}")
        if not 0 <= self.seed < 1 << 64:
            raise ConfigError(f"seed: expected 0 to 2**64 - 1, got {self.seed}")
        if not 0 < self.rate <= 1e9:
            raise ConfigError(f"rate: expected more than 0, at most 1e9 a second, got {self.rate}")
        if not 1 <= self.authors <= 1_000_000_000:
            raise ConfigError(f"authors: expected 1 to 1e9, got {self.authors}")
        if self.start.tzinfo is None:
            raise ConfigError(f"start: expected a time with its zone, got {self.start.isoformat()}")
        room = MAX_TIME - self.start
        if room < timedelta(0) or self.start.year < 1971 or self.posts / self.rate > room.total_seconds():
            raise ConfigError(
                f"start: expected a stream between 1971 and {MAX_TIME.year}, got {self.start.isoformat()}"
            )
