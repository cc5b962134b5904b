"""Find e-mail addresses, bank accounts, payment cards and IP addresses in folded text.

A pattern proposes; a check digit, a registry or a word in front decides.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from phonenumbers import SUPPORTED_REGIONS
from stdnum import iban as iban_number
from stdnum import luhn

from filters.pii_text import CONTEXT_CHARS, Range, Text, before, context

_NAME = r"a-z0-9\u00c0-\u024f\u0370-\u052f"  # letters of the scripts that mail addresses are seen in
_LOCAL_BACKWARDS = re.compile(rf"[{_NAME}_+-](?:[{_NAME}._%+'-]{{0,63}}[{_NAME}_])?", re.IGNORECASE)
_DOMAIN = re.compile(rf"(?:[{_NAME}](?:[{_NAME}-]{{0,62}})\.){{1,8}}([{_NAME}-]{{2,24}})", re.IGNORECASE)
_SPELT_OUT = re.compile(
    r"(?<![\w.%+-])([a-z0-9][a-z0-9._%+-]{0,63}) ?[\[(] ?at ?[\])] ?"
    r"((?:[a-z0-9-]{1,63} ?(?:\.|[\[(] ?dot ?[\])]) ?){1,4})([a-z]{2,24})(?![\w-])",
    re.IGNORECASE,
)
_COUNTRIES = frozenset(SUPPORTED_REGIONS) | {"UK", "EU", "SU", "AQ", "TF", "GS", "HM", "BV", "PN", "UM"}
_ENDINGS = (
    "com org net edu gov mil int info biz name pro mobi asia cat jobs tel travel coop aero museum arpa xyz app dev "
    "online site store shop tech cloud live news blog club world today space email agency digital media studio "
    "design art music band press tv fm photography marketing company solutions services network systems group team "
    "social chat games game life love fun top vip work works one global international center academy "
    "school university education church health care clinic doctor dental law legal finance bank money fund capital "
    "holdings ventures consulting estate house homes london paris berlin nyc moscow tokyo amsterdam wien koeln hamburg "
    "bayern vlaanderen brussels barcelona scot wales cymru eus gal quebec africa рф укр бел срб ελ мон қаз онлайн сайт "
    "google apple bmw bbc link click website web wiki page pub rocks ninja guru expert zone plus support help"
)
_KNOWN_ENDINGS = frozenset(_ENDINGS.split())
_NO_PERSON = re.compile(
    r"git@(?:github\.com|gitlab\.com|bitbucket\.org|ssh\.\S+)|.+@(?:openssh\.com|libssh\.org)", re.IGNORECASE
)


def emails(text: Text) -> Iterator[Range]:
    """Yield addresses with a name, an @ and a domain under a known ending; `git@host` is software, not a person."""
    whole = text.whole
    done = 0
    at = whole.find("@")
    while at != -1:
        found = _around_at(whole, at, done)
        if found is not None:
            yield found
            done = found[1]
        at = whole.find("@", max(at + 1, done))
    for match in _SPELT_OUT.finditer(whole):
        if _is_ending(match[3]):
            yield match.span()


def _around_at(whole: str, at: int, done: int) -> Range | None:
    local = _LOCAL_BACKWARDS.match(whole[max(done, at - 65) : at][::-1])
    domain = _DOMAIN.match(whole, at + 1)
    if local is None or domain is None:
        return None
    start, end = at - local.end(), _domain_end(domain)
    if local.end() > 64 or whole[max(0, start - 1) : start] in ("@", "/", "#"):
        return None
    start += len(whole[start:at]) - len(whole[start:at].lstrip("'-.%"))
    if end == 0 or start == at or _NO_PERSON.match(whole[start:end]):
        return None
    return start, end


def _domain_end(domain: re.Match[str]) -> int:
    """Return where the longest beginning of the domain that has a known ending stops; 0 when none has.

    >>> match = _DOMAIN.match("mail.com.Thanks")
    >>> match and match.string[:_domain_end(match)]
    'mail.com'
    """
    labels = domain[0].split(".")
    for count in range(len(labels), 1, -1):
        if _is_ending(labels[count - 1]):
            return domain.start() + len(".".join(labels[:count]))
    return 0


def _is_ending(label: str) -> bool:
    return label.lower() in _KNOWN_ENDINGS or label.upper() in _COUNTRIES or label.lower().startswith("xn--")


_IBAN_START = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{2}[0-9]{2}(?=[ -]?[A-Za-z0-9]{2})")
_IBAN_BODY = re.compile(r"[A-Za-z0-9]{4}(?:[ -]?[A-Za-z0-9]){11,42}")
_IBAN_DIGITS = 8  # no country's account has fewer
_WITHOUT_DIGITS = str.maketrans("", "", "0123456789")
_LETTER_VALUES = {ord(letter): str(int(letter, 36)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def ibans(text: Text) -> Iterator[Range]:
    """Yield account numbers of a registered country, length and checksum, written solid or in groups."""
    done = 0
    for opening in _IBAN_START.finditer(text.plain):
        body = _IBAN_BODY.match(text.plain, opening.start())
        if body is None or opening.start() < done or opening[0][:2].upper() not in _COUNTRIES:
            continue
        for end in _token_ends(text.plain, body):
            number = re.sub("[ -]", "", text.plain[opening.start() : end])
            digits = len(number) - len(number.translate(_WITHOUT_DIGITS))
            if digits >= _IBAN_DIGITS and _checks_out(number) and iban_number.is_valid(number, check_country=False):
                yield opening.start(), end
                done = end
                break


def _checks_out(number: str) -> bool:
    """Tell whether the remainder by 97 is 1, as ISO 13616 asks: one in 97 by chance, the registry sees only those."""
    return int((number[4:] + number[:4]).upper().translate(_LETTER_VALUES)) % 97 == 1


def _token_ends(plain: str, body: re.Match[str]) -> Iterator[int]:
    """Yield, longest first, where the body may stop without cutting a token."""
    for end in range(body.end(), body.start() + 14, -1):
        if end == len(plain) or not (plain[end].isascii() and (plain[end].isalnum() or plain[end] == "_")):
            yield end


_CARD = re.compile(
    r"(?<![A-Za-z0-9_+])(?<![0-9]\.)(?:"
    r"[0-9]{4}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3}(?![0-9]))?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}|[0-9]{12,19})(?![A-Za-z0-9_]|\.[0-9])"
)
_ISSUED = re.compile(
    r"4[0-9]{15}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Visa, Mastercard
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # American Express, Diners Club
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|62[0-9]{14}|220[0-4][0-9]{12}"  # Discover, UnionPay, Mir
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}|(?:1800|2131)[0-9]{11}"  # JCB
)
_CARD_WORDS = context(
    r"(?<![a-z])(?:cards?|credit|debit|visa|master ?card|maestro|amex|american express|discover|jcb|cvv"
    r"|cc ?(?:number|no|#))(?![a-z])"
    r"|kredit\w*|karte\w*|kart[ayęuąı]?\b|tarjeta|cart[eã]o?\b|carta|карт\w*|卡|カード|카드|بطاقة|कार्ड|thẻ|κάρτα|כרטיס",
    reach=CONTEXT_CHARS,
)
_NOT_A_CARD = context(
    r"(?<![a-z])(?:order|invoice|isbn|ean|tracking|parcel|ticket|booking|imei|serial|sku|bestellung|pedido|commande)"
    r"(?![a-z])|заказ\w*|трек\w*|订单|单号|快递|注文",
    reach=12,
)
_CARD_AFTER = re.compile(
    r"[^0-9!?;\n]{0,24}(?<![a-z])(?:cards?|credit|debit|visa|master ?card|exp(?:ir\w+)?|cvv)(?![a-z])", re.IGNORECASE
)


def cards(text: Text) -> Iterator[Range]:
    """Yield numbers with a Luhn digit: of an issuer's range and length, or announced by a word such as `card`.

    Thirteen digits are as often the bar code of a book, and 18 or 19 the id of a post, so they need the word.
    """
    for match in _CARD.finditer(text.plain):
        start, end = match.span()
        for stop in dict.fromkeys((end, start + 19 if match[1] else end)):
            digits = re.sub("[^0-9]", "", text.plain[start:stop])
            if len(set(digits)) == 1 or not luhn.is_valid(digits):
                continue
            lead = before(text.plain, start)
            clear = _ISSUED.fullmatch(digits) and (match[1] or match[2] or len(digits) in (14, 15, 16))
            if (
                (clear and not _NOT_A_CARD.search(lead))
                or _CARD_WORDS.search(lead)
                or _CARD_AFTER.match(text.plain, stop)
            ):
                yield start, stop
                break


_DOTTED = re.compile(r"(?<![\w.])(?<!-)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.[0-9])", re.ASCII)
_COLONS = re.compile(
    r"(?:(?<=v6:)|(?<![\w.])(?<![0-9a-f:]:))[0-9a-f]{1,4}(?:::?[0-9a-f]{1,4}){2,7}(?:::)?(?![\w:])",
    re.IGNORECASE | re.ASCII,
)
_IP_WORDS = context(r"(?<![a-z])(?:ip|ips|ipv4|address|addr|host|server|ping|dns|айпи|адрес|サーバー|地址)(?![a-z])")
_VERSION_WORDS = context(
    r"(?<![a-z])(?:v|ver|version|versión|versione|versão|release|build|firmware|update|patch|верси[яию]|版本|バージョン"
    r"|driver|section|chapter|§|art)\.?",
    reach=12,
)
_VERSION_TOP = 32  # one address in 140 has three numbers below it, a version nearly always
_NOT_PERSONAL = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "2001:db8::/32", "::/16", "fc00::/7", "fe80::/10", "ff00::/8"),
        *("8.8.8.8/32", "8.8.4.4/32", "1.1.1.1/32", "1.0.0.1/32", "9.9.9.9/32"),  # public resolvers: household names
        *("2001:4860:4860::/64", "2606:4700:4700::/64"),
    )
)


def addresses(text: Text) -> Iterator[Range]:
    """Yield public IPv4 and IPv6 addresses, also as the host of a link.

    Private, loopback, documentation and multicast ranges name no one, nor do well-known resolvers. Three small
    numbers of four without a word such as `ip`, or a word such as `version` in front, make a version. A shortened IPv6
    address must begin with 2 or 3, as every address in use does: `a::b` is code.
    """
    for match in _DOTTED.finditer(text.whole):
        lead = before(text.whole, match.start())
        if _VERSION_WORDS.search(lead):
            continue
        high = sum(int(octet) >= _VERSION_TOP for octet in match[0].split(".")) > 1
        if (high or lead.endswith("//") or _IP_WORDS.search(lead)) and _is_personal(match[0]):
            yield match.span()
    for match in _COLONS.finditer(text.whole):
        full = match[0].count(":") == 7 and max(map(len, match[0].split(":"))) > 2  # pairs alone are a fingerprint
        if (full or match[0][0] in "23") and _is_personal(match[0]):
            yield match.span()


def _is_personal(written: str) -> bool:
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    return not any(address.version == net.version and address in net for net in _NOT_PERSONAL)
