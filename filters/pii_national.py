"""Find the numbers by which states know their people, in folded text.

Each has a shape, a check, and, where shape and check together are still common by chance, a word that must stand
before it. Checks that ask today's date are not used: the same post must give the same answer in any year.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from stdnum import luhn
from stdnum.be import nn as be_nn
from stdnum.bg import egn
from stdnum.br import cpf
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.hr import oib
from stdnum.il import idnr as teudat_zehut
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.jp import in_ as my_number
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.ro import cnp
from stdnum.ru import inn
from stdnum.tr import tckimlik
from stdnum.us import ssn

from filters.pii_text import Range, Text, before, context

Check = Callable[[str], bool]


class NationalNumber(NamedTuple):
    """One country's number: `words` is None where shape and check alone are proof enough."""

    country: str
    shape: re.Pattern[str]
    check: Check
    words: re.Pattern[str] | None


def _number(country: str, shape: str, check: Check, words: str | None = None) -> NationalNumber:
    pattern = re.compile(rf"(?<![A-Za-z0-9_+])(?<![0-9][.,/-])(?:{shape})(?![A-Za-z0-9_]|[.,:/-][0-9])")
    return NationalNumber(country, pattern, check, context(words) if words else None)


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_codice_fiscale(number: str) -> bool:
    """Check an Italian code; one with more letters in place of digits than a namesake or two explains is a word."""
    return sum(character.isdigit() for character in number) >= 6 and codicefiscale.is_valid(number)


def _is_nino(number: str) -> bool:
    return number[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


def _is_rrn(number: str) -> bool:
    """Check a South Korean number: YYMMDD-CXXXXXX, the seventh digit gives the century."""
    digits = number.replace("-", "")
    century = {"9": 1800, "0": 1800, "1": 1900, "2": 1900, "5": 1900, "6": 1900}.get(digits[6], 2000)
    born = _is_date(century + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    return born and rrn.calc_check_digit(digits) == digits[-1]


def _is_personnummer(number: str) -> bool:
    """Check a Swedish number: [YY]YYMMDD-NNNN, a Luhn digit over the last ten."""
    digits = re.sub("[^0-9]", "", number)[-10:]
    return 1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31 and luhn.is_valid(digits)


def _is_nn(number: str) -> bool:
    """Check a Belgian number: YY.MM.DD-NNN.CC, C = 97 - N mod 97, with a 2 before N for births from 2000 on."""
    digits = re.sub("[^0-9]", "", be_nn.compact(number))
    body, check = digits[:9], int(digits[9:])
    return check in (97 - int(body) % 97, 97 - int("2" + body) % 97) and int(digits[2:4]) <= 12


def _is_fodselsnummer(number: str) -> bool:
    """Check a Norwegian number by its two check digits."""
    return number[-2:] == fodselsnummer.calc_check_digit1(number) + fodselsnummer.calc_check_digit2(number)


def _is_cpr(number: str) -> bool:
    """Check a Danish number: DDMMYY-NNNN; its check digit has been given up since 2007."""
    return 1 <= int(number[:2]) <= 31 and 1 <= int(number[2:4]) <= 12


def _is_south_african(number: str) -> bool:
    """Check a South African number: YYMMDD, ten more digits less a Luhn digit."""
    return 1 <= int(number[2:4]) <= 12 and 1 <= int(number[4:6]) <= 31 and luhn.is_valid(number)


_SSN_WORDS = r"(?<![a-z])(?:ssn|social(?: security)?|soc sec|itin)(?![a-z])"
_NINO_WORDS = r"(?<![a-z])(?:nino?|national insurance|ni (?:number|no)|insurance number)(?![a-z])"
_NINO = r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]"
_SWEDISH = r"(?<![a-z])(?:personnr|personnummer|person-?nr)(?![a-z])"
_TAX_RU = r"(?<![а-яё])(?:инн)(?![а-яё])"
_TAX_DE = (
    r"(?<![a-z])(?:steuer-?(?:id|nr|nummer)|steueridentifikationsnummer|id-?nr|idnr|identifikationsnummer|tin)(?![a-z])"
)

NATIONAL_NUMBERS: tuple[NationalNumber, ...] = (
    _number("US", r"[0-9]{3}-[0-9]{2}-[0-9]{4}", ssn.is_valid),
    _number("US", r"[0-9]{3} ?[0-9]{2} ?[0-9]{4}", ssn.is_valid, _SSN_WORDS),
    _number("GB", rf"{_NINO} [0-9]{{2}} [0-9]{{2}} [0-9]{{2}} [A-D]", _is_nino),
    _number("GB", rf"(?i:{_NINO}) ?[0-9]{{2}} ?[0-9]{{2}} ?[0-9]{{2}} ?[A-Da-d]", _is_nino, _NINO_WORDS),
    _number("ES", r"[0-9]{8}[ -]?[A-HJ-NP-TV-Z]", dni.is_valid),
    _number("ES", r"[XYZ][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Z]", nie.is_valid),
    _number("ES", r"(?i:[0-9]{8}[ -]?[A-Z]|[XYZ][ -]?[0-9]{7}[ -]?[A-Z])", nie.is_valid, r"\b(?:nie)\b"),
    _number("FR", r"[12] [0-9]{2} [0-9]{2} [0-9][0-9AB] [0-9]{3} [0-9]{3} [0-9]{2}", nir.is_valid),
    _number(
        "FR",
        r"[12][0-9]{5}[0-9AB][0-9]{6} ?[0-9]{2}",
        nir.is_valid,
        r"\b(?:nir|s[ée]cu\w*|s[ée]curit[ée] sociale|insee)\b",
    ),
    _number("IT", r"(?i:[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z])", _is_codice_fiscale),
    _number("BR", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", cpf.is_valid),
    _number("BR", r"[0-9]{9}-?[0-9]{2}", cpf.is_valid, r"\bcpf\b"),
    _number("DE", r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", idnr.is_valid, _TAX_DE),
    _number("IN", r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}", aadhaar.is_valid, r"aa?dhaa?r|uidai|आधार|ஆதார்|আধার"),
    _number("CN", r"[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9Xx]", lambda number: ric.is_valid(number.upper())),
    _number("PL", r"[0-9]{11}", pesel.is_valid, r"pesel\w*"),
    _number(
        "NL",
        r"[0-9]{9}|[0-9]{4}[. ][0-9]{2}[. ][0-9]{3}",
        bsn.is_valid,
        r"\b(?:bsn|burgerservicenummer|sofi-?nummer)\b",
    ),
    _number("BE", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", _is_nn),
    _number("CH", r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", ahv.is_valid),
    _number("CL", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", rut.is_valid),
    _number("CZ", r"[0-9]{6}/[0-9]{3,4}", rc.is_valid, r"rodn[ée]\w*|\br\.? ?č\.?"),
    _number("FI", r"[0-3][0-9][01][0-9]{3}[-+A-F][0-9]{3}[0-9A-Y]", hetu.is_valid),
    _number("KR", r"[0-9]{6}-[0-9]{7}", _is_rrn),
    _number("MX", r"(?i:[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9])", curp.is_valid),
    _number("SE", r"(?:19|20)[0-9]{6}[-+][0-9]{4}", _is_personnummer),
    _number("SE", r"(?:19|20)?[0-9]{6}[-+]?[0-9]{4}", _is_personnummer, _SWEDISH),
    _number("NO", r"[0-9]{6} ?[0-9]{5}", _is_fodselsnummer, r"f[øo]dselsn\w+|personnummer|\bfnr\b"),
    _number("DK", r"[0-9]{6}-?[0-9]{4}", _is_cpr, r"\bcpr\b|cpr-?n\w+|personnummer"),
    _number("BG", r"[0-9]{10}", egn.is_valid, r"(?<![а-я])егн(?![а-я])|\begn\b"),
    _number("HR", r"[0-9]{11}", oib.is_valid, r"\boib\b"),
    _number("IL", r"[0-9]{9}", teudat_zehut.is_valid, r"תעודת זהות|ת\.ז|ת\"ז|teudat zehut"),
    _number("JP", r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}", my_number.is_valid, r"マイナンバー|個人番号|my ?number"),
    _number("PT", r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}", nif.is_valid, r"\b(?:nif|contribuinte)\b"),
    _number("RO", r"[1-9][0-9]{12}", cnp.is_valid, r"\bcnp\b"),
    _number("RU", r"[0-9]{12}", inn.is_valid, _TAX_RU),
    _number("TR", r"[1-9][0-9]{10}", tckimlik.is_valid, r"\b(?:tc|t\.c\.?|tckn|kimlik)\b"),
    _number("ZA", r"[0-9]{6} ?[0-9]{4} ?[0-9]{3}", _is_south_african, r"\b(?:id|sa id)\b"),
)


_OPENING = re.compile(r"(?<![A-Za-z0-9_+])(?=[A-Za-z]{0,8}[ -]?[0-9])")


def national_numbers(text: Text) -> Iterator[Range]:
    """Yield every number of the table whose shape, check and words agree."""
    for opening in _OPENING.finditer(text.plain):
        for kind in NATIONAL_NUMBERS:
            match = kind.shape.match(text.plain, opening.start())
            if match is not None and _is_meant(kind, text, match):
                yield match.span()
                break


def _is_meant(kind: NationalNumber, text: Text, match: re.Match[str]) -> bool:
    announced = kind.words is None or kind.words.search(before(text.plain, match.start())) is not None
    return announced and kind.check(match[0].replace(" ", ""))
