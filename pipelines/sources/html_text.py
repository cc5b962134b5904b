"""The HTML of a Mastodon status as the text a reader sees, with whole addresses."""

from __future__ import annotations

import html
import re

_TAG = re.compile(r"(<[^<>]*>)")
_NAME = re.compile(r"</?\s*([a-zA-Z0-9]+)")
_CLASS = re.compile(r"""\bclass\s*=\s*["']([^"']*)""")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BREAKS = {
    "br": "\n",
    "p": "\n\n",
    "div": "\n",
    "li": "\n",
    "blockquote": "\n\n",
    "pre": "\n\n",
    "ul": "\n",
    "ol": "\n",
}
_KEPT_WORDS = ("mention", "hashtag", "u-url")
_MANY_NEWLINES = re.compile(r"\n{3,}")


def html_to_text(markup: str) -> str:
    r"""Turn a status into text: paragraphs to blank lines, links to their address, mentions and hashtags to words.

    Mastodon cuts the words of a link into visible and invisible spans; its address says it all.

    >>> html_to_text('<p>1 &lt; 2</p><p>a<br/>b <a href="https://a.org/x?y&amp;z"><span>a.org</span></a></p>')
    '1 < 2\n\na\nb https://a.org/x?y&z'
    """
    if "<" not in markup:
        return html.unescape(markup) if "&" in markup else markup
    out: list[str] = []
    in_link = False  # inside a link whose address stands for its words
    for piece in _TAG.split(markup):
        if not piece.startswith("<") or not piece.endswith(">"):
            if not in_link:
                out.append(html.unescape(piece) if "&" in piece else piece)
            continue
        name = _NAME.match(piece)
        tag = name[1].lower() if name else ""
        closing = piece.startswith("</")
        if tag == "a":
            address = None if closing else _address(piece)
            in_link = address is not None
            out.append(address or "")
        elif tag == "br" or (closing and tag in _BREAKS):
            out.append(_BREAKS[tag])
    return _MANY_NEWLINES.sub("\n\n", "".join(out)).strip("\n")


def _address(anchor: str) -> str | None:
    """Return the address of a plain link; null for a mention or a hashtag, whose words are what was written."""
    kind = _CLASS.search(anchor)
    if kind and any(word in kind[1].split() for word in _KEPT_WORDS):
        return None
    found = _HREF.search(anchor)
    return html.unescape(found[1] or found[2] or "") if found else None
