"""A response over HTTP that never ends, as whole lines. urllib3 knows how to end a read from another thread."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping

import urllib3

from pipelines.receivers.address import Address
from pipelines.receivers.connection import Interrupted, Untrusted, check_status, why
from pipelines.receivers.settings import Outside
from pipelines.sources.lines import stretches
from schemas.version import VERSION

CONNECT_SECONDS = 10.0
CHUNK = 1 << 16


class HttpStream:
    """One open response; silence for longer than it may last ends it."""

    def __init__(self, url: str, headers: Mapping[str, str], silence_seconds: float, outside: Outside) -> None:
        self._closed = False
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=silence_seconds)
        pool = urllib3.PoolManager(ssl_context=outside.tls, retries=False, timeout=timeout)
        try:
            self._response = pool.request(
                "GET",
                url,
                headers={"User-Agent": f"swarmfeed/{VERSION}", **headers},
                preload_content=False,
                redirect=False,  # the token is for this host alone
            )
        except urllib3.exceptions.HTTPError as error:
            if is_certificate_error(error):
                raise Untrusted from None
            raise Interrupted(why(error)) from None
        try:
            check_status(self._response.status, self._response.headers, outside.now)
        except Exception:
            self._response.close()
            raise

    @property
    def content_type(self) -> str:
        """Return what the server says it sends."""
        return str(self._response.headers.get("content-type", ""))

    def lines(self, limit: int) -> Iterator[bytes]:
        """Yield lines without their end, each cut at `limit` bytes, as soon as they are there; blank ones too."""
        for stretch in stretches(self._chunks(), limit):
            lines = stretch.data.split(b"\n")
            if stretch.raw_bytes is None:
                lines.pop()  # behind the last newline: nothing, or a line that the end of the connection cut
            yield from (line.removesuffix(b"\r") for line in lines)

    def _chunks(self) -> Iterator[bytes]:
        try:
            while chunk := self._response.read1(CHUNK):
                yield chunk
        except urllib3.exceptions.ReadTimeoutError:
            raise Interrupted("silence") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Interrupted(why(error)) from None
        except (ValueError, AttributeError):
            if not self._closed:  # what reading from a socket that was shut down meanwhile may raise
                raise

    def close(self) -> None:
        """End the response; a read under way in another thread ends too."""
        self._closed = True
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):  # it has ended by itself
            self._response.close()


def authorization(token: str | None) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def http_url(address: Address, path: str, query: list[tuple[str, str]]) -> str:
    """Write the address of a request."""
    return address.url("http", path, query)


def is_certificate_error(error: BaseException | None) -> bool:
    """Tell whether a certificate that was not trusted is behind an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = (
            error.__cause__
            or error.__context__
            or next((part for part in error.args if isinstance(part, BaseException)), None)
        )
    return False
