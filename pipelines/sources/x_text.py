"""What the two generations of the X API share: how text, links and edits are written."""

from __future__ import annotations

import re
from typing import Any

from pipelines.sources.rows import Rows, Tombstone, as_list, as_object

SOURCE = "x"
_SHORT_LINK = re.compile(r"https?://t\.co/\w+")


def unescape(text: str) -> str:
    """Undo the only escapes X and Reddit apply: &lt; &gt; &amp;, the last one last.

    >>> unescape("1 &lt; 2 &amp;amp; so on &copy;")
    '1 < 2 &amp; so on &copy;'
    """
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def plain_text(text: Any, entities: Any) -> Any:
    """Unescape a text and put the address behind each t.co link that `entities.urls` explains.

    >>> plain_text("see https://t.co/a1", {"urls": [{"url": "https://t.co/a1", "expanded_url": "https://a.org/?b&c"}]})
    'see https://a.org/?b&c'
    """
    if type(text) is not str:
        return text
    text = unescape(text)
    if "t.co/" not in text:
        return text
    long = {}
    for item in as_list(as_object(entities).get("urls")):
        short, address = as_object(item).get("url"), as_object(item).get("expanded_url")
        if type(short) is str and type(address) is str and address:
            long[short] = address
    return _SHORT_LINK.sub(lambda match: long.get(match[0], match[0]), text) if long else text


def language(code: Any) -> Any:
    """Return the language X claims, null where it could not tell."""
    return None if code in ("und", "") else code


def bury_older(versions: Any, current: str | None, author_id: str | None, event_at: int | None, rows: Rows) -> None:
    """Add a tombstone for every version of a post that stands before `current` in its edit history."""
    chain = [version for version in as_list(versions) if type(version) is str]
    older = chain[: chain.index(current)] if current in chain else []
    for version in older:
        rows.bury(Tombstone("post_superseded", SOURCE, version, author_id, event_at))
