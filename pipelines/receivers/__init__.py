"""Live sources: each a thread in the driver that writes what it receives into files, and lists them in a journal.

    jetstream://HOST    Bluesky, over WebSocket; resumes where it stopped
    mastodon://HOST     a Mastodon server's public statuses, as server-sent events
    x://HOST            X's filtered stream and compliance streams, as lines over HTTP

`?tls=false` is for a server on this machine. A token comes from a file or an environment variable, stays in the
driver, and is sent to that host alone. Spark sees the files, so a platform's message reaches it like any line of any
input, and no connection and no token is ever part of a plan.
"""

from pydantic import SecretStr

from pipelines.journal import Journal
from pipelines.receivers.address import check_secrecy, is_live, parse_address, read_token
from pipelines.receivers.connection import LiveSource
from pipelines.receivers.jetstream import Jetstream
from pipelines.receivers.mastodon import Mastodon
from pipelines.receivers.receiver import Receiver, ReceiverState
from pipelines.receivers.settings import Limits, Outside
from pipelines.receivers.spool import Spool
from pipelines.receivers.x import X

__all__ = ["Limits", "Outside", "Receiver", "ReceiverState", "is_live", "open_receiver", "read_token"]


def open_receiver(
    source: str,
    journal: Journal,
    token: SecretStr | None = None,
    limits: Limits | None = None,
    outside: Outside | None = None,
) -> Receiver:
    """Make the receiver of a SOURCE, not yet started. Raises ConfigError for a wrong address, or a lacking token."""
    limits, outside = limits or Limits(), outside or Outside()
    address = parse_address(source)
    check_secrecy(address, token)
    live: LiveSource
    if address.kind == "jetstream":
        live = Jetstream(address, limits, outside)
    elif address.kind == "mastodon":
        live = Mastodon(address, token, limits, outside)
    else:
        live = X(address, token, limits, outside)
    spool = Spool(journal, live.format, limits, outside.free_bytes)
    return Receiver(live, spool, limits, outside)
