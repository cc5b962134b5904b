"""One question to a chat endpoint that speaks OpenAI's protocol: POST BASE/chat/completions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3
from pydantic import SecretStr

from pipelines.receivers.address import LOOPBACK
from pipelines.receivers.connection import why
from schemas.errors import ConfigError
from schemas.version import VERSION

PATH = "/chat/completions"
AGAIN = (408, 409, 425, 429, 500, 502, 503, 504, 529)  # statuses that pass
CONNECT_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 60


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers, and how patient whoever asks is. The key is never shown, logged or kept."""

    url: str
    model: str
    key: SecretStr | None = field(default=None, repr=False)
    timeout_seconds: float = 60.0
    tries: int = 5
    pause_seconds: float = 1.0  # before the second retry; it doubles

    def __post_init__(self) -> None:
        """Raise ConfigError for an address that is none, or would carry the key or the posts in the open."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ConfigError("--endpoint: expected https://HOST[:PORT][/PATH], with no user, key or query in it")
        if parts.scheme == "http" and not self.is_local:
            raise ConfigError(f"--endpoint: expected https for {parts.hostname}: posts would travel unencrypted")

    @property
    def is_local(self) -> bool:
        """Tell whether the model runs on this machine."""
        return urlsplit(self.url).hostname in LOOPBACK

    @property
    def address(self) -> str:
        """Return where questions go."""
        base = self.url.rstrip("/")
        return base if base.endswith(PATH) else base + PATH


@dataclass(frozen=True)
class Reply:
    """What came back: the words, and the tokens that were read and written, None where the endpoint does not say."""

    content: str
    tokens_in: int | None
    tokens_out: int | None


class Unanswered(Exception):  # noqa: N818  (the ordinary life of a question: it may be asked another day)
    """A question without an answer, after every retry; why, in our own words."""


class Chat:
    """Asks an endpoint; may be used by many threads at once."""

    def __init__(self, endpoint: Endpoint, at_once: int) -> None:
        self._endpoint = endpoint
        retry = urllib3.Retry(
            total=endpoint.tries - 1,
            status_forcelist=AGAIN,
            allowed_methods=None,
            backoff_factor=endpoint.pause_seconds,
            backoff_max=LONGEST_PAUSE_SECONDS,
            backoff_jitter=endpoint.pause_seconds,
            retry_after_max=LONGEST_PAUSE_SECONDS,
            raise_on_status=False,
        )
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=endpoint.timeout_seconds)
        self._pool = urllib3.PoolManager(maxsize=at_once, block=True, retries=retry, timeout=timeout)

    def ask(self, messages: list[dict[str, str]], most_tokens: int) -> Reply:
        """Return the reply to a conversation.

        Raises Unanswered when there is none, ConfigError when the endpoint says that none ever will be.
        """
        body = {"model": self._endpoint.model, "messages": messages, "temperature": 0, "max_tokens": most_tokens}
        headers = {"Content-Type": "application/json", "User-Agent": f"swarmfeed/{VERSION}"}
        if self._endpoint.key is not None:
            headers["Authorization"] = f"Bearer {self._endpoint.key.get_secret_value()}"
        try:
            answer = self._pool.request(
                "POST",
                self._endpoint.address,
                body=json.dumps(body),
                headers=headers,
                redirect=False,  # the key is for this host alone
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unanswered(why(error)) from None
        if answer.status in AGAIN:
            raise Unanswered(f"HTTP {answer.status}")
        if answer.status != 200:
            raise ConfigError(f"--endpoint {self._endpoint.address}: HTTP {answer.status}: {_hint(answer.status)}")
        return _read(answer.data)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _hint(status: int) -> str:
    if status in (401, 403):
        return "the key was not accepted, see --key-file and --key-variable"
    if status == 404:
        return "no such address or model there"
    if 300 <= status < 400:
        return "it sends elsewhere: give the address it sends to"
    return "the request was not accepted: does it speak the chat completions protocol, for this model?"


def _read(data: bytes) -> Reply:
    """Read the body of a reply; raise Unanswered when it is none."""
    try:
        said = json.loads(data)
        content = said["choices"][0]["message"]["content"]
        usage = said.get("usage") or {}
        tokens = [_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Unanswered("a reply that is no chat completion") from None
    return Reply(content if isinstance(content, str) else "", *tokens)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
