"""The address of a live source, taken apart and checked; what might be a secret is refused and never repeated."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr

from schemas.errors import ConfigError

OPTIONS = {
    "jetstream": ("wantedCollections", "wantedDids", "zstd_dictionary", "tls"),
    "mastodon": ("tag", "only_media", "tls"),
    "x": ("partition", "backfill_minutes", "tweet.fields", "expansions", "user.fields", "tls"),
}
"""What may stand behind the `?` of each kind of address."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
TOKEN_PLACES = "put it in a file (stream.token_file) or an environment variable (stream.token_variable)"


@dataclass(frozen=True)
class Address:
    """KIND://HOST[:PORT][/PATH][?OPTION=VALUE&...]."""

    kind: str
    host: str
    port: int | None
    path: str
    options: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Return what messages call the source."""
        return f"{self.kind}://{self.host}"

    @property
    def tls(self) -> bool:
        """Tell whether the connection is encrypted; `?tls=false` is for a server on this machine."""
        return self.option("tls") != "false"

    def option(self, key: str) -> str | None:
        """Return the last value given for an option."""
        return dict(self.options).get(key)

    def pairs(self, *keys: str) -> list[tuple[str, str]]:
        """Return all values given for some options, in order."""
        return [(key, value) for key, value in self.options if key in keys]

    def url(self, scheme: str, path: str, query: list[tuple[str, str]]) -> str:
        """Write the address of a request; an encrypted scheme is the plain one with an `s`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        secure = "s" if self.tls else ""
        return f"{scheme}{secure}://{host}{port}{path}" + (f"?{urlencode(query)}" if query else "")


def is_live(source: str) -> bool:
    """Tell whether a SOURCE names a live source.

    >>> is_live("jetstream://example.org"), is_live("files://posts")
    (True, False)
    """
    return source.partition("://")[0] in OPTIONS and "://" in source


def parse_address(source: str) -> Address:
    """Take an address apart. Raises ConfigError for another form, and for credentials in it."""
    kind = source.partition("://")[0]
    if not is_live(source):
        raise ConfigError(f"expected a source as {', '.join(f'{kind}://HOST' for kind in OPTIONS)}")
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port
        options = tuple(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ConfigError(f"{kind}://: expected {kind}://HOST[:PORT][/PATH][?OPTION=VALUE]") from None
    if "@" in parts.netloc:
        raise ConfigError(f"{kind}://: expected no user and no token in an address: {TOKEN_PLACES}")
    if not host:
        raise ConfigError(f"{kind}://: expected a host, got none")
    if parts.fragment or any(key not in OPTIONS[kind] for key, _ in options):
        raise ConfigError(
            f"{kind}://{host}: expected no options but {', '.join(OPTIONS[kind])}; a token does not belong in an "
            f"address: {TOKEN_PLACES}"
        )
    address = Address(kind, host, port, parts.path.rstrip("/"), options)
    if address.option("tls") not in (None, "true", "false"):
        raise ConfigError(f"{address.name}: tls: expected true or false")
    return address


def read_token(
    token_file: str | None,
    token_variable: str | None,
    options: tuple[str, str] = ("stream.token_file", "stream.token_variable"),
) -> SecretStr | None:
    """Read a token from a file or else an environment variable; None when neither is named by its option.

    Raises ConfigError when it is not there or is no token; the message names the place and not what it holds.
    """
    if token_file is not None:
        where = f"{options[0]} {token_file}"
        try:
            token = Path(token_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: cannot read the token: {type(error).__name__}") from None
    elif token_variable is not None:
        where = f"{options[1]} {token_variable}"
        token = os.environ.get(token_variable, "").strip()
    else:
        return None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(f"{where}: expected a token, one word of ASCII, and nothing else")
    return SecretStr(token)  # which no message and no traceback shows


def check_secrecy(address: Address, token: SecretStr | None) -> None:
    """Raise ConfigError when a token would travel unencrypted to another machine."""
    if token and not address.tls and address.host not in LOOPBACK:
        raise ConfigError(f"{address.name}: expected an encrypted connection for a token: leave out tls=false")
