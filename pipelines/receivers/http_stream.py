"""A response over HTTP that never ends, as whole lines. urllib3 knows how to end a read from another thread."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import urllib3
from pydantic import SecretStr

from pipelines.receivers.connection import Interrupted, Message, Untrusted, check_status, why
from pipelines.receivers.settings import Limits, Outside
from pipelines.sources.lines import stretches
from schemas.version import VERSION

CONNECT_SECONDS = 10.0
CHUNK = 1 << 16

LineReader = Callable[[Iterator[bytes]], Iterator[Message]]


@dataclass(frozen=True)
class Request:
    """What is asked of a server, and how long it may be silent."""

    url: str
    headers: Mapping[str, str] = field(repr=False)  # the token is one of them
    silence_seconds: float


class HttpStream:
    """One open response; `read` makes messages of its lines."""

    def __init__(self, request: Request, read: LineReader, limits: Limits, outside: Outside) -> None:
        self._read = read
        self._message_bytes = limits.message_bytes
        self._hung_up = False
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=request.silence_seconds)
        pool = urllib3.PoolManager(ssl_context=outside.tls, retries=False, timeout=timeout)
        try:
            self._response = pool.request(
                "GET",
                request.url,
                headers={"User-Agent": f"swarmfeed/{VERSION}", **request.headers},
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

    def messages(self) -> Iterator[Message]:
        """Yield messages as soon as they are there."""
        return self._read(self._lines())

    def _lines(self) -> Iterator[bytes]:
        """Yield lines without their end, blank ones too; one that is too long is cut."""
        for stretch in stretches(self._chunks(), self._message_bytes):
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
            if not self._hung_up:  # what a read may raise whose socket is shut down meanwhile
                raise

    def hang_up(self) -> None:
        """End the response; a read under way in another thread ends too."""
        self._hung_up = True
        with suppress(ValueError, RuntimeError, OSError):  # it has ended by itself
            self._response.shutdown()

    def close(self) -> None:
        """Close the connection."""
        self._response.close()


def authorization(token: SecretStr | None) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}


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
