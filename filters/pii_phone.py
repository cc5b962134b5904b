"""Find telephone numbers in folded text: by their international form, by a national shape, or by a word beside them.

Most runs of seven digits in posts are dates, counts and identifiers. A number is taken only when libphonenumber finds
it valid in a form that nothing else has, or when a word such as `call` announces it and its length is possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

from filters.pii_text import NAMED_OTHERWISE, Range, Text, before, context

_CANDIDATE = re.compile(r"(?<![A-Za-z0-9_])(?<![0-9][.:])(?:\(?\+ ?)?\(?[0-9](?:[ ./()-]{0,3}[0-9]){6,}\)?")
_GROUP = re.compile(r"[0-9]+")
_MIN_DIGITS, _MAX_DIGITS = 7, 15  # E.164; seven is the shortest local number worth hiding
_MAX_RUN = 64  # digits in a row of telephone numbers; more is a table
_MAX_FAILED = 200  # parts of such rows looked at in vain, per post: a page of digits must not cost a second

_WORDS = (
    r"(?<![a-z])(?:call(?:s|ed|er|ing|in)?|phon(?:es?|ed|ing)|telephones?|tele?|tel|mobile|mob|cell(?: ?phone)?"
    r"|whats ?app|viber|telegram|text(?:s|ed|ing)?|sms|txt|fax|dial(?:l?ed|l?ing)?|hot ?line|helpline|voicemail"
    r"|contact(?:ed|ing)?|reach(?:ed|ing)?|messages?|ring|rang|ph|wa\.me/|imessage"
    r"|number(?:'s)? is|(?:my|your|his|her|our|their|new|this|that|the|following) (?:new |work |home )?(?:number|#)"
    r"|hit me up|switchboard|pager"
    r"|contacto|llam\w+|celular|m[oó]vil|tel[eé]fono|telefon\w*|rufen?|anruf\w*|handy|mobil|durchwahl|t[eé]l[eé]phone"
    r"|t[eé]l|appel\w+|joindre|contacte\w*|ligu?e|telefone|zap|chiam\w+|cellulare|gsm|dzwo[nń]\w*"
    r"|kom[oó]rk\w*|zadzwo[nń]\w*|aray[iı]n|hubungi|telp|li[eê]n h[eệ]|sđt|đt|điện thoại|puh"
    r"|phone (?:no|number|#))(?![a-z])"
    r"|(?<![а-яёіїє])(?:тел|телефон\w*|моб|мобильн\w*|мобільн\w*|звон\w+|позвон\w+|дзвон\w+|факс|ватсап|вотсап|вайбер"
    r"|вацап|сотов\w+|номер телефон\w+)(?![а-яёіїє])|τηλ\w*|κιν\w*"
    r"|电话|電話|手机|手機|致电|热线|熱線|拨打|携帯|ケータイ|连絡先|連絡先|お問い合わせ|전화|연락|핸드폰|휴대폰|문의"
    r"|هاتف|جوال|موبايل|اتصل|للتواصل|واتس|تلفن|موبایل|تماس|شماره|טלפון|נייד|להתקשר|फोन|फ़ोन|मोबाइल|संपर्क|कॉल|व्हाट्सएप"
    r"|ফোন|মোবাইল|โทร|ติดต่อ|เบอร์|ስልክ|電洽|☎|📞|📱|☏|✆"
)
_ANNOUNCED = context(_WORDS, reach=28)
_AT_ONCE = context(_WORDS, reach=6)
_LABELLED = re.compile(
    r"[ ,-]{0,2}(?:\(?(?:fax|office|mobile|cell|home|work|desk|direct|whats ?app|tel|phone|sms)(?![a-z])|\([mhwocft]\)"
    r"|is (?:my|your|the|his|her|our) (?:new |cell |phone |mobile )?(?:number|phone|cell|mobile))",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"[A-Za-z0-9_%°]|[.:/-][0-9]|,[0-9]{1,3}(?![0-9])|\)?[^\S\n]?(?:[$€£¥₽₹₴₺₩%]|(?:eur|usd|gbp|euros?|dollars?|руб\w*|грн|million|mln|bn|people"
    r"|followers|views|likes|votes|km|kg|元|円|원|万|億|亿)(?![a-z]))",
    re.IGNORECASE,
)
_CUT = re.compile(r"[/_+-]$|[0-9][.:]$|(?:^|[^0-9])[0-9]{1,3},$")  # the number goes on to the left
_NEIGHBOUR = re.compile(" ?[0-9]")
_EXTENSION = re.compile(r"(?:x|ext)\.? ?[0-9]{1,6}(?![0-9])", re.IGNORECASE)
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:1[5-9]|20)[0-9]{2}"
_DATE_FORMS = "|".join(
    (
        rf"{_DAY}([./ -]){_MONTH}\1(?:{_YEAR}|[0-9]{{2}})",
        rf"{_MONTH}([./ -]){_DAY}\2(?:{_YEAR}|[0-9]{{2}})",
        rf"{_YEAR}([./ -]){_MONTH}\3{_DAY}",
        rf"{_YEAR}(?: ?[-/ ] ?{_YEAR})*",
        rf"{_DAY}/{_DAY} ?- ?{_DAY}/{_DAY}",
    )
)
_DATED = re.compile(
    r"(?<![0-9])(?:[0-9]{1,2}([./-])[0-9]{1,2}\1(?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9])(?![0-9])"
)
_STAMP = rf"{_YEAR}(?:0[1-9]|1[0-2])[0-3][0-9](?:[0-9]{{4}}){{0,2}}"
_DATE = re.compile(rf"\(?(?:{_DATE_FORMS})(?: {{1,3}}[0-9]{{1,2}}| ?- ?[0-9][0-9./ ]*)?\)?|{_STAMP}")
_LISTED = re.compile(r".*(?:  |[^0-9][0-9]\)?$)")  # ends in a lone digit, or is two columns: a list, not a number
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[ .][0-9]{3})+")
_OR = "or|and|и|или|та|або|und|oder|ou|et|y|o|e|ve|veya|أو|او|و|یا|或者?|和|または|또는"
_JOINER = re.compile(rf"\[PHONE\][ ,;/|&+]{{0,3}}(?:{_OR})?[ ,;/|:]{{0,3}}$")


class _Shape(NamedTuple):
    """A way of writing national numbers that other numbers are not written in, and where it is used."""

    pattern: re.Pattern[str]
    regions: tuple[str, ...]


_TRUNK_REGIONS = (
    *("GB", "DE", "FR", "IT", "NL", "BE", "CH", "AT", "AU", "NZ", "IE", "SE", "UA", "TR", "RO", "IL", "ZA", "JP"),
    *("KR", "CN", "TW", "IN", "ID", "MY", "TH", "VN", "PH", "PK", "BD", "IR", "IQ", "EG", "SA", "AE", "NG", "KE"),
)
_MOBILE_REGIONS = ("GB", "IR", "NG", "PK", "TR", "EG", "BD", "DE", "KR", "JP", "PH", "IQ")
_SPACED = re.compile(r"(?:1 )?[2-9][0-9]{2} [0-9]{3} [0-9]{4}")  # North American, but three plain numbers look so too
_NOT_FOURS = r"(?![0-9]{4}([ /-])[0-9]{4}\1[0-9]{4}$)"  # game consoles' friend codes
_TRUNK_GROUPS = r"\(?0[0-9]{1,4}\)?(?:[ ./-]{1,3}\(?[0-9]{2,8}\)?){1,4}"
_SHAPES = (
    _Shape(re.compile(r"(?:1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[0-9]{3}[ .-][0-9]{4}"), ("US",)),
    _Shape(_SPACED, ("US",)),
    _Shape(re.compile(r"[78][ -]?\(?[3-9][0-9]{2}\)?[ -]?[0-9]{3}[ -][0-9]{2}[ -]?[0-9]{2}"), ("RU",)),
    _Shape(re.compile(r"\([1-9][0-9]\) ?9?[0-9]{4}-?[0-9]{4}"), ("BR",)),
    _Shape(re.compile(r"1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}"), ("CN",)),
    _Shape(re.compile(r"0[0-9]{1,3}[/-][0-9]{6,8}"), _TRUNK_REGIONS),
    _Shape(re.compile(rf"{_NOT_FOURS}(?=(?:[^0-9]*[0-9]){{10,12}}$|.*\(){_TRUNK_GROUPS}"), _TRUNK_REGIONS),
    _Shape(re.compile(r"0[0-9]{10}"), _MOBILE_REGIONS),
)
_EASTERN = re.compile(r"[\u4e00-\u9fff]")
_CHINESE_MOBILE = re.compile(r"1[3-9][0-9]{9}")


def phones(text: Text, default_region: str | None = None) -> Iterator[Range]:
    """Yield telephone numbers; with `default_region` (ISO 3166) also national numbers of that country, if grouped.

    A number after another, as in `... or 555 0199`, needs no word of its own.
    """
    failed = 0
    last = -99
    for match in _CANDIDATE.finditer(text.plain):
        for start, end in _pieces(match):
            if start < last or failed > _MAX_FAILED:
                continue
            first = start == match.start()
            span = _unwrapped(text.plain, start, end)
            if _accepts(text.plain, span, first or start - last <= 8, default_region):
                yield span
                last = end
            else:
                failed += not first


def _pieces(match: re.Match[str]) -> Iterator[Range]:
    """Yield the runs of whole groups that have a fitting number of digits: from each group on, the longest first."""
    groups = [group.span() for group in _GROUP.finditer(match.string, *match.span())]
    if sum(end - start for start, end in groups) > _MAX_RUN:
        return
    for index, (start, _) in enumerate(groups):
        opening = start - (match.string[start - 1] == "(") if index else match.start()
        ends: list[int] = []
        total = 0
        for group_start, end in groups[index:]:
            total += end - group_start
            if total > _MAX_DIGITS:
                break
            if total >= _MIN_DIGITS:
                ends.append(match.end() if end == groups[-1][1] else end)
        for end in reversed(ends):
            yield opening, end


def _unwrapped(plain: str, start: int, end: int) -> Range:
    """Leave out brackets that stand around the number rather than in it."""
    opened, closed = plain.find("(", start, end), plain.find(")", start, end)
    if opened == start and closed in (-1, end - 1):
        start += 1
    if plain.count(")", start, end) > plain.count("(", start, end) and plain[end - 1] == ")":
        end -= 1
    return start, end


def _accepts(plain: str, span: Range, explained: bool, default_region: str | None) -> bool:
    start, end = span
    written = plain[start:end]
    digits = re.sub("[^0-9]", "", written)
    tail = plain[end : end + 14]
    if len(set(digits)) < 3 or _LISTED.match(written) or (_NOT_AFTER.match(tail) and not _EXTENSION.match(tail)):
        return False
    lead = before(plain, start)
    if "+" in written:
        return _is_international(written, digits)
    if _DATE.fullmatch(written) or _DATED.search(written) or NAMED_OTHERWISE.search(lead) or _is_cut(lead):
        return False
    announced = explained and bool(_ANNOUNCED.search(lead) or _LABELLED.match(tail) or _follows_phone(plain, start))
    if announced and len(digits) <= 13 and (not _THOUSANDS.fullmatch(written) or _AT_ONCE.search(lead)):
        return True
    if written.startswith(("00", "011")) and _is_valid("+" + digits[2 + written.startswith("011") :], None):
        return True
    if _SPACED.fullmatch(written) and (_NEIGHBOUR.match(tail) or _NEIGHBOUR.match(lead[::-1])):
        return False
    if _fits_shape(written) or (_CHINESE_MOBILE.fullmatch(written) and _EASTERN.search(plain)):
        return True
    grouped = written != digits or digits.startswith("0")
    return default_region is not None and grouped and _is_valid(written, default_region)


def _is_cut(lead: str) -> bool:
    return _CUT.search(lead) is not None and not lead.lower().endswith("wa.me/")


def _follows_phone(plain: str, start: int) -> bool:
    return _JOINER.search(plain, max(0, start - 24), start) is not None


def _is_international(written: str, digits: str) -> bool:
    """Tell whether a number with a plus is valid, or at least of a possible length and no shorter than ten digits."""
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return False
    long = len(digits) >= 10
    return phonenumbers.is_valid_number(number) or (long and phonenumbers.is_possible_number(number))


@lru_cache(maxsize=1 << 14)
def _is_valid(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


def _fits_shape(written: str) -> bool:
    return any(
        shape.pattern.fullmatch(written) is not None and any(_is_valid(written, region) for region in shape.regions)
        for shape in _SHAPES
    )
