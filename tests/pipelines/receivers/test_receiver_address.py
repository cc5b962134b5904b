"""Addresses and tokens: what is wrong is said, what might be a secret is never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from receiving import TOKEN

from pipelines.journal import Journal
from pipelines.receivers import is_live, open_receiver, read_token
from pipelines.receivers.address import parse_address
from schemas.errors import ConfigError


def test_an_address_is_taken_apart() -> None:
    address = parse_address("jetstream://Example.org:6008/subscribe?wantedCollections=a&wantedCollections=b&tls=false")
    assert (address.host, address.port, address.path, address.tls) == ("example.org", 6008, "/subscribe", False)
    assert address.url("ws", "/p", address.pairs("wantedCollections")) == (
        "ws://example.org:6008/p?wantedCollections=a&wantedCollections=b"
    )
    assert parse_address("mastodon://[::1]").url("http", "/p", []) == "https://[::1]/p"


@pytest.mark.parametrize("source", ["kafka://b/t", "jetstream:host", "x", "", "files://d", "https://example.org"])
def test_another_kind_of_source_is_none_of_ours(source: str) -> None:
    assert not is_live(source)
    with pytest.raises(ConfigError, match="expected a source as"):
        parse_address(source)


@pytest.mark.parametrize(
    "source",
    [
        f"x://{TOKEN}@api.example.org",
        f"x://user:{TOKEN}@api.example.org",
        f"mastodon://example.org?access_token={TOKEN}",
        f"mastodon://example.org?{TOKEN}",
        f"mastodon://example.org?{TOKEN}=1",
        f"mastodon://example.org#{TOKEN}",
        f"mastodon://example.org?tls={TOKEN}",
        f"x://example.org?backfill_minutes={TOKEN}",
        f"jetstream://example.org:{TOKEN}",
        f"jetstream://[{TOKEN}",
        f"jetstream:///{TOKEN}",
    ],
)
def test_what_might_be_a_secret_is_refused_and_not_repeated(journal: Journal, source: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_receiver(source, journal, SecretStr("another"))
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_token_comes_from_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("INVENTED_TOKEN", TOKEN)
    assert read_token(None, None) is None
    for token in (read_token(str(tmp_path / "token"), None), read_token(None, "INVENTED_TOKEN")):
        assert token is not None
        assert token.get_secret_value() == TOKEN
        assert TOKEN not in repr(token)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words", b"two\nlines", b"\xff", "bearer\u00e9".encode(), b"a\0b"]
)
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"stream.token_file {path}") as caught:
        read_token(str(path), None)
    assert not content.strip() or repr(content.decode(errors="replace")) not in str(caught.value)


def test_a_token_that_is_not_there_is_named_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVENTED_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        read_token(str(tmp_path / "none"), None)
    with pytest.raises(ConfigError, match=r"stream\.token_variable INVENTED_TOKEN"):
        read_token(None, "INVENTED_TOKEN")


def test_a_token_travels_encrypted_or_not_at_all(journal: Journal) -> None:
    token = SecretStr(TOKEN)
    with pytest.raises(ConfigError, match="encrypted"):
        open_receiver("mastodon://example.org?tls=false", journal, token)
    for source in ("mastodon://example.org", "mastodon://localhost?tls=false", "x://[::1]?tls=false"):
        open_receiver(source, journal, token)
