"""X's filtered stream and compliance streams: lines over HTTP, a blank one at least every 20 seconds.

    x://HOST[?backfill_minutes=1..5]                                  posts by the rules set with X
    x://HOST/2/tweets/compliance/stream?partition=N                   what must go; one receiver per partition
    x://HOST/2/users/compliance/stream?partition=N

`backfill_minutes` has X send again what was missed, after a connection broke; not every contract with X includes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from pipelines.receivers.address import Address
from pipelines.receivers.connection import ALIVE, Message, one_line
from pipelines.receivers.http_stream import HttpStream, Request, authorization
from pipelines.receivers.settings import Limits, Outside
from schemas.errors import ConfigError

PATH = "/2/tweets/search/stream"
SILENCE_SECONDS = 30.0
MAX_BACKFILL_MINUTES = 5
POST_FIELDS = (
    "author_id,conversation_id,created_at,edit_history_tweet_ids,entities,lang,note_tweet,referenced_tweets,withheld"
)
"""What a post is sent with, unless the address says otherwise; X leaves out all of it when not asked."""
EXPANSIONS = "referenced_tweets.id"


class X:
    """A source that sends again a few minutes at most."""

    format = "x-v2"
    resumes = False

    def __init__(self, address: Address, token: SecretStr | None, limits: Limits, outside: Outside) -> None:
        self.name = address.name
        self._address = address
        self._token = token
        self._limits = limits
        self._outside = outside
        self._backfill_minutes = _backfill_minutes(address)
        self.covers_seconds = self._backfill_minutes * 60.0
        if not token:
            raise ConfigError(f"{self.name}: expected a token: name stream.token_file or stream.token_variable")

    def connect(self, cursor: int | None) -> HttpStream:
        """Open the stream; with a cursor, and where asked for, with what was missed."""
        address = self._address
        path = address.path or PATH
        query = address.pairs("partition", "tweet.fields", "expansions", "user.fields")
        if path == PATH:
            asked = dict(query)
            defaults = [("tweet.fields", POST_FIELDS), ("expansions", EXPANSIONS)]
            query += [(key, value) for key, value in defaults if key not in asked]
        if cursor is not None and self._backfill_minutes:
            query.append(("backfill_minutes", str(self._backfill_minutes)))
        request = Request(
            address.url("http", path, query),
            authorization(self._token),
            self._limits.silence_seconds or SILENCE_SECONDS,
        )
        return HttpStream(request, read_lines, self._limits, self._outside)


def read_lines(lines: Iterator[bytes]) -> Iterator[Message]:
    """Yield each line as a message; a blank one is a sign of life."""
    for line in map(one_line, lines):
        yield ALIVE if line is None else Message(line)


def _backfill_minutes(address: Address) -> int:
    text = address.option("backfill_minutes") or "0"
    if not text.isascii() or not text.isdigit() or int(text) > MAX_BACKFILL_MINUTES:
        raise ConfigError(f"{address.name}: backfill_minutes: expected 0 to {MAX_BACKFILL_MINUTES}")
    return int(text)
